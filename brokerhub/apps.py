from django.apps import AppConfig


class HubConfig(AppConfig):
    """What ties the apps together: commands that need all of them."""

    name = "brokerhub"
    label = "hub"

    def ready(self) -> None:
        from brokerhub import sessions, sign_in_log  # models have to be there first

        sessions.connect()
        sign_in_log.connect()
