"""What Schwab's rows mean: its words and signs into the hub's records. Pure; no request, no database.

Signs: `netAmount` is the cash effect; an asset item's `amount` the signed quantity, its `cost` the signed cash before
fees; a currency item with a cost is a fee line. `positionEffect` is not to be trusted for the side.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from connections.brokers.base import UnexpectedReply
from connections.brokers.calls import misread
from connections.brokers.records import (
    AssetClass,
    BalanceRecord,
    InstrumentRecord,
    ParkedRecord,
    PositionRecord,
    RecordStatus,
    TransactionKind,
    TransactionRecord,
)
from connections.brokers.settlement import us_settlement_date

NEW_YORK = ZoneInfo("America/New_York")
ZERO = Decimal(0)
Kind = TransactionKind
Row = Mapping[str, Any]

ASSET_CLASSES = {
    "EQUITY": AssetClass.EQUITY,
    "OPTION": AssetClass.OPTION,
    "MUTUAL_FUND": AssetClass.FUND,
    "FIXED_INCOME": AssetClass.BOND,
    "CASH_EQUIVALENT": AssetClass.MONEY_FUND,
    "COLLECTIVE_INVESTMENT": AssetClass.ETF,
    "FUTURE": AssetClass.FUTURE,
    "FOREX": AssetClass.FOREX,
    "INDEX": AssetClass.OTHER,
    "PRODUCT": AssetClass.OTHER,
}
MULTIPLIERS = {AssetClass.OPTION: Decimal(100), AssetClass.BOND: Decimal(10)}  # a bond: 1,000 face, priced per 100
STATUSES = {
    "VALID": RecordStatus.POSTED,
    "PENDING": RecordStatus.PENDING,
    "UNKNOWN": RecordStatus.PENDING,
    "INVALID": RecordStatus.VOID,
}
CASH_KINDS = {
    "ACH_RECEIPT": Kind.DEPOSIT,
    "CASH_RECEIPT": Kind.DEPOSIT,
    "WIRE_IN": Kind.DEPOSIT,
    "ACH_DISBURSEMENT": Kind.WITHDRAWAL,
    "CASH_DISBURSEMENT": Kind.WITHDRAWAL,
    "WIRE_OUT": Kind.WITHDRAWAL,
    "MONEY_MARKET": Kind.OTHER,
}
MOVES = {"TRADE", "RECEIVE_AND_DELIVER"}
CASHLESS = {"MEMORANDUM", "MARGIN_CALL", "SMA_ADJUSTMENT"}  # the special memorandum account is not cash
INTEREST_STARTS = ("BANK INT ", "SCHWAB1 INT ", "MARGIN INTEREST ", "INTEREST ", "CREDIT INTEREST ", "BOND INTEREST ")
INTEREST_WORDS = ("FREE BALANCE INTEREST", "UST NOTE", "UST BOND")
Names = dict[str, InstrumentRecord]  # by upper-case name
ENDS_AT_NOTHING = {Kind.OPTION_EXPIRATION, Kind.OPTION_ASSIGNMENT, Kind.OPTION_EXERCISE}
TAX_WORDS, FEE_WORDS = re.compile(r"\bTAX(ES)?\b|\bWITHH"), re.compile(r"\bFEES?\b")
CORPORATE_WORDS = ("MERGER", "SPIN-OFF", "SPINOFF", "NAME CHANGE")


class _NotUnderstood(Exception):
    """No rule fits this row; the text says what is odd about it."""


@contextmanager
def understood(part: str) -> Iterator[None]:
    """Turn a missing or misshapen field into UnexpectedReply: a changed schema is ours to mend, never an empty list."""
    try:
        yield
    except (_NotUnderstood, KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        misread()
        raise UnexpectedReply(f"Charles Schwab's {part} came in a form the hub does not know.") from error


def _number(value: Any) -> Decimal:
    """An exact decimal of a JSON number; the transport has parsed fractions as Decimal already."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(f"not a number: {type(value).__name__}")
    return Decimal(value)


def _maybe(row: Row, *keys: str) -> Decimal | None:
    for key in keys:
        if row.get(key) is not None:
            return _number(row[key])
    return None


def _moment(text: str) -> datetime:
    """Raises ValueError, also for a time that does not say its zone."""
    moment = datetime.fromisoformat(text)  # a tenth of what strptime takes, of which each row has three
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


@lru_cache(maxsize=4096)
def _market_date(text: str) -> date:
    return _moment(text).astimezone(NEW_YORK).date()


def instrument(row: Row) -> InstrumentRecord:
    """Schwab's instrument in the hub's words. Raises KeyError or _NotUnderstood."""
    word = row["assetType"]
    if word not in ASSET_CLASSES:
        raise _NotUnderstood(f"unknown kind of instrument {word!r}")
    asset_class = ASSET_CLASSES[word]
    if asset_class is AssetClass.FUND and "MONEY" in row.get("type", ""):
        asset_class = AssetClass.MONEY_FUND
    cusip = row.get("cusip", "")
    symbol = row.get("symbol") or cusip  # old rows lacked the symbol of ETFs
    if not symbol:
        raise _NotUnderstood("the instrument has neither symbol nor CUSIP")
    default = MULTIPLIERS.get(asset_class, Decimal(1))
    return InstrumentRecord(
        asset_class=asset_class,
        symbol=symbol.replace("/", ".") if asset_class is AssetClass.EQUITY else symbol,
        name=row.get("description", ""),
        cusip=cusip if len(cusip) == 9 else "",  # options carry a longer id of Schwab's own there
        underlying=row.get("underlyingSymbol", ""),
        multiplier=_maybe(row, "optionPremiumMultiplier", "optionMultiplier") or default,
    )


def position(row: Row) -> PositionRecord:
    """`averagePrice` is per unit with fees; there is no price field, so it is worked out from the value."""
    thing = instrument(row["instrument"])
    quantity = _number(row["longQuantity"]) - _number(row["shortQuantity"])
    value = _maybe(row, "marketValue")
    return PositionRecord(
        instrument=thing,
        quantity=quantity,
        average_cost=_maybe(row, "averagePrice"),
        price=None if value is None or not quantity else _price_behind(value, quantity * thing.multiplier),
        market_value=value,
        day_change=_maybe(row, "currentDayProfitLoss"),
        currency="USD",
        raw=row,
    )


def _price_behind(value: Decimal, units: Decimal) -> Decimal:
    """The shortest price, of two to six places, that gives `value` when rounded to the cent."""
    exact = value / units
    for places in range(2, 6):
        price = round(exact, places)
        if round(price * units, 2) == value:
            return price
    return round(exact, 6)


def balance(account: Row, aggregated: Row) -> BalanceRecord:
    """Totals with the fallbacks real answers need: some margin accounts lack cash and value in `currentBalances`."""
    current, initial = account.get("currentBalances", {}), account.get("initialBalances", {})
    total = _maybe(current, "liquidationValue")
    if total is None:
        total = _maybe(aggregated, "currentLiquidationValue")
    if total is None:
        total = _maybe(initial, "accountValue")
    cash = _maybe(current, "cashBalance", "totalCash")
    unsettled = _maybe(current, "unsettledCash")
    margin = _maybe(current, "marginBalance")
    return BalanceRecord(
        currency="USD",
        cash=cash,
        settled_cash=None if cash is None or unsettled is None else cash - unsettled,
        market_value=None if total is None or cash is None else total - cash,
        net_asset_value=total,
        buying_power=_maybe(current, "buyingPower", "cashAvailableForTrading"),
        margin_used=None if margin is None else abs(min(margin, ZERO)),
        accrued_interest=_maybe(current, "accruedInterest"),
        raw={"type": account.get("type"), "currentBalances": current, "aggregatedBalance": aggregated},
    )


@dataclass(frozen=True, slots=True)
class _Context:
    """What one row cannot know alone: names of instruments, shares moved at a strike, events in several rows."""

    symbols: Names
    delivered: set[tuple[date, str, Decimal]] = field(default_factory=set)  # (day, symbol, price) of shares moved
    sums: dict[tuple[str, str], Decimal] = field(default_factory=dict)  # (time, symbol) -> quantity of deliveries
    reverse_splits: set[str] = field(default_factory=set)  # times


def _asset_items(row: Row) -> list[Row]:
    return [item for item in row.get("transferItems", []) if item["instrument"]["assetType"] != "CURRENCY"]


def _currency_items(row: Row) -> list[Row]:
    return [item for item in row.get("transferItems", []) if item["instrument"]["assetType"] == "CURRENCY"]


def _context(rows: Iterable[Row], names: Names) -> _Context:
    context = _Context(symbols=names)
    for row in rows:
        for item in _asset_items(row):
            thing = item["instrument"]
            symbol = thing.get("symbol", "")
            if thing.get("description"):
                with suppress(_NotUnderstood):  # its own row says so, and is parked
                    context.symbols[thing["description"].upper()] = instrument(thing)
            if thing["assetType"] != "OPTION" and item.get("price") is not None:
                day = _market_date(row.get("tradeDate") or row["time"])
                context.delivered.add((day, symbol, _number(item["price"])))
            if row["type"] == "RECEIVE_AND_DELIVER":
                key = (row["time"], symbol)
                context.sums[key] = context.sums.get(key, ZERO) + _number(item["amount"])
        if "REVERSE SPLIT EFF" in row.get("description", "").upper():
            context.reverse_splits.add(row["time"])
    return context


def transactions(rows: Sequence[Row], names: Names | None = None) -> Iterator[TransactionRecord | ParkedRecord]:
    """Records of one answer, in its order. A row no rule understands is parked; a missing field is UnexpectedReply.

    `names` holds instruments met before, which a dividend may name in words, and takes up those of this answer.
    """
    with understood("transactions"):
        context = _context((row for row in rows if row.get("type") in MOVES), {} if names is None else names)
        for row in rows:
            try:
                records = list(_transaction(row, context))  # all of its legs, or none
            except _NotUnderstood as odd:
                yield ParkedRecord(external_id=str(row["activityId"]), reason=str(odd), raw=row)
            else:
                yield from records


def _transaction(row: Row, context: _Context) -> Iterator[TransactionRecord]:
    status = STATUSES.get(row.get("status", "VALID"))
    if status is None:
        raise _NotUnderstood(f"unknown status {row['status']!r}")
    items = _asset_items(row)
    net = ZERO if row["type"] in CASHLESS else _number(row["netAmount"])
    fees = -sum((_number(item["cost"]) for item in _currency_items(row)), ZERO)
    common: dict[str, Any] = {
        "traded_on": _market_date(row.get("tradeDate") or row["time"]),
        "settled_on": _market_date(row["settlementDate"]) if row.get("settlementDate") else None,
        "occurred_at": _moment(row["time"]),
        "currency": "USD",
        "description": row.get("description", ""),
        "status": status,
        "raw": row,
    }
    if len(items) > 1:
        yield from _legs(row, items, fees, common, context)
        return
    item = items[0] if items else None
    kind, subtype, mentioned = _kind(row, item, net, context)
    thing = instrument(item["instrument"]) if item else mentioned
    if common["settled_on"] is None and row["type"] == "TRADE" and thing:
        common["settled_on"] = us_settlement_date(common["traded_on"], thing.asset_class)
    yield TransactionRecord(
        external_id=str(row["activityId"]),
        kind=kind,
        subtype=subtype,
        instrument=thing,
        quantity=_number(item["amount"]) if item else None,
        price=_price(item, kind) if item else None,
        gross_amount=_number(item["cost"]) if item else None,
        fees=fees,
        net_amount=net,
        group_id=row["time"] if row["time"] in context.reverse_splits else str(row.get("orderId", "")),
        **common,
    )


def _legs(
    row: Row, items: list[Row], fees: Decimal, common: dict[str, Any], context: _Context
) -> Iterator[TransactionRecord]:
    """Several instruments in one row: a record each, ids with a suffix; fees go with the first leg that has cash.

    `netAmount` stays authoritative: 0 beside costs is a move without money, any other difference is not understood.
    """
    net, total = _number(row["netAmount"]), sum((_number(item["cost"]) for item in items), -fees)
    if net not in (ZERO, total):
        raise _NotUnderstood("its items do not add up to its amount")
    paying = next((index for index, item in enumerate(items) if _number(item["cost"])), 0)
    for index, item in enumerate(items):
        cost = _number(item["cost"])
        leg_fees = fees if index == paying else ZERO
        leg_net = cost - leg_fees if net == total else ZERO
        kind, subtype, _ = _kind(row, item, leg_net, context)
        yield TransactionRecord(
            external_id=f"{row['activityId']}:{index}",
            kind=kind,
            subtype=subtype,
            instrument=instrument(item["instrument"]),
            quantity=_number(item["amount"]),
            price=_price(item, kind),
            gross_amount=cost,
            fees=leg_fees,
            net_amount=leg_net,
            group_id=str(row["activityId"]),
            **common,
        )


def _price(item: Row, kind: Kind) -> Decimal | None:
    """Schwab writes 0.0 on rows that have no price; it is one only where something ended worthless."""
    return _maybe(item, "price") or (ZERO if kind in ENDS_AT_NOTHING else None)


def _kind(row: Row, item: Row | None, net: Decimal, context: _Context) -> tuple[Kind, str, InstrumentRecord | None]:
    """Kind, finer word, and for cash rows the instrument that is only mentioned in the text."""
    word, text = row["type"], row.get("description", "")
    mentioned = _mentioned(text, context)
    if word == "TRADE" and item is not None:
        return *_trade(row, item, net, context), None
    if word == "RECEIVE_AND_DELIVER" and item is not None:
        return *_delivery(row, item, context), None
    if word == "DIVIDEND_OR_INTEREST":
        upper = text.upper()
        if upper.startswith(INTEREST_STARTS) or any(words in upper for words in INTEREST_WORDS):
            return Kind.INTEREST, "margin" if net < 0 else "", mentioned
        return Kind.DIVIDEND, text.partition("~")[0][:40] if "~" in text else "", mentioned
    if word == "JOURNAL":
        return _journal(text, item, net, mentioned)
    if word in CASH_KINDS:
        return CASH_KINDS[word], "", mentioned
    if word == "ELECTRONIC_FUND":
        return (Kind.DEPOSIT if net > 0 else Kind.WITHDRAWAL), "", None
    if word in CASHLESS:
        return Kind.OTHER, word.lower(), None
    raise _NotUnderstood(f"unknown type {word!r}" if word not in {"TRADE", "RECEIVE_AND_DELIVER"} else "no instrument")


def _trade(row: Row, item: Row, net: Decimal, context: _Context) -> tuple[Kind, str]:
    amount, text = _number(item["amount"]), row.get("description", "")
    if not net and "SYSTEM TRANSFER" in text.upper():
        return (Kind.TRANSFER_IN if amount > 0 else Kind.TRANSFER_OUT), "internal"
    event = _option_event(row, item, context)
    if event is not None:
        return event, ""
    if "DIVIDEND REINVEST" in text.upper():
        return Kind.BUY, "reinvest"
    opening = item.get("positionEffect") == "OPENING"
    if amount > 0:
        return Kind.BUY, "cover" if item.get("positionEffect") == "CLOSING" else ""
    return Kind.SELL, "short" if opening else ""


def _option_event(row: Row, item: Row, context: _Context) -> Kind | None:
    """Exercise or assignment: the option closes at 0 on the day its underlying moves at the strike."""
    thing = item["instrument"]
    if thing["assetType"] != "OPTION" or _maybe(item, "price") or "strikePrice" not in thing:
        return None
    day = _market_date(row.get("tradeDate") or row["time"])
    if (day, thing.get("underlyingSymbol", ""), _number(thing["strikePrice"])) not in context.delivered:
        return None
    return Kind.OPTION_ASSIGNMENT if _number(item["amount"]) > 0 else Kind.OPTION_EXERCISE


def _delivery(row: Row, item: Row, context: _Context) -> tuple[Kind, str]:
    amount, text = _number(item["amount"]), row.get("description", "").upper()
    if "EXPIRATION" in text and item["instrument"]["assetType"] == "OPTION":
        return Kind.OPTION_EXPIRATION, ""
    event = _option_event(row, item, context)
    if event is not None:
        return event, ""
    if "FORWARD SPLIT" in text or row["time"] in context.reverse_splits:
        return Kind.SPLIT, "reverse" if row["time"] in context.reverse_splits else ""
    if any(word in text for word in CORPORATE_WORDS):
        return Kind.CORPORATE_ACTION, ""
    if _number(row["netAmount"]):  # paid for: the shares of an exercise or assignment
        return (Kind.BUY if amount > 0 else Kind.SELL), ""
    if not context.sums.get((row["time"], item["instrument"].get("symbol", "")), amount):
        return Kind.OTHER, "internal"  # between the cash and margin sides of one account
    return (Kind.TRANSFER_IN if amount > 0 else Kind.TRANSFER_OUT), "in_kind"


def _journal(
    text: str, item: Row | None, net: Decimal, mentioned: InstrumentRecord | None
) -> tuple[Kind, str, InstrumentRecord | None]:
    upper = text.upper()
    if item is not None:
        return (Kind.TRANSFER_IN if _number(item["amount"]) > 0 else Kind.TRANSFER_OUT), "in_kind", None
    if TAX_WORDS.search(upper):
        return Kind.TAX, "withholding" if "WITHH" in upper else "", mentioned
    if FEE_WORDS.search(upper) or (net < 0 and mentioned is not None and "~" not in text):
        return Kind.FEE, "", mentioned  # native Schwab accounts print only the security's name for an ADR fee
    return (Kind.TRANSFER_IN if net > 0 else Kind.TRANSFER_OUT), "", None


def _mentioned(text: str, context: _Context) -> InstrumentRecord | None:
    """The security a cash row speaks of: after `~`, or by its name; Schwab never gives it in a field."""
    _, tilde, symbol = text.partition("~")
    if tilde and symbol.strip():
        return InstrumentRecord(asset_class=AssetClass.OTHER, symbol=symbol.strip().replace("/", "."))
    return context.symbols.get(text.strip().upper())
