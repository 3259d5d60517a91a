"""Bytes of an uploaded file into texts and tables of texts. Nothing is interpreted here; limits come before work."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from django.conf import settings

from brokerhub.kernel.errors import HubError

if TYPE_CHECKING:  # 50 MB in each process that only has this module: pandas is loaded with the first file
    import pandas as pd

MAX_ROWS = 200_000
MAX_COLUMNS = 200
MAX_CELL = 10_000  # characters
HEAD_ROWS = 30  # titles and preambles come before the header, never more than this
HEAD_CHARACTERS = 200_000
DELIMITERS = (",", ";", "\t")

Cells = Sequence[str]

TOO_MANY_ROWS = f"The file has more than {MAX_ROWS:,} rows. Export a shorter period, import it in parts."
TOO_LONG_CELL = f"A cell of the file is longer than {MAX_CELL:,} characters. Is it the CSV export?"
NO_TABLE = "The file could not be split into rows and columns. Is it the CSV export?"
OPEN_QUOTE = "The file is damaged: a quotation mark is opened and never closed."


class FileUnreadable(HubError):
    """The file is no table of text, or larger than we take; the text says what is wrong with it."""

    code = "file_unreadable"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows below a header. Cells are texts as they stand in the file; a missing one is ""."""

    header: tuple[str, ...]
    rows: "pd.DataFrame"  # one column of str per header cell, named 0, 1, 2, ..., and one for what is beyond
    first_line: int  # of the file, from 1, below the header

    def __iter__(self) -> Iterator[tuple[int, tuple[str, ...], bool]]:
        """Each row: the line of the file it begins in (a cell may have line breaks of its own), its cells, and whether
        there were more of them than the header has; what was beyond is not read."""
        line = self.first_line
        for row in self.rows.itertuples(index=False, name=None):
            yield line, row[:-1], row[-1] != ""
            line += 1 + sum(cell.count("\n") for cell in row)

    def column(self, name: str) -> list[str]:
        """The cells of the column called `name` in any case; [] when there is none."""
        folded = [cell.casefold() for cell in self.header]
        return list(self.rows.iloc[:, folded.index(name)]) if name in folded else []


@dataclass(frozen=True, slots=True)
class Source:
    """A file as text, to be looked at as a format needs it: as text, row by row, or as a table."""

    text: str = field(repr=False)
    name: str = ""  # of the file, a hint at most
    _heads: dict[str, list[list[str]] | FileUnreadable] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_markup(self) -> bool:
        """XML or SGML rather than a table."""
        return self.text[:200].lstrip().startswith(("<", "OFXHEADER"))

    def head(self, delimiter: str = ",") -> list[list[str]]:
        """The first HEAD_ROWS rows as cells. Raises FileUnreadable for a table wider than we take."""
        if delimiter not in self._heads:
            try:
                self._heads[delimiter] = _head(self.text, delimiter)
            except FileUnreadable as error:  # every format would find the same
                self._heads[delimiter] = error
        found = self._heads[delimiter]
        if isinstance(found, FileUnreadable):
            raise found
        return found

    def rows(self, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
        """All rows, each with the line of the file it begins in: for files that are more than one plain table.

        Raises FileUnreadable, while they are read, for too many, too wide or damaged rows.
        """
        lines = csv.reader(io.StringIO(self.text, newline=""), delimiter=delimiter, strict=False)
        begins = 1
        try:
            for number, row in enumerate(lines, start=1):
                if number > MAX_ROWS + HEAD_ROWS:
                    raise FileUnreadable(TOO_MANY_ROWS)
                _check_width(len(row))
                if any(len(cell) > MAX_CELL for cell in row):
                    raise FileUnreadable(TOO_LONG_CELL)
                yield begins, row
                begins = lines.line_num + 1
        except csv.Error as error:
            raise FileUnreadable(NO_TABLE) from error

    def table(self, header_row: int, delimiter: str = ",") -> Table:
        """The table below `header_row` (from 0). Short rows are padded, long ones cut. Raises FileUnreadable."""
        if header_row < HEAD_ROWS:
            above = self.head(delimiter)[: header_row + 1]
        else:  # below another table
            above = [row for _, row in islice(self.rows(delimiter), header_row + 1)]
        return _table(self.text, above, delimiter)


def decode(content: bytes) -> str:
    """The file's text: UTF-8 or UTF-16 by its byte order mark, UTF-8, else Windows-1252. Raises FileUnreadable."""
    if len(content) > settings.UPLOAD_MAX_BYTES:
        limit = settings.UPLOAD_MAX_BYTES // (1024 * 1024)
        raise FileUnreadable(f"The file is larger than {limit} MB. Export a shorter period and import it in parts.")
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if (b"\0" in content and not is_wide) or content.startswith((b"PK\x03\x04", b"%PDF", b"\xd0\xcf\x11\xe0")):
        raise FileUnreadable("This is not a text file. Import the CSV export, not a spreadsheet, PDF or archive.")
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if is_wide:
            raise FileUnreadable("The file is damaged: it begins as UTF-16 and does not go on so.") from error
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise FileUnreadable("This is not a text file. Import the CSV export, not a spreadsheet, PDF or archive.")
    if not text.strip():
        raise FileUnreadable("The file is empty.")
    return text


def read(content: bytes, name: str = "") -> Source:
    """Raises FileUnreadable."""
    return Source(decode(content), name)


def likely_delimiter(text: str) -> str:
    """The separator of a file no format knows: the one that splits its first rows into the most cells alike."""
    counts = {mark: [len(row) for row in _head(text, mark) if row] for mark in DELIMITERS}
    return max(DELIMITERS, key=lambda mark: max((counts[mark].count(n) * (n - 1) for n in counts[mark]), default=0))


def _head(text: str, delimiter: str) -> list[list[str]]:
    found: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text[:HEAD_CHARACTERS], newline=""), delimiter=delimiter):
            _check_width(len(row))
            found.append(row)
            if len(found) == HEAD_ROWS:
                break
    except csv.Error as error:
        raise FileUnreadable(NO_TABLE) from error
    return found


def _table(text: str, head: list[list[str]], delimiter: str) -> Table:
    import pandas as pd

    header_row, header = len(head) - 1, list(head[-1])
    while len(header) > 1 and not header[-1].strip():  # a comma at the end of each line
        header.pop()
    names = tuple(cell.strip() or f"column {number}" for number, cell in enumerate(header, start=1))
    if len({name.casefold() for name in names}) != len(names):
        raise FileUnreadable("Two columns of the file have the same name.")
    columns = list(range(len(names) + 1))  # one more than the header has, to see which rows are longer
    widest = delimiter * len(names) + "\n"  # pandas refuses a column that no row has
    try:
        frame = pd.read_csv(
            io.StringIO(widest + text),
            sep=delimiter,
            header=None,
            names=columns,
            usecols=columns,
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            nrows=header_row + 2 + MAX_ROWS + 1,
            skip_blank_lines=False,
            index_col=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise FileUnreadable(OPEN_QUOTE) from error
    frame = frame.iloc[header_row + 2 :]
    if len(frame) > MAX_ROWS:
        raise FileUnreadable(TOO_MANY_ROWS)
    if len(frame) and int(frame.apply(lambda column: column.str.len().max()).max()) > MAX_CELL:
        raise FileUnreadable(TOO_LONG_CELL)
    above = sum(1 + sum(cell.count("\n") for cell in row) for row in head)
    return Table(names, frame, above + 1)


def _check_width(columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise FileUnreadable(f"The file has more than {MAX_COLUMNS} columns. Is it the CSV export?")
