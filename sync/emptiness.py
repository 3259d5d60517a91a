"""Answers that say "nothing" where there must be something. They are failures of the broker, never booked."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal

from django.utils import timezone

from aggregation.models import Position, Source, Transaction
from connections.brokers.base import UnexpectedReply
from connections.brokers.records import BalanceRecord, Holdings, TransactionPage
from connections.models import Account

DOUBT = timedelta(days=1)
NEW_WAY = ("method_changed", "history_added")  # events after which other rows are told than before


def refuse_empty_holdings(account: Account, holdings: Holdings) -> None:
    """Raise UnexpectedReply for holdings without a position while the same answer, or the books, say there are some.

    The books are asked only where the answer names no cash either, as whoever sold everything has some. Coins that
    were sent elsewhere leave nothing behind: what is not there for a day is believed.
    """
    if holdings.positions:
        return
    broker = account.connection.get_broker_display()
    if any(map(_holds_something, holdings.balances)):
        raise UnexpectedReply(
            f"{broker} lists no position, yet says that there is something in the account besides cash. "
            "The last known positions are kept."
        )
    if all(balance.cash is None for balance in holdings.balances):
        seen_lately = Position.objects.held().filter(account=account, run__finished_at__gt=timezone.now() - DOUBT)
        if seen_lately.exists():
            raise UnexpectedReply(
                f"{broker} lists none of the positions known before, and nothing came in for them. They are kept; "
                "if it still says so in a day, it is believed."
            )


def _holds_something(balance: BalanceRecord) -> bool:
    """A debit or accrued interest may be the whole of what an account is worth besides its cash."""
    worth = balance.market_value
    if worth is None and balance.net_asset_value is not None and balance.cash is not None:
        worth = balance.net_asset_value - balance.cash
    nothing = {Decimal(0), -(balance.margin_used or Decimal(0)), balance.accrued_interest}
    return worth is not None and worth not in nothing


def refuse_empty_transactions(
    account: Account, pages: Iterable[TransactionPage], *, since: date, until: date
) -> Iterator[TransactionPage]:
    """The pages, unless not one of them has a row though the books have some of these days.

    Then UnexpectedReply is raised before any page has come out, so that no cursor moves past days nobody has told.
    """
    if not _books_have_rows(account, since=since, until=until):
        yield from pages
        return
    waiting: list[TransactionPage] = []
    is_empty = True
    for page in pages:
        waiting.append(page)
        is_empty = is_empty and not page.records
        if not is_empty:
            yield from waiting
            waiting = []
    if waiting:
        broker = account.connection.get_broker_display()
        raise UnexpectedReply(
            f"{broker} lists no transaction for {since} to {until} any more, though it has told some before. "
            "Nothing was changed."
        )


def _books_have_rows(account: Account, *, since: date, until: date) -> bool:
    rows = Transaction.objects.in_books().filter(
        account=account, source=Source.API, traded_on__gte=since, traded_on__lte=until
    )
    changed = account.connection.events.filter(action__in=NEW_WAY).first()
    return (rows.filter(booked_at__gt=changed.created_at) if changed else rows).exists()
