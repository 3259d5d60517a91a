"""Takes each day's points when it is over, and works days out anew when what they rest on has changed. Safe to repeat.

A day is over when it has ended both for the person and at the market. What was missed while the hub was off is caught
up: all days up to the last one are worked out together.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from django.db import DataError
from django.db.models import Q, QuerySet
from django.utils import timezone

from aggregation.history.rebuilding import rebuild
from brokerhub.kernel.models import User
from connections.models import Account
from connections.states import ConnectionState

log = structlog.get_logger(__name__)

QUIET = timedelta(seconds=30)  # a sync books page by page; its days are worked out when it is through
AT_ONCE = 200  # accounts in one go of the task
ONE_DAY = timedelta(days=1)
LEFT = (ConnectionState.DISCONNECTING, ConnectionState.DISCONNECTED)
MARKET = ZoneInfo("America/New_York")


def last_day_over(zone: str, now: datetime) -> date:
    """The last day that has ended both in the person's `zone` and at the market."""
    return min(now.astimezone(ZoneInfo(zone)).date(), now.astimezone(MARKET).date()) - ONE_DAY


def due(now: datetime) -> QuerySet[Account]:
    """Accounts that count and lack a day, or of which something has changed and is quiet now."""
    changed = Q(history__changed_at__lt=now - QUIET) | Q(history__prices_at__lt=now - QUIET)
    wanted = changed | Q(history=None)
    for zone in User.objects.filter(connections__accounts__isnull=False).values_list("timezone", flat=True).distinct():
        lacks = Q(history__taken_to=None) | Q(history__taken_to__lt=last_day_over(zone, now))
        still = Q(history__changed_at=None) | Q(history__changed_at__lt=now - QUIET)
        wanted |= Q(connection__user__timezone=zone) & lacks & still
    counted = Account.objects.current().exclude(connection__state__in=LEFT)
    return counted.filter(wanted).select_related("connection__user").order_by("pk")


def take_due(now: datetime | None = None) -> int:
    """Bring every account that is due up to date, each in a transaction of its own; return how many."""
    at = now or timezone.now()
    accounts, failed = list(due(at)[:AT_ONCE]), list[Exception]()
    for account in accounts:
        try:
            take(account, at)
        except (DataError, ArithmeticError) as error:  # one account's odd figures hold up no other's days
            log.exception("history_failed", account=account.pk)
            failed.append(error)
    if failed:
        raise ExceptionGroup("days of some accounts could not be worked out", failed)
    return len(accounts)


def take(account: Account, at: datetime) -> None:
    """The account's days up to the last that is over."""
    written = rebuild(account, until=last_day_over(account.connection.user.timezone, at), at=at)
    log.info("history_taken", account=account.pk, points=written)
