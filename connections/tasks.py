"""Celery shells over `connection_manager`."""

from celery import shared_task

from connections import connection_manager, reminders, revocation


@shared_task(name="connections.renew_due")
def renew_due() -> None:
    connection_manager.renew_due()


@shared_task(name="connections.revoke_due")
def revoke_due() -> None:
    revocation.revoke_due()


@shared_task(name="connections.remind_due")
def remind_due() -> None:
    reminders.remind_due()
