"""Pure Decimal arithmetic over what is held. No queries. None means unknown and never becomes 0."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

from connections.brokers.records import PositionRecord


def known_sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum, None as soon as one part is unknown or when there is no part at all."""
    total: Decimal | None = None
    for amount in amounts:
        if amount is None:
            return None
        total = amount if total is None else total + amount
    return total


def average_cost(lots: Iterable[tuple[Decimal, Decimal | None]]) -> Decimal | None:
    """Cost per unit of (quantity, cost per unit) lots, weighted by quantity.

    None when a lot's cost is unknown, when long and short lots meet (their costs have no common average), or when
    nothing is held.
    """
    quantity = cost = Decimal(0)
    signs = set()
    for held, per_unit in lots:
        if held == 0:
            continue
        if per_unit is None:
            return None
        signs.add(held > 0)
        quantity += held
        cost += held * per_unit
    return cost / quantity if len(signs) == 1 else None


def merged_positions(held: Iterable[tuple[int, PositionRecord]]) -> Iterator[tuple[int, PositionRecord]]:
    """One record per instrument id. Brokers report one instrument twice, long and short or once per sub-account.

    The very same row once more is a page told twice, and no second holding.
    """
    parts: dict[int, list[PositionRecord]] = defaultdict(list)
    for instrument_id, record in held:
        if record not in parts[instrument_id]:
            parts[instrument_id].append(record)
    for instrument_id, records in parts.items():
        yield instrument_id, records[0] if len(records) == 1 else _merged(records)


def _merged(records: list[PositionRecord]) -> PositionRecord:
    return replace(
        records[0],
        quantity=sum((record.quantity for record in records), Decimal(0)),
        average_cost=average_cost((record.quantity, record.average_cost) for record in records),
        market_value=known_sum(record.market_value for record in records),
        day_change=known_sum(record.day_change for record in records),
        raw={"parts": [dict(record.raw) for record in records]},
    )


def cost_of(quantity: Decimal, per_unit: Decimal | None, multiplier: Decimal) -> Decimal | None:
    """Signed cost of a position: negative for a short one, which brought money in."""
    return None if per_unit is None else quantity * per_unit * multiplier


def difference(value: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if value is None or other is None else value - other


def fraction(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """`part` of `whole`, 0.25 for a quarter; None when one is unknown or the whole is not positive."""
    return None if part is None or whole is None or whole <= 0 else part / whole
