from django.apps import AppConfig
from django.db.models.signals import post_migrate


class HealthConfig(AppConfig):
    name = "health"

    def ready(self) -> None:
        from health import known_windows, recording

        recording.listen()
        post_migrate.connect(known_windows.load, sender=self, dispatch_uid="health.known_windows")
