"""What happens to the units of one instrument in one account: the words the lot engine understands. Pure.

Quantities are signed (+ in, - out). Cash is signed (+ money in), fees and taxes inside; None is unknown. A `key` is the
id of the ledger row that tells the event.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from aggregation.lots.words import Why

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Place:
    """One instrument in one account: where lots lie together."""

    account: int
    instrument: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    key: int
    place: Place
    on: date
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(_Event):
    """Units there from the start that no row explains. Nothing is known of them but their number."""

    quantity: Decimal
    why: Why = Why.BEFORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade(_Event):
    """Units against cash: closes what is open on the other side, and opens a lot with what is left.

    Where `may_open` is false, what is left was held before the history begins: it closes a lot of unknown cost.
    """

    quantity: Decimal
    cash: Decimal | None
    may_open: bool = True
    why: Why = Why.UNTOLD  # the reason when `cash` is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(_Event):
    """An option exercised or assigned: its lots end, and their cost goes into the trades `into` of its underlying.

    `into` has the trades' keys with the units each moved; the premium is shared by them.
    """

    quantity: Decimal
    into: tuple[tuple[int, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(_Event):
    """`added` units for nothing, negative for a reverse split: more or fewer units at the same cost in all.

    `cash` came in lieu of a fraction, whose size follows from `ratio`, new units for one old, where it is known.
    """

    added: Decimal
    cash: Decimal = ZERO
    ratio: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lieu(_Event):
    """Cash for a fraction of unknown size."""

    cash: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink(_Event):
    """`quantity` units (positive) taken as a fee: the lots acquired last become smaller at the same cost."""

    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaid(_Event):
    """Return of capital: `cash` lowers the cost of what is held; what exceeds the cost is a gain."""

    cash: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(_Event):
    """`quantity` units (positive) moved out with their cost, for whoever takes them in."""

    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrive(_Event):
    """`quantity` units (positive) moved in; with the cost of the `Leave` named by `source`, when it is known."""

    quantity: Decimal
    source: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What an exchange or spin-off gives: units of `instrument`, their part of the cost (0..1) or value each."""

    instrument: int
    quantity: Decimal
    share: Decimal | None = None
    value: Decimal | None = None  # of one unit that day


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(_Event):
    """`quantity` units (positive) become others, with their cost and age; `cash` beside them is boot."""

    quantity: Decimal
    received: tuple[Received, ...]
    cash: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class SpinOff(_Event):
    """Those who hold get `received`; its `share` of their cost, and its age, go with it."""

    received: Received


Event: TypeAlias = Held | Trade | Delivery | Split | Lieu | Shrink | Repaid | Leave | Arrive | Exchange | SpinOff
Events: TypeAlias = Iterable[Event]
