"""Celery shells over health's services."""

from celery import shared_task

from health import probes


@shared_task(name="health.probe")
def probe() -> None:
    probes.probe_all()
