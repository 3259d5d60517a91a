"""Celery shell over the reading of exports."""

from celery import shared_task

from brokerhub.archive import readings


@shared_task(name="archive.read_due")
def read_due() -> None:
    readings.read_due()
