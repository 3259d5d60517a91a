"""Flex queries saved as files: rows of XML or CSV, read by the rules that read the Flex feed.

So a file and the feed of one account give one row the same id and the same meaning. What is different of a file: its
query may leave out what it likes, so each row is filled up with what the rest of it says before the rules see it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import groupby

from django.utils import timezone

from connections.brokers import ibkr_rows
from connections.brokers.ibkr_instruments import OSI, Known
from connections.brokers.ibkr_rows import CONFIRMATION
from connections.brokers.ibkr_statement import Dates, IncompleteQuery, Odd, Row, Statement
from connections.brokers.records import ParkedRecord, TransactionKind, TransactionRecord
from sync.importers import dates as days
from sync.importers.base import Ambiguity, Choices, FileNotRead, FileRow, ParsedFile, Record, Skipped
from sync.importers.questions import ask_order
from sync.importers.reader import MAX_CELL, MAX_COLUMNS, MAX_ROWS, TOO_LONG_CELL, TOO_MANY_ROWS, FileUnreadable

LEDGER = ("Trades", "CashTransactions", "Transfers", "CorporateActions", "TransactionTaxes", "SalesTaxes")
NAMING = ("SecuritiesInfo", "OpenPositions")  # told for the names of their instruments alone
FINEST = {"Trades": ("EXECUTION", "ORDER")}  # levels of detail, the finest first; the others restate it
SOLE = ("DETAIL", "TRANSFER", "TRANSACTION", "SUMMARY")
ROW_OF = {"Trades": ("Trade", "Order")}  # what may be read of a section; anything in the others
WORDS = {  # as some CSV queries spell what the feed calls otherwise
    "transactionType": {"TRADE": "ExchTrade"},
    "type": {"Ordinary Dividend": "Dividends", "Payment In Lieu Of Dividend": "Payment In Lieu Of Dividends"},
}
MONEY = ("proceeds", "netCash", "ibCommission", "taxes", "tradePrice", "tradeMoney", "amount", "accruedInt")
PENCE = ("GBX", "GBp")  # hundredths of a pound; the Cash Report and the account are in pounds
CENT = Decimal("0.01")
_MENTIONED = re.compile(r"\s*([A-Z0-9][\w. -]{0,15}?)\s*\(([A-Z]{2}[0-9A-Z]{9}[0-9])?")
_PAIR = re.compile(r"[A-Z]{3}\.[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Printed(Row):
    """A row of a file. What its query leaves out is simply not said; `told` is `printed` filled up by `filled`."""

    printed: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.maybe(name)

    def first(self, *names: str) -> str:
        found = next((self.maybe(name) for name in names if self.maybe(name)), "")
        if not found:
            raise Odd("it has no date")
        return found


def ordered(cells: Iterable[str], choices: Choices) -> tuple[Dates, tuple[Ambiguity, ...]]:
    """How a file writes its days, and the question when 03/04/2025 could be either."""
    if choices.date_order:
        return Dates(choices.date_order == days.DAY_FIRST), ()
    order, examples = days.order_of(cell for cell in cells if "/" in cell)
    if order is None:
        return Dates(False), (ask_order(examples),)
    return Dates(order == days.DAY_FIRST), ()


def filled(row: Row) -> Printed:
    """The row with the names and values the rules need, as far as the rest of it says them."""
    told = {name: value.strip() for name, value in row.told.items()}
    told = {name: value for name, value in told.items() if value not in {"", "-", "--", "N/A", "MULTI"}}
    for name, words in WORDS.items():
        if told.get(name) in words:
            told[name] = words[told[name]]
    _fill_instrument(told)
    if row.section == "Trades":
        _fill_trade(told)
    if told.get("currency") in PENCE:
        _in_pounds(told)
    for name in ("levelOfDetail", "accountId"):  # which rows of which account are read is settled before
        told.pop(name, None)
    tag = "Trade" if row.tag == "Order" else row.tag
    return Printed(row.section, tag, told, row.dates, row.line, _raw(row))


def _raw(row: Row) -> Mapping[str, str]:
    return row.printed if isinstance(row, Printed) else row.told


def confirmed(row: Row) -> Printed:
    """A trade confirmation by the names of an activity statement."""
    told = {CONFIRMATION.get(name, name): value for name, value in row.told.items()}
    tag = "Trade" if row.tag == "TradeConfirm" else row.tag
    return Printed("Trades", tag, told, row.dates, row.line, _raw(row))


def _fill_instrument(told: dict[str, str]) -> None:
    """A security may be told by its ISIN alone, or in the description: `VTI(US9229087690) CASH DIVIDEND ...`."""
    mentioned = _MENTIONED.match(told.get("description", ""))
    if mentioned and (mentioned[2] or "isin" in told):
        told.setdefault("isin", mentioned[2] or told["isin"])
        told.setdefault("symbol", mentioned[1].strip())
    named = told.get("isin") or (told.get("securityID") if told.get("securityIDType") == "ISIN" else None)
    if named:
        told.setdefault("symbol", named)
    symbol = told.get("symbol", "")
    if not symbol or "assetCategory" in told:
        return
    is_pair = _PAIR.fullmatch(symbol) and symbol[4:] == told.get("currency")
    told["assetCategory"] = "CASH" if is_pair and not named else "OPT" if OSI.fullmatch(symbol) else "STK"


def _fill_trade(told: dict[str, str]) -> None:
    told.setdefault("notes", "")
    told.setdefault("assetCategory", "CASH")  # a trade in nothing that has a name is one of currencies
    if told["assetCategory"] == "OPT":
        told.setdefault("multiplier", "100")
    money = told.get("tradeMoney")
    if money is not None:
        told.setdefault("proceeds", money[1:] if money.startswith("-") else f"-{money}")
    if "tradeTime" in told and "tradeDate" in told:
        told.setdefault("dateTime", f"{told['tradeDate']};{told['tradeTime']}")
    told.setdefault("buySell", "SELL" if told.get("quantity", "").startswith("-") else "BUY")
    is_event = {"A", "Ex", "Ep"} & set(told["notes"].split(";"))
    told.setdefault(
        "transactionType", "TradeCancel" if "Ca." in told["buySell"] else "BookTrade" if is_event else "ExchTrade"
    )
    if told["assetCategory"] == "CASH":
        told.setdefault("ibCommission", "0")
    if "tradeID" in told:
        side = "-" if told.get("quantity", "").startswith("-") else "+"
        told.setdefault("transactionID", f"{told['tradeID']}:{told.get('levelOfDetail', 'EXECUTION')}:{side}")


def _in_pounds(told: dict[str, str]) -> None:
    for name in MONEY:
        if name in told and (name != "ibCommission" or told.get("ibCommissionCurrency") in {None, *PENCE}):
            with suppress(InvalidOperation):  # the rules say so
                told[name] = str(Decimal(told[name].replace(",", "")) / 100)
    told["currency"] = "GBP"
    if told.get("ibCommissionCurrency") in PENCE:
        told["ibCommissionCurrency"] = "GBP"


@dataclass
class Reading:
    """One pass over the statements of a file."""

    rows: list[FileRow] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)  # each once, in the order they came up
    ids: dict[tuple[str, str], FileRow] = field(default_factory=dict)
    tomorrow: date = field(default_factory=lambda: timezone.now().date() + timedelta(days=1))

    def skip(self, rows: Iterable[Row], reason: str) -> None:
        self.skipped.extend(Skipped(line=row.line, reason=reason) for row in rows)

    def take(self, row: Printed, records: Sequence[Record], account: str, notes: tuple[str, ...] = ()) -> None:
        """What a row became; the same row with the same id a second time is not booked again."""
        known = row.maybe("transactionID") or row.maybe("ibExecID")
        told = tuple(self._own(record, row, bool(known)) for record in records)
        kept = FileRow(line=row.line, records=told, account_hint=account, warnings=(*notes, *_sums(told, row)))
        earlier = self.ids.setdefault((account, known), kept) if known else kept
        if earlier is kept:
            self.rows.append(kept)
        elif earlier.records[0].raw == row.printed:
            self.skip([row], f"the same row as in line {earlier.line}, with the same id")
        else:
            reason = f"The id “{known[:40]}” is that of another row too, in line {earlier.line}."
            parked = ParkedRecord(external_id="", reason=reason, raw=row.printed)
            self.rows.append(FileRow(line=row.line, records=(parked,), account_hint=account))

    def _own(self, record: Record, row: Printed, has_id: bool) -> Record:
        """With the row as it was printed, and without the name the rules make up for a row that has none."""
        name = record.external_id if has_id else ""
        if isinstance(record, ParkedRecord):
            return replace(record, external_id=name, raw=row.printed, reason=_sentence(record.reason))
        if record.traded_on > self.tomorrow:
            reason = f"The date {record.traded_on} is in the future."
            return ParkedRecord(external_id=name, reason=reason, raw=row.printed)
        return replace(record, external_id=name, raw=row.printed)


def read(statements: Iterable[Statement], questions: tuple[Ambiguity, ...] = ()) -> ParsedFile:
    """Raises FileNotRead or FileUnreadable."""
    reading, told, rows = Reading(), [], 0
    for statement in map(_with_confirmations, statements):
        for row in _all(statement):
            rows += 1
            _bounded(row, rows)
        for account in dict.fromkeys(_account(statement, row) for row in _all(statement)):
            told.append((account, _filled(statement, account, reading)))
    known = Known.by(statement for _, statement in told)
    for account, statement in told:
        _unnamed(statement, account, reading)
        try:
            _book(statement, known, account, reading)
        except IncompleteQuery as error:
            raise FileNotRead(str(error)) from error
    return ParsedFile(
        rows=tuple(sorted(reading.rows, key=lambda row: row.line)),
        skipped=tuple(sorted(reading.skipped, key=lambda row: row.line)),
        warnings=tuple(reading.warnings),
        questions=questions,
    )


def _bounded(row: Row, number: int) -> None:
    """Raises FileUnreadable for the first row beyond what we take."""
    if number > MAX_ROWS:
        raise FileUnreadable(TOO_MANY_ROWS)
    if len(row.told) > MAX_COLUMNS or any(len(cell) > MAX_CELL for cell in row.told.values()):
        raise FileUnreadable(TOO_LONG_CELL)


def _with_confirmations(statement: Statement) -> Statement:
    rows = tuple(confirmed(row) for row in statement.sections.get("TradeConfirms", ()))
    sections = {name: found for name, found in statement.sections.items() if name != "TradeConfirms"}
    return replace(statement, sections=sections | {"Trades": (*sections.get("Trades", ()), *rows)})


def _all(statement: Statement) -> Iterator[Row]:
    return (row for rows in statement.sections.values() for row in rows)


def _account(statement: Statement, row: Row) -> str:
    """A row of several accounts together has none; the section says so with a dash."""
    return row.told.get("accountId", "").strip() or statement.account_id


def _filled(statement: Statement, account: str, reading: Reading) -> Statement:
    """One account's part of a statement, at one level of detail, with all sections the rules ask for."""
    sections: dict[str, tuple[Row, ...]] = dict.fromkeys(LEDGER, ())
    for name, rows in statement.sections.items():
        own = [row for row in rows if _account(statement, row) == account]
        if name not in LEDGER:
            reading.skip(own, f"the section {name} tells no transactions")
        elif account == "-":
            reading.skip(own, "it adds up several accounts")
        if account != "-" and name in LEDGER + NAMING:
            sections[name] = tuple(filled(row) for row in (_finest(name, own, reading) if name in LEDGER else own))
    return replace(statement, account_id=account, sections=sections)


def _finest(section: str, rows: list[Row], reading: Reading) -> list[Row]:
    """The rows of the finest level there is: the same fact may stand in the file as detail, order and summary."""
    tags = ROW_OF.get(section)
    levels = FINEST.get(section, SOLE)
    there = [level for level in levels if any(_level(row, levels) == level for row in rows)]
    chosen = [row for row in rows if there and _level(row, levels) == there[0] and (tags is None or row.tag in tags)]
    taken = {id(row) for row in chosen}
    reading.skip((row for row in rows if id(row) not in taken), "it restates other rows")
    return chosen


def _level(row: Row, levels: Sequence[str]) -> str:
    return row.told.get("levelOfDetail", "").strip() or ("ORDER" if row.tag == "Order" else levels[0])


def _unnamed(statement: Statement, account: str, reading: Reading) -> None:
    """Exchanges that do not say which currency was exchanged: the other side of them is booked, with a warning."""
    for row in statement.sections["Trades"]:
        if not _is_unnamed(row) or not isinstance(row, Printed):
            continue
        note = "The file does not name the pair of currencies; only the side in its currency is booked."
        reading.warnings[f"{note} Add the field Symbol to the query’s trades and export it again."] = None
        try:
            reading.take(row, tuple(_quote_side(row)), account, (note,))
        except Odd as odd:
            reading.take(row, (ParkedRecord(external_id="", reason=str(odd), raw=row.printed),), account)


def _is_unnamed(row: Row) -> bool:
    return row.told.get("assetCategory") == "CASH" and not row.maybe("symbol")


def _quote_side(row: Printed) -> Iterator[TransactionRecord]:
    """Raises Odd."""
    key, currency = row.maybe("transactionID") or row.maybe("ibExecID"), row.maybe("currency")
    commission = row.number("ibCommission")
    paid_in = row.maybe("ibCommissionCurrency") or currency
    on = row.dates.day(row.first("tradeDate", "dateTime"))
    proceeds = row.number("proceeds")
    own = commission if paid_in == currency else Decimal(0)
    yield TransactionRecord(
        external_id=key,
        kind=TransactionKind.FX,
        traded_on=on,
        gross_amount=proceeds,
        fees=-own,
        net_amount=proceeds + own,
        currency=currency,
        raw=row.printed,
    )
    if commission and not own:
        yield TransactionRecord(
            external_id=f"{key}:commission",
            kind=TransactionKind.FEE,
            subtype="commission",
            traded_on=on,
            net_amount=commission,
            currency=paid_in,
            raw=row.printed,
        )


def _book(statement: Statement, known: Known, account: str, reading: Reading) -> None:
    trades = tuple(row for row in statement.sections["Trades"] if not _is_unnamed(row))
    named = replace(statement, sections={**statement.sections, "Trades": trades})
    if any("ibCommission" not in row.told and "netCash" not in row.told for row in trades):
        reading.warnings["Some trades say nothing of commissions, so their cash leaves them out."] = None
    taken = set()
    for _, pairs in groupby(ibkr_rows.told(named, known), key=lambda pair: id(pair[0])):
        together = list(pairs)
        row = together[0][0]
        if isinstance(row, Printed):
            taken.add(id(row))
            reading.take(row, [record for _, record in together], account)
    for name in LEDGER:
        left = [row for row in named.sections[name] if id(row) not in taken]
        reading.skip(left, "another row of the file has counted it")


def _sums(records: Sequence[Record], row: Row) -> tuple[str, ...]:
    """Whether proceeds, commission and taxes of a trade are its net cash, where the file gives all of them."""
    first = records[0]
    if not isinstance(first, TransactionRecord) or first.kind not in (TransactionKind.BUY, TransactionKind.SELL):
        return ()
    if first.gross_amount is None or "ibCommission" not in row.told:
        return ()
    with suppress(Odd):
        worked_out = first.gross_amount - first.fees - first.taxes + (row.maybe_number("accruedInt") or 0)
        if abs(worked_out - first.net_amount) > CENT:
            net = first.net_amount
            return (f"Proceeds, commission and taxes give {worked_out}, not the net cash {net} of the file.",)
    return ()


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."
