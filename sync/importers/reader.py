"""Bytes of an uploaded file into a table of texts. Nothing is interpreted here; limits come before work."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from brokerhub.kernel.errors import HubError

if TYPE_CHECKING:  # 50 MB in each process that only has this module: pandas is loaded with the first file
    import pandas as pd

MAX_ROWS = 200_000
MAX_COLUMNS = 200
MAX_CELL = 10_000  # characters
HEAD_CHARACTERS = 200_000


class FileUnreadable(HubError):
    """The file is no table of text, or larger than we take; the text says what is wrong with it."""

    code = "file_unreadable"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows below the header. Cells are texts as they stand in the file; a missing one is ""."""

    header: tuple[str, ...]
    rows: "pd.DataFrame"  # one column of str per header cell, named 0, 1, 2, ...
    cut: int  # rows that had more cells than the header; what was beyond is not read

    def __iter__(self) -> Iterator[dict[str, str]]:
        for row in self.rows.itertuples(index=False, name=None):
            yield dict(zip(self.header, row, strict=True))


def decode(content: bytes) -> str:
    """The file's text: UTF-8 (with or without a byte order mark), else Windows-1252. Raises FileUnreadable."""
    if len(content) > settings.UPLOAD_MAX_BYTES:
        limit = settings.UPLOAD_MAX_BYTES // (1024 * 1024)
        raise FileUnreadable(f"The file is larger than {limit} MB. Export a shorter period and import it in parts.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileUnreadable("The file is in UTF-16. Save it as CSV UTF-8 and import it again.")
    if b"\0" in content or content.startswith((b"PK\x03\x04", b"%PDF", b"\xd0\xcf\x11\xe0")):
        raise FileUnreadable("This is not a text file. Import the CSV export, not a spreadsheet, PDF or archive.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if not text.strip():
        raise FileUnreadable("The file is empty.")
    return text


def head(text: str, rows: int) -> list[list[str]]:
    """The first `rows` rows as cells. Raises FileUnreadable for a table wider than we take."""
    found: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text[:HEAD_CHARACTERS])):
            _check_width(len(row))
            found.append(row)
            if len(found) == rows:
                break
    except csv.Error as error:
        raise FileUnreadable("The file could not be split into rows and columns. Is it the CSV export?") from error
    return found


def read(text: str, *, header_row: int) -> Table:
    """The table below `header_row` (from 0). Short rows are padded, long ones cut. Raises FileUnreadable."""
    import pandas as pd

    header = head(text, header_row + 1)[header_row]
    while len(header) > 1 and not header[-1].strip():  # a comma at the end of each line
        header.pop()
    names = tuple(cell.strip() or f"column {number}" for number, cell in enumerate(header, start=1))
    if len({name.casefold() for name in names}) != len(names):
        raise FileUnreadable("Two columns of the file have the same name.")
    columns = list(range(len(names) + 1))  # one more than the header has, to see which rows are longer
    widest = "," * len(names) + "\n"  # pandas refuses a column that no row has
    try:
        frame = pd.read_csv(
            io.StringIO(widest + text),
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
        raise FileUnreadable("The file is damaged: a quotation mark is opened and never closed.") from error
    frame = frame.iloc[header_row + 2 :]
    if len(frame) > MAX_ROWS:
        raise FileUnreadable(f"The file has more than {MAX_ROWS:,} rows. Export a shorter period, import it in parts.")
    cut = int((frame.iloc[:, len(names)] != "").sum())
    frame = frame.iloc[:, : len(names)]
    if len(frame) and int(frame.apply(lambda column: column.str.len().max()).max()) > MAX_CELL:
        raise FileUnreadable(f"A cell of the file is longer than {MAX_CELL:,} characters. Is it the CSV export?")
    return Table(names, frame, cut)


def _check_width(columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise FileUnreadable(f"The file has more than {MAX_COLUMNS} columns. Is it the CSV export?")
