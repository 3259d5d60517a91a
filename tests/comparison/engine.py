"""The catalogue as it is shipped, ready for the engine, and short ways to say what was done."""

from datetime import date
from decimal import Decimal as D
from functools import cache
from pathlib import Path
from typing import Any

from comparison import document, price_lists
from comparison.costs import Tariff, cost, total
from comparison.rounding import display
from comparison.terms import NOTHING_YET, Asset, CostLine, Event, PlanTerms, Rates, Side, Volume

CATALOGUE = Path(document.__file__).parent / "data" / "brokers.json"
JUNE = date(2026, 6, 15)


@cache
def shipped() -> tuple[dict[str, PlanTerms], Rates]:
    return price_lists.of_document(document.read(CATALOGUE))


def tariff(ref: str, as_of: date | None = None) -> Tariff:
    plans, rates = shipped()
    return Tariff(plans[ref], rates, as_of)


def shares(side: Side, quantity: str, price: str, on: date = JUNE, **more: Any) -> Event:
    return Event(
        on=on,
        asset=more.pop("asset", Asset.US_STOCK),
        side=side,
        quantity=D(quantity),
        price=D(price),
        amount=D(quantity) * D(price),
        **more,
    )


def contracts(side: Side, quantity: str, premium: str, on: date = JUNE, **more: Any) -> Event:
    return Event(
        on=on,
        asset=more.pop("asset", Asset.EQUITY_OPTION),
        side=side,
        opening=more.pop("opening", side is Side.BUY),
        quantity=D(quantity),
        price=D(premium),
        amount=D(quantity) * D(premium) * 100,
        **more,
    )


def lines(ref: str, event: Event, volume: Volume = NOTHING_YET, as_of: date | None = None) -> dict[str, CostLine]:
    return {line.item: line for line in cost(tariff(ref, as_of), event, volume)}


def summed(found: dict[str, CostLine], *items: str) -> D:
    """The exact sum of the named lines; all counted ones when none is named."""
    result = total([line for item, line in found.items() if not items or item in items])
    assert result.low == result.high
    return result.low


def shown(amount: D) -> str:
    return str(display(amount))
