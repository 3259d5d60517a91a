"""Interactive Brokers' Flex queries saved as CSV: one table, several with headings, or sections with their codes.

A query may be set to begin each row with HEADER or DATA and to stand between BOF and EOF; without that it is plain
tables, each with a heading. Columns are called as people see them: each has a name in the XML, which the rules know.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import ClassVar

from connections.brokers.ibkr_statement import Dates, Row, Statement
from connections.brokers.records import Broker
from sync.importers import ibkr_flex
from sync.importers.base import AS_PRINTED, Choices, FileNotRead, Format, Match, ParsedFile, Skipped
from sync.importers.ibkr_flex import Printed
from sync.importers.reader import Source

TAGS = {  # section of the XML: its rows
    "Trades": "Trade",
    "TradeConfirms": "TradeConfirm",
    "CashTransactions": "CashTransaction",
    "Transfers": "Transfer",
    "CorporateActions": "CorporateAction",
    "TransactionTaxes": "TransactionTax",
    "SalesTaxes": "SalesTax",
    "SecuritiesInfo": "SecurityInfo",
    "OpenPositions": "OpenPosition",
}
CODES = {  # after BOS, HEADER and DATA
    "TRNT": "Trades",
    "CTRN": "CashTransactions",
    "TRFR": "Transfers",
    "CORP": "CorporateActions",
    "SECU": "SecuritiesInfo",
    "POST": "OpenPositions",
}
NO_LEDGER = {"ACCT", "EQUT", "CNAV", "CRTT", "FIFO", "MYTD", "MTMP", "PPPO", "NETP", "UNBC", "RATE", "STFU"}
MARKERS = {"BOF", "BOA", "BOS", "HEADER", "DATA", "EOS", "EOA", "EOF"}
SIGNATURES: tuple[tuple[str, frozenset[str]], ...] = (  # columns a section of no code is known by; the first counts
    ("TradeConfirms", frozenset({"quantity", "price", "commission"})),
    ("Trades", frozenset({"quantity", "tradeprice"})),
    ("TransactionTaxes", frozenset({"taxdescription", "taxamount"})),
    ("SalesTaxes", frozenset({"salestax"})),
    ("Transfers", frozenset({"type", "direction", "quantity"})),
    ("CorporateActions", frozenset({"type", "quantity", "proceeds"})),
    ("CashTransactions", frozenset({"type", "amount"})),
)
OURS = {"CurrencyPrimary", "ClientAccountID"}  # no other broker's export has them
_NAMES = """
    accountId currency assetCategory subCategory symbol description conid isin cusip securityID securityIDType
    underlyingSymbol multiplier strike expiry putCall tradeID transactionID ibOrderID ibExecID origTradeID
    origTransactionID reportDate tradeDate tradeTime dateTime settleDateTarget settleDate transactionType buySell
    openCloseIndicator quantity tradePrice tradeMoney proceeds taxes ibCommission ibCommissionCurrency netCash notes
    levelOfDetail accruedInt amount type actionID code direction cashTransfer transferPrice date taxAmount salesTax
    taxDescription taxableDescription taxableTransactionID price commission commissionCurrency tax orderID execID
""".split()  # noqa: SIM905 (one name a line says no more)
NAMES = {name.lower(): name for name in _NAMES} | {
    "currencyprimary": "currency",
    "clientaccountid": "accountId",
    "assetclass": "assetCategory",
    "notescodes": "notes",
    "codes": "code",
    "accruedinterest": "accruedInt",
}
NAMES_IN = {"TransactionTaxes": {"tradeid": "tradeId"}}
_ACCOUNT = re.compile(r"[A-Z]{1,3}\d{4,}")


def folded(name: str) -> str:
    """`Buy/Sell` and `Notes/Codes` as `buysell` and `notescodes`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def section_of(cells: Sequence[str]) -> str:
    """Which section a heading is of, "" when it is none that tells transactions."""
    columns = {folded(cell) for cell in cells}
    return next((name for name, signature in SIGNATURES if signature <= columns), "")


class IbkrFlexCsv(Format):
    key: ClassVar = "ibkr_flex_csv"
    label: ClassVar = "Interactive Brokers, Flex query (CSV)"
    broker: ClassVar = Broker.IBKR
    institution: ClassVar = "Interactive Brokers"

    def detect(self, source: Source) -> Match | None:
        head = [] if source.is_markup else [row for row in source.head() if any(cell.strip() for cell in row)]
        if not head:
            return None
        if head[0][0].strip() == "BOF" or (head[0][0].strip() == "HEADER" and len(head[0]) > 2):
            return Match(score=95, reason="Its rows are marked as those of a Flex query.")
        if _is_heading(head[0]) and section_of(head[0]):
            return Match(score=95, reason="The file has columns of a Flex query’s trades or cash.")
        return None

    def parse(self, source: Source, choices: Choices = AS_PRINTED) -> ParsedFile:
        file = _File()
        for line, cells in source.rows():
            if any(cell.strip() for cell in cells):
                file.take(line, cells)
        if not file.read_a_heading:
            raise FileNotRead("The file is not a Flex query: no row names its columns.")
        values = (value for row in file.rows() for value in row.printed.values())
        dates, questions = ibkr_flex.ordered(values, choices)
        parsed = ibkr_flex.read(file.statements(dates), questions)
        skipped = sorted((*parsed.skipped, *file.skipped), key=lambda row: row.line)
        return replace(parsed, skipped=tuple(skipped), warnings=(*file.warnings, *parsed.warnings))


def _is_heading(cells: Sequence[str]) -> bool:
    return not OURS.isdisjoint(cells)


@dataclass
class _File:
    """The rows of a file by account and section; each account's part begins with BOA, if it is marked."""

    parts: list[tuple[str, dict[str, list[Printed]]]] = field(default_factory=lambda: [("", {})])
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    header: Sequence[str] = ()
    names: tuple[str, ...] = ()  # of the header's columns, in the XML; "" for one the rules do not ask for
    code: str = ""
    section: str = ""
    read_a_heading: bool = False

    def take(self, line: int, cells: list[str]) -> None:
        marker = cells[0].strip()
        if marker in MARKERS:
            self._marked(line, marker, cells[1:])
        elif _is_heading(cells):
            self._heading(line, cells)
        else:
            self._row(line, cells)

    def _marked(self, line: int, marker: str, cells: list[str]) -> None:
        first = cells[0].strip() if cells else ""
        if marker in ("HEADER", "DATA"):
            if first in CODES or first in NO_LEDGER or (self.code and first == self.code):
                self.code, cells = first, cells[1:]
            self._heading(line, cells) if marker == "HEADER" else self._row(line, cells)
            return
        if marker == "BOA":
            self.parts.append((first if _ACCOUNT.fullmatch(first) else "", {}))
        self.code = first if marker == "BOS" else ""
        self.skipped.append(Skipped(line=line, reason="it marks the layout of the file"))

    def _heading(self, line: int, cells: Sequence[str]) -> None:
        self.read_a_heading = True
        self.header = tuple(cell.strip() for cell in cells)
        self.section = CODES.get(self.code) or ("" if self.code in NO_LEDGER else section_of(cells))
        names = NAMES | NAMES_IN.get(self.section, {})
        self.names = tuple(names.get(folded(cell), "") for cell in cells)
        if not self.section and self.code not in NO_LEDGER:
            what = f"“{self.code[:20]}”" if self.code else f"of the heading in line {line}"
            self.warnings.append(f"The hub does not know the section {what}; its rows were not read.")
        self.skipped.append(Skipped(line=line, reason="a heading"))

    def _row(self, line: int, cells: Sequence[str]) -> None:
        if not self.section:
            self.skipped.append(Skipped(line=line, reason="its section tells no transactions"))
            return
        told: dict[str, str] = {}
        for name, cell in zip(self.names, cells, strict=False):
            if name and cell.strip():
                told.setdefault(name, cell)
        raw = dict(zip(self.header, (*cells, *[""] * len(self.header)), strict=False))
        row = Printed(self.section, TAGS[self.section], told, Dates(None), line, raw)
        self.parts[-1][1].setdefault(self.section, []).append(row)

    def rows(self) -> Iterator[Printed]:
        return (row for _, sections in self.parts for rows in sections.values() for row in rows)

    def statements(self, dates: Dates) -> Iterator[Statement]:
        for account, sections in self.parts:
            told: dict[str, tuple[Row, ...]] = {
                name: tuple(replace(row, dates=dates) for row in rows) for name, rows in sections.items()
            }
            yield Statement(account_id=account, first=date.min, last=date.max, info=None, sections=told)
