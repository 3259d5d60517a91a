"""One row of a table as a format looks at it: by what its cells say, not by where they stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sync.importers import dates, numbers

ZERO = Decimal(0)
Names = str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the export calls its columns, in small letters. Of several names the first the file has counts; `fees` and
    `taxes` are added up. "" when the export has no such column."""

    date: Names  # the ledger's date
    word: Names = ""  # what happened
    settled: Names = ""
    symbol: Names = ""
    name: Names = ""  # of the security, or a description
    quantity: Names = ""
    price: Names = ""
    amount: Names = ""  # net and signed unless the format says otherwise
    fees: Names = ""
    taxes: Names = ""
    currency: Names = ""
    account: Names = ""
    id: Names = ""  # the broker's own id of the row
    cusip: Names = ""
    isin: Names = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one file is to be read: where its columns are, and how it prints dates and numbers."""

    places: Mapping[str, tuple[str, ...]]  # field of Columns: names of the file's columns, case-folded
    decimal: str
    date_order: str
    zone: ZoneInfo | None
    currency: str = ""  # of rows that name none


@dataclass(slots=True)  # not frozen: that would cost as much as reading a cell
class Row:
    """One row of the file: its cells by field of Columns, or by column name."""

    line: int
    cells: Mapping[str, str]  # by case-folded column name, blanks around them taken off
    raw: Mapping[str, str]  # as they stand in the file
    layout: Layout
    is_cut: bool = False  # there were more cells than columns

    def text(self, field: str) -> str:
        """The first filled cell of a field; "" when there is none, or when all it says is `--`."""
        for name in self.layout.places[field]:  # a plain loop: this is asked fifteen times a row
            cell = self.cells[name]
            if cell and cell not in ("-", "--"):
                return cell
        return ""

    def cell(self, column: str) -> str:
        """The cell of a column by name, in small letters; "" when the file has no such column."""
        return self.cells.get(column, "")

    def number(self, field: str) -> Decimal | None:
        """Raises ValueError."""
        text = self.text(field)
        return numbers.parse_number(text, self.layout.decimal) if text else None

    def quantity(self) -> Decimal | None:
        """Raises ValueError."""
        return numbers.parse_quantity(self.text("quantity"), self.layout.decimal)

    def total(self, field: str) -> Decimal:
        """All columns of a field added up; an empty one adds nothing. Raises ValueError."""
        total = ZERO
        for name in self.layout.places[field]:
            if cell := self.cells[name]:
                total += numbers.parse_number(cell, self.layout.decimal) or ZERO
        return total

    def date(self, field: str) -> date | None:
        """None when the cell is empty. Raises ValueError."""
        text = self.text(field)
        return None if text in numbers.NO_VALUE else dates.parse_date(text, self.layout.date_order)

    def moment(self, field: str) -> datetime | None:
        """Raises ValueError."""
        return dates.parse_moment(self.text(field), self.layout.date_order, self.layout.zone)

    @property
    def first(self) -> str:
        """The first filled cell, in small letters: where footers say what they are."""
        return next((cell.casefold() for cell in self.cells.values() if cell), "")
