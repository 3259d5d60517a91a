from django.apps import AppConfig


class AggregationConfig(AppConfig):
    name = "aggregation"

    def ready(self) -> None:
        from aggregation import receivers

        receivers.connect()
