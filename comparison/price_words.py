"""A stored rule as the engine reads it: numbers as Decimal, the catalogue's phrases as values. Pure.

A phrase that is not in these tables is an error to show, never a guess.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from comparison.terms import Event

# What each model cannot do without; one of `a|b` is enough.
NEEDS: dict[str, tuple[str, ...]] = {
    "flat_per_order": ("rate",),
    "flat_per_event": ("rate",),
    "flat_per_month": ("rate",),
    "flat_per_year": ("rate",),
    "flat_after_free_per_month": ("rate", "free_per_month"),
    "per_share": ("rate",),
    "per_share_volume_tiered": ("tiers",),
    "per_contract": ("rate",),
    "per_contract_volume_and_premium": ("tiers",),
    "per_contract_open_close": ("rate_open", "rate_close"),
    "per_contract_plus_exchange": ("rate", "exchange_fee"),
    "per_bond": ("rate",),
    "pct_of_notional": ("rate_pct",),
    "pct_of_notional_min": ("rate_pct", "min"),
    "pct_of_notional_capped": ("rate_pct", "max"),
    "pct_of_notional_tiered": ("tiers|rate_pct",),
    "bps_of_notional": ("rate_bps",),
    "bps_of_notional_tiered": ("tiers",),
    "tiered_bps_of_face": ("rate_bps",),
    "pct_of_commission": ("factor",),
    "per_million_notional": ("rate_per_million",),
    "spread": ("rate_pct",),
    "base_plus_per_share": ("base", "rate"),
    "range_per_thousand_of_sale": ("range",),
    "range_per_share_year": ("range",),
    "margin_spread_over_benchmark": ("benchmark", "tiers"),
    "margin_spread_over_broker_base": ("base_rate", "tiers"),
    "margin_rate_by_balance": ("tiers|range_pct",),
    "interest_free_amount": ("amount",),
    "apy": ("rate_pct",),
    "rate_over_benchmark": ("benchmark", "spread_bps"),
}
NUMBERS = {"rate", "min", "max", "max_pct_of_trade", "rate_pct", "rate_bps", "spread_bps", "factor", "base", "amount"}
NUMBERS |= {"rate_open", "rate_close", "max_per_leg", "free_per_month", "base_rate", "rate_at_as_of", "annual_option"}
NUMBERS |= {"crypto_futures_rate", "subsequent", "rate_per_million", "option_extra_per_contract", "day_count"}
NUMBERS |= {"up_to", "up_to_shares_month", "up_to_contracts_month", "up_to_month_usd", "min_trades_quarter"}
NUMBERS |= {"premium_lt", "price_below", "max_per_trade"}
RANGES = frozenset({"range", "range_pct", "rebate_per_contract"})
NESTED = frozenset({"tiers", "by_premium"})
NOT_OFFERED = re.compile(
    r"not offered|accounts are USD only|no telephone order desk|no foreign-currency trading online"
)
TO_CLOSE = re.compile(r"buy-to-close at (?P<price>[\d.]+) or less")
CHEAP_STOCK = re.compile(r"stock below (?P<price>[\d.]+)")
WAIVERS_NOT_KNOWN = {"1,000,000 USD or more in Vanguard assets", "electronic delivery"}
FOR_PREMIUM = "Premium members"
IBKR_CASH = (
    "Nothing on the first 10,000 USD; accounts under 100,000 USD net asset value are paid in proportion to NAV/100,000"
)
SMALL_TRADES: dict[str, Mapping[str, Decimal]] = {
    "stock sale of 500 USD or less": {"stock_sale_max": Decimal(500)},
    "50 shares or fewer": {"shares_max": Decimal(50)},
}
_BAND = re.compile(r"(?P<symbol>[A-Z]+)(?:_(?P<what>premium_)?(?P<how>lt|ge)_(?P<bound>[\d.]+))?")


class NotReadable(ValueError):
    """A value or a phrase of a rule that the engine does not know; the text names it."""


@dataclass(frozen=True, slots=True)
class Band:
    """An index and, where the exchange's fee depends on it, a bound on the premium or on the contracts of an order."""

    symbol: str
    rate: Decimal
    of_premium: bool = False
    below: Decimal | None = None
    from_: Decimal | None = None

    def holds(self, event: Event) -> bool:
        measured = event.price if self.of_premium else event.quantity
        return (
            event.symbol == self.symbol
            and (self.below is None or measured < self.below)
            and (self.from_ is None or measured >= self.from_)
        )


def number(value: object, what: str = "value") -> Decimal:
    """Raises NotReadable. A float is refused: it cannot say 0.1."""
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise NotReadable(f"{what} must be a number in a string, not {type(value).__name__}")
    try:
        read = Decimal(value)
    except InvalidOperation as error:
        raise NotReadable(f"{what} {value!r} is not a number") from error
    if not read.is_finite():
        raise NotReadable(f"{what} {value!r} is not a number")
    return read


def values_of(model: str, parameters: Mapping[str, Any], *, plan_name: str = "") -> dict[str, Any]:
    """The engine's values of a stored rule. Raises NotReadable when one is missing or not understood."""
    if model not in NEEDS:
        raise NotReadable(f"model {model!r} is not known")
    for need in NEEDS[model]:
        if not any(name in parameters for name in need.split("|")):
            raise NotReadable(f"model {model} needs {need.replace('|', ' or ')}")
    values = _read(parameters)
    if "waiver" in parameters:
        values |= _waiver(parameters["waiver"], plan_name)
    if "conditions" in parameters:
        if parameters["conditions"] != IBKR_CASH:
            raise NotReadable(f"conditions {parameters['conditions']!r} are not understood")
        values |= {"unpaid": Decimal(10_000), "full_from": Decimal(100_000)}
    return values


def _read(parameters: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in NESTED:
            values[name] = tuple(_read(tier) for tier in value)
        elif name == "exchange_fee":
            values[name] = None if value is None else tuple(_band(key, rate) for key, rate in sorted(value.items()))
        elif name in RANGES:
            low, high = (number(bound, name) for bound in value)
            if low > high:
                raise NotReadable(f"{name} runs from {low} down to {high}")
            values[name] = (low, high)
        elif name in NUMBERS:
            values[name] = None if value is None else number(value, name)
        else:
            values[name] = value
    return values


def _band(key: str, rate: object) -> Band:
    match = _BAND.fullmatch(key)
    if match is None:
        raise NotReadable(f"exchange_fee {key!r} is not understood")
    bound = None if match["bound"] is None else Decimal(match["bound"])
    below, from_ = (bound, None) if match["how"] == "lt" else (None, bound)
    return Band(match["symbol"], number(rate, "exchange_fee"), match["what"] is not None, below, from_)


def _waiver(phrase: str, plan_name: str) -> dict[str, Any]:
    if match := TO_CLOSE.fullmatch(phrase):
        return {"waived_to_close_at": Decimal(match["price"])}
    if phrase == FOR_PREMIUM:
        return {"rate": Decimal(0)} if plan_name == "Premium" else {}
    if phrase in WAIVERS_NOT_KNOWN:
        return {"waiver_unknown": True}
    raise NotReadable(f"waiver {phrase!r} is not understood")


def condition_of(phrase: str) -> tuple[str, dict[str, Any]]:
    """What is left of a condition for people, and what the engine can check itself."""
    if match := CHEAP_STOCK.fullmatch(phrase):
        return "", {"price_below": Decimal(match["price"])}
    return phrase, {}


def small_trades(phrase: str) -> Mapping[str, Decimal]:
    """Raises NotReadable."""
    if phrase not in SMALL_TRADES:
        raise NotReadable(f"waived_if {phrase!r} is not understood")
    return SMALL_TRADES[phrase]


def is_offered(reason: str) -> bool:
    return NOT_OFFERED.match(reason) is None


def first_day(text: str) -> date | None:
    """The first day of a date as the catalogue writes it: 2026, 2026-09, 2026-09-17. Other text is undated: None."""
    parts = re.fullmatch(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", text)
    if parts is None:
        return None
    try:
        return date(int(parts[1]), int(parts[2] or 1), int(parts[3] or 1))
    except ValueError:
        return None


def day_before(day: date) -> date:
    return day - timedelta(days=1)
