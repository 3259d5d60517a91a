"""Interest on a margin loan and on idle cash, over days. Rates are percent a year; amounts Decimal in USD. Pure."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from comparison.costs import Tariff
from comparison.fee_models import slices
from comparison.terms import ZERO, BenchmarkValue, CostLine, Rule

HUNDRED = Decimal(100)
DAY = timedelta(days=1)
ITEMS = ("margin_interest", "margin_interest_allowance", "cash_interest")
MARGIN_YEAR, CASH_YEAR = Decimal(360), Decimal(365)


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a balance and the rate it bears; `high` differs where only a range was published."""

    balance: Decimal
    low: Decimal
    high: Decimal


class NoRate(ValueError):
    """The rate for this balance is not known; the text says why."""


def _benchmark(tariff: Tariff, rule: Rule, day: date) -> BenchmarkValue:
    value = tariff.rates.benchmark(rule.values["benchmark"], day)
    if value is None:
        raise NoRate(f"no value of the benchmark {rule.values['benchmark']} is known")
    return value


def _tier(rule: Rule, balance: Decimal) -> Any:
    """The tier of the whole balance; `up_to` is the last cent of it."""
    return next(t for t in rule.values["tiers"] if t["up_to"] is None or balance <= t["up_to"])


def margin_slices(tariff: Tariff, rule: Rule, balance: Decimal, day: date) -> list[Slice]:
    """`balance` cut into parts of one rate. Raises NoRate. Source: catalogue, fee models of margin."""
    values = rule.values
    if rule.model == "margin_spread_over_benchmark":  # blended: each slice its own tier
        base = _benchmark(tariff, rule, day).value
        parts = slices(ZERO, balance, values["tiers"], "up_to")
        rated = [(part, base + tier["spread_bps"] / HUNDRED) for part, tier in parts]
        return [Slice(part, rate, rate) for part, rate in rated]
    if not values.get("tiers"):
        low, high = values["range_pct"]
        return [Slice(balance, low, high)]
    tier = _tier(rule, balance)
    if rule.model == "margin_spread_over_broker_base":
        if tier["spread_bps"] is None:
            raise NoRate(tier.get("null_reason", "the rate of this tier is not published"))
        rate = values["base_rate"] + tier["spread_bps"] / HUNDRED
    elif tier["rate_pct"] is None:
        raise NoRate("the rate of this tier is not published")
    else:
        rate = tier["rate_pct"]
    return [Slice(balance, rate, rate)]


def margin(tariff: Tariff, balance: Decimal, days: int, day: date) -> list[CostLine]:
    """Interest on a debit of `balance` over `days`, actual/360, at the rates of `day`."""
    rule = tariff.rule("margin_interest", tariff.as_of or day)
    if rule is None or rule.model is None:
        reason = "no margin rate found" if rule is None else rule.reason
        rule = rule or Rule(id=f"{tariff.plan.ref}/margin_interest", item="margin_interest", model=None, reason=reason)
        return [CostLine("margin_interest", None, None, rule, why=reason)]
    free = tariff.rule("margin_interest_allowance", tariff.as_of or day)
    allowance = free.values["amount"] if free is not None else ZERO
    try:
        parts = margin_slices(tariff, rule, balance, tariff.as_of or day)
    except NoRate as error:
        return [CostLine("margin_interest", None, None, rule, why=str(error))]
    lines = []
    for part in parts:
        charged = max(part.balance - allowance, ZERO)
        allowance = max(allowance - part.balance, ZERO)
        low, high = (charged * rate * days / HUNDRED / MARGIN_YEAR for rate in (part.low, part.high))
        said = part.low if part.low == part.high else f"{part.low} to {part.high}"
        steps = ("{0} x {1}% x {2} / 360", charged, said, days)
        why = f"{free.values['amount']} are free of interest" if free is not None and charged != part.balance else ""
        lines.append(CostLine("margin_interest", low, high, rule, steps, why=why))
    return lines


def turning_days(tariff: Tariff) -> list[date]:
    """Days on which a rate for borrowed or idle cash begins to hold; none where one day's rates count for all."""
    if tariff.as_of is not None:
        return []
    rules = [rule for item in ITEMS for rule in tariff.plan.rules.get(item, ())]
    days = {rule.valid_from for rule in rules} | {rule.valid_to + DAY for rule in rules if rule.valid_to is not None}
    for name in {rule.values["benchmark"] for rule in rules if rule.values.get("benchmark")}:
        days |= {value.on for value in tariff.rates.benchmarks.get(name, ())}
    return sorted(day for day in days if day is not None)


def cash_rate(tariff: Tariff, rule: Rule, day: date) -> Decimal:
    """Percent a year on cash that is paid for. Never below zero: brokers do not charge for USD."""
    if rule.model == "apy":
        return Decimal(rule.values["rate_pct"])
    rate: Decimal = _benchmark(tariff, rule, day).value + rule.values["spread_bps"] / HUNDRED
    return max(rate, ZERO)


def cash(tariff: Tariff, balance: Decimal, days: int, day: date, account_value: Decimal | None = None) -> CostLine:
    """Interest earned on idle cash over `days`, actual/365: never part of a fee total, shown beside it.

    `account_value` None: not known; a rule that depends on it then gives the range from nothing to all.
    """
    rule = tariff.rule("cash_interest", tariff.as_of or day)
    if rule is None or rule.model is None:
        reason = "no interest on cash found" if rule is None else rule.reason
        rule = rule or Rule(id=f"{tariff.plan.ref}/cash_interest", item="cash_interest", model=None, reason=reason)
        return CostLine("cash_interest", None, None, rule, counted=False, why=reason)
    try:
        rate = cash_rate(tariff, rule, tariff.as_of or day)
    except NoRate as error:
        return CostLine("cash_interest", None, None, rule, counted=False, why=str(error))
    unpaid, full_from = rule.values.get("unpaid", ZERO), rule.values.get("full_from")
    paid = max(balance - unpaid, ZERO)
    amount = paid * rate * days / HUNDRED / CASH_YEAR
    steps: tuple[Any, ...] = ("{0} x {1}% x {2} / 365", paid, rate, days)
    why = f"nothing is paid on the first {unpaid}" if unpaid else ""
    if full_from is None or not amount:
        return CostLine("cash_interest", amount, amount, rule, steps, False, why)
    if account_value is None:
        why = f"{why}; in proportion below {full_from} of account value, which is not known"
        return CostLine("cash_interest", ZERO, amount, rule, steps, False, why)
    part = min(max(account_value, ZERO) / full_from, Decimal(1))
    steps = (f"{steps[0]} x {{3}}", *steps[1:], part)
    return CostLine("cash_interest", amount * part, amount * part, rule, steps, False, why)


def break_even(minimum: Decimal, bps: Decimal) -> Decimal:
    """The amount from which a minimum is cheaper than `bps` of it (automatic and manual conversion at IBKR)."""
    return minimum * Decimal(10_000) / bps
