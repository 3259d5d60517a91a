"""What is known of one account when it is compared: plain values, so that the search for causes needs no database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from connections.brokers.records import AssetClass, TransactionKind

ZERO = Decimal(0)
Item = tuple[Literal["units"], int] | tuple[Literal["cash"], str]  # units of an instrument, or cash of a currency
Amounts = Mapping[Item, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An instrument. `price` is the last one known, per unit."""

    id: int
    asset_class: AssetClass
    symbol: str
    title: str
    currency: str
    name: str = ""
    cusip: str = ""
    isin: str = ""
    underlying: str = ""
    multiplier: Decimal = Decimal(1)
    price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A transaction, whether it counts or not."""

    id: int
    account: int
    kind: TransactionKind
    traded_on: date
    currency: str
    net: Decimal
    status: str = "posted"
    source: str = "api"
    subtype: str = ""
    settled_on: date | None = None
    occurred_at: datetime | None = None
    instrument: int | None = None
    quantity: Decimal = ZERO
    gross: Decimal | None = None
    price: Decimal | None = None
    fees: Decimal = ZERO
    taxes: Decimal = ZERO
    run: int | None = None
    group: str = ""
    external_id: str = ""

    @property
    def counts(self) -> bool:
        return self.status == "posted"

    @property
    def told(self) -> str:
        """What it says, in words that are the same on every hub."""
        amounts = (f"{amount.normalize():f}" for amount in (self.quantity, self.net))
        return " ".join((self.kind, self.traded_on.isoformat(), self.currency, *amounts, self.status, self.source))

    @property
    def effect(self) -> dict[Item, Decimal]:
        """What the row adds to the books where it counts."""
        effect: dict[Item, Decimal] = {}
        if self.instrument is not None and self.quantity:
            effect["units", self.instrument] = self.quantity
        if self.net:
            effect["cash", self.currency] = self.net
        return effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One account. `reported` has what the broker said, `derived` what the ledger comes to by trade date; what one of
    them does not have is nothing there. A currency of which the broker told no cash is in neither."""

    account: int
    currency: str
    on: date
    as_of: datetime
    reported: Amounts
    derived: Amounts
    settled: Amounts
    things: Mapping[int, Thing]
    rows: tuple[Row, ...] = ()
    elsewhere: tuple[Row, ...] = ()  # of the person's other accounts: transfers, corporate actions, dividends
    costs: Mapping[int, Decimal] = field(default_factory=dict)  # average cost per unit the broker reports
    known: frozenset[Item] = frozenset()  # what was compared before, and agreed then
    vanished: frozenset[int] = frozenset()  # instruments the broker reported before
    parked: int = 0
    books_begin_on: date | None = None
    rates: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)  # of one unit of the first in the second

    def differences(self) -> dict[Item, Decimal]:
        """Reported less derived, where they are not the same."""
        items = {*self.reported, *self.derived}
        apart = {item: self.reported.get(item, ZERO) - self.derived.get(item, ZERO) for item in items}
        return {item: amount for item, amount in sorted(apart.items(), key=str) if amount}

    def counting(self) -> list[Row]:
        return [row for row in self.rows if row.counts]

    def of(self, instrument: int) -> list[Row]:
        """The rows of an instrument that count, oldest first."""
        rows = [row for row in self.rows if row.counts and row.instrument == instrument]
        return sorted(rows, key=lambda row: (row.traded_on, row.id))

    def price(self, instrument: int) -> Decimal | None:
        return self.things[instrument].price if instrument in self.things else None
