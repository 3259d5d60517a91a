"""Every fee model of the catalogue, one function each: what a rule charges for one event.

A function gets the rule, the event, the user's earlier volume and the commission of the same event, and gives the low
and the high amount in USD and the steps that led there: a format and its values, `CostLine.formula` writes them out.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from comparison.terms import ZERO, Event, Rule, Volume

HUNDRED = Decimal(100)
BASIS_POINTS = Decimal(10_000)
MILLION = Decimal(1_000_000)
FACE_OF_A_BOND = Decimal(1_000)

Charged = tuple[Decimal, Decimal, tuple[Any, ...]]
FeeModel = Callable[[Rule, Event, Volume, Decimal], Charged]


def bounded(amount: Decimal, rule: Rule, event: Event, steps: tuple[Any, ...]) -> Charged:
    """`amount` within the rule's minimum and cap. With `cap_beats_min` it is min(max(amount, min), cap), else the
    minimum has the last word. Source: catalogue, conventions."""
    values = rule.values
    least = values.get("min")
    share = values.get("max_pct_of_trade")
    cap = values.get("max") if share is None else event.amount * share / HUNDRED
    if cap is not None and not values.get("cap_beats_min") and amount > cap:
        amount, steps = cap, _and(steps, "cap", cap)
    if least is not None and amount < least:
        amount, steps = least, _and(steps, "minimum", least)
    if cap is not None and values.get("cap_beats_min") and amount > cap:
        amount, steps = cap, _and(steps, "cap", cap)
    return amount, amount, steps


def _and(steps: tuple[Any, ...], word: str, value: Decimal) -> tuple[Any, ...]:
    return (f"{steps[0]}, {word} {{{len(steps) - 1}}}", *steps[1:], value)


def flat(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    rate = rule.values["rate"]
    low = ZERO if rule.values.get("rate_is_maximum") or rule.values.get("waiver_unknown") else rate
    return low, rate, ("up to {0}" if low != rate else "{0} flat", rate)


def flat_after_free(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    free = rule.values["free_per_month"]
    if volume.happened < free:
        return ZERO, ZERO, ("number {0} of the month, {1} free", volume.happened + 1, free)
    rate = rule.values["rate"]
    return rate, rate, ("{0}, after {1} free in the month", rate, free)


def per_unit(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    """Rate x shares or contracts, then minimum, then cap. A lower rate may start at so many trades a quarter."""
    rate = rule.values["rate"]
    for tier in rule.values.get("tiers", ()):
        if volume.trades_in_quarter >= tier["min_trades_quarter"]:
            rate = tier["rate"]
    amount = event.quantity * rate
    return bounded(amount, rule, event, ("{0} x {1} = {2}", event.quantity, rate, amount))


def slices(before: Decimal, quantity: Decimal, tiers: Any, limit: str) -> Iterator[tuple[Decimal, Any]]:
    """`quantity` cut at the limits of the tiers, `before` of the month being used already."""
    place, left = before, quantity
    for tier in tiers:
        room = left if tier[limit] is None else max(min(left, tier[limit] - place), ZERO)
        if room:
            yield room, tier
            place, left = place + room, left - room
        if not left:
            return


def _sum_of_parts(parts: list[tuple[Decimal, Decimal]]) -> tuple[Decimal, tuple[Any, ...]]:
    amount = sum((quantity * rate for quantity, rate in parts), ZERO)
    count = len(parts)
    text = " + ".join(f"{{{2 * place}}} x {{{2 * place + 1}}}" for place in range(count))
    return amount, (f"{text} = {{{2 * count}}}", *(value for part in parts for value in part), amount)


def per_share_tiered(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    tiers = rule.values["tiers"]
    parts = [(part, tier["rate"]) for part, tier in slices(volume.shares, event.quantity, tiers, "up_to_shares_month")]
    return bounded(*_order(rule, event, parts))


def per_contract_tiered(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    """Tier by the month's contracts, within it by the premium per share."""
    parts = []
    for part, tier in slices(volume.contracts, event.quantity, rule.values["tiers"], "up_to_contracts_month"):
        band = next(b for b in tier["by_premium"] if b["premium_lt"] is None or event.price < b["premium_lt"])
        parts.append((part, band["rate"]))
    return bounded(*_order(rule, event, parts))


def _order(
    rule: Rule, event: Event, parts: list[tuple[Decimal, Decimal]]
) -> tuple[Decimal, Rule, Event, tuple[Any, ...]]:
    amount, steps = _sum_of_parts(parts)
    return amount, rule, event, steps


def open_close(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    """One rate to open and one to close; not knowing which gives the range between both."""
    values, cap = rule.values, rule.values.get("max_per_leg")
    known = [values["rate_close"], values["rate_open"]]
    if event.opening is not None:
        known = [values["rate_open"] if event.opening else values["rate_close"]]
    amounts = sorted(min(event.quantity * rate, cap) if cap is not None else event.quantity * rate for rate in known)
    if len(known) == 1:
        steps: tuple[Any, ...] = ("{0} x {1} = {2}", event.quantity, known[0], event.quantity * known[0])
        if amounts[0] != event.quantity * known[0]:
            steps = ("{0} x {1} = {2}, at most {3} a leg", *steps[1:], cap)
    else:
        steps = ("{0} x {1} to {2}, opening or closing not known", event.quantity, *sorted(known))
    return amounts[0], amounts[-1], steps


def percent(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    """Percent of the amount, within minimum and maximum; `rate_is_maximum`: anything from nothing to it."""
    rate = rule.values["rate_pct"]
    amount = event.amount * rate / HUNDRED
    low, high, steps = bounded(amount, rule, event, ("{0} x {1}% = {2}", event.amount, rate, amount))
    return (ZERO if rule.values.get("rate_is_maximum") else low), high, steps


def percent_tiered(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    """The whole amount at the rate of its tier; a price list with one rate only is its own tier."""
    rate = rule.values.get("rate_pct")
    if rate is None:
        tiers = rule.values["tiers"]
        rate = next(t["rate_pct"] for t in tiers if t["up_to"] is None or event.amount <= t["up_to"])
    amount = event.amount * rate / HUNDRED
    return bounded(amount, rule, event, ("{0} x {1}% = {2}", event.amount, rate, amount))


def basis_points(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    rate = rule.values["rate_bps"]
    amount = event.amount * rate / BASIS_POINTS
    return bounded(amount, rule, event, ("{0} x {1} bp = {2}", event.amount, rate, amount))


def basis_points_tiered(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    """Rate and minimum by the amount converted in the month so far."""
    tiers = rule.values["tiers"]
    tier = next(t for t in tiers if t["up_to_month_usd"] is None or volume.converted < t["up_to_month_usd"])
    amount = event.amount * tier["rate_bps"] / BASIS_POINTS
    steps: tuple[Any, ...] = ("{0} x {1} bp = {2}", event.amount, tier["rate_bps"], amount)
    if amount < tier["min"]:
        return tier["min"], tier["min"], (f"{steps[0]}, minimum {{3}}", *steps[1:], tier["min"])
    return amount, amount, steps


def basis_points_of_face(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    rate = rule.values["rate_bps"]
    amount = event.quantity * rate / BASIS_POINTS
    return bounded(amount, rule, event, ("face {0} x {1} bp = {2}", event.quantity, rate, amount))


def per_bond(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    """One bond is 1,000 of face value."""
    bonds, rate = event.quantity / FACE_OF_A_BOND, rule.values["rate"]
    return bounded(bonds * rate, rule, event, ("{0} bonds x {1} = {2}", bonds, rate, bonds * rate))


def share_of_commission(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    factor = rule.values["factor"]
    amount = commission * factor
    return amount, amount, ("{0} x {1} = {2}", commission, factor, amount)


def per_million(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    rate = rule.values["rate_per_million"]
    amount = event.amount * rate / MILLION
    return amount, amount, ("{0} x {1} / 1,000,000 = {2}", event.amount, rate, amount)


def base_plus_per_share(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    base, rate = rule.values["base"], rule.values["rate"]
    amount = base + event.quantity * rate
    return bounded(amount, rule, event, ("{0} + {1} x {2} = {3}", base, event.quantity, rate, amount))


def range_per_thousand(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    low, high = rule.values["range"]
    thousands = event.amount / 1_000
    return thousands * low, thousands * high, ("{0} thousand x {1} to {2}", thousands, low, high)


def range_per_share_year(rule: Rule, event: Event, volume: Volume, commission: Decimal) -> Charged:
    low, high = rule.values["range"]
    return event.quantity * low, event.quantity * high, ("{0} shares x {1} to {2} a year", event.quantity, low, high)


FEE_MODELS: dict[str, FeeModel] = {
    "flat_per_order": flat,
    "flat_per_event": flat,
    "flat_per_month": flat,
    "flat_per_year": flat,
    "flat_after_free_per_month": flat_after_free,
    "per_share": per_unit,
    "per_share_volume_tiered": per_share_tiered,
    "per_contract": per_unit,
    "per_contract_volume_and_premium": per_contract_tiered,
    "per_contract_open_close": open_close,
    "per_contract_plus_exchange": per_unit,  # the exchange's own fee is a line of its own
    "per_bond": per_bond,
    "pct_of_notional": percent,
    "pct_of_notional_min": percent,
    "pct_of_notional_capped": percent,
    "pct_of_notional_tiered": percent_tiered,
    "bps_of_notional": basis_points,
    "bps_of_notional_tiered": basis_points_tiered,
    "tiered_bps_of_face": basis_points_of_face,
    "pct_of_commission": share_of_commission,
    "per_million_notional": per_million,
    "spread": percent,
    "base_plus_per_share": base_plus_per_share,
    "range_per_thousand_of_sale": range_per_thousand,
    "range_per_share_year": range_per_share_year,
}
# Models of a balance over days; `interest.py` computes them.
BALANCE_MODELS = frozenset(
    {
        "margin_spread_over_benchmark",
        "margin_spread_over_broker_base",
        "margin_rate_by_balance",
        "interest_free_amount",
        "apy",
        "rate_over_benchmark",
    }
)
