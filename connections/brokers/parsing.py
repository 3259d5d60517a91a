"""What reading any broker's rows needs: numbers that are numbers, and a name for what no rule fits."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

from connections.brokers.base import UnexpectedReply
from connections.brokers.calls import misread
from connections.brokers.records import AssetClass, Broker, InstrumentRecord

Row = Mapping[str, Any]
Shape = TypeVar("Shape", dict[str, Any], list[Any])
OPTION = re.compile(r"(?P<root>[A-Z]{1,6})(?P<adjusted>\d?) *(?P<contract>\d{6}[CP]\d{8})")


class NotUnderstood(Exception):
    """No rule fits this row, which is parked; the text says for people what is odd about it."""


@contextmanager
def understood(broker: Broker, part: str) -> Iterator[None]:
    """A missing or misshapen field becomes UnexpectedReply: a changed schema is ours to mend, never an empty list."""
    try:
        yield
    except (NotUnderstood, KeyError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        misread()
        raise UnexpectedReply(f"The {part} of {broker.label} came in a form the hub does not know.") from error


def text(row: Row, key: str) -> str:
    """What stands under `key`, if it is text and not empty."""
    value = row[key]
    if not isinstance(value, str) or not value:
        raise TypeError(f"{key} is not text")
    return value


def maybe(row: Row, key: str) -> Decimal | None:
    """The exact number under `key`, be it text or a JSON number; None when there is none."""
    value = row.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise TypeError(f"{key} is not a number")
    found = Decimal(value)
    if not found.is_finite():
        raise ValueError(f"{key} is not a finite number")
    return found


def number(row: Row, key: str) -> Decimal:
    found = maybe(row, key)
    if found is None:
        raise KeyError(key)
    return found


def checked(broker: Broker, part: str, answer: Any, shape: type[Shape]) -> Shape:
    """The answer, if it is an object (or a list) as it should be. Raises UnexpectedReply."""
    if not isinstance(answer, shape):
        misread()
        raise UnexpectedReply(f"The {part} of {broker.label} came in a form the hub does not know.")
    return answer


def us_option(symbol: str) -> InstrumentRecord | None:
    """An American option by its symbol, padded to OSI form or not; None when it is none. Raises NotUnderstood."""
    match = OPTION.fullmatch(symbol)
    if match is None:
        return None
    if match["adjusted"]:
        raise NotUnderstood("what a contract adjusted after a corporate action delivers is not told")
    return InstrumentRecord(
        asset_class=AssetClass.OPTION,
        symbol=f"{match['root']:<6}{match['contract']}",
        underlying=match["root"],
        multiplier=Decimal(100),
    )
