"""The comparison: ten thousand orders priced at every plan, against the bare arithmetic of as many lines."""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from time import process_time

from bench.measure import Ratio, in_turns
from comparison import document, loading, price_lists
from comparison.costs import Tariff
from comparison.replay import Placed, orders, placed, replay
from comparison.terms import Asset, Event, PlanTerms, Rates, Side

ORDERS = 10_000
TODAY = date(2026, 11, 23)
BUDGET = 45.0  # two seconds for all plans on a machine where the floor takes 45 ms


def computing(work: Callable[[], object]) -> float:
    """Seconds of this process alone: all of this is computing, and others on the machine are no part of it."""
    start = process_time()
    work()
    return process_time() - start


def history() -> list[Placed]:
    """A year of shares and options at invented prices, the same in every run."""
    dice = random.Random(1)  # nosec B311  # nothing secret
    events = []
    for number in range(ORDERS):
        is_option = dice.random() < 0.3
        quantity = Decimal(dice.randrange(1, 10 if is_option else 400))
        price = Decimal(dice.randrange(5, 900 if is_option else 50_000)) / 100
        event = Event(
            on=TODAY - timedelta(days=dice.randrange(364)),
            asset=Asset.EQUITY_OPTION if is_option else Asset.US_STOCK,
            side=dice.choice(list(Side)),
            opening=dice.choice([True, False]) if is_option else None,
            quantity=quantity,
            price=price,
            amount=quantity * price * (100 if is_option else 1),
            symbol=f"S{number % 50}",
            order=str(number),
        )
        events.append(event)
    return placed(orders(events))


def price(plans: dict[str, PlanTerms], rates: Rates, orders_placed: list[Placed], as_of: date | None) -> int:
    """How many lines there were; every plan's rules are read anew, as a request does."""
    costs = [replay(Tariff(plan, rates, as_of), orders_placed) for plan in plans.values()]
    return sum(entry.count + entry.unknown for cost in costs for entry in cost.items.values())


def arithmetic(lines: int) -> Decimal:
    """One product and one sum a line: what cannot be saved."""
    quantity, rate, total = Decimal(137), Decimal("0.0000206"), Decimal(0)
    for _ in range(lines):
        total += quantity * rate
    return total


def measure() -> Iterator[Ratio]:
    plans, rates = price_lists.of_document(document.read(loading.SHIPPED))
    year = history()
    for what, as_of in (("today's rates", TODAY), ("each day's rates", None)):
        lines = price(plans, rates, year, as_of)
        yield from in_turns(
            f"{ORDERS:,} orders at {len(plans)} plans, {what}",
            lambda as_of=as_of: computing(lambda: price(plans, rates, year, as_of)),  # type: ignore[misc]
            {f"product and sum of {lines:,} lines": (lambda n=lines: computing(lambda: arithmetic(n)), BUDGET)},  # type: ignore[misc]
        )
