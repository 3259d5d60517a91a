"""What accounts were worth on days gone by, where their broker tells that itself. Asked once a day, behind all else."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from operator import attrgetter

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from aggregation.history.observing import observe_past
from aggregation.history.taking import LEFT, last_day_over
from aggregation.models import AccountHistory
from brokerhub.kernel.errors import HubError
from connections import connection_manager
from connections.brokers.base import BrokerUnavailable, TellsValues, closing
from connections.brokers.records import ValueRecord
from connections.models import Account, Connection

log = structlog.get_logger(__name__)

AGAIN = timedelta(hours=20)
SOON = timedelta(hours=1)  # after the broker was away
CORRECTED = timedelta(days=7)  # days the broker may still have changed since it was asked


def read_due(now: datetime | None = None) -> int:
    """Ask each working connection that tells its accounts' past for it; return how many days were news."""
    at, news = now or timezone.now(), 0
    for connection, accounts in _due(at).items():
        if connection.is_file or not connection.status.may_sync:
            continue
        try:
            news += _read(connection, accounts, at)
        except HubError as error:  # of this connection: what the next sync tells its person
            log.info("values_not_read", connection=str(connection.pk), why=error.code)
    return news


def _due(at: datetime) -> dict[Connection, list[Account]]:
    due = Q(history=None) | Q(history__asked_at=None) | Q(history__asked_at__lte=at - AGAIN)
    accounts = Account.objects.current().exclude(connection__state__in=LEFT).filter(due)
    by_connection: defaultdict[Connection, list[Account]] = defaultdict(list)
    for account in accounts.select_related("connection__user", "history").order_by("connection__created_at", "pk"):
        by_connection[account.connection].append(account)
    return by_connection


def _read(connection: Connection, accounts: Sequence[Account], at: datetime) -> int:
    since = _since(accounts)
    if not _claim(accounts, at):
        return 0
    connector = connection_manager.connector_for(connection)
    if not isinstance(connector, TellsValues):
        return 0
    with closing(connector):
        try:
            told = connector.values([account.external_id for account in accounts], since=since)
        except BrokerUnavailable:
            AccountHistory.objects.filter(pk__in=accounts).update(asked_at=at - AGAIN + SOON)
            raise
    last = last_day_over(connection.user.timezone, at)
    return sum(_keep(account, told.get(account.external_id, ()), last) for account in accounts)


def _since(accounts: Sequence[Account]) -> date:
    """From shortly before they were asked for last; from the beginning when one of them never was."""
    histories = [getattr(account, "history", None) for account in accounts]
    asked = [history.asked_at for history in histories if history is not None and history.asked_at is not None]
    return min(asked).date() - CORRECTED if len(asked) == len(accounts) else date.min


@transaction.atomic
def _claim(accounts: Sequence[Account], at: datetime) -> bool:
    """Whether nobody else asks for them now. Accounts whose broker has nothing to tell are not looked at all day."""
    made = [AccountHistory(pk=account.pk) for account in accounts]
    AccountHistory.objects.bulk_create(made, ignore_conflicts=True)
    free = AccountHistory.objects.filter(Q(asked_at=None) | Q(asked_at__lte=at - AGAIN), pk__in=accounts)
    return free.update(asked_at=at) == len(accounts)


@transaction.atomic
def _keep(account: Account, told: Sequence[ValueRecord], last: date) -> int:
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)  # nobody else writes its days meanwhile
    over = [each for each in told if each.on <= last]
    news = observe_past(account=account, told=sorted(over, key=attrgetter("on")))
    log.info("values_read", account=account.pk, days=len(over), news=news)
    return news
