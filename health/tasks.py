"""Celery shells over health's services."""

from celery import shared_task

from health import probes, retention


@shared_task(name="health.probe")
def probe() -> None:
    probes.probe_all()


@shared_task(name="health.remove_old")
def remove_old() -> None:
    retention.remove_old()
