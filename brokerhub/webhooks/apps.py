from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "brokerhub.webhooks"
    label = "webhooks"

    def ready(self) -> None:
        from brokerhub.webhooks import receivers
        from brokerhub.webhooks.models import SEALED
        from connections import rotation

        receivers.connect()
        rotation.SEALED.append(SEALED)
