"""The ledger's rows that move units, as light as they can be: a person may have a hundred thousand of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.db.models import Q

from aggregation.lots.events import ZERO, Place
from aggregation.models import Transaction
from connections.brokers.records import TransactionKind as Kind

TRADES = {Kind.BUY, Kind.SELL}
TRANSFERS = {Kind.TRANSFER_IN, Kind.TRANSFER_OUT}
ACTIONS = {Kind.SPLIT, Kind.CORPORATE_ACTION}
INCOME = {Kind.DIVIDEND, Kind.INTEREST}
DELIVERIES = {Kind.OPTION_EXERCISE, Kind.OPTION_ASSIGNMENT}
INTERNAL = "internal"  # between the cash and the margin side of one account
REPAID = re.compile(r"^divroc$|return.of.capital", re.IGNORECASE)
IS_REPAID = Q(kind=Kind.DIVIDEND) & (Q(subtype__iregex=REPAID.pattern) | Q(description__icontains="return of capital"))
FIELDS = (
    "pk",
    "account_id",
    "instrument_id",
    "kind",
    "subtype",
    "traded_on",
    "occurred_at",
    "quantity",
    "price",
    "gross_amount",
    "fees",
    "taxes",
    "net_amount",
    "currency",
    "description",
    "group_id",
    "instrument__symbol",
    "instrument__asset_class",
    "instrument__underlying",
    "instrument__multiplier",
)


@dataclass(frozen=True, slots=True)
class Row:
    """As its ledger row; the instrument's facts beside it. `price` and `gross_amount` None: not told."""

    key: int
    account: int
    instrument: int
    kind: str
    subtype: str
    traded_on: date
    occurred_at: datetime | None
    quantity: Decimal | None
    price: Decimal | None
    gross: Decimal | None
    fees: Decimal
    taxes: Decimal
    net: Decimal
    currency: str
    description: str
    group: str
    symbol: str
    asset_class: str
    underlying: str
    multiplier: Decimal

    @property
    def place(self) -> Place:
        return Place(self.account, self.instrument)

    @property
    def units(self) -> Decimal:
        return self.quantity or ZERO

    @property
    def is_repaid(self) -> bool:
        return self.kind == Kind.DIVIDEND and not self.units

    @property
    def order(self) -> tuple[date, datetime, int, int]:
        """By market day and time. What has no time comes first in its day: actions, what came in, what went out."""
        at = self.occurred_at or datetime.combine(self.traded_on, time.min, UTC)
        rank = 0 if self.kind in ACTIONS else 1 if self.units > 0 else 2
        return self.traded_on, at, rank, self.key


def rows_of(accounts: Iterable[int]) -> list[Row]:
    """What moved units, paid a fraction out, or gave capital back, in these accounts, in order. One query."""
    moving = Q(kind__in=ACTIONS) | Q(quantity__isnull=False) & ~Q(quantity=0)
    found = Transaction.objects.in_books().filter(moving | IS_REPAID, account__in=accounts, instrument__isnull=False)
    told = found.exclude(kind=Kind.OTHER, subtype=INTERNAL).order_by().values_list(*FIELDS)
    return sorted((Row(*values) for values in told.iterator(chunk_size=5000)), key=lambda row: row.order)
