"""Prices and features in plain words: what a cell says before anybody opens it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from comparison.terms import DatedRate, Rule, plain


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the fee matrix. `needs`: which number of the calculator its amount depends on."""

    key: str
    label: str
    unit: str
    needs: str = ""


GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    (
        "Trading",
        (
            Item("us_stock_trade", "US stocks and ETFs", "an order", "shares"),
            Item("fractional_share_trade", "Fractions of a share only", "an order", "fraction"),
            Item("low_priced_stock_trade", "Stocks at a low price", "an order", "shares"),
            Item("otc_stock_trade", "OTC stocks", "an order", "shares"),
            Item("extended_hours_trade", "Outside of market hours", "an order", "shares"),
            Item("mutual_fund_tf_purchase", "Mutual funds with a transaction fee", "a purchase", "notional"),
            Item("mutual_fund_short_term_redemption", "Mutual funds sold early", "a sale", "notional"),
            Item("bond_secondary", "Bonds already issued", "a trade", "bond"),
            Item("treasury_auction", "Treasuries at auction", "an order", "bond"),
            Item("crypto_trade", "Crypto", "a trade", "notional"),
            Item("futures_contract", "Futures", "a contract", "contracts"),
            Item("broker_assisted_trade", "Order by telephone", "an order", "event"),
            Item("phone_automated_trade", "Order by automated telephone", "an order", "event"),
        ),
    ),
    (
        "Options",
        (
            Item("us_option_contract", "Options on stocks and ETFs", "a contract", "contracts"),
            Item("index_option_contract", "Options on an index", "a contract", "contracts"),
            Item("option_exercise_assignment", "Exercise and assignment", "an event", "event"),
            Item("professional_option_contract", "Options of professional customers", "a contract", "contracts"),
        ),
    ),
    (
        "Margin and cash",
        (
            Item("margin_interest", "Margin loan", "a year", "margin"),
            Item("margin_interest_allowance", "Margin free of interest", "USD", ""),
            Item("cash_interest", "Interest on idle cash", "a year", "cash"),
        ),
    ),
    (
        "Currency",
        (Item("fx_conversion", "Currency exchange", "a conversion", "converted"),),
    ),
    (
        "Moving money",
        (
            Item("acats_out_full", "Transfer of the whole account", "a transfer", "event"),
            Item("acats_out_partial", "Transfer of some positions", "a transfer", "event"),
            Item("wire_out_domestic", "Wire within the US", "a wire", "event"),
            Item("wire_out_international", "Wire abroad", "a wire", "event"),
            Item("ach_withdrawal", "ACH withdrawal", "a withdrawal", "event"),
            Item("check_withdrawal", "Withdrawal by check", "a withdrawal", "event"),
            Item("instant_withdrawal", "Instant withdrawal", "a withdrawal", "converted"),
            Item("ach_return", "Returned ACH", "an event", "event"),
        ),
    ),
    (
        "Account",
        (
            Item("subscription", "Subscription", "a month", "event"),
            Item("annual_account_fee", "Account fee", "a year", "event"),
            Item("account_inactivity", "Inactivity", "a month", "event"),
            Item("ira_closeout", "Closing an IRA", "an event", "event"),
            Item("paper_statement", "Paper statements", "a month", "event"),
            Item("adr_custody", "Custody of ADRs", "a share and year", "shares"),
        ),
    ),
    (
        "Regulatory and clearing, handed on",
        (
            Item("orf_occ_blended", "Options regulation and clearing, house rate", "a contract", "contracts"),
            Item("orf_blended", "Options regulatory fee, house rate", "a contract", "contracts"),
            Item("option_clearing", "Options clearing, house rate", "a contract", "contracts"),
            Item("occ_pass_through", "OCC clearing, handed on", "a contract", "contracts"),
            Item("clearing_nscc_dtc", "Stock clearing (NSCC, DTC)", "a share", "shares"),
            Item("pass_through_nyse", "NYSE fee on the commission", "of commission", ""),
            Item("pass_through_finra", "FINRA fee on the commission", "of commission", ""),
            Item("exchange_fee_remove", "Exchange fee or rebate", "a share", "shares"),
            Item("activity_assessment", "Activity assessment (own name)", "a sale", "notional"),
            Item("sell_transaction_fee", "Sale transaction fee (own name)", "a sale", "notional"),
        ),
    ),
)
LINES = {
    "sec_section_31": "SEC Section 31 fee",
    "finra_taf_equity": "FINRA trading activity fee",
    "finra_taf_option": "FINRA trading activity fee, options",
    "cat_equity": "Consolidated audit trail",
    "cat_option": "Consolidated audit trail, options",
    "orf_venue": "Options regulatory fee",
    "orf_estimate": "Options regulatory fee",
    "occ_clearing": "OCC clearing",
    "index_exchange_fee": "Exchange fee on index options",
    "mutual_fund_redemption": "Mutual fund sale",
}
LINES |= {item.key: item.label for _, items in GROUPS for item in items}


def label_of(item: str) -> str:
    return LINES.get(item, item.replace("_", " ").capitalize())


def money(value: Decimal) -> str:
    """0.65, 5.00, 0.0035: at least cents, no trailing zeros beyond."""
    text = plain(value)
    whole, _, cents = text.partition(".")
    return f"{int(whole):,}.{cents:0<2}"


def _bounds(values: Mapping[str, Any]) -> str:
    parts = []
    if values.get("min"):
        parts.append(f"min {money(values['min'])}")
    if values.get("max_pct_of_trade"):
        parts.append(f"max {plain(values['max_pct_of_trade'])}% of the trade")
    elif values.get("max"):
        parts.append(f"max {money(values['max'])}")
    if values.get("max_per_leg"):
        parts.append(f"max {money(values['max_per_leg'])} a leg")
    return "".join(f", {part}" for part in parts)


def _per(unit: str) -> Callable[[Mapping[str, Any]], str]:
    def said(values: Mapping[str, Any]) -> str:
        rate = values["rate"]
        upto = "up to " if values.get("rate_is_maximum") else ""
        return f"{upto}{money(rate)} {unit}{_bounds(values)}" if rate else f"free{_bounds(values)}"

    return said


def _percent(values: Mapping[str, Any]) -> str:
    if values.get("rate_pct") is None:
        rates = sorted(tier["rate_pct"] for tier in values["tiers"])
        return f"{plain(rates[0])} to {plain(rates[-1])}% by size"
    upto = "up to " if values.get("rate_is_maximum") else ""
    return f"{upto}{plain(values['rate_pct'])}%{_bounds(values)}"


def _from_to(tiers: Any, name: str, unit: str, bounds: str) -> str:
    rates = [tier[name] for tier in tiers]
    said = money(rates[0]) if len(set(rates)) == 1 else f"{money(rates[0])} to {money(rates[-1])}"
    return f"{said} {unit}{bounds}"


def _option_tiers(values: Mapping[str, Any]) -> str:
    rates = [band["rate"] for tier in values["tiers"] for band in tier["by_premium"]]
    return f"{money(min(rates))} to {money(max(rates))} a contract{_bounds(values)}"


def _margin(values: Mapping[str, Any]) -> str:
    if not values.get("tiers"):
        low, high = values["range_pct"]
        return f"{plain(low)} to {plain(high)}%"
    if values.get("rate_at_as_of"):
        return f"{plain(values['rate_at_as_of'])}% at the first tier"
    rates = [
        values["base_rate"] + tier["spread_bps"] / 100 if "base_rate" in values else tier.get("rate_pct")
        for tier in values["tiers"]
        if tier.get("rate_pct") is not None or ("base_rate" in values and tier.get("spread_bps") is not None)
    ]
    return f"{plain(max(rates))}%" if len(set(rates)) == 1 else f"{plain(min(rates))} to {plain(max(rates))}%"


def _open_close(values: Mapping[str, Any]) -> str:
    close = money(values["rate_close"]) if values["rate_close"] else "free"
    return f"{money(values['rate_open'])} to open, {close} to close{_bounds(values)}"


def _fx_tiers(values: Mapping[str, Any]) -> str:
    first = values["tiers"][0]
    return f"{plain(first['rate_bps'])} bp, min {money(first['min'])}"


def _bps(values: Mapping[str, Any]) -> str:
    return f"{plain(values['rate_bps'])} bp{_bounds(values)}"


def _range(unit: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda values: f"{money(values['range'][0])} to {money(values['range'][1])} {unit}"


def _spread_over(values: Mapping[str, Any]) -> str:
    points = values["spread_bps"] / 100
    sign = "+" if points >= 0 else "\N{MINUS SIGN}"
    return f"benchmark {sign} {plain(abs(points))}%"


WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "flat_per_order": _per("an order"),
    "flat_per_event": _per("each"),
    "flat_per_month": _per("a month"),
    "flat_per_year": _per("a year"),
    "flat_after_free_per_month": lambda v: f"{money(v['rate'])} after {plain(v['free_per_month'])} free a month",
    "per_share": _per("a share"),
    "per_share_volume_tiered": lambda v: _from_to(v["tiers"], "rate", "a share", _bounds(v)),
    "per_contract": _per("a contract"),
    "per_contract_volume_and_premium": _option_tiers,
    "per_contract_open_close": _open_close,
    "per_contract_plus_exchange": lambda v: f"{_per('a contract')(v)} + exchange",
    "per_bond": _per("a bond"),
    "pct_of_notional": _percent,
    "pct_of_notional_min": _percent,
    "pct_of_notional_capped": _percent,
    "pct_of_notional_tiered": _percent,
    "bps_of_notional": _bps,
    "bps_of_notional_tiered": _fx_tiers,
    "tiered_bps_of_face": lambda v: f"{_bps(v)} of face value",
    "pct_of_commission": lambda v: f"{plain(v['factor'] * 100)}% of the commission",
    "spread": lambda v: f"in the price, about {_percent(v)}",
    "base_plus_per_share": lambda v: f"{money(v['base'])} + {money(v['rate'])} a share{_bounds(v)}",
    "range_per_thousand_of_sale": _range("per 1,000 sold"),
    "range_per_share_year": _range("a share and year"),
    "margin_spread_over_benchmark": _margin,
    "margin_spread_over_broker_base": _margin,
    "margin_rate_by_balance": _margin,
    "interest_free_amount": lambda v: f"first {money(v['amount'])}",
    "apy": lambda v: f"{plain(v['rate_pct'])}%",
    "rate_over_benchmark": _spread_over,
}


def headline(rule: Rule) -> str:
    """A price in a few words; for what is unknown, that it is, or that it is not offered."""
    if rule.model is None:
        return "unknown" if rule.is_offered else "not offered"
    return WORDS[rule.model](rule.values)


def dated(row: DatedRate) -> str:
    """A regulatory rate in words."""
    side = " on sales" if row.side == "sell" else ""
    if row.low is not None and row.high is not None:
        return f"{plain(row.low)} to {plain(row.high)} a contract, by venue{side}"
    if row.rate is None or not row.rate:
        return f"nothing{side}"
    if row.model == "per_million_notional":
        return f"{money(row.rate)} per million USD{side}"
    most = f", at most {money(row.maximum)} a trade" if row.maximum else ""
    return f"{plain(row.rate)} a {'share' if row.model == 'per_share' else 'contract'}{side}{most}"


# Which name of a tier is its limit, and what its rates are called.
_LIMITS = (
    ("up_to", "Balance up to"),
    ("up_to_shares_month", "Shares a month up to"),
    ("up_to_contracts_month", "Contracts a month up to"),
    ("up_to_month_usd", "USD a month up to"),
    ("min_trades_quarter", "From trades a quarter"),
)


def tiers(rule: Rule) -> tuple[str, list[tuple[str, str]]]:
    """The small table of a tiered price: what it depends on, and its rows of limit and rate. Empty when flat."""
    found = rule.values.get("tiers") or ()
    rows, head = [], ""
    for tier in found:
        name, head = next((entry for entry in _LIMITS if entry[0] in tier), ("", head))
        limit = "above" if tier[name] is None else f"{plain(tier[name])}" if name else ""
        rows.append((f"{int(Decimal(limit)):,}" if limit[:1].isdigit() else limit, _rate(rule, tier)))
    return head, rows


def _rate(rule: Rule, tier: Mapping[str, Any]) -> str:
    if "by_premium" in tier:
        bands = tier["by_premium"]
        return "; ".join(
            f"{money(band['rate'])}" + (f" below {plain(band['premium_lt'])}" if band["premium_lt"] is not None else "")
            for band in bands
        )
    if tier.get("rate_pct") is not None:
        return f"{plain(tier['rate_pct'])}%"
    if tier.get("rate_bps") is not None:
        return f"{plain(tier['rate_bps'])} bp, min {money(tier['min'])}"
    if "rate" in tier and tier["rate"] is not None:
        return money(tier["rate"])
    spread = tier.get("spread_bps")
    if spread is None:
        return "not published"
    if "base_rate" in rule.values:
        return f"{plain(rule.values['base_rate'] + spread / 100)}%"
    return f"benchmark + {plain(spread / 100)}%"
