"""Bytes of an uploaded file into texts and tables of texts. Nothing is interpreted here; limits come before work.

A file is read from its bytes as often as needed and in slices, so a table of any length takes the same memory.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, TextIO

from django.conf import settings

from brokerhub.kernel.errors import HubError

MAX_ROWS = 200_000
MAX_COLUMNS = 200
MAX_CELL = 10_000  # characters
HEAD_ROWS = 30  # titles and preambles come before the header, never more than this
HEAD_CHARACTERS = 200_000
SLICE_ROWS, SLICE_BYTES = 5_000, 1024 * 1024  # in memory at a time
DELIMITERS = (",", ";", "\t")

Cells = Sequence[str]

TOO_MANY_ROWS = f"The file has more than {MAX_ROWS:,} rows. Export a shorter period, import it in parts."
TOO_LONG_CELL = f"A cell of the file is longer than {MAX_CELL:,} characters. Is it the CSV export?"
NO_TABLE = "The file could not be split into rows and columns. Is it the CSV export?"
NO_TEXT = "This is not a text file. Import the CSV export, not a spreadsheet, PDF or archive."
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
OTHER_KINDS = (b"PK\x03\x04", b"%PDF", b"\xd0\xcf\x11\xe0")  # archives and newer spreadsheets, PDF, older ones
OPEN_QUOTE = "The file is damaged: a quotation mark is opened and never closed."


class FileUnreadable(HubError):
    """The file is no table of text, or larger than we take; the text says what is wrong with it."""

    code = "file_unreadable"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows below a header, read anew each time they are asked for. Cells are texts as they stand in the file; a
    missing one is "". Asking raises FileUnreadable for too many rows, too long cells or a damaged file."""

    header: tuple[str, ...]
    first_line: int  # of the file, from 1, below the header
    _open: Callable[[], TextIO] = field(repr=False)
    _delimiter: str
    _above: int  # rows, the header's included

    def __iter__(self) -> Iterator[tuple[int, tuple[str, ...], bool]]:
        """Each row: the line of the file it begins in (a cell may have line breaks of its own), its cells, and whether
        there were more of them than the header has; what was beyond is not read."""
        line = self.first_line
        for columns in self._slices(range(len(self.header) + 1)):
            for row in zip(*columns, strict=True):
                text = "".join(row)
                if len(text) > MAX_CELL and any(len(cell) > MAX_CELL for cell in row):
                    raise FileUnreadable(TOO_LONG_CELL)
                yield line, row[:-1], row[-1] != ""
                line += 1 + text.count("\n")

    def column(self, name: str) -> list[str]:
        """The cells of the column called `name` in any case; [] when there is none."""
        folded = [cell.casefold() for cell in self.header]
        if name not in folded:
            return []
        return [cell for (cells,) in self._slices([folded.index(name)]) for cell in cells]

    def _slices(self, wanted: Sequence[int]) -> Iterator[list[list[str]]]:
        """The cells of the wanted columns, a list for each, some thousand rows at a time."""
        import pandas as pd  # 50 MB in each process that only has this module: loaded with the first file

        columns = list(range(len(self.header) + 1))  # one more than the header has, to see which rows are longer
        widest = self._delimiter * len(self.header) + "\n"  # pandas refuses a column that no row has
        above, count = self._above + 1, 0
        try:
            with (
                self._open() as text,
                pd.read_csv(
                    _Headed(widest, text),
                    sep=self._delimiter,
                    header=None,
                    names=columns,
                    usecols=list(wanted),
                    dtype=str,
                    keep_default_na=False,
                    na_filter=False,
                    skip_blank_lines=False,
                    index_col=False,
                    chunksize=SLICE_ROWS,
                ) as frames,
            ):
                for frame in frames:
                    begins, above = min(above, len(frame)), max(above - len(frame), 0)
                    count += len(frame) - begins
                    if count > MAX_ROWS:
                        raise FileUnreadable(TOO_MANY_ROWS)
                    yield [frame[place].tolist()[begins:] for place in wanted]
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise FileUnreadable(OPEN_QUOTE) from error


class _Headed(io.TextIOBase):
    """A text with a line of ours in front."""

    def __init__(self, first: str, text: TextIO) -> None:
        self._first, self._text = first, text

    def read(self, size: int | None = -1) -> str:
        first, self._first = self._first, ""
        return first or self._text.read(-1 if size is None else size)


@dataclass(frozen=True, slots=True)
class Source:
    """A file as text, to be looked at as a format needs it: as text, row by row, or as a table."""

    open: Callable[[], TextIO] = field(repr=False)  # the text from its beginning, line ends as they are
    beginning: str = field(repr=False)  # HEAD_CHARACTERS of it
    name: str = ""  # of the file, a hint at most
    _heads: dict[str, list[list[str]] | FileUnreadable] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, text: str, name: str = "") -> "Source":
        return cls(lambda: io.StringIO(text, newline=""), text[:HEAD_CHARACTERS], name)

    @property
    def text(self) -> str:
        """All of it, for what cannot be read in slices: markup."""
        with self.open() as file:
            return file.read()

    @property
    def is_markup(self) -> bool:
        """XML or SGML rather than a table."""
        return self.beginning[:200].lstrip().startswith(("<", "OFXHEADER"))

    def head(self, delimiter: str = ",") -> list[list[str]]:
        """The first HEAD_ROWS rows as cells. Raises FileUnreadable for a table wider than we take."""
        if delimiter not in self._heads:
            try:
                self._heads[delimiter] = _head(self.beginning, delimiter)
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
        begins = 1
        try:
            with self.open() as text:
                lines = csv.reader(text, delimiter=delimiter, strict=False)
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
        line = 1 + sum(1 + sum(cell.count("\n") for cell in row) for row in above)
        return Table(_column_names(above[-1]), line, self.open, delimiter, len(above))


def read(content: bytes, name: str = "") -> Source:
    """Raises FileUnreadable."""
    return read_from(lambda: io.BytesIO(content), name)


def read_from(open: Callable[[], BinaryIO], name: str = "") -> Source:
    """A file whose bytes `open` gives from the beginning, each time it is called. Raises FileUnreadable."""
    with open() as file:
        encoding = _encoding(file)

    def text() -> TextIO:
        return io.TextIOWrapper(open(), encoding=encoding, errors="replace", newline="")

    with text() as beginning:
        return Source(text, beginning.read(HEAD_CHARACTERS), name)


def _encoding(file: BinaryIO) -> str:
    """UTF-8 or UTF-16 by its byte order mark, UTF-8, else Windows-1252. Raises FileUnreadable for what is no text."""
    if file.seek(0, io.SEEK_END) > settings.UPLOAD_MAX_BYTES:
        limit = settings.UPLOAD_MAX_BYTES // (1024 * 1024)
        raise FileUnreadable(f"The file is larger than {limit} MB. Export a shorter period and import it in parts.")
    file.seek(0)
    piece = file.read(SLICE_BYTES)
    is_wide = piece.startswith(WIDE_MARKS)
    if piece.startswith(OTHER_KINDS):
        raise FileUnreadable(NO_TEXT)
    encoding, is_blank = "utf-16" if is_wide else "utf-8-sig", True
    decoder = codecs.getincrementaldecoder(encoding)()
    while True:
        if b"\0" in piece and not is_wide:
            raise FileUnreadable(NO_TEXT)
        try:
            text = decoder.decode(piece, final=not piece) if encoding != "cp1252" else ""
        except UnicodeDecodeError as error:
            if is_wide:
                raise FileUnreadable("The file is damaged: it begins as UTF-16 and does not go on so.") from error
            encoding, text = "cp1252", "not blank"
        if "\0" in text:
            raise FileUnreadable(NO_TEXT)
        is_blank = is_blank and not text.strip()
        if not piece:
            break
        piece = file.read(SLICE_BYTES)
    if is_blank:
        raise FileUnreadable("The file is empty.")
    return encoding


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


def _column_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Raises FileUnreadable when two of them are the same."""
    header = list(cells)
    while len(header) > 1 and not header[-1].strip():  # a comma at the end of each line
        header.pop()
    names = tuple(cell.strip() or f"column {number}" for number, cell in enumerate(header, start=1))
    if len({name.casefold() for name in names}) != len(names):
        raise FileUnreadable("Two columns of the file have the same name.")
    return names


def _check_width(columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise FileUnreadable(f"The file has more than {MAX_COLUMNS} columns. Is it the CSV export?")
