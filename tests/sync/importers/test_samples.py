"""Every real export of the collection through its importer: kinds, cash and dates as noted by hand for each file.

How the numbers are defined stands with the collection. Where a file can be read in more than one way, the reading
taken stands beside it here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pytest

from connections.brokers.records import AssetClass, ParkedRecord, TransactionKind, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import AS_PRINTED, Choices, FileNotRead, FileRow, ParsedFile
from sync.importers.dates import parse_date
from tests.sync.samples import REAL_EXPORTS, real_export

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
    K.FX: "fx",
    K.CORPORATE_ACTION: "oth",
    K.OTHER: "oth",
}


@dataclass(frozen=True)
class Sample:
    name: str
    counts: str  # "buy 3 div 2": rows of the file by kind
    cash: str  # "USD 3.94; EUR -1": net change of cash
    first: str
    last: str
    repeats: int = 0  # rows equal in every cell to an earlier one, all real
    choices: Choices = field(default=AS_PRINTED)  # the answers of a person, where the file leaves a question

    def __str__(self) -> str:
        return self.name


SAMPLES = (
    Sample(
        "avanza-2025.csv",
        "buy 3 sell 1 div 1 int 2 tax 3 dep 3 wdr 3 oth 4",
        "SEK -94340.33",
        "2019-04-01",
        "2025-01-14",
    ),
    Sample(
        "coinbase-2025.csv",
        # Rewards are interest without money: coins came, none was paid. A sale against USDC is booked at the pounds
        # Coinbase prints for it, with a warning, because the file has no other money for it. Both legs of a conversion
        # are records of its one row.
        "buy 3 sell 3 int 5 dep 2 in 4 out 3 oth 5",
        "EUR 100; GBP -496.67",
        "2019-05-06",
        "2025-06-15",
    ),
    Sample(
        "degiro-account.csv",
        # Of a withdrawal told twice the row that takes the money is it; the "processed" one is its other side on the
        # way to the bank and would take it a second time, so it is a sweep. The rest of an order id on a row by itself
        # is no row.
        "buy 10 sell 3 div 9 fee 13 tax 6 dep 2 wdr 1 fx 12 oth 17",
        "EUR -20589.66; GBP 19.84; JPY 0; USD -455.5708",
        "2019-05-15",
        "2025-01-01",
    ),
    Sample(
        "etrade-activity-2026-synthetic.csv",
        "buy 1 sell 1 div 1 opt 2 oth 2",
        "USD -117.5",
        "2026-04-01",
        "2026-08-20",
    ),
    Sample("etrade-brokerage-2023.qfx", "buy 2 div 1 tax 1", "USD -1344.27", "2023-07-12", "2023-07-14"),
    Sample("etrade-transactions-2023.csv", "buy 7 sell 5 dep 1", "USD 211.56", "2023-02-01", "2023-04-05"),
    Sample(
        "fidelity-history-2019.csv",
        "buy 6 sell 4 div 2 int 2 tax 1 dep 1 opt 2 oth 1",
        "USD 3686.18",
        "2017-08-02",
        "2017-11-09",
    ),
    Sample(
        "fidelity-history-2025-all-accounts.csv",
        "buy 4 sell 1 div 7 int 1 tax 1 dep 2 wdr 1 in 1 out 1 oth 2",
        "USD 24838.59",
        "2025-09-18",
        "2025-12-04",
    ),
    Sample("freetrade-2024.csv", "buy 10 sell 2 div 2 int 1 dep 1 oth 1", "GBP 8945.12", "2021-12-13", "2024-01-16"),
    Sample(
        "generic-european-broker-fr.csv",
        "buy 5 sell 1 div 2 int 1 dep 1 wdr 1",
        "EUR -4212.18",
        "2024-01-15",
        "2024-04-10",
    ),
    # Its purchase of 2050 is kept with a warning, since the program lets people write down plans.
    Sample("generic-ghostfolio-sample.csv", "buy 3 div 1 fee 1", "USD -501557.8", "2021-09-01", "2050-06-06"),
    Sample(
        "generic-wealthfolio-sample.csv",
        # What was transferred in are shares, whose price is no money; the split says its ratio and so adds no units.
        "buy 3 sell 1 div 2 int 1 fee 1 tax 1 dep 1 wdr 1 split 1 in 1 oth 1",
        "CAD -1709.99; USD 1142.55",
        "2024-01-15",
        "2024-07-15",
    ),
    Sample("ibkr-activity-2020-en.csv", "buy 12 sell 4 div 11 tax 11 dep 12", "USD 281.26", "2020-01-01", "2020-12-24"),
    Sample(
        "ibkr-activity-2021-ru.csv",
        "buy 76 sell 35 div 32 int 2 fee 12 tax 42 dep 18 wdr 1 fx 42",
        "EUR 11.65; GBP 13.944079; RUB 106.824308495; USD -531.382400041",
        "2020-07-24",
        "2021-12-31",
    ),
    Sample(
        "ibkr-activity-2022q1-ru.csv",
        "buy 11 sell 9 div 6 int 1 fee 3 tax 18 wdr 2 fx 18 oth 2",
        "EUR -11.65; GBP 176.860709; RUB -1197.078389997; USD -70.231365335",
        "2021-02-12",
        "2022-03-28",
    ),
    Sample(
        "ibkr-activity-2023-en.csv",
        "buy 12 sell 4 div 87 tax 87 dep 12",
        "USD 1868.34",
        "2023-01-01",
        "2023-12-29",
    ),
    Sample("ibkr-activity-trades-executions.csv", "buy 2 sell 2", "USD 551.6290753", "2021-01-27", "2021-01-28"),
    Sample(
        "ibkr-activity-trades-multiaccount.csv",
        "sell 2 opt 4",
        "SEK 45401.45; USD 2855.2299242",
        "2021-01-11",
        "2021-07-16",
    ),
    Sample(
        "ibkr-flex-activity-2013.xml",
        "buy 13 int 2 fee 4 tax 1 split 2 opt 1 oth 3",
        "CAD -2303.0356; CHF -19.49; USD -2.07",
        "2013-01-02",
        "2018-05-11",
    ),
    Sample(
        "ibkr-flex-activity-2023-chf.xml",
        "buy 6 dep 2 fx 2",
        "CHF 5.353618; USD 32.509221",
        "2023-02-06",
        "2023-02-27",
    ),
    Sample("ibkr-flex-cash.csv", "div 7 tax 4", "CHF 32.08; JPY 455; USD 334.61", "2023-06-23", "2025-06-30"),
    Sample(
        "ibkr-flex-corporate-action-2025.xml",
        "buy 1 div 2 tax 2 oth 2",
        "EUR -799.8; USD 22.64",
        "2025-08-07",
        "2025-11-20",
    ),
    Sample("ibkr-flex-dividends-2025.xml", "div 9 fee 1", "USD 208.43", "2025-08-01", "2025-08-06"),
    Sample("ibkr-flex-fx-cancel-2025.xml", "fx 3", "TWD 34649.999995949; USD -1145.929445", "2025-09-11", "2025-09-11"),
    Sample("ibkr-flex-multisection.csv", "buy 1 div 1 dep 1", "USD 3111.3", "2026-04-18", "2026-04-18"),
    Sample(
        "ibkr-flex-tradeconfirms-2019.xml",
        "buy 4 opt 3 fx 3 oth 1",
        "AUD -9329.25; GBP 5038.75; USD -31120.030115",
        "2019-02-04",
        "2019-03-25",
    ),
    Sample("ibkr-flex-trades-full.csv", "buy 1", "USD -3474.9041", "2023-04-03", "2023-04-03"),
    Sample(
        "ibkr-flex-trades.csv",
        # Its three exchanges do not name the other currency: the side in the row's own currency and the commission are
        # booked, with a warning, because to take the account's currency for the other side would be a guess.
        "buy 8 fx 3",
        "CHF -1989.23142; USD 0.732",
        "2023-05-22",
        "2024-01-29",
    ),
    Sample(
        "ibkr-transaction-history.csv",
        "buy 1 sell 1 div 2 int 1 tax 4 dep 1 fx 1 oth 1",
        # The collection adds the translation of other currencies' value (0.55), which it also says is no cash movement;
        # it is booked as none.
        "GBP 3026.8497362408735",
        "2025-01-01",
        "2025-11-30",
    ),
    Sample(
        "revolut-invest.csv",
        "buy 3 sell 1 div 1 fee 1 dep 1 wdr 1 split 1 oth 3",
        "EUR -70; USD -30.42",
        "2019-11-15",
        "2025-09-08",
    ),
    Sample(
        "robinhood-activity-2023-2025.csv",
        "buy 212 sell 90 div 13 fee 4 dep 47 wdr 5 out 2 oth 8",
        "USD 4932.88",
        "2023-08-10",
        "2025-03-10",
        repeats=8,
    ),
    Sample("robinhood-legacy-apex-2016.csv", "buy 6 sell 5 div 2", "USD 74.1", "2016-12-05", "2017-01-31"),
    Sample(
        "robinhood-options-2018-2020h1.csv",
        "buy 232 sell 126 div 26 fee 4 tax 1 dep 40 opt 172 oth 5",
        "USD 74.99",
        "2018-11-26",
        "2020-06-30",
        repeats=5,
    ),
    Sample(
        "robinhood-options-2020h2.csv",
        "buy 128 sell 53 div 13 dep 8 opt 321 oth 6",
        "USD -764.99",
        "2020-06-01",
        "2020-12-31",
        repeats=11,
    ),
    Sample("robinhood-options-minimal.csv", "opt 3", "USD 270", "2025-10-05", "2025-10-07"),
    Sample(
        "saxo-2025.csv",
        # Amounts are in the currency of the security: the only one a row names, and units times price give them. Rows
        # of several clients look alike because their ids were blanked in the sample, so the repeats are real.
        "buy 11 sell 1 div 2 fee 4 dep 11 wdr 1",
        "EUR -107.71; USD 513.73",
        "2024-12-16",
        "2025-04-02",
        repeats=11,
    ),
    Sample("schwab-brokerage-2020-empty.csv", "", "", "", ""),
    Sample(
        "schwab-brokerage-2020-mixed.csv",
        "buy 2 sell 2 div 5 int 2 fee 1 tax 1 dep 1 wdr 1 split 1 in 1 out 2 opt 5 oth 1",
        "USD -5295.96",
        "2018-06-28",
        "2021-05-26",
    ),
    Sample(
        "schwab-brokerage-2020-titled.csv",
        "sell 1 div 7 int 3 dep 1 in 1 out 1 opt 4 oth 3",
        "USD 26865.96",
        "2020-04-01",
        "2022-04-22",
    ),
    Sample(
        "schwab-brokerage-2023-advisor.csv",
        "buy 41 sell 2 div 43 int 5 fee 11 tax 1 wdr 2 split 3 in 1 out 1 oth 9",
        "USD 400074.19",
        "2021-04-30",
        "2025-01-31",
        repeats=1,
    ),
    Sample(
        "schwab-brokerage-2023-titled.csv",
        "buy 2 sell 1 div 3 int 1 dep 2 in 1 out 1",
        "USD -1574.04",
        "2022-12-15",
        "2023-04-27",
    ),
    Sample(
        "schwab-brokerage-2026-titled.csv",
        "buy 2 sell 1 div 5 int 1 fee 1 tax 2 dep 2 wdr 1 split 1 in 2 opt 2",
        "USD 6942.96",
        "2024-08-01",
        "2025-05-06",
    ),
    Sample("schwab-brokerage-cash-merger.csv", "buy 1 dep 2 wdr 1 oth 2", "USD 1000", "2016-03-01", "2021-03-02"),
    Sample("schwab-brokerage-rsu.csv", "buy 1 sell 1 dep 1 in 1", "USD 28068.66", "2022-03-01", "2023-08-18"),
    Sample("schwab-checking-2020.csv", "int 1 dep 5 wdr 5 oth 1", "USD 22481.17", "2019-11-22", "2021-11-01"),
    Sample("schwab-equity-awards-rsu.csv", "in 1", "", "2023-08-15", "2023-08-15"),
    Sample(
        "swissquote-2022.csv",
        "buy 5 sell 5 div 3 int 1 fee 1 wdr 2 fx 4",
        "CHF 62020.99; EUR 2481.97; USD 39220.25",
        "2022-01-01",
        "2022-08-24",
    ),
    Sample("traderepublic-2026-dividend-corrections.csv", "div 8", "EUR 5.4", "2026-03-27", "2026-03-27"),
    Sample("traderepublic-2026.csv", "buy 2 sell 1 dep 4 wdr 2", "EUR 11.92", "2026-03-06", "2026-04-02"),
    Sample(
        "trading212-2023.csv",
        # Its last four rows are of a newer layout, two cells to the right. What was transferred out has a value, which
        # is no money; both rows of the split count.
        "buy 3 sell 1 div 3 int 1 dep 1 split 2 out 1 oth 1",
        "EUR 45.44",
        "2023-11-06",
        "2025-03-24",
    ),
    Sample(
        "trading212-2024.csv",
        "buy 1 sell 1 div 1 int 1 dep 1 wdr 1 oth 1",
        "GBP 1758.05",
        "2024-01-01",
        "2024-05-26",
    ),
    Sample(
        "vanguard-uk-cash-report.csv",
        "buy 4 sell 1 div 4 int 1 fee 4 dep 4 wdr 1",
        "GBP 23.59",
        "2022-03-08",
        "2022-10-15",
        repeats=1,
    ),
    Sample(
        "vanguard-us-ofxdownload-2017.csv",
        "buy 8 sell 1 div 4 dep 1 wdr 1 out 1 oth 2",
        "USD -19435.71",
        "2016-01-05",
        "2017-09-23",
    ),
    Sample("webull-orders-2026-synthetic.csv", "buy 1 sell 1 opt 2", "USD 900", "2026-06-09", "2026-06-11"),
    Sample(
        "xtb-cash-operations.csv",
        # Of its 46 rows three come twice with the same id, which is the broker's own mistake: 43 are true.
        "buy 12 sell 2 div 7 int 4 tax 6 dep 5 wdr 1 in 1 oth 5",
        "EUR 201.94",
        "2020-11-05",
        "2025-01-03",
        choices=Choices(currency="EUR"),  # the file never says it
    ),
)
EXPECTED = {sample.name: sample for sample in SAMPLES}
POSITIONS = {
    "schwab-positions-2020.csv": "This is Schwab's positions file.*export its transactions",
    "fidelity-positions-2019.csv": "This is Fidelity's positions file.*History",
}

# The first date of a row where that is not the ledger's: a row dated "as of" an earlier day counts by its posting date.
POSTED_IN = {"schwab_brokerage": "Date", "fidelity": "Run Date"}


def read(sample: Sample) -> ParsedFile:
    source = reader.read(real_export(sample.name), sample.name)
    chosen, _ = importers.detect(source)
    return chosen.parse(source, sample.choices)


def column(row: FileRow) -> str:
    """Shares that move with an option (assigned, exercised) are rows of their own, under their own kind."""
    record = row.records[0]
    assert not isinstance(record, ParkedRecord), record.reason
    is_option = record.instrument is not None and record.instrument.asset_class is AssetClass.OPTION
    if is_option:
        return "opt"
    # The collection counts a future as "other", its notional value being no cash; the ledger buys and sells contracts.
    is_future = record.instrument is not None and record.instrument.asset_class is AssetClass.FUTURE
    return "oth" if is_future else COLUMN_OF[record.kind]


def cash_of(records: Sequence[object]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for record in records:
        assert isinstance(record, TransactionRecord)
        total[record.currency] = total.get(record.currency, Decimal(0)) + record.net_amount
    return {currency: amount for currency, amount in total.items() if amount}


def first_date(key: str, row: FileRow) -> date:
    record = row.records[0]
    assert isinstance(record, TransactionRecord)
    posted = POSTED_IN.get(key)
    return parse_date(record.raw[posted].partition(" as of")[0]) if posted else record.traded_on


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_real_export_gives_its_rows_by_kind_its_cash_and_its_dates(sample: Sample) -> None:
    source = reader.read(real_export(sample.name), sample.name)
    chosen, _ = importers.detect(source)
    parsed = chosen.parse(source, sample.choices)
    words = sample.counts.split()
    assert Counter(column(row) for row in parsed.rows) == dict(zip(words[::2], map(int, words[1::2]), strict=True))
    cash = (part.split() for part in sample.cash.split("; ") if part)
    assert cash_of(parsed.records) == {code: Decimal(amount) for code, amount in cash if Decimal(amount)}
    dates = [first_date(chosen.key, row) for row in parsed.rows]
    assert (min(dates, default=None), max(dates, default=None)) == tuple(
        date.fromisoformat(text) if text else None for text in (sample.first, sample.last)
    )
    seen = [[record.raw for record in row.records] for row in parsed.rows]
    assert sum(raw in seen[:index] for index, raw in enumerate(seen)) == sample.repeats
    assert parsed.questions == ()


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_row_has_its_line_in_the_file(sample: Sample) -> None:
    parsed = read(sample)
    lines = [row.line for row in parsed.rows] + [row.line for row in parsed.skipped]
    assert len(set(lines)) == len(lines)
    assert all(0 < line <= len(reader.read(real_export(sample.name)).text.splitlines()) for line in lines)


@pytest.mark.parametrize("name", sorted(POSITIONS))
def test_a_positions_file_is_refused_and_the_right_export_is_named(name: str) -> None:
    with pytest.raises(FileNotRead, match=POSITIONS[name]):
        importers.detect(reader.read(real_export(name), name))


def test_the_table_covers_the_whole_collection() -> None:
    if not REAL_EXPORTS.exists():
        pytest.skip("the collection of real exports (../shared/data/csv) is not here")
    here = {path.name for path in REAL_EXPORTS.iterdir() if path.suffix != ".md"}
    assert here == EXPECTED.keys() | POSITIONS.keys()
