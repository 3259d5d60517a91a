"""What the rows of a Flex statement mean: Interactive Brokers' words and signs into the hub's records. Pure.

Signs: `quantity`, `proceeds`, `netCash`, `amount` and `cashTransfer` are signed as the hub signs; `ibCommission` and
`taxes` are negative when paid. Exchanges of currency have `netCash` 0; of futures and CFDs only the commission is cash.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

from connections.brokers import ibkr_taxes
from connections.brokers.ibkr_instruments import Known, instrument
from connections.brokers.ibkr_statement import IncompleteQuery, Odd, Row, Statement
from connections.brokers.records import (
    AssetClass,
    InstrumentRecord,
    ParkedRecord,
    RecordStatus,
    TransactionKind,
    TransactionRecord,
)

ZERO = Decimal(0)
Kind = TransactionKind
Record = TransactionRecord | ParkedRecord

WITHOUT_PRINCIPAL = {"FUT", "CFD", "FXCFD"}  # their notional value is never paid
OPTION_NOTES = {"Ep": Kind.OPTION_EXPIRATION, "A": Kind.OPTION_ASSIGNMENT, "Ex": Kind.OPTION_EXERCISE}
DELIVERY_NOTES = {"A": "assignment", "Ex": "exercise"}
SIDES = {"BUY": Kind.BUY, "SELL": Kind.SELL, "BUY (Ca.)": Kind.BUY, "SELL (Ca.)": Kind.SELL}
TRADES = {"ExchTrade", "BookTrade", "FracShare", "DvpTrade"}
CANCELS = {"TradeCancel", "FracShareCancel"}
CORRECTS = "TradeCorrect"
CASH = {
    "Dividends": (Kind.DIVIDEND, ""),
    "Payment In Lieu Of Dividends": (Kind.DIVIDEND, "in_lieu"),
    "Withholding Tax": (Kind.TAX, "withholding"),
    "Broker Interest Paid": (Kind.INTEREST, "margin"),
    "Broker Interest Received": (Kind.INTEREST, ""),
    "Bond Interest Paid": (Kind.INTEREST, "bond"),
    "Bond Interest Received": (Kind.INTEREST, "bond"),
    "Other Fees": (Kind.FEE, ""),
    "Advisor Fees": (Kind.FEE, "advisor"),
    "Commission Adjustments": (Kind.FEE, "commission"),
    "Management Fees": (Kind.FEE, "advisor"),
}
MONEY_MOVES = {"Deposits/Withdrawals", "Deposits & Withdrawals", "Deposits", "Withdrawals"}
TRANSFERS = {"INTERNAL", "INTERCOMPANY", "ACATS", "ACAT", "ATON", "FOP", "OTC"}
ACTIONS = {
    "FS": (Kind.SPLIT, ""),
    "FI": (Kind.SPLIT, ""),
    "RS": (Kind.SPLIT, "reverse"),
    "SD": (Kind.CORPORATE_ACTION, "stock_dividend"),
    "SO": (Kind.CORPORATE_ACTION, "spin_off"),
    "TC": (Kind.CORPORATE_ACTION, "merger"),
    "TO": (Kind.CORPORATE_ACTION, "tender"),
    "TI": (Kind.CORPORATE_ACTION, "tender"),
    "IC": (Kind.CORPORATE_ACTION, "issue_change"),
    "CI": (Kind.CORPORATE_ACTION, "conversion"),
    "BC": (Kind.CORPORATE_ACTION, "conversion"),
    "BM": (Kind.SELL, "maturity"),
    "TM": (Kind.SELL, "maturity"),
    "DW": (Kind.SELL, "worthless"),
    **dict.fromkeys(["RI", "DI", "SR", "ED"], (Kind.OTHER, "rights")),
    **dict.fromkeys(["CD", "CH", "HD", "HI"], (Kind.OTHER, "choice_dividend")),
    **dict.fromkeys(["CP", "PV", "GV", "OR", "PI", "FA", "CA", "CC", "CO", "CS", "CT"], (Kind.OTHER, "")),
}
ACTION_TEXTS = (  # queries of old have no `type`
    (re.compile(r"SPLIT (?P<new>\d+) FOR (?P<old>\d+)"), "FS"),
    (re.compile(r"\bTENDERED TO\b"), "TO"),
    (re.compile(r"\bMERGED\("), "TC"),
)
CONFIRMATION = {  # what a trade confirmation calls by another name than an activity statement
    "price": "tradePrice",
    "amount": "tradeMoney",
    "commission": "ibCommission",
    "commissionCurrency": "ibCommissionCurrency",
    "tax": "taxes",
    "settleDate": "settleDateTarget",
    "code": "notes",
    "orderID": "ibOrderID",
    "execID": "ibExecID",
}


def transactions(statement: Statement, known: Known) -> Iterator[Record]:
    """All rows that move money or units, in the statement's order; what no rule understands is parked.

    Raises IncompleteQuery when a section or field is missing.
    """
    for _row, record in told(statement, known):
        yield record


def told(statement: Statement, known: Known) -> Iterator[tuple[Row, Record]]:
    """As `transactions`, each record with the row that tells it; the records of one row follow each other."""
    ids = _Ids()
    trades = statement.rows("Trades")
    executions = [row for row in trades if row.tag == "Trade" and row.told.get("levelOfDetail") in {None, "EXECUTION"}]
    if trades and not executions:
        raise IncompleteQuery("Your Flex query gives no single trades. Tick Execution in its section Trades.")
    yield from _trades(executions, ids)
    for row in statement.details("CashTransactions"):
        yield from _careful(row, ids, lambda row, key: _cash(row, key, known))
    told_as_deposit = {
        _money_moved(row, "amount") for row in statement.details("CashTransactions") if row.maybe("type") in MONEY_MOVES
    }
    for row in statement.details("Transfers"):
        yield from _careful(row, ids, lambda row, key: _transfer(row, key, known, told_as_deposit))
    for row in statement.details("CorporateActions"):
        yield from _careful(row, ids, lambda row, key: _action(row, key, known))
    trade_ids = {row.maybe("tradeID") for row in executions}
    for row in ibkr_taxes.rows(statement, executions):
        yield from _careful(row, ids, lambda row, key: ibkr_taxes.tax(row, key, known, trade_ids))


def confirmations(statement: Statement) -> Iterator[Record]:
    """The executions of a trade confirmation query."""
    rows = [
        replace(row, told={"notes": ""} | {CONFIRMATION.get(name, name): value for name, value in row.told.items()})
        for row in statement.rows("TradeConfirms")
        if row.tag == "TradeConfirm"
    ]
    for _row, record in _trades(rows, _Ids()):
        yield record


class _Ids:
    """What each row is called: its own id, else a digest of all it says, numbered where rows say the same."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def of(self, row: Row) -> str:
        own = row.maybe("transactionID") or row.maybe("ibExecID")
        if own:
            return own
        told = "\x1f".join(f"{name}={value}" for name, value in sorted(row.told.items()))
        digest = hashlib.sha256(f"{row.tag}\x1f{told}".encode()).hexdigest()[:24]
        self._seen[digest] += 1
        return f"x{digest}" if self._seen[digest] == 1 else f"x{digest}:{self._seen[digest]}"


def _careful(
    row: Row, ids: _Ids, reading: Callable[[Row, str], Iterator[TransactionRecord]]
) -> Iterator[tuple[Row, Record]]:
    key = ids.of(row)
    try:
        for record in reading(row, key):
            yield row, record
    except Odd as odd:
        yield row, ParkedRecord(external_id=key, reason=str(odd), raw=row.told)


def _common(row: Row, when: str, settles: str = "") -> dict[str, Any]:
    """`when` is as the row writes it; the time of day, if any, may stand in `dateTime` beside a bare date."""
    return {
        "traded_on": row.dates.day(when),
        "settled_on": row.dates.day(settles) if settles else None,
        "occurred_at": row.dates.moment(row.maybe("dateTime") or when),
        "description": row.maybe("description"),
        "raw": row.told,
    }


def _trades(rows: list[Row], ids: _Ids) -> Iterator[tuple[Row, Record]]:
    """Each execution; a cancelled one and its cancellation are both kept and count nothing."""
    keys = [ids.of(row) for row in rows]
    cancelled = {key: _cancelled_by(row, rows, keys) for key, row in zip(keys, rows, strict=True)}
    void = {original for original in cancelled.values() if original}
    for key, row in zip(keys, rows, strict=True):
        word, original = row.text("transactionType"), cancelled[key]
        try:
            if word not in {*TRADES, *CANCELS, CORRECTS}:
                raise Odd(f"unknown kind of trade {word!r}")
            if word == CORRECTS and not original:
                raise Odd("a correction that does not say which trade it corrects")
            legs = list(_trade(row, key))
        except Odd as odd:
            yield row, ParkedRecord(external_id=key, reason=str(odd), raw=row.told)
            continue
        is_void = key in void or (word in CANCELS and bool(original))
        yield from ((row, replace(leg, status=RecordStatus.VOID) if is_void else leg) for leg in legs)
        if original and original not in keys:  # it stands in an earlier statement
            yield from ((row, _undone(leg, key, original, turned=word in CANCELS)) for leg in legs)


def _cancelled_by(row: Row, rows: list[Row], keys: list[str]) -> str:
    """The id of the trade this row cancels or corrects, "" when it does neither or does not say."""
    if row.maybe("transactionType") not in {*CANCELS, CORRECTS}:
        return ""
    told = row.maybe("origTransactionID")
    if told not in {"", "0"}:
        return told
    trade_id = row.maybe("origTradeID")
    return next(
        (key for key, other in zip(keys, rows, strict=True) if trade_id and other.maybe("tradeID") == trade_id), ""
    )


def _undone(leg: TransactionRecord, key: str, original: str, *, turned: bool) -> TransactionRecord:
    """The trade that counts no more, as told by its cancellation, which is `turned`, or by its correction."""
    name = leg.external_id.replace(key, original, 1)
    if not turned:
        return replace(leg, external_id=name, status=RecordStatus.VOID)
    return replace(
        leg,
        external_id=name,
        quantity=None if leg.quantity is None else -leg.quantity,
        gross_amount=None if leg.gross_amount is None else -leg.gross_amount,
        fees=-leg.fees,
        taxes=-leg.taxes,
        net_amount=-leg.net_amount,
        status=RecordStatus.VOID,
    )


def _trade(row: Row, key: str) -> Iterator[TransactionRecord]:
    if row.text("assetCategory") == "CASH":
        yield from _exchange(row, key)
        return
    thing = instrument(row)
    proceeds, commission = row.number("proceeds"), row.maybe_number("ibCommission") or ZERO
    taxes = row.maybe_number("taxes") or ZERO
    paid_in = row.maybe("ibCommissionCurrency") or thing.currency
    own = commission if paid_in == thing.currency else ZERO
    gross = None if row.text("assetCategory") in WITHOUT_PRINCIPAL else proceeds
    net = row.maybe_number("netCash") if own == commission else None
    if net is None:
        net = (gross or ZERO) + own + taxes + (row.maybe_number("accruedInt") or ZERO)
    kind, subtype = _side(row, thing)
    common = _common(row, row.first("tradeDate", "dateTime"), row.maybe("settleDateTarget"))
    common["group_id"] = row.maybe("ibOrderID")
    yield TransactionRecord(
        external_id=key,
        kind=kind,
        subtype=subtype,
        instrument=thing,
        quantity=row.number("quantity"),
        price=row.number("tradePrice"),
        gross_amount=gross,
        fees=-own,
        taxes=-taxes,
        net_amount=net,
        currency=thing.currency,
        **common,
    )
    if own != commission:
        yield _commission(key, commission, paid_in, common | {"group_id": row.maybe("ibOrderID") or key})


def _commission(key: str, amount: Decimal, currency: str, common: dict[str, Any]) -> TransactionRecord:
    """A commission in another currency than the trade's is a movement of its own."""
    return TransactionRecord(
        external_id=f"{key}:commission",
        kind=Kind.FEE,
        subtype="commission",
        net_amount=amount,
        currency=currency,
        **common,
    )


def _exchange(row: Row, key: str) -> Iterator[TransactionRecord]:
    """AAA.BBB: `quantity` of AAA against `proceeds` in BBB; the commission goes with the leg in its currency."""
    base, dot, quote = row.text("symbol").partition(".")
    if not dot or quote != row.text("currency"):
        raise Odd(f"{row.maybe('symbol')!r} is not a pair with {row.text('currency')}")
    commission = row.number("ibCommission")
    paid_in = row.text("ibCommissionCurrency") or quote
    common = _common(row, row.first("tradeDate", "dateTime"), row.maybe("settleDateTarget")) | {"group_id": key}
    subtype = "automatic" if "AFx" in row.text("notes").split(";") else ""
    for name, currency, amount in ((key, quote, row.number("proceeds")), (f"{key}:base", base, row.number("quantity"))):
        own = commission if currency == paid_in else ZERO
        yield TransactionRecord(
            external_id=name,
            kind=Kind.FX,
            subtype=subtype,
            gross_amount=amount,
            fees=-own,
            net_amount=amount + own,
            currency=currency,
            **common,
        )
    if commission and paid_in not in {base, quote}:
        yield _commission(key, commission, paid_in, common)


def _side(row: Row, thing: InstrumentRecord) -> tuple[Kind, str]:
    word, notes = row.text("buySell"), set(row.text("notes").split(";"))
    if word not in SIDES:
        raise Odd(f"unknown side {word!r}")
    if row.text("transactionType") == "BookTrade":
        events = [note for note in OPTION_NOTES if note in notes]
        if events and thing.asset_class is AssetClass.OPTION:
            return OPTION_NOTES[events[0]], ""
        for note, subtype in DELIVERY_NOTES.items():
            if note in notes:
                return SIDES[word], subtype
    if "R" in notes:
        return SIDES[word], "reinvest"
    if (SIDES[word], row.maybe("openCloseIndicator")) == (Kind.SELL, "O"):
        return Kind.SELL, "short"
    return SIDES[word], "cover" if (word, row.maybe("openCloseIndicator")) == ("BUY", "C") else ""


def _cash(row: Row, key: str, known: Known) -> Iterator[TransactionRecord]:
    word, amount = row.text("type"), row.number("amount")
    if word in MONEY_MOVES:
        kind, subtype = (Kind.DEPOSIT if amount > 0 else Kind.WITHDRAWAL), ""
    elif word in CASH:
        kind, subtype = CASH[word]
    else:
        raise Odd(f"unknown kind of cash transaction {word!r}")
    yield TransactionRecord(
        external_id=key,
        kind=kind,
        subtype=subtype,
        instrument=known.mentioned(row),
        net_amount=amount,
        currency=row.text("currency"),
        group_id=row.maybe("actionID"),
        **_common(row, row.first("dateTime", "reportDate", "settleDate"), row.maybe("settleDate")),
    )


def _money_moved(row: Row, name: str) -> tuple[str, str, Decimal | None]:
    with suppress(Odd):
        return row.maybe("settleDate") or row.maybe("reportDate"), row.maybe("currency"), row.maybe_number(name)
    return "", "", None


def _transfer(
    row: Row, key: str, known: Known, told_as_deposit: set[tuple[str, str, Decimal | None]]
) -> Iterator[TransactionRecord]:
    word, direction = row.text("type"), row.maybe("direction")
    if word not in TRANSFERS:
        raise Odd(f"unknown kind of transfer {word!r}")
    units, cash = row.number("quantity"), row.maybe_number("cashTransfer") or ZERO
    moved = units or cash
    if not moved or (units and cash):
        raise Odd("it does not say whether units or money moved")
    if cash and _money_moved(row, "cashTransfer") in told_as_deposit:
        raise Odd("the same amount of the same day is also told as a deposit or withdrawal; only one of them is real")
    incoming = moved > 0 if direction not in {"IN", "OUT"} else direction == "IN"
    thing = known.mentioned(row) if units else None
    if units and thing is None:
        raise Odd("it does not say what was transferred")
    yield TransactionRecord(
        external_id=key,
        kind=Kind.TRANSFER_IN if incoming else Kind.TRANSFER_OUT,
        subtype="in_kind" if units else "internal" if word == "INTERNAL" else "",
        instrument=thing,
        quantity=(abs(units) if incoming else -abs(units)) if units else None,
        price=row.maybe_number("transferPrice") or None,
        net_amount=cash,
        currency=row.text("currency"),
        **_common(row, row.first("date", "dateTime", "reportDate"), row.maybe("settleDate")),
    )


def _action(row: Row, key: str, known: Known) -> Iterator[TransactionRecord]:
    text = row.text("description")
    word = row.maybe("type") or next((word for pattern, word in ACTION_TEXTS if pattern.search(text.upper())), "")
    if word not in ACTIONS:
        raise Odd(f"unknown kind of corporate action {word!r}")
    kind, subtype = ACTIONS[word]
    ratio = ACTION_TEXTS[0][0].search(text.upper())
    if kind is Kind.SPLIT and ratio and int(ratio["new"]) < int(ratio["old"]):
        subtype = "reverse"
    common = _common(row, row.first("dateTime", "reportDate"))
    yield TransactionRecord(
        external_id=key,
        kind=kind,
        subtype=subtype,
        instrument=known.mentioned(row),
        quantity=row.number("quantity") or None,
        net_amount=row.number("proceeds"),
        currency=row.text("currency"),
        group_id=row.maybe("actionID") or f"{common['traded_on']}:{text.partition(' (')[0]}"[:80],
        **common,
    )
