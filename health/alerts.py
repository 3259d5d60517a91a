"""Telling people of planned maintenance: before it, when it begins, when it is over, each exactly once.

A row per moment, channel and person is the memory: whoever inserts it sends, in the same transaction, so that two
watchers send one and a failed mail is tried again with the next look. An occurrence that is moved is another one.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from brokerhub.kernel.models import User
from connections.models import Connection
from health import maintenance
from health.maintenance_models import AlertChoice, MaintenanceNotice, Moment, NoticeChannel, Occurrence
from health.signals import maintenance_moment

log = structlog.get_logger(__name__)

AHEAD = timedelta(hours=24)

SUBJECTS = {
    Moment.BEFORE: "{broker}: planned maintenance on {at:%A, %H:%M}",
    Moment.START: "{broker}: the planned maintenance has begun",
    Moment.END: "{broker}: the planned maintenance is over",
}


def moment_of(occurrence: Occurrence, now: datetime) -> Moment | None:
    """The moment to tell of at `now`: the latest that has come. None before all, and long after the end."""
    if now >= occurrence.ends_at:
        return Moment.END if now < occurrence.ends_at + maintenance.TOLD_AFTER else None
    if now >= occurrence.starts_at:
        return Moment.START
    return Moment.BEFORE if now >= occurrence.starts_at - AHEAD else None


def send_due(now: datetime | None = None) -> int:
    """Tell all who want to know; how many mails went out. Of what comes all the time nobody gets a mail."""
    now = now or timezone.now()
    sent = 0
    for occurrence in maintenance.occurrences(now - maintenance.TOLD_AFTER, now + AHEAD):
        moment = moment_of(occurrence, now)
        if moment is None:
            continue
        _tell_the_hub(occurrence, moment)
        if not occurrence.is_routine:
            sent += sum(_mail(user, occurrence, moment) for user in _people(occurrence, moment))
    return sent


def _people(occurrence: Occurrence, moment: Moment) -> Iterator[User]:
    """Who has this broker connected and wants to be told; not those who came after it was over."""
    there = Connection.objects.by_api().open().filter(broker=occurrence.broker, created_at__lt=occurrence.ends_at)
    told = MaintenanceNotice.objects.filter(**event(occurrence, moment, NoticeChannel.EMAIL)).values("user")
    people = (
        User.objects.filter(pk__in=there.values("user"), is_active=True)
        .exclude(pk__in=told)
        .select_related("alert_choice")
    )
    for user in people.order_by("pk"):
        if choice_of(user).wants(moment):
            yield user


def choice_of(user: User) -> AlertChoice:
    """What the person has chosen, or what holds until they choose; not saved then."""
    choice: AlertChoice = getattr(user, "alert_choice", None) or AlertChoice(user=user)
    return choice


def event(occurrence: Occurrence, moment: Moment, channel: NoticeChannel) -> dict[str, Any]:
    """The columns that make a notice the only one of its kind."""
    return {
        "broker": occurrence.broker,
        "title": occurrence.title,
        "starts_at": occurrence.starts_at,
        "moment": moment,
        "channel": channel,
    }


def _tell_the_hub(occurrence: Occurrence, moment: Moment) -> None:
    with transaction.atomic():
        told = event(occurrence, moment, NoticeChannel.SIGNAL)
        _, is_new = MaintenanceNotice.objects.get_or_create(**told, user=None)
        if is_new:
            maintenance_moment.send(sender=None, occurrence=occurrence, moment=moment)


def _mail(user: User, occurrence: Occurrence, moment: Moment) -> bool:
    try:
        with transaction.atomic():
            told = event(occurrence, moment, NoticeChannel.EMAIL)
            _, is_new = MaintenanceNotice.objects.get_or_create(**told, user=user)
            if is_new:
                _send(user, occurrence, moment)
            return is_new
    except OSError as error:  # the mail server: the row is rolled back, the next look tries again
        log.warning("maintenance_mail_failed", user_id=user.pk, why=str(error))
        return False


def _send(user: User, occurrence: Occurrence, moment: Moment) -> None:
    with timezone.override(user.timezone):
        starts, ends = timezone.localtime(occurrence.starts_at), timezone.localtime(occurrence.ends_at)
        context = {
            "broker": occurrence.broker.label,
            "occurrence": occurrence,
            "moment": moment.value,
            "starts": starts,
            "ends": ends,
            "address": settings.BASE_URL + reverse("health:broker", args=[occurrence.broker.value]),
            "choices": settings.BASE_URL + reverse("health:alerts"),
        }
        subject = SUBJECTS[moment].format(broker=occurrence.broker.label, at=starts)
        send_mail(subject, render_to_string("health/email/maintenance.txt", context), None, [user.email])
