"""The open lots of one place, in the order in which a sale consumes them. Pure; exact: what is cut is never lost."""

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from aggregation.lots.events import ZERO, Place
from aggregation.lots.words import Method, Why

COST_STEP = Decimal("1e-10")  # as money is kept in the database
UNIT_STEP = Decimal("1e-18")


@dataclass(slots=True, eq=False)
class Lot:
    """Units acquired together. `quantity` is negative for a short one.

    `cost` is the signed cash they took, fees inside: negative when opening brought money in; None when it is not known,
    and then `why` says why. `key` is the ledger row that opened it, 0 when none did.
    """

    key: int
    place: Place
    opened_on: date | None
    quantity: Decimal
    cost: Decimal | None
    currency: str
    why: Why = Why.KNOWN
    number: int = 0  # the how-manieth lot it is: of two of one day, the first opened comes first


Order = Callable[[Lot], Any]


def _age(lot: Lot) -> tuple[int, int]:
    """A lot of unknown date is from before the history, so the oldest."""
    return (lot.opened_on or date.min).toordinal(), lot.number


def _youth(lot: Lot) -> tuple[int, int]:
    day, number = _age(lot)
    return -day, -number


def _dearness(lot: Lot) -> tuple[bool, Decimal, tuple[int, int]]:
    """Dearest first, which gives the least gain; of short lots so the one that brought in least. Unknown ones last."""
    per_unit = ZERO if lot.cost is None else lot.cost / abs(lot.quantity)
    return lot.cost is None, -per_unit, _age(lot)


ORDERS: dict[Method, Order] = {
    Method.FIFO: _age,
    Method.LIFO: _youth,
    Method.HIGHEST: _dearness,
    Method.SPECIFIC: _age,  # what was not picked goes first in, first out
}


def portion(amount: Decimal, part: Decimal, whole: Decimal, step: Decimal = COST_STEP) -> Decimal:
    """`amount` x `part` / `whole`; all of it when the part is the whole, so that parts taken in turn add up exactly."""
    return amount if part == whole else (amount * part / whole).quantize(step)


def known_portion(amount: Decimal | None, part: Decimal, whole: Decimal) -> Decimal | None:
    return None if amount is None else portion(amount, part, whole)


def cut(lot: Lot, size: Decimal) -> Lot:
    """Take `size` (positive) units and their cost out of the lot."""
    part = size if lot.quantity > 0 else -size
    piece = replace(lot, quantity=part, cost=known_portion(lot.cost, part, lot.quantity))
    lot.quantity -= part
    if lot.cost is not None and piece.cost is not None:
        lot.cost -= piece.cost
    return piece


class Pool:
    """All its lots are long, or all are short."""

    def __init__(self, method: Method) -> None:
        self.order = ORDERS[method]
        self.lots: list[Lot] = []
        self.quantity = ZERO

    def add(self, lot: Lot) -> None:
        if lot.quantity:
            insort(self.lots, lot, key=self.order)
            self.quantity += lot.quantity

    def take(self, size: Decimal, picks: Sequence[tuple[int, Decimal]] = ()) -> list[Lot]:
        """Up to `size` units: first those picked, (key of a lot, units), then as the method says."""
        pieces = []
        for key, units in picks:
            for lot in [lot for lot in self.lots if lot.key == key]:
                taken = min(units, size, abs(lot.quantity))
                if taken > 0:
                    pieces.append(self._cut(lot, taken))
                    units -= taken
                    size -= taken
        while size > 0 and self.lots:
            piece = self._cut(self.lots[0], min(size, abs(self.lots[0].quantity)))
            size -= abs(piece.quantity)
            pieces.append(piece)
        return pieces

    def _cut(self, lot: Lot, size: Decimal) -> Lot:
        piece = cut(lot, size)
        if not lot.quantity:
            self.lots.remove(lot)
        self.quantity -= piece.quantity
        return piece

    def scale(self, added: Decimal) -> bool:
        """Spread `added` units over the lots at the same cost; False, and nothing done, where that has no meaning."""
        before, whole = self.quantity, self.quantity + added
        if before * whole <= 0:
            return False
        left = whole
        for lot in self.lots[:-1]:
            lot.quantity = portion(whole, lot.quantity, before, UNIT_STEP)
            left -= lot.quantity
        self.lots[-1].quantity = left
        self.lots = [lot for lot in self.lots if lot.quantity]
        self.quantity = whole
        return True

    def shrink(self, size: Decimal) -> Decimal:
        """Take `size` units from the youngest long lots and leave their cost; what could not be taken.

        A fee is a small part of a purchase: never a whole lot, whose cost would be lost.
        """
        for lot in sorted(self.lots, key=_youth):
            if size and lot.quantity > size:
                lot.quantity -= size
                self.quantity -= size
                size = Decimal(0)
        return size

    def again_in_order(self) -> None:
        self.lots.sort(key=self.order)
