"""Reading one connection from its broker: accounts, then what they hold, then what happened in them.

Each part has its own result, so a broken endpoint costs its part and not the rest. A page of transactions is booked
in one database transaction together with its cursor and the run's counts: `kill -9` anywhere loses and doubles nothing.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.db import DataError, transaction

from aggregation import ledger
from aggregation.models import Source
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.garbage import search_paused
from connections import connection_manager
from connections.brokers.base import (
    BrokerUnavailable,
    Connector,
    NeedsReauth,
    RateLimited,
    Refused,
    UnderMaintenance,
    UnexpectedReply,
    Unreachable,
    closing,
)
from connections.brokers.records import TransactionPage
from connections.models import Account, AccountQuerySet, Connection
from sync import planning, word_rules
from sync.emptiness import refuse_empty_holdings, refuse_empty_transactions
from sync.holds import Counts, Hold, PartState
from sync.models import Mode, SyncCursor
from sync.parking import park, resolve, split
from sync.repair import Comparison
from sync.scope import Scope

logger = logging.getLogger(__name__)
ACCOUNTS = "accounts"
ONE_DAY = timedelta(days=1)
PARTS = {ACCOUNTS, "holdings", "transactions"}


@dataclass(frozen=True, slots=True)
class Part:
    key: str
    work: Callable[[], None]

    @property
    def kind(self) -> str:
        return self.key.partition(":")[0]


class PartsAway(BrokerUnavailable):
    """One kind of question goes unanswered for now; the others were answered in the same run."""

    def __init__(self, first: BrokerUnavailable) -> None:
        super().__init__(str(first), retry_at=first.retry_at)
        self.first = first


@dataclass(slots=True)
class _Troubles:
    """What went wrong in one go at a run without ending it."""

    connection: Connection
    away: dict[str, BrokerUnavailable] = field(default_factory=dict)  # by kind of part
    is_grant_good: bool | None = None  # None: not asked yet

    def note_away(self, kind: str, error: BrokerUnavailable) -> None:
        """Raises `error` again when it is the broker that is away, and not only what it would say to one question.

        Who says so is away, who answers nothing twice, and who refuses every kind of question. The same endpoint may
        stand behind two kinds.
        """
        if isinstance(error, RateLimited | UnderMaintenance) or (isinstance(error, Unreachable) and self.away):
            raise error
        self.away.setdefault(kind, error)
        if len(self.away) == len(PARTS):
            raise error

    def note_unauthorized(self, error: NeedsReauth) -> None:
        """After a refusal of access that a renewal has just given. Raises `error` when all access is refused.

        Another endpoint asked with the same access tells: a broker refuses what the app has no product or the person
        no permission for in the same words, and no sign-in would mend that (developer.schwab.com, troubleshooting).
        """
        if error.reason_code != "access_refused":
            raise error
        if self.is_grant_good is None:
            try:
                with closing(connection_manager.connector_for(self.connection)) as connector:
                    connector.accounts()
                self.is_grant_good = True
            except NeedsReauth:
                self.is_grant_good = False
            except (UnexpectedReply, Refused):
                self.is_grant_good = True  # it was let in
        if not self.is_grant_good:
            raise error


def fetch(hold: Hold) -> None:
    """Fetch every part that this run has not fetched yet.

    Raises NeedsReauth, RateLimited and BrokerUnavailable, which end or park the run, TurnOver when others are due,
    and PartsAway when all else is done;
    a part the broker refuses or answers strangely is marked failed, and the others go on.
    """
    connection = hold.run.connection
    if not connection.status.may_sync:
        raise NotAllowed(f"{connection.label} is not signed in any more. Sign in again, then sync.")
    with closing(connection_manager.connector_for(connection)) as connector:
        _fetch(hold, connector, _Troubles(connection))


def _fetch(hold: Hold, connector: Connector, troubles: _Troubles) -> None:
    accounts, seen = _wanted(hold, _read_accounts(hold, connector, troubles)), set[int]()
    while accounts:
        for part in _parts(hold, connector, accounts):
            if not hold.is_done(part.key):
                _do(hold, part, troubles)
        seen |= {account.pk for account in accounts}
        added = list(_open_accounts(hold.run.connection).exclude(pk__in=seen))  # by the person meanwhile
        accounts = _wanted(hold, added)
    if troubles.away:
        first = next(iter(troubles.away.values()))
        raise PartsAway(first) from first


def _wanted(hold: Hold, accounts: list[Account]) -> list[Account]:
    """Those of the accounts that the run is for."""
    one = hold.run.account_id
    return [account for account in accounts if one is None or account.pk == one]


def _open_accounts(connection: Connection) -> AccountQuerySet:
    return connection.accounts.current().filter(unlisted_since=None)


def _parts(hold: Hold, connector: Connector, accounts: list[Account]) -> Iterator[Part]:
    for account in accounts:
        yield Part(f"holdings:{account.pk}", _holdings_of(hold, connector, account))
    for left, account in zip(range(len(accounts), 0, -1), accounts, strict=True):
        yield Part(f"transactions:{account.pk}", _transactions_of(hold, connector, account, left))


def _do(hold: Hold, part: Part, troubles: _Troubles) -> None:
    try:
        part.work()
    except BrokerUnavailable as error:
        troubles.note_away(part.kind, error)
        hold.part(part.key, PartState.WAITING, str(error))
    except NeedsReauth as error:
        troubles.note_unauthorized(error)
        hold.part(part.key, PartState.FAILED, _not_permitted(hold))
    except (UnexpectedReply, Refused) as error:
        hold.part(part.key, PartState.FAILED, str(error))
    else:
        hold.part(part.key, PartState.DONE)


def _not_permitted(hold: Hold) -> str:
    broker = hold.run.connection.get_broker_display()
    return f"{broker} does not open this part to the hub, though your sign-in is good (401)."


# --- Accounts ---------------------------------------------------------------------------------------------------------
def _read_accounts(hold: Hold, connector: Connector, troubles: _Troubles) -> list[Account]:
    """The connection's accounts, as the broker lists them now; the known ones when the list could not be read.

    An account the broker does not list any more keeps its rows and is named in a warning: it may be closed, or only
    left out at the last sign-in, and which of the two the list does not say.
    """
    connection = hold.run.connection
    known = list(_open_accounts(connection))
    if known and hold.run.line and hold.is_done(ACCOUNTS):
        return known  # read before it had to wait for its turn: of a scarce budget nothing is asked for twice
    hold.write(step=f"Accounts at {connection.get_broker_display()}")
    try:
        records = connector.accounts()
        with transaction.atomic():
            hold.write()  # takes the run's row first, as everything does that needs both
            accounts = connection_manager.save_accounts(connection, records)
    except (UnexpectedReply, Refused, BrokerUnavailable, NeedsReauth) as error:
        if not known:
            raise
        if isinstance(error, BrokerUnavailable):
            troubles.note_away(ACCOUNTS, error)
            hold.part(ACCOUNTS, PartState.WAITING, str(error))
        elif isinstance(error, NeedsReauth):
            _ask_another(connector, known[0], error)
            troubles.is_grant_good = True
            hold.part(ACCOUNTS, PartState.FAILED, _not_permitted(hold))
        else:
            hold.part(ACCOUNTS, PartState.FAILED, str(error))
        return known
    hold.part(ACCOUNTS, PartState.DONE, f"{len(records)} account{'' if len(records) == 1 else 's'}")
    unlisted = connection.accounts.current().exclude(unlisted_since=None)
    hold.warn(
        *(
            f"{account} is not listed by {connection.get_broker_display()} any more. Its last known figures are kept."
            for account in unlisted
        )
    )
    return accounts


def _ask_another(connector: Connector, account: Account, refusal: NeedsReauth) -> None:
    """Raise `refusal` unless another endpoint answers by the same access: see `_Troubles.note_unauthorized`."""
    if refusal.reason_code != "access_refused":
        raise refusal
    try:
        connector.holdings(account.external_id)
    except NeedsReauth:
        raise refusal from None
    except (UnexpectedReply, Refused):
        return  # it was let in


@contextmanager
def _bookable(hold: Hold) -> Iterator[None]:
    """An answer with a value that fits no column costs its part, as any other answer we cannot use."""
    try:
        yield
    except (DataError, ValueError) as error:
        logger.warning("sync.not_bookable: run %s", hold.run.pk, exc_info=True)
        broker = hold.run.connection.get_broker_display()
        sentence = f"{broker} sent a value that the books cannot hold. Nothing of that answer was booked."
        raise UnexpectedReply(sentence) from error


# --- Holdings ---------------------------------------------------------------------------------------------------------
def _holdings_of(hold: Hold, connector: Connector, account: Account) -> Callable[[], None]:
    def work() -> None:
        hold.write(step=f"Positions and balances of {account}")
        holdings = connector.holdings(account.external_id)
        refuse_empty_holdings(account, holdings)
        with transaction.atomic():
            hold.write()
            with _bookable(hold):
                ledger.record_holdings(account=account, holdings=holdings, run_id=hold.run.pk)

    return work


# --- Transactions -----------------------------------------------------------------------------------------------------
def _transactions_of(hold: Hold, connector: Connector, account: Account, left: int) -> Callable[[], None]:
    """`left`: accounts still to read, this one included; from this the total of the progress is foreseen."""

    @search_paused()
    def work() -> None:
        since, until = _days(hold, account, connector)
        if since > until:
            return
        hold.write(step=f"Transactions of {account}")
        told = connector.transactions(account.external_id, since=since, until=until)
        pages = refuse_empty_transactions(account, told, since=since, until=until)
        comparison = Comparison(Scope.of(hold.run), account, connector, since, until)
        done_before = hold.run.done
        for page in pages:
            total = done_before + page.window_count * left
            words = f"Transactions of {account}: window {page.number} of {page.window_count}"
            further = _book_page(hold, account, page, step=words, done=done_before + page.number, total=total)
            comparison.note(page.records)
            if further and not comparison.scope.compares:  # what compares starts over each time it is interrupted
                hold.make_room()
        comparison.report(hold)

    return work


def _days(hold: Hold, account: Account, connector: Connector) -> tuple[date, date]:
    """First and last market date to read, with a note where the broker does not go back as far as asked."""
    scope, today = Scope.of(hold.run), planning.market_today()
    earliest = today - connector.history
    since = scope.first_day(earliest=earliest, by_cursor=planning.since(account, connector, today=today))
    if scope.from_on is not None and scope.from_on < earliest:
        broker = hold.run.connection.get_broker_display()
        hold.warn(f"{account}: {broker} goes back to {earliest} and no further. Import a file for the days before.")
    span = hold.run.spans.get(str(account.pk))
    if span and not scope.compares and date.fromisoformat(span[0]) <= since:
        since = max(since, date.fromisoformat(span[1]))  # read by this run before it was interrupted
    return since, scope.last_day(today)


def _book_page(hold: Hold, account: Account, page: TransactionPage, **progress: Any) -> bool:
    """Rows, parked rows, cursor and counts of one page in one database transaction; whether it brought the run further.

    Raises HoldLost.
    """
    records, parked = split(page.records)
    by_rule, parked = word_rules.understood(account, parked, word_rules.rules_for(account) if parked else [])
    records = [*records, *by_rule]
    with transaction.atomic():
        hold.write()  # takes the run's row first: a cancel waits for this page, or this page finds it cancelled
        with _bookable(hold):
            booked = ledger.book(account=account, records=records, source=Source.API, run_id=hold.run.pk)
        park(run=hold.run, account=account, parked=parked)
        resolve(account, records, run=hold.run)
        further, gap = _move_cursor(hold, account, page)
        if further:
            hold.advanced()
        hold.add(
            Counts(
                fetched=booked.fetched + len(parked),
                inserted=booked.inserted,
                matched=booked.matched,
                superseded=booked.superseded,
                parked=len(parked),
            ),
            **progress,
        )
        hold.warn(*_prefixed(account, (*page.notes, *gap)))
        hold.note(f"{progress['step']}: {booked.fetched + len(parked)} rows, {booked.inserted} new")
    return further


def _prefixed(account: Account, notes: Iterable[str]) -> Iterator[str]:
    return (f"{account}: {note}" for note in notes)


def _move_cursor(hold: Hold, account: Account, page: TransactionPage) -> tuple[bool, tuple[str, ...]]:
    """Extend what is covered by the page's window; whether that brought new days, and notes for people.

    What an update leaves out starts the cover anew, with a note. Days that were chosen, and old ones, belong to it only
    as soon as they touch it: what lies between has not been read.
    """
    cursor = SyncCursor.objects.filter(account=account).first()
    first, last, further = page.covers_from, page.covers_to, False
    scope = Scope.of(hold.run)
    if not scope.follows_cursor and scope.mode != Mode.INITIAL:
        first, last, further = _extend_span(hold, account, page)
    if cursor is None:
        if scope.to_on is None:
            SyncCursor.objects.create(account=account, covered_from=first, covered_to=last)
        return True, ()
    if first > cursor.covered_to + ONE_DAY and scope.follows_cursor:
        note = f"{cursor.covered_to + ONE_DAY} to {first - ONE_DAY} could not be read"
        cursor.covered_from, cursor.covered_to = first, last
        cursor.save()
        return True, (f"{note}: the broker does not go back that far any more. Import a file for these days.",)
    if first > cursor.covered_to + ONE_DAY or last < cursor.covered_from - ONE_DAY:
        return further, ()
    further = further or last > cursor.covered_to
    cursor.covered_from = min(cursor.covered_from, first)
    cursor.covered_to = max(cursor.covered_to, last)
    cursor.save()
    return further, ()


def _extend_span(hold: Hold, account: Account, page: TransactionPage) -> tuple[date, date, bool]:
    """The days without a gap that this run has read of the account, and whether the page has added to them."""
    key, before = str(account.pk), hold.run.spans.get(str(account.pk))
    first, last = page.covers_from, page.covers_to
    if before:
        start, end = map(date.fromisoformat, before)
        if first <= end + ONE_DAY:
            first, last = min(start, first), max(end, last)
    span = [first.isoformat(), last.isoformat()]
    if span != before:
        hold.write(spans={**hold.run.spans, key: span})
    return first, last, span != before
