"""For how long what is kept: every rule in one table, for the hourly job, the operators' page and the documentation.

What people's books rest on is kept for as long as the account is: transactions with what their source sent, the files
they came from, the runs that brought them. All other rows end here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from allauth.account import app_settings
from allauth.account.models import EmailConfirmation
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from brokerhub.kernel.models import ApiToken
from comparison.models import CostSimulation
from connections.models import Authorization, ConnectionEvent, ExpiryNotice
from health import retention as health_retention
from health.models import MaintenanceNotice

log = structlog.get_logger(__name__)
BATCH = 5000
ALWAYS = "As long as the account"
Rows = Callable[[datetime], "QuerySet[Any]"]


@dataclass(frozen=True)
class Rule:
    """One kind of row. `days` None: somebody else decides, as `kept` says; 0: for ever."""

    what: str
    kept: str  # for people, with {days}
    setting: str = ""  # the variable that decides
    days: float | None = None
    rows: Rows | None = None  # those older than a moment

    @property
    def words(self) -> str:
        return "For ever" if self.days == 0 else self.kept.format(days=f"{self.days:g}" if self.days else "")

    def due(self, now: datetime) -> "QuerySet[Any] | None":
        """What is past its time; None where there is no such time, or another job looks after it."""
        if self.rows is None or not self.days:
            return None
        return self.rows(now - timedelta(days=self.days))


def _sessions(before: datetime) -> "QuerySet[Any]":
    return Session.objects.filter(expire_date__lt=before)


def _devices(before: datetime) -> "QuerySet[Any]":
    """Entries of the page of signed-in devices whose session is gone."""
    alive = Session.objects.filter(session_key=OuterRef("session_key"))
    entries: QuerySet[Any] = UserSession.objects.filter(~Exists(alive), last_seen_at__lt=before)
    return entries


def _begun(before: datetime) -> "QuerySet[Any]":
    return Authorization.objects.filter(expires_at__lt=before)


def _links(before: datetime) -> "QuerySet[Any]":
    days = timedelta(days=app_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS)
    links: QuerySet[Any] = EmailConfirmation.objects.filter(created__lt=before - days)
    return links


def rules() -> Iterator[Rule]:
    """Read anew each time, as settings are."""
    keep: dict[str, float] = settings.KEEP_DAYS
    yield Rule(
        "Transactions with what their source sent, imported files, and the runs that brought them",
        "As long as the account",
    )
    yield Rule("Positions, balances and daily values", "As long as the account")
    yield Rule("Logs of syncs, and runs nothing came of", "As each person chooses under Sync; for ever unless they do")
    yield Rule("Unfinished imports", "A day after they were last touched")
    yield Rule("Calls to brokers, by the minute, hour and day", _measurements(), "HEALTH_KEEP_..._DAYS")
    yield Rule("Answers kept for an Idempotency-Key", "A day")
    yield Rule("What webhooks were told, and the log of it", _told(), "WEBHOOK_KEEP_DAYS")
    yield Rule("Codes and tokens of apps of others", "Until their end: a minute, an hour, 90 days without use")
    yield Rule("Sign-ins, good and bad", "As long as the log of the processes, where they stand")
    yield Rule(
        "What happened to connections",
        "{days} days",
        "KEEP_CONNECTION_EVENTS_DAYS",
        keep["connection_events"],
        lambda before: ConnectionEvent.objects.filter(created_at__lt=before),
    )
    yield Rule(
        "The operators' log",
        "{days} days",
        "KEEP_ADMIN_LOG_DAYS",
        keep["admin_log"],
        lambda before: LogEntry.objects.filter(action_time__lt=before),
    )
    yield Rule(
        "Which reminders went out before a sign-in ends",
        "{days} days",
        "KEEP_NOTICES_DAYS",
        keep["notices"],
        lambda before: ExpiryNotice.objects.filter(sent_at__lt=before),
    )
    yield Rule(
        "Which mails about maintenance went out",
        "{days} days",
        "KEEP_NOTICES_DAYS",
        keep["notices"],
        lambda before: MaintenanceNotice.objects.filter(sent_at__lt=before),
    )
    yield Rule(
        "Cost comparisons, which are worked out anew when they are wanted",
        "{days} days",
        "KEEP_COMPARISONS_DAYS",
        keep["comparisons"],
        lambda before: CostSimulation.objects.filter(created_at__lt=before),
    )
    for what, kept, rows in (
        ("Browser sessions", "{days} days after their end", _sessions),
        ("Signed-in devices", "{days} days after they were last seen, once signed out", _devices),
        ("Sign-ins at brokers that were begun", "{days} days after their end", _begun),
        ("API tokens", "{days} days after their end", lambda before: ApiToken.objects.filter(expiry__lt=before)),
        ("Links that confirm an e-mail address", "{days} days after their end", _links),
    ):
        yield Rule(what, kept, "KEEP_ENDED_ACCESS_DAYS", keep["ended_access"], rows)


def _measurements() -> str:
    kept = health_retention.kept()
    return ", ".join(f"{length.days:,} days by the {resolution.value}" for resolution, length in kept.items())


def _told() -> str:
    return f"{settings.WEBHOOK_KEEP.days} days"


def remove_old() -> dict[str, int]:
    """Delete what is past its time, a few thousand rows at once so that nobody waits for long: {what: rows}."""
    now, removed = timezone.now(), {}
    for rule in rules():
        due = rule.due(now)
        if due is None:
            continue
        count = 0
        while batch := list(due.order_by().values_list("pk", flat=True)[:BATCH]):
            count += due.model._base_manager.filter(pk__in=batch).delete()[0]
        if count:
            removed[rule.what] = count
            log.info("old_rows_removed", what=rule.what, rows=count)
    return removed
