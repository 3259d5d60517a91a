"""Celery's shells over what concerns the hub as a whole."""

from celery import shared_task

from brokerhub import queues, retention
from brokerhub.erasure import deleting, receipts


@shared_task(name="brokerhub.delete_accounts")
def delete_accounts() -> None:
    try:
        deleting.work_off()
    finally:  # at once, for those that were deleted, whatever became of the others
        receipts.send_due()


@shared_task(name="brokerhub.send_receipts")
def send_receipts() -> None:
    receipts.send_due()


@shared_task(name="brokerhub.remove_old")
def remove_old() -> None:
    retention.remove_old()


@shared_task(name="brokerhub.watch_queues")
def watch_queues() -> None:
    queues.watch()
