"""Trades of a statement: executions, bookings of options, exchanges of currency, purchases the exchange took back."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from connections.sandbox.book import ZERO, Event, Nature, Status
from connections.sandbox.ibkr.contracts import conid, exchange_of
from connections.sandbox.ibkr.sheet import Result, Row, Sheet, contract, day, instant, text

TRADES = (Nature.ORDER_BUY, Nature.ORDER_SELL)
BOOKED = {Nature.EXERCISE: "Ex", Nature.ASSIGNMENT: "A", Nature.EXPIRATION: "Ep"}
ENDINGS = {Nature.EXERCISE: "Exercise", Nature.ASSIGNMENT: "Assignment", Nature.EXPIRATION: "Expiration"}
DELIVERED = {Nature.DELIVERY_BUY: "Buy", Nature.DELIVERY_SELL: "Sell"}
SUMMED = ("quantity", "tradeMoney", "proceeds", "taxes", "ibCommission", "netCash", "cost", "fifoPnlRealized")
CANCELLED_AFTER = timedelta(hours=8)


def executions(sheet: Sheet) -> list[Row]:
    rows = []
    for event in sheet.events:
        if event.nature in TRADES or event.nature in BOOKED or event.nature in DELIVERED:
            rows.append(_trade(sheet, event))
            if event.status is Status.INVALID:
                rows.append(_cancellation(rows[-1], event))
        elif event.nature is Nature.EXCHANGE:
            rows.append(_exchange(sheet, event))
    return rows


def exec_id(event: Event) -> str:
    """Only what an exchange executed has one."""
    return f"{event.id & 0xFFFFFFFF:08x}.{int(event.at.timestamp()):08x}.01.01"


def trade_id(event: Event) -> str:
    return str(event.id % 10_000_000_000)


def _trade(sheet: Sheet, event: Event) -> Row:
    instrument, result = sheet.market.known(event.symbol or ""), sheet.results.get(event.id)
    fees = dict(event.fees)
    commission, taxes = fees.get("COMMISSION", ZERO), fees.get("TAX", ZERO)
    proceeds = event.cash + event.fee_total
    is_order = event.nature in TRADES
    row = {
        **sheet.common(event.currency, event.traded_on),
        **contract(instrument),
        **_identity(event),
        **_times(event),
        "transactionType": "ExchTrade" if is_order else "BookTrade",
        "exchange": exchange_of(instrument) if is_order else "--",
        "buySell": "BUY" if event.quantity > 0 else "SELL",
        "openCloseIndicator": _effect(result),
        "quantity": text(event.quantity),
        "tradePrice": text(event.price or ZERO),
        "tradeMoney": text(-proceeds),
        "proceeds": text(proceeds),
        "taxes": text(-taxes),
        "ibCommission": text(-commission),
        "ibCommissionCurrency": event.currency,
        "netCash": text(event.cash),
        "cost": text(result.cost if result else ZERO),
        "fifoPnlRealized": text(result.gain if result else ZERO),
        "notes": _notes(sheet, event),
        "orderType": "LMT" if is_order else "",
        "levelOfDetail": "EXECUTION",
        "accruedInt": "0",
    }
    if not is_order:
        row |= {"ibExecID": "", "ibOrderID": ""}
    return row | _correction(event) if event.of is not None else row


def _correction(event: Event) -> Row:
    """It names the trade whose place it takes, which stays in the statement. The shape is unverified."""
    return {
        "transactionType": "TradeCorrect",
        "origTradeID": str((event.of or 0) % 10_000_000_000),
        "origTransactionID": str(event.of),
        "notes": "Co",
    }


def _effect(result: Result | None) -> str:
    if result is None:
        return ""
    return "C" if result.closes else "O"


def _identity(event: Event) -> Row:
    return {
        "tradeID": trade_id(event),
        "transactionID": str(event.id),
        "ibOrderID": str(event.order or ""),
        "ibExecID": exec_id(event),
        "relatedTradeID": "",
        "origTradeID": "",
        "origTransactionID": "0",
    }


def _times(event: Event) -> Row:
    return {
        "reportDate": day(event.traded_on),
        "tradeDate": day(event.traded_on),
        "dateTime": instant(event.at),
        "settleDateTarget": day(event.settled_on),
    }


def _notes(sheet: Sheet, event: Event) -> str:
    """Why a booking was made; executions of one order are partial ones."""
    if event.nature in BOOKED:
        return BOOKED[event.nature]
    if event.nature in DELIVERED:
        together = [other for other in sheet.account.events if other.at == event.at and other.nature in BOOKED]
        return next((BOOKED[other.nature] for other in together), "")
    if event.order and sum(1 for other in sheet.account.events if other.order == event.order) > 1:
        return "P"
    return ""


def _cancellation(row: Row, event: Event) -> Row:
    """The execution once more with every sign turned; it names the row it takes back."""
    turned = {name: text(-Decimal(row[name])) for name in SUMMED}
    return row | turned | {
        "transactionID": str(event.id + 1),
        "tradeID": "",
        "ibExecID": "",
        "origTradeID": row["tradeID"],
        "origTransactionID": row["transactionID"],
        "transactionType": "TradeCancel",
        "buySell": f"{row['buySell']} (Ca.)",
        "dateTime": instant(event.at + CANCELLED_AFTER),
        "notes": "Ca",
    }  # fmt: skip


def _exchange(sheet: Sheet, event: Event) -> Row:
    """`quantity` in the pair's first currency, `proceeds` in its second; the commission in the base."""
    return {
        **sheet.common(event.currency, event.traded_on),
        **contract(None),
        **_identity(event),
        **_times(event),
        "assetCategory": "CASH",
        "symbol": event.symbol or "",
        "description": event.symbol or "",
        "conid": str(conid(event.symbol or "")),
        "multiplier": "1",
        "ibExecID": "",
        "ibOrderID": str(event.id - 1),
        "transactionType": "ExchTrade",
        "exchange": "IDEALFX",
        "buySell": "BUY" if event.quantity > 0 else "SELL",
        "openCloseIndicator": "",
        "quantity": text(event.quantity),
        "tradePrice": text(event.price or ZERO),
        "tradeMoney": text(-event.cash),
        "proceeds": text(event.cash),
        "taxes": "0",
        "ibCommission": text(-event.fee_total),
        "ibCommissionCurrency": event.fee_currency or event.currency,
        "netCash": "0",
        "cost": "0",
        "fifoPnlRealized": "0",
        "notes": event.note,
        "orderType": "MKT",
        "levelOfDetail": "EXECUTION",
        "accruedInt": "0",
    }


def summaries(rows: list[Row]) -> Iterator[tuple[str, Row]]:
    """The other levels of detail over the same executions: per order, per symbol, per kind of asset."""
    for tag, level, keys in (
        ("Order", "ORDER", ("ibOrderID", "symbol", "currency", "buySell")),
        ("SymbolSummary", "SYMBOL_SUMMARY", ("symbol", "currency")),
        ("AssetSummary", "ASSET_SUMMARY", ("assetCategory", "currency")),
    ):
        groups: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows:
            groups[tuple(row[key] for key in keys)].append(row)
        for group in groups.values():
            yield tag, _summed(group, level)


def _summed(group: list[Row], level: str) -> Row:
    """What differs inside the group is left empty, dates say MULTI."""
    first = group[0]
    row = {name: value if all(other[name] == value for other in group) else "" for name, value in first.items()}
    for name in ("tradeDate", "reportDate", "settleDateTarget", "dateTime"):
        row[name] = row[name] or "MULTI"
    totals = {name: text(sum((Decimal(other[name]) for other in group), ZERO)) for name in SUMMED}
    blank = dict.fromkeys(("tradeID", "transactionID", "ibExecID", "origTradeID"), "")
    return row | totals | blank | {"levelOfDetail": level, "openCloseIndicator": row["openCloseIndicator"]}


def option_events(sheet: Sheet) -> list[Row]:
    """The same endings once more, with the shares that came or went; nothing here has an id of its own."""
    rows = []
    for event in sheet.events:
        word = ENDINGS.get(event.nature) or DELIVERED.get(event.nature)
        if word is None:
            continue
        result = sheet.results.get(event.id)
        rows.append({
            **sheet.common(event.currency, event.traded_on),
            **contract(sheet.instrument_of(event)),
            "transactionType": word,
            "date": day(event.traded_on),
            "quantity": text(event.quantity),
            "tradePrice": f"{event.price or ZERO:,.2f}",
            "markPrice": "0",
            "proceeds": f"{event.cash:,.2f}",
            "commisionsAndTax": "0",
            "realizedPnl": text(result.gain if result else ZERO),
            "tradeID": trade_id(event),
        })  # fmt: skip
    return rows
