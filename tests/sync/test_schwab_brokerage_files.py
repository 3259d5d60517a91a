"""Real exports of Schwab through the importer alone: kinds, cash and dates as noted by hand for each file."""

from collections import Counter
from datetime import date
from decimal import Decimal

import pytest

from connections.brokers.records import AssetClass, ParkedRecord, TransactionKind, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import ParsedFile
from sync.importers.dates import parse_as_of
from tests.sync.samples import real_export

K = TransactionKind
COLUMN_OF = {
    K.BUY: "buy",
    K.SELL: "sell",
    K.DIVIDEND: "div",
    K.INTEREST: "int",
    K.FEE: "fee",
    K.TAX: "tax",
    K.DEPOSIT: "dep",
    K.WITHDRAWAL: "wdr",
    K.SPLIT: "split",
    K.TRANSFER_IN: "in",
    K.TRANSFER_OUT: "out",
    K.CORPORATE_ACTION: "oth",
    K.OTHER: "oth",
}
# name: (counts, net cash in USD, first and last posting date)
EXPECTED: dict[str, tuple[dict[str, int], str, date, date]] = {
    "schwab-brokerage-2020-mixed.csv": (
        {
            "buy": 2,
            "sell": 2,
            "div": 5,
            "int": 2,
            "fee": 1,
            "tax": 1,
            "dep": 1,
            "wdr": 1,
            "split": 1,
            "in": 1,
            "out": 2,
            "opt": 5,
            "oth": 1,
        },
        "-5295.96",
        date(2018, 6, 28),
        date(2021, 5, 26),
    ),
    "schwab-brokerage-2020-titled.csv": (
        {"sell": 1, "div": 7, "int": 3, "dep": 1, "in": 1, "out": 1, "opt": 4, "oth": 3},
        "26865.96",
        date(2020, 4, 1),
        date(2022, 4, 22),
    ),
    "schwab-brokerage-2023-advisor.csv": (
        {
            "buy": 41,
            "sell": 2,
            "div": 43,
            "int": 5,
            "fee": 11,
            "tax": 1,
            "wdr": 2,
            "split": 3,
            "in": 1,
            "out": 1,
            "oth": 9,
        },
        "400074.19",
        date(2021, 4, 30),
        date(2025, 1, 31),
    ),
    "schwab-brokerage-2023-titled.csv": (
        {"buy": 2, "sell": 1, "div": 3, "int": 1, "dep": 2, "in": 1, "out": 1},
        "-1574.04",
        date(2022, 12, 15),
        date(2023, 4, 27),
    ),
    "schwab-brokerage-2026-titled.csv": (
        {
            "buy": 2,
            "sell": 1,
            "div": 5,
            "int": 1,
            "fee": 1,
            "tax": 2,
            "dep": 2,
            "wdr": 1,
            "split": 1,
            "in": 2,
            "opt": 2,
        },
        "6942.96",
        date(2024, 8, 1),
        date(2025, 5, 6),
    ),
    "schwab-brokerage-cash-merger.csv": (
        {"buy": 1, "dep": 2, "wdr": 1, "oth": 2},
        "1000",
        date(2016, 3, 1),
        date(2021, 3, 2),
    ),
    "schwab-brokerage-rsu.csv": (
        {"buy": 1, "sell": 1, "dep": 1, "in": 1},
        "28068.66",
        date(2022, 3, 1),
        date(2023, 8, 18),
    ),
}


def parse(content: bytes) -> ParsedFile:
    text = reader.decode(content)
    chosen, match = importers.detect(text)
    return chosen.parse(reader.read(text, header_row=match.header_row))


def understood(parsed: ParsedFile) -> list[TransactionRecord]:
    return [record for record in parsed.records if not isinstance(record, ParkedRecord)]


def column(record: TransactionRecord) -> str:
    is_option = record.instrument is not None and record.instrument.asset_class is AssetClass.OPTION
    return "opt" if is_option else COLUMN_OF[record.kind]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_row_of_a_real_export_gets_its_kind_and_the_cash_adds_up(name: str) -> None:
    counts, cash, _, _ = EXPECTED[name]
    parsed = parse(real_export(name))
    records = understood(parsed)
    assert len(records) == len(parsed.records) == sum(counts.values())
    assert Counter(column(record) for record in records) == counts
    assert sum(record.net_amount for record in records) == Decimal(cash)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_posting_date_is_kept_beside_the_effective_date(name: str) -> None:
    """The ledger's date is the effective one ("as of"); the first and last dates noted for the files are posting dates,
    which stay in the raw row and, where they differ, as the day the row was settled on the account."""
    _, _, first, last = EXPECTED[name]
    records = understood(parse(real_export(name)))
    posted = [parse_as_of(record.raw["Date"])[0] for record in records]
    assert (min(posted), max(posted)) == (first, last)
    for record, posting_date in zip(records, posted, strict=True):
        assert (record.settled_on or record.traded_on) == posting_date
        assert record.traded_on <= posting_date


def test_an_export_without_rows_is_read_as_empty() -> None:
    assert parse(real_export("schwab-brokerage-2020-empty.csv")).records == ()


def test_a_file_as_long_as_schwab_makes_them_may_be_cut() -> None:
    header = b'"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
    row = b'"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n'
    assert parse(header + row * 9_999).warnings == ()
    assert parse(header + row * 10_000).warnings == (
        "The file has 10,000 rows and Schwab puts at most 10,000 into one, so older ones may be missing. Export the "
        "earlier dates as well.",
    )
