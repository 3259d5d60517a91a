"""What follows a sync of one new page, its account's comparison with the broker and its daily points, in books of
different sizes; the floor reads the account's latest page. It must not depend on how much the books hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import log
from statistics import median
from typing import Any

from django.db import connection

from aggregation import ledger
from aggregation.history.rebuilding import rebuild
from aggregation.models import Break, Instrument, Source, Transaction
from aggregation.reconciliation import comparing, derived
from bench import booking
from bench.measure import Ratio, in_turns, seconds
from connections.brokers.records import BalanceRecord, Holdings, PositionRecord, TransactionRecord
from connections.models import Connection

PIECE, PAGE = 50_000, 50
REPORTED = 10  # days of which the broker told what is held, before the first page that is counted
AFTER = date(2026, 2, 2)  # later than every row of `booking.records`
MOST = 0.2  # the budget of the exponent


@dataclass
class Books:
    """One account with `rows` transactions of ten years, compared and with all its days taken."""

    owner: Connection
    rows: int
    today: date = AFTER
    told: int = 0
    by_pk: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.account = booking.an_account(self.owner)
        for first in range(0, self.rows, PIECE):
            self._book(booking.records(min(PIECE, self.rows - first), first=first))
        self.told = self.rows
        records = {record.symbol: record for record in booking.INSTRUMENTS}
        known = Instrument.objects.filter(symbol__in=records).values_list("pk", "symbol")
        self.by_pk = {pk: records[symbol] for pk, symbol in known}
        for _ in range(REPORTED):
            self.a_page(PAGE)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE aggregation_transaction")
            cursor.execute("ANALYZE")
        self.follow()

    def a_page(self, rows: int, *, short_of: Decimal = Decimal(0)) -> None:
        """A day passes, its rows are booked, and the broker says what is held by now, less `short_of`."""
        self.today += timedelta(days=1)
        fresh = booking.records(rows, first=self.told, on=self.today)
        self._book(fresh)
        self.told += rows
        units = derived.quantities([self.account])
        held = tuple(self._position(self.by_pk[pk], quantity) for (_, pk), quantity in units.items())
        ((_, cash),) = derived.cash([self.account]).items()
        balance = BalanceRecord(currency="USD", cash=cash - short_of, net_asset_value=cash, raw={})
        at = datetime.combine(self.today, time(22), UTC)
        holdings = Holdings(as_of=at, positions=held, balances=(balance,))
        ledger.record_holdings(account=self.account, holdings=holdings, run_id=None)

    def follow(self) -> None:
        comparing.compare(self.account)
        rebuild(self.account, until=self.today)

    def _book(self, records: list[TransactionRecord]) -> None:
        ledger.book(account=self.account, records=records, source=Source.API, run_id=None)

    @staticmethod
    def _position(instrument: Any, quantity: Decimal) -> PositionRecord:
        worth: Any = {"price": Decimal(100), "market_value": 100 * quantity}
        return PositionRecord(
            instrument=instrument, quantity=quantity, average_cost=None, currency="USD", raw={}, **worth
        )


def measure(owner: Connection, sizes: tuple[int, ...]) -> Iterator[Ratio | str]:
    agreeing, apart = list[float](), list[float]()
    for size in sizes:
        books = Books(owner, size)

        def latest(books: Books = books) -> list[Any]:
            rows = Transaction.objects.filter(account=books.account).order_by("-traded_on", "-pk")
            return list(rows.values()[:PAGE])

        def follow(books: Books = books) -> float:
            books.a_page(PAGE)
            return seconds(books.follow)

        def follow_apart(books: Books = books) -> float:
            books.a_page(PAGE, short_of=Decimal("12.34"))
            return seconds(books.follow)

        floors: Any = {"one SELECT of the latest page": (lambda latest=latest: seconds(latest), None)}
        (ratio,) = in_turns(f"after a page, {size:,} rows in the books", follow, floors)
        assert not Break.objects.live().filter(account=books.account).exists()
        agreeing.append(median(ratio.ours))
        yield ratio
        (ratio,) = in_turns("the same with a difference in cash", follow_apart, floors)
        assert Break.objects.live().filter(account=books.account).exists()
        apart.append(median(ratio.ours))
        yield ratio
    if len(sizes) > 1:
        yield _exponent("without a difference", sizes, agreeing, MOST)
        yield _exponent("with one", sizes, apart, None)


def _exponent(what: str, sizes: tuple[int, ...], taken: list[float], most: float | None) -> str:
    """Of the size of the books, from the smallest to the largest: 0 does not depend on it, 1 is proportional."""
    exponent = log(taken[-1] / taken[0]) / log(sizes[-1] / sizes[0])
    verdict = "" if most is None else f", budget < {most:g}: {'met' if exponent < most else 'MISSED'}"
    return f"exponent from {sizes[0]:,} to {sizes[-1]:,} rows, {what}: {exponent:.2f}{verdict}"
