"""Celery shells over the webhooks' services."""

from celery import shared_task

from brokerhub.webhooks import books, delivering, notices, outbox, retention


@shared_task(name="webhooks.dispatch")
def dispatch() -> None:
    books.tell()
    outbox.address()
    delivering.drop_left_over()
    delivering.deliver_due()
    notices.send_due()


@shared_task(name="webhooks.remove_old")
def remove_old() -> None:
    retention.remove_old()
