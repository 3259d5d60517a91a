"""Real Flex statements, given away by their owners, read to the last digit."""

from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path

import pytest

from connections.brokers import ibkr_rows, ibkr_statement
from connections.brokers.ibkr_instruments import Known
from connections.brokers.ibkr_statement import Report, Row
from connections.brokers.records import RecordStatus, TransactionRecord
from tests.connections.flex_statements import ROWS

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "csv"
REAL = [  # counts and change of cash, each worked out by hand in the samples' SOURCES.md
    (
        "activity-2013",
        {"buy": 14, "fee": 4, "interest": 2, "tax": 1, "corporate_action": 3, "split": 2},
        {"CAD": "-2303.0356", "CHF": "-19.49", "USD": "-2.07"},
    ),
    ("activity-2023-chf", {"buy": 6, "deposit": 2, "fx": 2}, {"CHF": "5.353618", "USD": "32.509221"}),
    (
        "corporate-action-2025",
        {"buy": 1, "dividend": 2, "tax": 2, "corporate_action": 2},
        {"EUR": "-799.8", "USD": "22.64"},
    ),
    ("dividends-2025", {"dividend": 9, "fee": 1}, {"USD": "208.43"}),
    ("fx-cancel-2025", {"fx": 3}, {"TWD": "34649.999995949", "USD": "-1145.929445"}),
    (
        "tradeconfirms-2019",
        {"buy": 7, "sell": 1, "fx": 3},
        {"AUD": "-9329.25", "GBP": "5038.75", "USD": "-31120.030115"},
    ),
]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample statements are not here")
@pytest.mark.parametrize(("name", "kinds", "cash"), REAL, ids=lambda value: value if isinstance(value, str) else "")
def test_real_statements_are_read_whole_and_to_the_last_digit(name, kinds, cash):
    report = ibkr_statement.read((SAMPLES / f"ibkr-flex-{name}.xml").read_text())
    assert isinstance(report, Report)
    nothing: dict[str, tuple[Row, ...]] = dict.fromkeys(ROWS, ())  # for sections their owners had no use for
    found = replace(report.statements[0], sections={**nothing, **report.statements[0].sections})
    told = ibkr_rows.confirmations(found) if report.kind == "TCF" else ibkr_rows.transactions(found, Known.by([found]))
    records = []
    for record in told:
        assert isinstance(record, TransactionRecord), record
        records.append(record)
    rows = {
        record.external_id.partition(":")[0] + record.raw.get("tradeID", ""): record for record in reversed(records)
    }
    assert Counter(record.kind.value for record in rows.values()) == kinds
    sums: defaultdict[str, D] = defaultdict(D)
    for record in records:
        if record.status is RecordStatus.POSTED:
            sums[record.currency] += record.net_amount
    assert sums == {currency: D(amount) for currency, amount in cash.items()}
