from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "brokerhub.kernel"
    label = "kernel"
    verbose_name = "People and tokens"

    def ready(self) -> None:
        from django_structlog.celery.signals import bind_extra_task_metadata

        from brokerhub.kernel import (
            reauthentication,  # noqa: F401  # listens to people signing in
            trace,
        )

        bind_extra_task_metadata.connect(trace.give_task_an_id, dispatch_uid="kernel.trace")
