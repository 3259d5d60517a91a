"""The search's state, what it takes for an explanation, and the mending that goes with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.facts import ZERO, Facts, Item, Row, Thing
from connections.brokers.records import TransactionKind

CENT = Decimal("0.01")
HALF_CENT = Decimal("0.005")
LATELY = timedelta(days=60)


class Action(StrEnum):
    """How a fix mends: by rows of its own, by what happens to rows there are, or by asking the broker again."""

    BOOK = "book"
    EXCLUDE = "exclude"
    BRING_BACK = "bring_back"
    SEPARATE = "separate"
    TAKE_BACK = "take_back"
    READ_AGAIN = "read_again"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A row a fix books by hand. `price` is the cost of one unit, None where nobody knows it."""

    kind: TransactionKind
    on: date
    currency: str
    net: Decimal = ZERO
    instrument: int | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    subtype: str = ""
    text: str = ""

    def plain(self) -> dict[str, Any]:
        return {
            "kind": str(self.kind),
            "on": self.on.isoformat(),
            "currency": self.currency,
            "net": str(self.net),
            "instrument": self.instrument,
            "quantity": None if self.quantity is None else str(self.quantity),
            "price": None if self.price is None else str(self.price),
            "subtype": self.subtype,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One click. `rows` are ids to exclude or bring back, `days` the first and last day to read again."""

    action: Action
    label: str
    book: tuple[NewRow, ...] = ()
    rows: tuple[int, ...] = ()
    days: tuple[date, date] | None = None

    def plain(self) -> dict[str, Any]:
        return {
            "action": str(self.action),
            "label": self.label,
            "book": [row.plain() for row in self.book],
            "rows": list(self.rows),
            "days": [day.isoformat() for day in self.days] if self.days else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A cause and what it explains: by so much would the books change, in each place, were it put right."""

    cause: Cause
    amounts: dict[Item, Decimal]
    text: str
    evidence: tuple[int, ...] = ()
    fixes: tuple[Fix, ...] = ()


@dataclass(slots=True)
class Search:
    """`open` holds what is still unexplained: reported less derived less what the findings explain."""

    facts: Facts
    open: dict[Item, Decimal] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def units(self) -> dict[int, Decimal]:
        return {item[1]: amount for item, amount in self.open.items() if item[0] == "units"}

    @property
    def cash(self) -> dict[str, Decimal]:
        return {item[1]: amount for item, amount in self.open.items() if item[0] == "cash"}

    def cash_of(self, currency: str) -> Decimal:
        return self.open.get(("cash", currency), ZERO)

    def compares(self, item: Item) -> bool:
        """Whether the broker tells this at all; units always, cash only where it gives a figure."""
        return item[0] == "units" or item in self.facts.reported

    def explains(self, amounts: dict[Item, Decimal], *, within: Decimal = HALF_CENT) -> bool:
        """Whether they leave nothing open where they speak of anything that is compared."""
        spoken = {item: amount for item, amount in amounts.items() if amount and self.compares(item)}
        if not spoken:
            return False
        return all(
            item in self.open
            and (self.open[item] == amount if item[0] == "units" else abs(self.open[item] - amount) < within)
            for item, amount in spoken.items()
        )

    def take(self, finding: Finding, *, all_of: bool = False) -> None:
        """Note the finding. With `all_of`, tiny remainders of cash go with it."""
        amounts = {item: amount for item, amount in finding.amounts.items() if self.compares(item) and amount}
        self.findings.append(
            Finding(
                cause=finding.cause,
                amounts=amounts,
                text=finding.text,
                evidence=finding.evidence,
                fixes=finding.fixes,
            )
        )
        for item, amount in amounts.items():
            left = self.open.get(item, ZERO) - amount
            is_none = left == 0 or (item[0] == "cash" and (abs(left) < HALF_CENT or all_of))
            if is_none:
                self.open.pop(item, None)
            else:
                self.open[item] = left

    def thing(self, instrument: int) -> Thing:
        return self.facts.things[instrument]

    def lately(self, rows: Iterable[Row]) -> list[Row]:
        """Newest first, those that may have made a difference since all agreed; every row where it never did."""
        never = any(item not in self.facts.known for item in self.open)
        found = [row for row in rows if never or self.facts.on - row.traded_on <= LATELY]
        return sorted(found, key=lambda row: (row.traded_on, row.id), reverse=True)

    def knows(self, item: Item) -> bool:
        """Whether this agreed when it was compared before."""
        return item in self.facts.known


def together(rows: Iterable[Row]) -> dict[Item, Decimal]:
    """What the rows add to the books, in all."""
    total: dict[Item, Decimal] = {}
    for row in rows:
        for item, amount in row.effect.items():
            total[item] = total.get(item, ZERO) + amount
    return {item: amount for item, amount in total.items() if amount}


def less(amounts: dict[Item, Decimal], times: int = 1) -> dict[Item, Decimal]:
    return {item: -amount * times for item, amount in amounts.items()}


def ids(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(row.id for row in rows)


def number(amount: Decimal) -> str:
    """As people write it: no exponent, no trailing zeros."""
    text = f"{amount:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount_of(amount: Decimal, currency: str) -> str:
    return f"{round(abs(amount), 2):,.2f} {currency}"


def day(on: date) -> str:
    return f"{on:%-d %b %Y}"
