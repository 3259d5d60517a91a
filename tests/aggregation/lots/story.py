"""Events in few words, for the tests of the engine. One account and one share unless a test says otherwise."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from aggregation.lots import events as happened
from aggregation.lots.events import Event, Place

HERE = Place(1, 1)
START = date(2024, 1, 2)


def amount(number: Any) -> Decimal | None:
    return None if number is None else Decimal(str(number))


def total(numbers: Iterable[Any]) -> Decimal:
    """Of numbers all of which are known."""
    return sum(numbers, Decimal(0))


class Story:
    """Each thing told happens a day after the one before, unless `on` says when."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._keys = count(1)
        self.day = START - timedelta(days=1)

    def _tell(self, kind: type[Any], place: Place = HERE, on: date | None = None, **facts: Any) -> int:
        self.day = on or self.day + timedelta(days=1)
        key = next(self._keys)
        self.events.append(kind(key=key, place=place, on=self.day, currency="USD", **facts))
        return key

    def trade(self, quantity: Any, cash: Any, **more: Any) -> int:
        return self._tell(happened.Trade, quantity=Decimal(str(quantity)), cash=amount(cash), **more)

    def split(self, added: Any, **more: Any) -> int:
        return self._tell(happened.Split, added=Decimal(str(added)), **more)

    def tell(self, kind: type[Any], **facts: Any) -> int:
        return self._tell(kind, **facts)
