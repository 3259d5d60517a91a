"""What Schwab's brokerage exports say beyond their counts."""

import pytest

from connections.brokers.records import TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import ParsedFile
from sync.importers.dates import parse_as_of
from tests.sync.samples import fixture, real_export

REAL = (
    "schwab-brokerage-2020-mixed.csv",
    "schwab-brokerage-2020-titled.csv",
    "schwab-brokerage-2023-advisor.csv",
    "schwab-brokerage-2023-titled.csv",
    "schwab-brokerage-2026-titled.csv",
    "schwab-brokerage-cash-merger.csv",
    "schwab-brokerage-rsu.csv",
)


def parse(content: bytes) -> ParsedFile:
    source = reader.read(content)
    return importers.detect(source)[0].parse(source)


@pytest.mark.parametrize("name", REAL)
def test_the_posting_date_is_kept_beside_the_effective_date(name: str) -> None:
    """The ledger's date is the effective one ("as of"); the posting date stays in the raw row and, where they differ,
    as the day the row was settled on the account."""
    for record in parse(real_export(name)).records:
        assert isinstance(record, TransactionRecord)
        posted = parse_as_of(record.raw["Date"])[0]
        assert (record.settled_on or record.traded_on) == posted
        assert record.traded_on <= posted


def test_rows_are_told_by_the_line_they_begin_in_and_the_total_is_none_of_them() -> None:
    parsed = parse(fixture("schwab-brokerage.csv"))
    lines = fixture("schwab-brokerage.csv").decode().splitlines()
    for row in parsed.rows:
        assert isinstance(row.records[0], TransactionRecord)
        assert lines[row.line - 1].startswith(f'"{row.records[0].raw["Date"]}"')
    assert [(row.line, row.reason) for row in parsed.skipped] == [(len(lines), "the total of the file")]


def test_a_word_schwab_never_used_before_is_told_at_its_row() -> None:
    header = b"Date,Action,Symbol,Description,Quantity,Price,Fees & Comm,Amount\n"
    (row,) = parse(header + b"06/10/2026,Quantum Swap,KO,X,3,,,-7.50\n").rows
    assert row.warnings == ("“Quantum Swap” is not a word the hub knows; the row is kept as “other”.",)


def test_an_export_without_rows_is_read_as_empty() -> None:
    assert parse(real_export("schwab-brokerage-2020-empty.csv")).rows == ()


def test_a_file_as_long_as_schwab_makes_them_may_be_cut() -> None:
    header = b'"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
    row = b'"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n'
    assert parse(header + row * 9_999).warnings == ()
    assert parse(header + row * 10_000).warnings == (
        "The file has 10,000 rows and Schwab puts at most 10,000 into one, so older ones may be missing. Export the "
        "earlier dates as well.",
    )
