"""What a statement sums up: open positions, cash per currency, daily equity, rates of exchange."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from connections.sandbox.book import ZERO, Event, Nature, Status
from connections.sandbox.ibkr.cash_rows import INTERNAL, TYPES
from connections.sandbox.ibkr.sheet import Row, Sheet, contract, day, text
from connections.sandbox.ibkr.trade_rows import DELIVERED, TRADES
from connections.sandbox.market import CENT
from connections.sandbox.trading_days import ONE_DAY, last_open, open_days
from connections.sandbox.valuation import Valued, valued, worth

FLOWS = (
    "deposits", "withdrawals", "dividends", "withholdingTax", "brokerInterest", "bondInterest", "commissions",
    "transactionTax", "otherFees", "netTradesSales", "netTradesPurchases", "internalTransfers",
)  # fmt: skip
BUCKETS = {
    "Dividends": "dividends",
    "Withholding Tax": "withholdingTax",
    "Broker Interest Received": "brokerInterest",
    "Broker Interest Paid": "brokerInterest",
    "Bond Interest Received": "bondInterest",
    "Other Fees": "otherFees",
}
FOREIGN = ("CHF", "EUR", "GBP", "USD")
Buckets = dict[str, Decimal]


def open_positions(sheet: Sheet, *, lots: bool) -> list[Row]:
    """Per instrument at the last close; with `lots` each purchase once more."""
    on = last_open(sheet.last)
    held = valued(sheet.at_end, sheet.market, on)
    total = worth(sheet.at_end, held, sheet.market, on)
    rows = []
    for one in held:
        rows.append(_position(sheet, one, total))
        if lots:
            rows += [_lot(rows[-1], one, quantity, cost) for quantity, cost, _ in one.holding.lots]
    return rows


def _position(sheet: Sheet, held: Valued, total: Decimal) -> Row:
    instrument, cost = held.instrument, held.holding.average_cost
    money = (held.quantity * cost * instrument.multiplier).quantize(CENT)
    in_base = held.value * sheet.rate(instrument.currency, sheet.last)
    return {
        **sheet.common(instrument.currency, sheet.last),
        **contract(instrument),
        "reportDate": day(sheet.last),
        "position": text(held.quantity),
        "markPrice": text(held.price),
        "positionValue": text(held.value),
        "openPrice": text(cost.quantize(Decimal("0.000001"))),
        "costBasisPrice": text(cost.quantize(Decimal("0.000001"))),
        "costBasisMoney": text(money),
        "percentOfNAV": text((in_base / total * 100).quantize(CENT)) if total else "",
        "fifoPnlUnrealized": text(held.value - money),
        "side": "Long" if held.quantity > 0 else "Short",
        "accruedInt": "",
        "openDateTime": "",
        "holdingPeriodDateTime": "",
        "levelOfDetail": "SUMMARY",
    }


def _lot(row: Row, held: Valued, quantity: Decimal, cost: Decimal) -> Row:
    factor = held.instrument.multiplier
    value, money = (quantity * held.price * factor).quantize(CENT), (quantity * cost * factor).quantize(CENT)
    return row | {
        "position": text(quantity),
        "positionValue": text(value),
        "openPrice": text(cost.quantize(Decimal("0.000001"))),
        "costBasisPrice": text(cost.quantize(Decimal("0.000001"))),
        "costBasisMoney": text(money),
        "fifoPnlUnrealized": text(value - money),
        "percentOfNAV": "",
        "levelOfDetail": "LOT",
    }


# Cash


def cash_report(sheet: Sheet) -> list[Row]:
    """The total first, then each currency: what was there, what moved and why, what is left."""
    started, ended = sheet.at_start.balances, sheet.at_end.balances
    in_base: Buckets = defaultdict(Decimal)
    flows: dict[str, Buckets] = {currency: defaultdict(Decimal) for currency in ended}
    for event in sheet.events:
        if event.status is Status.POSTED:
            for currency, bucket, amount in _flows(event):
                flows[currency][bucket] += amount
                in_base[bucket] += (amount * sheet.rate(currency, event.traded_on)).quantize(CENT)
    start, end = (
        sum(((amount * sheet.rate(currency, on)).quantize(CENT) for currency, amount in balances.items()), ZERO)
        for balances, on in ((started, sheet.first - ONE_DAY), (ended, sheet.last))
    )
    in_base["fxTranslationGainLoss"] = end - start - sum(in_base.values(), ZERO)
    rows = [_cash_row(sheet, "BASE_SUMMARY", "BaseCurrency", start, end, in_base)]
    for currency, buckets in flows.items():
        rows.append(_cash_row(sheet, currency, "Currency", started.get(currency, ZERO), ended[currency], buckets))
    return rows


def _cash_row(sheet: Sheet, currency: str, level: str, start: Decimal, end: Decimal, buckets: Buckets) -> Row:
    return {
        "accountId": sheet.account.number,
        "acctAlias": "",
        "model": "",
        "currency": currency,
        "levelOfDetail": level,
        "fromDate": day(sheet.first),
        "toDate": day(sheet.last),
        "startingCash": text(start),
        "depositWithdrawals": text(buckets.get("deposits", ZERO) + buckets.get("withdrawals", ZERO)),
        **{name: text(buckets.get(name, ZERO)) for name in FLOWS},
        "fxTranslationGainLoss": text(buckets.get("fxTranslationGainLoss", ZERO)),
        "endingCash": text(end),
        "endingSettledCash": text(end),
    }


def _flows(event: Event) -> Iterator[tuple[str, str, Decimal]]:
    """(currency, bucket, amount): together what the event moved in that currency."""
    if event.nature in TRADES or event.nature in DELIVERED:
        for name, paid in event.fees:
            yield event.currency, "commissions" if name == "COMMISSION" else "transactionTax", -paid
        yield event.currency, _side(gross := event.cash + event.fee_total), gross
    elif event.nature is Nature.EXCHANGE:
        yield event.currency, _side(event.cash), event.cash
        (first, sold), (base, commission) = event.other_cash
        yield first, _side(sold), sold
        yield base, "commissions", commission
    elif event.nature in INTERNAL:
        yield event.currency, "internalTransfers", event.cash
    elif event.cash:
        side = "deposits" if event.cash > 0 else "withdrawals"
        yield event.currency, BUCKETS.get(TYPES.get(event.nature, ""), side), event.cash


def _side(amount: Decimal) -> str:
    return "netTradesSales" if amount > 0 else "netTradesPurchases"


# Equity and rates


def daily_equity(sheet: Sheet) -> list[Row]:
    """One row for each trading day of the window, in the base currency."""
    cash = defaultdict(Decimal, sheet.at_start.balances)
    held = defaultdict(Decimal, {name: holding.quantity for name, holding in sheet.at_start.holdings.items()})
    coming = sorted((event for event in sheet.events if event.status is Status.POSTED), key=lambda one: one.traded_on)
    rows, place = [], 0
    for today in open_days(sheet.first, sheet.last):
        while place < len(coming) and coming[place].traded_on <= today:
            for currency, amount in coming[place].cash_moves():
                cash[currency] += amount
            if coming[place].moves_shares:
                held[coming[place].symbol or ""] += coming[place].quantity
            place += 1
        rows.append(_equity(sheet, today, cash, held))
    return rows


def _equity(sheet: Sheet, on: date, cash: dict[str, Decimal], held: dict[str, Decimal]) -> Row:
    parts: Buckets = defaultdict(Decimal)
    for currency, amount in cash.items():
        parts["cash"] += (amount * sheet.rate(currency, on)).quantize(CENT)
    for symbol, quantity in held.items():
        if quantity:
            instrument = sheet.market.known(symbol)
            value = quantity * sheet.market.price(symbol, on) * instrument.multiplier
            in_base = (value * sheet.rate(instrument.currency, on)).quantize(CENT)
            parts["options" if instrument.option else "stock"] += in_base
    nothing = ("bonds", "funds", "commodities", "crypto", "interestAccruals", "dividendAccruals")
    return {
        "accountId": sheet.account.number,
        "acctAlias": "",
        "model": "",
        "currency": sheet.account.currency,
        "reportDate": day(on),
        **{name: text(parts[name]) for name in ("cash", "stock", "options")},
        **dict.fromkeys(nothing, "0"),
        "total": text(sum(parts.values(), ZERO)),
    }


def conversion_rates(sheet: Sheet) -> list[Row]:
    base = sheet.account.currency
    return [
        {"reportDate": day(on), "fromCurrency": currency, "toCurrency": base, "rate": text(sheet.rate(currency, on))}
        for on in open_days(max(sheet.first, sheet.last - timedelta(days=366)), sheet.last)
        for currency in FOREIGN
        if currency != base
    ]
