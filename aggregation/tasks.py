"""Celery shells over the books' services."""

from celery import shared_task

from aggregation.history import prices, taking, told
from aggregation.rates import reading
from aggregation.reconciliation import comparing


@shared_task(name="aggregation.read_reference_rates")
def read_reference_rates() -> None:
    reading.read_due()


@shared_task(name="aggregation.reconcile")
def reconcile() -> None:
    comparing.reconcile_due()


@shared_task(name="aggregation.keep_history")
def keep_history() -> None:
    taking.take_due()


@shared_task(name="aggregation.read_prices")
def read_prices() -> None:
    prices.read_due()


@shared_task(name="aggregation.read_values")
def read_values() -> None:
    told.read_due()
