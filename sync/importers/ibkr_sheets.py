"""The paper of an Interactive Brokers statement as CSV: many tables in one, each row beginning with its section."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from connections.brokers.ibkr_statement import NEW_YORK
from sync.importers import dates, ibkr_words, numbers
from sync.importers.base import FileNotRead, Skipped
from sync.importers.ibkr_names import Listed
from sync.importers.ibkr_words import Section
from sync.importers.reader import Source

KINDS = {"Header", "Data", "SubTotal", "Total", "Notes"}
IN_ENGLISH = (
    "Change the language of your account to English at Interactive Brokers (Settings, Language), export the statement "
    "again and import that file."
)
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d(, \d\d:\d\d:\d\d)?")


@dataclass(frozen=True, slots=True)
class Line:
    """A row of data below its header."""

    number: int
    section: Section
    cells: Mapping[str, str]  # by the column's name in ibkr_words
    raw: Mapping[str, str]
    discriminator: str = ""
    commission_in: str = ""  # the currency the header says commissions are in, where it does

    def text(self, column: str) -> str:
        return self.cells.get(column, "")

    def number_in(self, *columns: str) -> Decimal | None:
        """The number in the first of these columns that the table has. Raises ValueError."""
        found = next((self.cells[column] for column in columns if column in self.cells), "")
        return numbers.parse_number(found)

    @property
    def currency(self) -> str:
        """ "" in a row that adds up others: it has a word there, or nothing."""
        code = self.text("currency")
        return code if _CURRENCY.fullmatch(code) else ""

    def when(self, *columns: str) -> tuple[date, datetime | None]:
        """The market's date and, where the row has a time, the moment in UTC. Raises ValueError."""
        text = next((self.text(column) for column in columns if self.text(column)), "")
        if not text:
            raise ValueError("The row has no date")
        moment = dates.parse_moment(text, dates.YEAR_FIRST, NEW_YORK)
        return dates.parse_date(text, dates.YEAR_FIRST), moment.astimezone(UTC) if moment else None


@dataclass
class Sheets:
    """All tables of a statement, told apart."""

    lines: list[Line] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    account: str = ""
    listed: dict[str, Listed] = field(default_factory=dict)
    starting: dict[str, Decimal] = field(default_factory=dict)  # cash by currency, as the Cash Report prints it
    ending: dict[str, Decimal] = field(default_factory=dict)
    strange: dict[str, bool] = field(default_factory=dict)  # dated sections of unknown name: if in a known language

    def skip(self, number: int, reason: str) -> None:
        self.skipped.append(Skipped(line=number, reason=reason))


def read(source: Source) -> Sheets:
    """Raises FileNotRead for a statement in a language the hub does not know, and FileUnreadable."""
    sheets, header = Sheets(), _Header()
    for number, cells in source.rows():
        if not any(cell.strip() for cell in cells):
            continue
        name, kind = cells[0].strip(), cells[1].strip() if len(cells) > 1 else ""
        if kind == "Header":
            header = _Header.of(name, cells[2:])
            sheets.skip(number, "a heading")
        elif kind == "Data" and header.name == name:
            _take(sheets, header, number, cells[2:])
        else:
            sheets.skip(number, "it adds up other rows" if kind in ("SubTotal", "Total") else "a note")
    unknown = [name for name, is_known in sheets.strange.items() if not is_known]
    if unknown:
        names = ", ".join(f"“{name[:60]}”" for name in unknown[:6])
        raise FileNotRead(f"This statement is in a language the hub does not know: {names}. {IN_ENGLISH}")
    return sheets


@dataclass(frozen=True, slots=True)
class _Header:
    name: str = ""
    section: Section | None = None
    columns: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()
    commission_in: str = ""

    @classmethod
    def of(cls, name: str, cells: Sequence[str]) -> "_Header":
        folded = [ibkr_words.folded(cell) for cell in cells]
        currencies = [ibkr_words.commission_currency(cell) for cell in cells]
        columns = tuple(
            "discriminator" if one == "datadiscriminator" else "fee" if currency else ibkr_words.COLUMNS.get(one, "")
            for one, currency in zip(folded, currencies, strict=True)
        )
        printed = tuple(cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1))
        section = ibkr_words.SECTIONS.get(ibkr_words.folded(name))
        return cls(name, section, columns, printed, next(filter(None, currencies), ""))


def _take(sheets: Sheets, header: _Header, number: int, cells: Sequence[str]) -> None:
    told: dict[str, str] = {}
    for column, cell in zip(header.columns, cells, strict=False):
        if column:
            told.setdefault(column, cell.strip())
    if header.section is None and any(_DAY.fullmatch(cell.strip()) for cell in cells):
        is_known = "currency" in header.columns
        sheets.strange[header.name] = sheets.strange.get(header.name, True) and is_known
    section = header.section or Section.QUIET
    if section is Section.ACCOUNT:
        _account(sheets, told)
    elif section is Section.CASH_REPORT:
        _cash(sheets, told)
    elif section is Section.INSTRUMENTS:
        _list(sheets, told)
    elif section is not Section.QUIET:
        raw = {"Section": header.name, **dict(zip(header.printed, cells, strict=False))}
        line = Line(number, section, told, raw, told.get("discriminator", ""), header.commission_in)
        sheets.lines.append(line)
        return
    sheets.skip(number, f"the section {header.name[:60]} tells no transactions")


def _account(sheets: Sheets, told: Mapping[str, str]) -> None:
    if ibkr_words.folded(told.get("field", "")) in ibkr_words.ACCOUNT_NUMBER:
        sheets.account = told.get("value", "")


def _cash(sheets: Sheets, told: Mapping[str, str]) -> None:
    title, currency = ibkr_words.folded(told.get("title", "")), told.get("currency", "")
    book = sheets.starting if title in ibkr_words.STARTING else sheets.ending if title in ibkr_words.ENDING else None
    if book is not None and _CURRENCY.fullmatch(currency):
        with suppress(ValueError):  # it only serves to check the rows
            book[currency] = numbers.parse_number(told.get("total", "")) or Decimal(0)


def _list(sheets: Sheets, told: Mapping[str, str]) -> None:
    """A security that was renamed has several symbols in one cell."""
    code = told.get("isin", "")
    listed = Listed(
        name=told.get("description", ""),
        isin=code if len(code) == 12 else "",
        multiplier=_multiplier(told.get("multiplier", "")),
        is_etf=told.get("type", "") == "ETF",
    )
    for symbol in told.get("symbol", "").split(","):
        if symbol.strip():
            sheets.listed.setdefault(symbol.strip(), listed)


def _multiplier(text: str) -> Decimal:
    try:
        return numbers.parse_number(text) or Decimal(1)
    except ValueError:
        return Decimal(1)


def sections(head: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Section and kind of each row of a file's beginning."""
    return ((row[0].strip(), row[1].strip()) for row in head if len(row) > 1 and row[0].strip())
