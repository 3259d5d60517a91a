"""What one event costs at one plan, line by line. Pure: no database, no clock; amounts are Decimal in USD.

Method: classify the event, pick the plan's rule, apply minimum and cap, add the regulatory fees of the trade date as
the plan hands them on and rounds them. What is not known is a line of its own with its reason, never zero.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from comparison import rounding
from comparison.fee_models import FEE_MODELS
from comparison.regulatory import Levy, levies
from comparison.terms import (
    NOTHING_YET,
    OPTIONS,
    SHARES,
    ZERO,
    Asset,
    CostLine,
    Event,
    PlanTerms,
    Rates,
    Rule,
    Side,
    Volume,
)

COMMISSION_OF = {
    Asset.US_STOCK: "us_stock_trade",
    Asset.US_ETF: "us_stock_trade",
    Asset.OTC_STOCK: "otc_stock_trade",
    Asset.EQUITY_OPTION: "us_option_contract",
    Asset.ETF_OPTION: "us_option_contract",
    Asset.INDEX_OPTION: "index_option_contract",
    Asset.FUTURE: "futures_contract",
    Asset.MUTUAL_FUND: "mutual_fund_tf_purchase",
    Asset.BOND: "bond_secondary",
    Asset.CRYPTO: "crypto_trade",
    Asset.FX: "fx_conversion",
}
FEATURE_OF = {
    Asset.US_STOCK: "us_stocks_etfs",
    Asset.US_ETF: "us_stocks_etfs",
    Asset.OTC_STOCK: "otc_stocks",
    Asset.EQUITY_OPTION: "options",
    Asset.ETF_OPTION: "options",
    Asset.INDEX_OPTION: "index_options",
    Asset.FUTURE: "futures",
    Asset.MUTUAL_FUND: "mutual_funds",
    Asset.BOND: "bonds",
    Asset.CRYPTO: "spot_crypto",
}
OF_SHARES = ("clearing_nscc_dtc", "pass_through_nyse", "pass_through_finra")
OF_OPTIONS = ("option_clearing", "orf_blended", "occ_pass_through")
EXCHANGE = "exchange_fee_remove"
# A broker's own name for the sell-side regulatory fees that are lines already.
SAID_TWICE = ("activity_assessment", "sell_transaction_fee")


class Tariff:
    """A plan made ready to price many events: at `as_of`'s rates, or with None at the rates of each event's day."""

    def __init__(self, plan: PlanTerms, rates: Rates, as_of: date | None = None) -> None:
        self.plan, self.rates, self.as_of = plan, rates, as_of
        self._levies: dict[tuple[Asset, Side, date], tuple[Levy, ...]] = {}
        self._rules: dict[tuple[str, date, str], Rule | None] = {}
        self._cannot: dict[tuple[Asset, date], str] = {}
        # Most plans have none of the special items: asked once, not ten thousand times.
        self.of_shares = tuple(item for item in OF_SHARES if item in plan.rules)
        self.of_options = tuple(item for item in OF_OPTIONS if item in plan.rules)
        self.said_twice = tuple(item for item in SAID_TWICE if item in plan.rules)
        self.special = {"fractional_share_trade", "low_priced_stock_trade"} & set(plan.rules)

    def day(self, event: Event) -> date:
        return self.as_of or event.on

    def rule(self, item: str, day: date, mode: str = "") -> Rule | None:
        """The rule for `item` on `day`. Before the first one we know, that first one: the page says so."""
        key = (item, day, mode)
        if key not in self._rules:
            known = [r for r in self.plan.rules.get(item, ()) if not mode or r.mode == mode]
            holds = [r for r in known if r.holds_on(day)]
            earliest = [r for r in known if r.valid_to is not None and r.valid_to > day]
            self._rules[key] = next(iter(holds or earliest), None)
        return self._rules[key]

    def levies(self, event: Event) -> tuple[Levy, ...]:
        assert event.asset is not None
        assert event.side is not None
        key = (event.asset, event.side, self.day(event))
        if key not in self._levies:
            self._levies[key] = levies(self.plan, self.rates, *key)
        return self._levies[key]

    def cannot(self, event: Event) -> str:
        """Why this plan cannot do the event at all; "" when it can, or when that is not known."""
        if event.asset is None:
            return ""
        key = (event.asset, self.as_of or event.on)
        if key not in self._cannot:
            feature = FEATURE_OF.get(event.asset)
            rule = self.rule(COMMISSION_OF[event.asset], key[1])
            if feature and self.plan.features.get(feature) in (False, "no"):
                self._cannot[key] = "not offered"
            else:
                self._cannot[key] = rule.reason if rule is not None and not rule.is_offered else ""
        return self._cannot[key]


def cost(tariff: Tariff, event: Event, volume: Volume = NOTHING_YET) -> list[CostLine]:
    """The lines of one event. Fees that a plan adds up per day come unrounded; `settled` adds what rounding adds."""
    if event.asset is None:
        return _happening(tariff, event, volume)
    day = tariff.day(event)
    lines = _conversion(tariff, event, volume) if event.asset is Asset.FX else [_commission(tariff, event, day, volume)]
    if event.asset in SHARES:
        lines += _of_shares(tariff, event, day, volume, lines[0])
    elif event.asset in OPTIONS:
        lines += _extras(tariff, event, day, volume, tariff.of_options, ZERO)
        if event.asset is Asset.INDEX_OPTION:
            lines += _exchange_of_index(tariff, event, day)
    if event.side is not None:
        lines += [levy(event) for levy in tariff.levies(event)]
    return lines


def _unknown(item: str, reason: str, plan: PlanTerms, rule: Rule | None = None) -> CostLine:
    if rule is None:
        rule = Rule(id=f"{plan.ref}/{item}", item=item, model=None, reason=reason)
    return CostLine(item, None, None, rule, why=reason)


def _apply(rule: Rule, event: Event, volume: Volume, commission: Decimal = ZERO) -> CostLine:
    assert rule.model is not None
    low, high, steps = FEE_MODELS[rule.model](rule, event, volume, commission)
    return CostLine(rule.item, low, high, rule, steps)


def _commission(tariff: Tariff, event: Event, day: date, volume: Volume) -> CostLine:
    rule = _commission_rule(tariff, event, day)
    if rule is None:
        return _unknown(COMMISSION_OF[event.asset], "no price found", tariff.plan)  # type: ignore[index]
    if rule.model is None:
        return _unknown(rule.item, rule.reason, tariff.plan, rule)
    line = _apply(rule, event, volume)
    if "waived_to_close_at" in rule.values:
        return _waived(line, event)
    if event.asset is Asset.MUTUAL_FUND and event.mode != "tf":
        if event.side is Side.SELL:
            return _unknown("mutual_fund_redemption", "no redemption fee found", tariff.plan)
        return line._replace(low=ZERO, why="nothing where the fund is on the broker's no-fee list")
    return line


def _commission_rule(tariff: Tariff, event: Event, day: date) -> Rule | None:
    """The rule of the asset, or its special one: fractions of a share, low-priced stocks."""
    if tariff.special and event.asset in SHARES:
        if event.quantity < 1 and (rule := tariff.rule("fractional_share_trade", day)):
            return rule
        low = tariff.rule("low_priced_stock_trade", day)
        if low is not None and event.asset is Asset.US_STOCK and event.price < low.values["price_below"]:
            return low
    return tariff.rule(COMMISSION_OF[event.asset], day)  # type: ignore[index]


def _waived(line: CostLine, event: Event) -> CostLine:
    """Buying an option back is free at or below a price; whether it closes may be unknown, which gives a range."""
    limit = line.rule.values["waived_to_close_at"]
    if event.side is not Side.BUY or event.opening is True or event.price > limit:
        return line
    why = f"buying to close at {limit} or less is free"
    return line._replace(low=ZERO, high=line.high if event.opening is None else ZERO, why=why)


def _conversion(tariff: Tariff, event: Event, volume: Volume) -> list[CostLine]:
    """Currency exchange. Where a broker has two ways and the user's is not known, the range between both."""
    day = tariff.day(event)
    modes = [r.mode for r in tariff.plan.rules.get("fx_conversion", ()) if r.mode and event.mode in ("", r.mode)]
    rules = [tariff.rule("fx_conversion", day, mode) for mode in dict.fromkeys(modes)] or [
        tariff.rule("fx_conversion", day)
    ]
    lines = []
    for rule in rules:
        if rule is None:
            return [_unknown("fx_conversion", "no price found", tariff.plan)]
        if rule.model is None:
            return [_unknown(rule.item, rule.reason, tariff.plan, rule)]
        lines.append(_apply(rule, event, volume))
    if len(lines) == 1:
        return lines
    why = "; ".join(f"{line.rule.mode}: {line.formula}" for line in lines)
    amounts = [line.low for line in lines if line.low is not None]
    return [lines[0]._replace(low=min(amounts), high=max(amounts), steps=(), why=why)]


def _extras(
    tariff: Tariff, event: Event, day: date, volume: Volume, items: Iterable[str], commission: Decimal
) -> list[CostLine]:
    rules = [tariff.rule(item, day) for item in items]
    return [_apply(rule, event, volume, commission) for rule in rules if rule is not None]


def _of_shares(tariff: Tariff, event: Event, day: date, volume: Volume, commission: CostLine) -> list[CostLine]:
    lines = _extras(tariff, event, day, volume, tariff.of_shares, commission.low or ZERO)
    if EXCHANGE in tariff.plan.rules and (rule := tariff.rule(EXCHANGE, day)):
        lines.append(_exchange_of_shares(rule, event))
    if tariff.said_twice and event.side is Side.SELL:
        why = "the broker's own name for the regulatory fees above, not added twice"
        said = _extras(tariff, event, day, volume, tariff.said_twice, ZERO)
        lines += [line._replace(counted=False, why=why) for line in said]
    return lines


def _exchange_of_shares(rule: Rule, event: Event) -> CostLine:
    """Depends on the venue and on adding or taking liquidity: counted only when the event says that it took."""
    rate, (low, high) = rule.values["rate"], rule.values["range"]
    if event.liquidity == "remove":
        amount = event.quantity * rate
        return CostLine(rule.item, amount, amount, rule, ("{0} x {1} = {2}", event.quantity, rate, amount))
    steps = ("{0} x {1} to {2}", event.quantity, low, high)
    why = "depends on venue and order; not in the total"
    return CostLine(rule.item, event.quantity * low, event.quantity * high, rule, steps, counted=False, why=why)


def _exchange_of_index(tariff: Tariff, event: Event, day: date) -> list[CostLine]:
    """The exchange's own fee on index options, a line of its own; not published is unknown."""
    rule = tariff.rule("index_option_contract", day)
    if rule is None or "exchange_fee" not in rule.values:
        return []
    for band in rule.values["exchange_fee"] or ():
        if band.holds(event):
            amount = event.quantity * band.rate
            steps = ("{0} x {1} = {2}", event.quantity, band.rate, amount)
            return [CostLine("index_exchange_fee", amount, amount, rule, steps)]
    return [
        _unknown("index_exchange_fee", f"exchange fee on {event.symbol or 'this index'} not published", tariff.plan)
    ]


def _happening(tariff: Tariff, event: Event, volume: Volume) -> list[CostLine]:
    """A wire, a transfer out, a month of subscription: `event.item` names its price. Conditions are never assumed."""
    rule = tariff.rule(event.item, tariff.day(event))
    if rule is None:
        return [_unknown(event.item, "no price found", tariff.plan)]
    if rule.model is None:
        return [_unknown(event.item, rule.reason, tariff.plan, rule)]
    line = _apply(rule, event, volume)
    if rule.condition and line.high:
        line = line._replace(counted=False, why=f"only for: {rule.condition}")
    return [line]


def settled(days: dict[tuple[str, date, str], tuple[Decimal, Rule]]) -> list[CostLine]:
    """What rounding up adds where a plan adds a fee up per account and day: one line per account, day and fee."""
    lines = []
    for (_, day, fee), (amount, rule) in sorted(days.items(), key=lambda entry: entry[0]):
        more = rounding.up(amount) - amount
        steps = ("{0} of {1} rounded up: {2} added", amount, day.isoformat(), more)
        lines.append(CostLine(fee, more, more, rule, steps))
    return lines


def cost_of_day(tariff: Tariff, events: Iterable[Event]) -> list[CostLine]:
    """The lines of some events, each without earlier volume, and what daily rounding adds to them."""
    lines = []
    days: dict[tuple[str, date, str], Decimal] = defaultdict(Decimal)
    rules: dict[tuple[str, date, str], Rule] = {}
    for event in events:
        for line in cost(tariff, event):
            lines.append(line)
            if line.daily and line.low is not None:
                key = (event.account, event.on, line.daily)
                days[key] += line.low
                rules[key] = line.rule
    return lines + settled({key: (amount, rules[key]) for key, amount in days.items()})


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of the counted lines, exact; `missing` names what is not known, `beside` what is not in the sum."""

    low: Decimal
    high: Decimal
    missing: tuple[CostLine, ...]
    beside: tuple[CostLine, ...]

    @property
    def is_exact(self) -> bool:
        return self.low == self.high and not self.missing


def total(lines: Iterable[CostLine]) -> Total:
    lines = list(lines)
    counted = [line for line in lines if line.counted and line.low is not None]
    return Total(
        low=sum((line.low for line in counted if line.low is not None), ZERO),
        high=sum((line.high for line in counted if line.high is not None), ZERO),
        missing=tuple(line for line in lines if line.low is None),
        beside=tuple(line for line in lines if not line.counted and line.low is not None),
    )
