from celery import shared_task

from brokerhub.identity import access


@shared_task(name="brokerhub.identity.remove_expired")
def remove_expired() -> None:
    access.remove_expired()
