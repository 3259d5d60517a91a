"""Celery shells over the comparison's services."""

from celery import shared_task

from comparison import running


@shared_task(name="comparison.simulate")
def simulate(simulation_id: str) -> None:
    running.run(simulation_id)
