"""The mail that says that the hub has switched a webhook off."""

from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from brokerhub.webhooks.models import Endpoint

log = structlog.get_logger(__name__)


def send_due() -> int:
    """Mail the owners who have not been told yet, each once; how many."""
    due = Endpoint.objects.switched_off().filter(notice_due=True)
    return sum(_send(pk) for pk in due.values_list("pk", flat=True))


def _send(pk: UUID) -> bool:
    try:
        with transaction.atomic():
            mine = Endpoint.objects.select_for_update(skip_locked=True, of=["self"]).select_related("user")
            endpoint = mine.filter(pk=pk, notice_due=True).first()
            if endpoint is None:
                return False
            endpoint.notice_due = False
            endpoint.save(update_fields=["notice_due"])
            _mail(endpoint)
            return True
    except OSError as error:  # the mail server: the row is rolled back, the next dispatch tries again
        log.warning("webhook_mail_failed", endpoint_id=str(pk), why=str(error))
        return False


def _mail(endpoint: Endpoint) -> None:
    address = settings.BASE_URL + reverse("webhooks:detail", args=[endpoint.pk])
    text = render_to_string("webhooks/email/switched_off.txt", {"endpoint": endpoint, "address": address})
    send_mail("A webhook of yours is switched off", text, None, [endpoint.user.email])
