from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "brokerhub.identity"
    label = "identity"
    verbose_name = "Apps of others"

    def ready(self) -> None:
        from brokerhub.identity import schema  # noqa: F401  # makes itself known to drf-spectacular
