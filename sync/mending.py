"""Cells a person mends, and rows handed back to be mended. The uploaded bytes stay as they were; texts are made anew.

A file of rejected rows is the original without the rows that were booked, with two columns in front: the parked row's
number and why it was not booked. Mended and uploaded again it is read as what it was, without these columns. Rows of
markup come as the hub's own table, see `importers/handed_back.py`.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aggregation.exports import FORMULA_STARTS, safe_cell
from sync.importers import handed_back
from sync.importers.base import Choices, FileNotRead, FileRow, Format, ParsedFile
from sync.importers.reader import DELIMITERS, MAX_CELL, Source, likely_delimiter
from sync.importers.tabular import TabularFormat

NUMBER, REASON = "Row at the hub", "Why it was not booked"
Fixes = Mapping[int, Mapping[int, str]]  # by line (from 1), then by place in the row (from 0)


def delimiter_of(format: Format, source: Source, choices: Choices) -> str:
    """What stands between the cells of this file, which is no markup."""
    if not isinstance(format, TabularFormat):
        return likely_delimiter(source.beginning)
    tried = (choices.delimiter,) if choices.delimiter else dict.fromkeys((format.delimiter, *DELIMITERS))
    return next((mark for mark in tried if format.header_row(source, mark) is not None), format.delimiter)


def mended(source: Source, fixes: Fixes, delimiter: str) -> Source:
    """The file with mended cells. Each row stays in its line. Raises FileNotRead for a row that is not there."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    left = dict(fixes)
    for line, cells in source.rows(delimiter):
        row = list(cells)
        for at, text in left.pop(line, {}).items():
            row += [""] * (at + 1 - len(row))
            row[at] = text + "\n" * row[at].count("\n")  # as many lines as before; readers strip the cell
        _write(writer, out, row)
    if left:
        raise FileNotRead(f"The file has no row in line {min(left)}.")
    return Source.of(out.getvalue(), source.name)


def check_fix(text: str) -> str:
    """A mended cell as it may be. Raises FileNotRead."""
    if len(text) > MAX_CELL or any(ord(sign) < 32 and sign != "\t" for sign in text):
        raise FileNotRead("A cell takes one line of plain text.")
    return text


def cells_of(source: Source, line: int, delimiter: str) -> list[str] | None:
    """The row that begins in `line`; None when none does."""
    return next((cells for begins, cells in source.rows(delimiter) if begins == line), None)


def rejected(
    source: Source, format: Format, parsed: ParsedFile, delimiter: str, why: Mapping[int, tuple[str, str]]
) -> Iterator[str]:
    """The lines of the file of rejected rows. `why` holds the number and the reason by line of the rejected.

    Titles and headers stay, so that the file is recognised again; a table's totals go, for they add up no more.
    """
    if source.is_markup:
        yield from _as_table(format, parsed.rows, why)
        return
    dropped = {row.line for row in parsed.rows} - why.keys()
    if isinstance(format, TabularFormat):
        dropped |= {row.line for row in parsed.skipped}
    is_first = True
    for line, cells in source.rows(delimiter):
        if line in dropped or (not any(cells) and not is_first):
            continue
        front = (NUMBER, REASON) if is_first else why.get(line, ("", ""))
        yield _line([*front, *cells], delimiter)
        is_first = False


def _as_table(format: Format, rows: Sequence[FileRow], why: Mapping[int, tuple[str, str]]) -> Iterator[str]:
    yield _line([NUMBER, REASON, *handed_back.FIELDS], ",")
    for row in rows:
        for cells in handed_back.table(row, format) if row.line in why else ():
            yield _line([*why[row.line], *cells.values()], ",")


def without_remarks(source: Source) -> tuple[Source, dict[int, int]]:
    """A file of rejected rows as its rows were before, and the numbers of the parked rows by line; else the file."""
    delimiter = next((mark for mark in DELIMITERS if _has_remarks(source, mark)), "")
    if not delimiter:
        return source, {}
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    numbers: dict[int, int] = {}
    for line, cells in source.rows(delimiter):
        if cells and cells[0].isascii() and cells[0].isdigit() and len(cells[0]) < 19:
            numbers[line] = int(cells[0])
        _write(writer, out, [_plain(cell) for cell in cells[2:]])
    return Source.of(out.getvalue(), source.name), numbers


def _has_remarks(source: Source, delimiter: str) -> bool:
    return (
        not source.is_markup
        and source.beginning.startswith(NUMBER)
        and source.head(delimiter)[0][:2]
        == [
            NUMBER,
            REASON,
        ]
    )


def _plain(cell: str) -> str:
    """Without the apostrophe that kept a spreadsheet from calculating it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell


def _write(writer: object, out: io.StringIO, row: Sequence[str]) -> None:
    if any(row) or len(row) > 1:
        writer.writerow(row)  # type: ignore[attr-defined]  # csv names no type for its writers
    else:
        out.write("\n")  # csv would write quotes for a row of one empty cell


def _line(cells: Iterable[str], delimiter: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow([safe_cell(cell) for cell in cells])
    return out.getvalue()
