"""An event of the book as a row of Schwab's transactions."""

from typing import Any

from connections.sandbox.book import ZERO, Account, Event, Nature, Status
from connections.sandbox.market import AssetClass, Instrument, Market
from connections.sandbox.schwab.instruments import in_transaction, instant, midnight, stable_number

TYPES = {
    Nature.ORDER_BUY: "TRADE",
    Nature.ORDER_SELL: "TRADE",
    Nature.REINVESTMENT: "TRADE",
    Nature.DELIVERY_BUY: "TRADE",
    Nature.DELIVERY_SELL: "TRADE",
    Nature.DIVIDEND: "DIVIDEND_OR_INTEREST",
    Nature.BANK_INTEREST: "DIVIDEND_OR_INTEREST",
    Nature.MARGIN_INTEREST: "DIVIDEND_OR_INTEREST",
    Nature.BOND_INTEREST: "DIVIDEND_OR_INTEREST",
    Nature.RECEIPT_FEE: "JOURNAL",
    Nature.SERVICE_FEE: "JOURNAL",
    Nature.WITHHOLDING: "JOURNAL",
    Nature.ACH_IN: "ACH_RECEIPT",
    Nature.ACH_OUT: "ACH_DISBURSEMENT",
    Nature.WIRE_IN: "WIRE_IN",
    Nature.WIRE_OUT: "WIRE_OUT",
    Nature.CHECK_IN: "CASH_RECEIPT",
    Nature.ELECTRONIC_IN: "ELECTRONIC_FUND",
    Nature.JOURNAL_IN: "JOURNAL",
    Nature.JOURNAL_OUT: "JOURNAL",
    Nature.SHARES_IN: "RECEIVE_AND_DELIVER",
    Nature.SHARES_OUT: "RECEIVE_AND_DELIVER",
    Nature.SHARES_JOURNAL_IN: "JOURNAL",
    Nature.SHARES_JOURNAL_OUT: "JOURNAL",
    Nature.SPLIT: "RECEIVE_AND_DELIVER",
    Nature.EXERCISE: "RECEIVE_AND_DELIVER",
    Nature.ASSIGNMENT: "RECEIVE_AND_DELIVER",
    Nature.EXPIRATION: "RECEIVE_AND_DELIVER",
}
ALL_TYPES = frozenset(TYPES.values()) | {
    "CASH_DISBURSEMENT", "MEMORANDUM", "MARGIN_CALL", "MONEY_MARKET", "SMA_ADJUSTMENT",
}  # fmt: skip
FIXED_TEXTS = {
    Nature.REINVESTMENT: "Dividend Reinvest",
    Nature.SERVICE_FEE: "SERVICE FEE",
    Nature.ACH_IN: "MoneyLink Deposit",
    Nature.ACH_OUT: "MoneyLink Transfer",
    Nature.WIRE_IN: "Wired Funds Received",
    Nature.WIRE_OUT: "Wired Funds Disbursed",
    Nature.CHECK_IN: "Check Received",
    Nature.ELECTRONIC_IN: "ACH Credit Received",
}
STATUSES = {Status.POSTED: "VALID", Status.PENDING: "PENDING", Status.INVALID: "INVALID"}
REMOVALS = {
    Nature.EXPIRATION: "Expiration",
    Nature.ASSIGNMENT: "Assignment",
    Nature.EXERCISE: "Exercise",
}
DELIVERIES = {Nature.DELIVERY_BUY, Nature.DELIVERY_SELL}
ORDERS = {Nature.ORDER_BUY, Nature.ORDER_SELL}
DOLLAR = {
    "assetType": "CURRENCY",
    "status": "ACTIVE",
    "symbol": "CURRENCY_USD",
    "description": "USD currency",
    "instrumentId": 1,
    "closingPrice": ZERO,
}


def type_of(event: Event) -> str:
    if event.nature is Nature.MEMORANDUM:
        return "SMA_ADJUSTMENT" if event.memo else "MEMORANDUM"
    return TYPES[event.nature]


def row(event: Event, account: Account, market: Market) -> dict[str, Any]:
    """One transaction; keys without a value are left out, as Schwab does."""
    is_order = event.nature in ORDERS
    text = describe(event, account, market)
    facts: dict[str, Any] = {"activityId": event.id, "time": instant(event.at)}
    if text:
        facts["description"] = text
    facts |= {
        "accountNumber": account.number,
        "type": type_of(event),
        "status": STATUSES[event.status],
        "subAccount": _sub_account(event, account),
        "tradeDate": instant(event.at) if is_order else midnight(event.traded_on),
    }
    if not is_order:  # an executed order does not say when it settles
        facts["settlementDate"] = midnight(event.settled_on)
    if event.symbol and event.quantity:
        facts["positionId"] = stable_number(f"{account.number}:{event.symbol}", 2_800_000_000)
    if event.order:
        facts["orderId"] = event.order
    facts["netAmount"] = event.memo or event.cash
    facts["transferItems"] = _items(event, market)
    return facts


def _items(event: Event, market: Market) -> list[dict[str, Any]]:
    """Fee lines first, the asset last; a row that moves only cash has one dollar line, which is not a fee."""
    if not event.symbol or not event.quantity:
        amount = event.memo or event.cash
        return [{"instrument": DOLLAR, "amount": amount, "cost": ZERO, "price": ZERO}]
    instrument = market.known(event.symbol)
    fees = [
        {"instrument": DOLLAR, "amount": amount, "cost": -amount, "feeType": fee_type}
        for fee_type, amount in event.fees
    ]
    asset = {
        "instrument": in_transaction(instrument, market.price(event.symbol, event.traded_on)),
        "amount": event.quantity,
        "cost": event.cash + event.fee_total,
        "price": event.price or ZERO,
    }
    if event.nature in ORDERS:
        asset["positionEffect"] = "CLOSING" if event.closing else "OPENING"
    return [*fees, asset]


def _sub_account(event: Event, account: Account) -> str:
    if not account.margin:
        return "CASH"
    is_income = event.nature in (Nature.DIVIDEND, Nature.BANK_INTEREST, Nature.BOND_INTEREST)
    return "CASH" if is_income else "MARGIN"


def describe(event: Event, account: Account, market: Market) -> str:
    """Schwab's text for the row; empty for executed orders and deliveries."""
    if event.nature in ORDERS | DELIVERIES:
        return ""
    if text := FIXED_TEXTS.get(event.nature):
        return text
    instrument = market.instrument(event.symbol) if event.symbol else None
    return _text_with_instrument(event, account, instrument) if instrument else _text_of_cash(event, account)


def _text_with_instrument(event: Event, account: Account, instrument: Instrument) -> str:
    """Accounts that came from TD Ameritrade say `~SYMBOL`; native ones only name the security."""
    match event.nature:
        case Nature.DIVIDEND if account.plain_names:
            return instrument.name.upper()
        case Nature.DIVIDEND:
            shade = "Qualified" if instrument.asset_class is AssetClass.STOCK else "Ordinary"
            return f"{shade} Dividend~{instrument.symbol}"
        case Nature.WITHHOLDING:
            return f"W-8 Withholding~{instrument.symbol}"
        case Nature.RECEIPT_FEE:
            return f"ADR MGMT FEE~{instrument.symbol}"
        case Nature.SPLIT:
            return f"{instrument.name.upper()}FORWARD SPLIT EFF: {event.traded_on:%m/%d/%y}"
        case Nature.SHARES_IN:
            return f"ACAT RECEIVED {instrument.name.upper()}"
        case Nature.SHARES_OUT:
            return f"ACAT DELIVERED {instrument.name.upper()}"
        case Nature.SHARES_JOURNAL_IN | Nature.SHARES_JOURNAL_OUT:
            return f"JOURNALED SHARES {instrument.name.upper()}"
    return _removal(event, instrument)


def _removal(event: Event, option: Instrument) -> str:
    terms = option.terms
    company = option.name.split(f" {terms.expires_on:%m/%d/%Y}")[0]
    contract = f"{terms.right} {company} ${terms.strike.normalize():f} EXP {terms.expires_on:%m/%d/%y}"
    return f"Removed due to {REMOVALS[event.nature]} {contract}"


def _text_of_cash(event: Event, account: Account) -> str:
    match event.nature:
        case Nature.BANK_INTEREST:
            return f"{'BANK' if account.margin else 'SCHWAB1'} INT {event.note}"
        case Nature.MARGIN_INTEREST:
            return f"MARGIN INTEREST {event.note}"
        case Nature.BOND_INTEREST:
            return f"BOND INTEREST {event.note}"
        case Nature.JOURNAL_IN:
            return f"JOURNAL FRM ...{event.note[-3:]}"
        case Nature.JOURNAL_OUT:
            return f"JOURNAL TO ...{event.note[-3:]}"
    return "SMA ADJUSTMENT" if event.memo else event.note
