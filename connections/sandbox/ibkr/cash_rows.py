"""Cash, transfers and corporate actions of a statement."""

import zlib
from collections import defaultdict
from decimal import Decimal

from connections.sandbox.book import Event, Nature, Status
from connections.sandbox.ibkr.contracts import country, isin, ticker
from connections.sandbox.ibkr.sheet import DAILY_ENTRY, Row, Sheet, contract, day, instant, text
from connections.sandbox.market import CENT

TYPES = {
    Nature.DIVIDEND: "Dividends",
    Nature.WITHHOLDING: "Withholding Tax",
    Nature.BANK_INTEREST: "Broker Interest Received",
    Nature.LENDING_INTEREST: "Broker Interest Received",
    Nature.MARGIN_INTEREST: "Broker Interest Paid",
    Nature.BOND_INTEREST: "Bond Interest Received",
    Nature.SERVICE_FEE: "Other Fees",
    Nature.RECEIPT_FEE: "Other Fees",
    **dict.fromkeys((Nature.WIRE_IN, Nature.ACH_IN, Nature.CHECK_IN, Nature.ELECTRONIC_IN), "Deposits/Withdrawals"),
    **dict.fromkeys((Nature.WIRE_OUT, Nature.ACH_OUT), "Deposits/Withdrawals"),
}
INCOME = (Nature.DIVIDEND, Nature.WITHHOLDING)
INTERNAL = (Nature.JOURNAL_IN, Nature.JOURNAL_OUT, Nature.SHARES_JOURNAL_IN, Nature.SHARES_JOURNAL_OUT)
BETWEEN_BROKERS = (Nature.SHARES_IN, Nature.SHARES_OUT)
BROKERS = {
    "schwab": "CHARLES SCHWAB & CO., INC.",
    "robinhood": "ROBINHOOD SECURITIES, LLC",
}


def transactions(sheet: Sheet) -> list[Row]:
    """One row per event; what the broker took back is told twice, the second time with the sign turned."""
    rows = []
    for event in sheet.events:
        if event.nature in TYPES:
            rows.append(_cash(sheet, event))
            if event.status is Status.INVALID:
                back = {"amount": text(-event.cash), "transactionID": str(event.id + 1), "code": "Re"}
                rows.append(rows[-1] | back)
    return rows


def _cash(sheet: Sheet, event: Event) -> Row:
    instrument = sheet.instrument_of(event)
    entered = f"{day(event.traded_on)};{DAILY_ENTRY}" if event.nature in INCOME else day(event.traded_on)
    is_reversal = event.of is not None or (event.nature is Nature.DIVIDEND and event.cash < 0)
    row = sheet.common(event.currency, event.traded_on) | contract(instrument)
    return row | {
        "description": _description(sheet, event),
        "dateTime": entered,
        "settleDate": day(event.settled_on),
        "reportDate": day(event.traded_on),
        "exDate": "",
        "amount": text(event.cash),
        "type": TYPES[event.nature],
        "tradeID": "",
        "code": "Re" if is_reversal else "",
        "transactionID": str(event.id),
        "actionID": action_id(event) if event.nature in INCOME else "",
        "clientReference": "",
        "levelOfDetail": "DETAIL",
    }


def action_id(event: Event) -> str:
    """The same for a dividend and the tax on it."""
    return str(160_000_000 + zlib.crc32(f"{event.symbol}:{event.traded_on}".encode()) % 9_000_000)


def _description(sheet: Sheet, event: Event) -> str:
    instrument, currency = sheet.instrument_of(event), event.currency
    if instrument is not None and event.nature in INCOME:
        per_share = text(sheet.market.dividend(instrument.symbol, event.traded_on))
        paid = f"{ticker(instrument)}({isin(instrument)}) CASH DIVIDEND {currency} {per_share} PER SHARE"
        if event.nature is Nature.WITHHOLDING:
            return f"{paid} - {country(instrument)} TAX"
        return f"{paid}{' - REVERSAL' if event.cash < 0 else ''} (Ordinary Dividend)"
    match event.nature:
        case Nature.BANK_INTEREST:
            return f"{currency} CREDIT INT FOR {event.note}"
        case Nature.MARGIN_INTEREST:
            return f"{currency} DEBIT INT FOR {event.note}"
        case Nature.SERVICE_FEE | Nature.RECEIPT_FEE:
            return event.note or "SERVICE FEE"
    if TYPES[event.nature] == "Deposits/Withdrawals":
        return "CASH RECEIPTS / ELECTRONIC FUND TRANSFERS" if event.cash > 0 else "DISBURSEMENT INITIATED BY CLIENT"
    return event.note


def summaries(rows: list[Row]) -> list[Row]:
    """What the level Summary adds: the same amounts again, per type and currency, without account and id."""
    groups: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        groups[row["type"], row["currency"], row["symbol"]] += Decimal(row["amount"])
    blank = dict.fromkeys(rows[0], "") if rows else {}
    return [
        {**blank, "accountId": "-", "type": type_, "currency": currency, "symbol": symbol, "amount": text(amount),
         "levelOfDetail": "SUMMARY"}
        for (type_, currency, symbol), amount in groups.items()
    ]  # fmt: skip


def transfers(sheet: Sheet) -> list[Row]:
    return [_transfer(sheet, event) for event in sheet.events if event.nature in (*INTERNAL, *BETWEEN_BROKERS)]


def _transfer(sheet: Sheet, event: Event) -> Row:
    """Shares at the day's market value, cash in `cashTransfer`. The counter account is known for own accounts only."""
    is_internal, instrument = event.nature in INTERNAL, sheet.instrument_of(event)
    worth = (event.quantity * (event.basis or Decimal(0))).quantize(CENT)
    incoming = event.quantity > 0 or event.cash > 0
    row = sheet.common(event.currency, event.traded_on) | contract(instrument)
    if instrument is None:
        row |= {"assetCategory": "CASH", "symbol": "--", "description": "CASH TRANSFER", "multiplier": "0"}
    return row | {
        "type": "INTERNAL" if is_internal else "ACATS",
        "direction": "IN" if incoming else "OUT",
        "date": day(event.traded_on),
        "dateTime": instant(event.at),
        "settleDate": day(event.settled_on),
        "reportDate": day(event.traded_on),
        "company": "--",
        "account": event.note if is_internal else "--",
        "accountName": "",
        "deliveringBroker": "" if is_internal else BROKERS.get(event.note, event.note.upper()),
        "quantity": text(event.quantity),
        "transferPrice": "0",
        "positionAmount": text(worth),
        "positionAmountInBase": text((worth * sheet.rate(event.currency, event.traded_on)).quantize(CENT)),
        "cashTransfer": text(event.cash),
        "code": "",
        "transactionID": str(event.id),
        "levelOfDetail": "TRANSFER",
    }


def corporate_actions(sheet: Sheet) -> list[Row]:
    return [_split(sheet, event) for event in sheet.events if event.nature is Nature.SPLIT]


def _split(sheet: Sheet, event: Event) -> Row:
    """One row: the shares that came on top."""
    instrument = sheet.market.known(event.symbol or "")
    name = f"{ticker(instrument)}, {instrument.name.upper()}, {isin(instrument)}"
    told = f"{ticker(instrument)}({isin(instrument)}) SPLIT {event.note} ({name})"
    nothing = dict.fromkeys(("amount", "proceeds", "value", "costBasis", "fifoPnlRealized"), "0")
    return sheet.common(event.currency, event.traded_on) | contract(instrument) | nothing | {
        "type": "FS",
        "description": told,
        "actionDescription": told,
        "reportDate": day(event.traded_on),
        "dateTime": f"{day(event.traded_on)};202500",
        "quantity": text(event.quantity),
        "code": "",
        "transactionID": str(event.id),
        "actionID": action_id(event),
        "levelOfDetail": "DETAIL",
    }  # fmt: skip
