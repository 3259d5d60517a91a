from django.apps import AppConfig


class SyncConfig(AppConfig):
    name = "sync"

    def ready(self) -> None:
        from connections.brokers.deliveries import register_file
        from sync import receivers
        from sync.importers import FORMATS

        receivers.connect()
        for format in FORMATS.values():
            register_file(format.broker, format.label)
