"""What the figures of Rule 605 mean and how they are written. Definitions as in 17 CFR 242.600 and 242.605."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"


def number(value: Decimal | int, places: int) -> str:
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return f"{rounded:,f}".replace("-", MINUS) if rounded else f"{abs(rounded):f}"


def percent(value: Decimal) -> str:
    """From percent."""
    return f"{number(value, 2)}{THIN}%"


def cents(value: Decimal) -> str:
    return number(value, 2)


def dollars(value: Decimal) -> str:
    return number(value, 0)


def _share(value: Decimal) -> str:
    return percent(value * 100)


def _fine_share(value: Decimal) -> str:
    return f"{number(value * 100, 4)}{THIN}%"


def _ratio(value: Decimal) -> str:
    return number(value, 3)


def _per_share(value: Decimal) -> str:
    return f"{number(value, 4)}{THIN}USD"


def _usd(value: Decimal) -> str:
    return f"{number(value, 2)}{THIN}USD"


def _count(value: Any) -> str:
    return number(value, 0)


def _shares(value: Decimal) -> str:
    return number(value, 1)


def _duration(value: Decimal) -> str:
    """From milliseconds."""
    return f"{number(value, 1)}{THIN}ms" if value < 1000 else f"{number(value / 1000, 2)}{THIN}s"


@dataclass(frozen=True, slots=True)
class Metric:
    name: str  # of the field of ExecutionStat
    label: str
    explained: str
    unit: str  # of the stored number
    written: Callable[[Any], str]


METRICS = (
    Metric(
        "effective_over_quoted",
        "Effective over quoted spread",
        "What was paid of the quoted spread: 0 is the midpoint, 1 the quote, above 1 worse than the quote.",
        "ratio",
        _ratio,
    ),
    Metric("improved", "Better than the quote", "Share of the executed shares with a better price.", "share", _share),
    Metric(
        "at_or_better",
        "At the quote or better",
        "Share of the executed shares that cost no more than the quote.",
        "share",
        _share,
    ),
    Metric(
        "net_improvement",
        "Net price improvement",
        "Better prices less worse ones, as a percentage of the midpoint.",
        "fraction of the midpoint",
        _fine_share,
    ),
    Metric(
        "net_improvement_usd",
        "Net price improvement a share",
        "Better prices less worse ones.",
        "USD per share",
        _per_share,
    ),
    Metric(
        "effective_spread",
        "Effective spread",
        "Twice the distance of the price from the midpoint at receipt, as a percentage of the midpoint.",
        "fraction of the midpoint",
        _fine_share,
    ),
    Metric(
        "effective_spread_usd",
        "Effective spread a share",
        "Twice the distance of the price from the midpoint at receipt.",
        "USD per share",
        _per_share,
    ),
    Metric(
        "quoted_spread",
        "Quoted spread",
        "Best offer less best bid at receipt, as a percentage of the midpoint.",
        "fraction of the midpoint",
        _fine_share,
    ),
    Metric(
        "realized_15s",
        "Realized spread, 15 seconds later",
        "As the effective spread, from the midpoint 15 seconds after the trade: what the other side kept.",
        "fraction of the midpoint",
        _fine_share,
    ),
    Metric(
        "realized_1m",
        "Realized spread, a minute later",
        "As above, from the midpoint a minute after the trade.",
        "fraction of the midpoint",
        _fine_share,
    ),
    Metric(
        "realized_usd",
        "Realized spread a share",
        "From the midpoint five minutes after the trade.",
        "USD per share",
        _per_share,
    ),
    Metric("speed_ms", "Speed", "From receipt to execution, weighted by shares.", "milliseconds", _duration),
)
SAMPLES = (
    Metric("orders", "Orders", "Covered orders; the summary form does not say how many there were.", "count", _count),
    Metric("executed_shares", "Shares executed", "Which the averages are about.", "count", _count),
    Metric("symbols", "Symbols", "Different stocks.", "count", _count),
    Metric("average_shares", "Average order, shares", "Of the covered orders.", "shares", _shares),
    Metric("average_usd", "Average order, value", "Of the covered orders.", "USD", _usd),
)
