from django.apps import AppConfig


class SyncConfig(AppConfig):
    name = "sync"

    def ready(self) -> None:
        from connections.brokers.deliveries import register_file
        from health import freshness
        from sync import arrivals, receivers
        from sync.importers import FORMATS

        receivers.connect()
        freshness.asked_by(arrivals.by_broker)
        for format in FORMATS.values():
            register_file(format.broker, format.label)
