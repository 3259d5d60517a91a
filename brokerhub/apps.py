from django.apps import AppConfig


class HubConfig(AppConfig):
    """What ties the apps together: the queue, and commands that need all of them."""

    name = "brokerhub"
    label = "hub"

    def ready(self) -> None:
        # Celery's app, so that `shared_task` finds it. Not in the package: the supervisor has no use for Celery.
        from brokerhub import celery, queues, sessions, sign_in_log  # noqa: F401  # models have to be there first
        from brokerhub.erasure.models import SEALED
        from connections import rotation

        rotation.SEALED.append(SEALED)
        sessions.connect()
        sign_in_log.connect()
