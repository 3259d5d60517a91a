"""Celery's shells over what concerns the hub as a whole."""

from celery import shared_task
from django.core.mail import send_mail
from django.template.loader import render_to_string

from brokerhub import queues, retention
from brokerhub.erasure import deleting


@shared_task(name="brokerhub.delete_accounts")
def delete_accounts() -> None:
    for receipt in deleting.work_off():
        text = render_to_string("settings/email/account_deleted.txt", {"receipt": receipt})
        send_receipt.delay(receipt.email, text)


@shared_task(name="brokerhub.send_receipt", autoretry_for=(OSError,), retry_backoff=30, max_retries=12)
def send_receipt(email: str, text: str) -> None:
    """To somebody the hub does not know any more: address and text are in the task alone, until it is sent."""
    send_mail("Your account is deleted", text, None, [email])


@shared_task(name="brokerhub.remove_old")
def remove_old() -> None:
    retention.remove_old()


@shared_task(name="brokerhub.watch_queues")
def watch_queues() -> None:
    queues.watch()
