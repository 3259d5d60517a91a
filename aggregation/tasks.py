"""Celery shells over the books' services."""

from celery import shared_task

from aggregation.rates import reading


@shared_task(name="aggregation.read_reference_rates")
def read_reference_rates() -> None:
    reading.read_due()
