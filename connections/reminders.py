"""Reminders before a sign-in ends for good: 48, 12 and 1 hours ahead, each exactly once for each channel.

A row per reminder is the memory: whoever inserts it sends, in the same transaction, so that two schedulers send one
and a failed mail is tried again. A renewed sign-in ends at another moment and so begins a ladder of its own.
"""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from connections import connection_manager
from connections.models import Connection, ExpiryNotice, NoticeChannel

log = structlog.get_logger(__name__)

RUNGS = (1, 12, 48)  # hours before the end


def rung_of(ends: datetime, now: datetime) -> int | None:
    """The reminder that is due: the nearest rung not yet passed. None before the first one and after the end."""
    left = ends - now
    if left <= timedelta(0):
        return None
    return next((hours for hours in RUNGS if left <= timedelta(hours=hours)), None)


def remind_due() -> int:
    """Send what is due and show it in the connections' states; how many reminders went out."""
    now = timezone.now()
    ending = Connection.objects.syncable().filter(
        authorization_expires_at__gt=now, authorization_expires_at__lte=now + timedelta(hours=RUNGS[-1])
    )
    sent = 0
    for connection in ending.select_related("user").iterator():
        connection_manager.note_expiring(connection)
        for channel in NoticeChannel:
            sent += _remind(connection, channel, now)
    return sent


def _remind(connection: Connection, channel: NoticeChannel, now: datetime) -> bool:
    ends = connection.authorization_expires_at
    rung = rung_of(ends, now) if ends else None
    if ends is None or rung is None:
        return False
    try:
        with transaction.atomic():
            _, is_new = ExpiryNotice.objects.get_or_create(
                connection=connection, authorization_expires_at=ends, hours_before=rung, channel=channel
            )
            if is_new:
                _send(connection, channel, ends)
            return is_new
    except OSError as error:  # the mail server: the row is rolled back, the next minute tries again
        log.warning("reminder_failed", connection_id=str(connection.pk), channel=channel.value, why=str(error))
        return False


def _send(connection: Connection, channel: NoticeChannel, ends: datetime) -> None:
    if channel is NoticeChannel.EVENT:
        connection_manager.note_reminder(connection)
        return
    address = settings.BASE_URL + reverse("connections:detail", args=[connection.pk])
    with timezone.override(connection.user.timezone):
        context = {"connection": connection, "ends": timezone.localtime(ends), "address": address}
        subject = f"{connection.label}: please sign in again by {context['ends']:%A, %H:%M}"
        send_mail(subject, render_to_string("connections/email/expiring.txt", context), None, [connection.user.email])
