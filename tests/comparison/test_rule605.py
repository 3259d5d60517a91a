"""Rule 605 files, the summary and the old detail: what valid ones bring, and how others are refused."""

import gzip
import zipfile
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from comparison.models import ComparisonBroker, ExecutionReport, ExecutionStat
from tests.comparison.report_samples import FIXTURES, changed, collected, refusal, run

pytestmark = pytest.mark.django_db
SUMMARY, DETAIL = FIXTURES / "rule605-summary.csv", FIXTURES / "rule605-detail.txt"


def stored() -> list[list[Any]]:
    return [list(model.objects.order_by("pk").values()) for model in (ExecutionReport, ExecutionStat)]


# --- The summary ------------------------------------------------------------------------------------------------------
def test_a_summary_is_stored_with_its_reporter_month_and_figures():
    broker = ComparisonBroker.objects.create(key="harbour", name="Harbour Street", role="comparison_only")
    assert "Imported: Harbour Street about Harbour Street, August 2026" in run(
        "import_rule605", SUMMARY, publisher="Harbour Street"
    )
    report = ExecutionReport.objects.get()
    assert (report.form, report.broker, report.reporter_code) == ("605a2", broker, "HRBR")
    assert (report.first_on, report.last_on) == (date(2026, 8, 1), date(2026, 8, 31))
    headline = report.stats.get(is_sp500=True, size="199999", order="market")
    assert headline.effective_over_quoted == Decimal("0.248276")
    assert (headline.improved, headline.at_or_better) == (Decimal("0.9412"), Decimal("0.9931"))
    assert (headline.speed_ms, headline.average_shares) == (Decimal("38.25"), Decimal("42.5"))
    assert headline.orders is None, "the summary does not say how many orders there were"


def test_an_empty_field_is_unknown_and_not_zero():
    run("import_rule605", SUMMARY)
    assert ExecutionStat.objects.get(is_sp500=True, order="marketable_limit").realized_15s is None
    silent = ExecutionStat.objects.get(is_sp500=False, size="200000")
    assert (silent.improved, silent.speed_ms) == (None, None)


def test_the_same_summary_again_changes_nothing_and_a_corrected_one_must_say_so(tmp_path):
    run("import_rule605", SUMMARY)
    before = stored()
    assert "nothing changed" in run("import_rule605", SUMMARY)
    corrected = changed(tmp_path, "rule605-summary.csv", ("0.9412", "0.9411"))
    assert "import with --replace" in refusal("import_rule605", corrected)
    assert stored() == before
    run("import_rule605", corrected, replace=True)
    assert ExecutionReport.objects.current().get().stats.get(is_sp500=True, size="199999", order="market").improved == (
        Decimal("0.9411")
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.9412", "94.12", "line 2, PctExctdPI: 94.12 is more than 1. Fractions are expected"),
        ("0.9412", "-0.1", "line 2, PctExctdPI: -0.1 is less than 0"),
        ("0.9412", "0x1", "line 2, PctExctdPI: '0x1' is not a number"),
        ("0.9412", "1e999", "line 2, PctExctdPI: '1e999' is not a number"),
        ("0.9412", "=1+1", "line 2, PctExctdPI: '=1+1' is not a number"),
        ("0.00029", "-0.00029", "line 2, AvgPctQuotSprd: -0.00029 is less than 0"),
        ("T,HRBR,202608,Y,1000", "T,OTHER,202608,Y,1000", "line 3, RprtEntityCd: OTHER stands among rows of HRBR"),
        ("T,HRBR,202608,Y,1000", "T,HRBR,202613,Y,1000", "line 3, RptDate: '202613' is not a month"),
        ("T,HRBR,202608,Y,1000", "T,HRBR,202412,Y,1000", "line 3, RptDate: 202412 lies before"),
        ("T,HRBR,202608,Y,1000", "T,HRBR,202608,X,1000", "line 3, Sp500: 'X' is neither Y nor N"),
        ("T,HRBR,202608,Y,1000", "T,HRBR,202608,Y,999", "line 3, OrderSize: '999' is no size class"),
        ("T,HRBR,202608,Y,1000,M,", "T,HRBR,202608,Y,1000,IOC,", "line 3, OrderType: 'IOC' is neither M nor ML"),
        ("T,HRBR,202608,Y,1000,", "T,HRBR,202608,Y,199999,", "line 3: the same stocks, size and kind"),
        (",38.25", "", "line 2: has 17 cells instead of 18"),
        (",38.25", ',"38.25', "is not a CSV file"),
        ("AvgOrderQty,", "", "it lacks AvgOrderQty"),
    ],
)
def test_a_wrong_cell_is_told_and_nothing_is_stored(tmp_path, old, new, said):
    assert said in refusal("import_rule605", changed(tmp_path, "rule605-summary.csv", (old, new)))
    assert stored() == [[], []]


def test_a_ratio_beyond_two_is_asked_about_and_never_rescaled(tmp_path):
    wide = changed(tmp_path, "rule605-summary.csv", ("0.248276", "24.8276"))
    assert "an effective spread of 2483 % of the quoted one" in refusal("import_rule605", wide)
    run("import_rule605", wide, wide_ratios_checked=True)
    assert ExecutionStat.objects.filter(effective_over_quoted=Decimal("24.8276")).count() == 1


def test_an_unknown_participant_is_noted(tmp_path):
    text = SUMMARY.read_text().replace("T,HRBR", "S,HRBR")
    path = tmp_path / "odd.csv"
    path.write_text(text)
    assert "participant S is none the hub knows" in run("import_rule605", path)


def test_packed_files_are_unpacked_and_others_refused(tmp_path):
    packed = tmp_path / "HRBR202608.csv.gz"
    packed.write_bytes(gzip.compress(SUMMARY.read_bytes()))
    assert "Imported" in run("import_rule605", packed)
    archive = tmp_path / "two.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("a.csv", "a")
        opened.writestr("b.csv", "b")
    assert "holds 2 files" in refusal("import_rule605", archive)
    huge = tmp_path / "huge.gz"
    huge.write_bytes(gzip.compress(b" " * (65 * 1024 * 1024)))
    assert "larger than 64 MB" in refusal("import_rule605", huge)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"a\0b|c", b"just words", b"DsgntParticipant", b"|" * 10, b"T|A|202601|\n" * 3]
)
def test_what_is_no_report_is_refused(tmp_path, content):
    path = tmp_path / "odd.txt"
    path.write_bytes(content)
    assert refusal("import_rule605", path)
    assert stored() == [[], []]


# --- The detail of market centres -------------------------------------------------------------------------------------
def test_a_detail_file_is_added_up_over_symbols_by_shares():
    run("import_rule605", DETAIL, publisher="Lantern Execution")
    market = ExecutionStat.objects.get(order="market")
    assert (market.symbols, market.orders) == (2, 150)
    assert (market.covered_shares, market.executed_shares) == (30_000, 29_500)
    # (0.0062 x 19500 + 0.03 x 10000) / 29500
    assert market.effective_spread_usd == Decimal("0.0142677966")
    # improved 18700 x 0.015 + 5000 x 0.02, worse 100 x 0.01 + 1000 x 0.01, over 29500 shares
    assert market.net_improvement_usd == Decimal("0.0125254237")
    # spread / (spread + 2 x net improvement) = 420.9 / (420.9 + 2 x 369.5)
    assert market.effective_over_quoted == Decimal("0.3628761100")
    assert market.improved == Decimal("0.8033898305")
    # seconds by the shares they are about: (18700 x 0.1 + 700 x 0.1 + 100 x 0.2 + 500 + 4000 x 0.3 + 1000) / 29500
    assert market.speed_ms == Decimal("157.9661016949")


def test_orders_that_cannot_be_improved_say_nothing_about_improvement():
    run("import_rule605", DETAIL)
    inside = ExecutionStat.objects.get(order="inside_quote")
    assert (inside.improved, inside.effective_over_quoted, inside.speed_ms) == (None, None, None)
    assert "1 rows, shares were executed after more than 30 minutes" in ExecutionReport.objects.get().warnings[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("|20000|500|", "|19000|500|", "line 1, covered shares: fewer than were cancelled and executed"),
        ("|19400|100|", "|19400|200|", "line 1, shares executed here: fewer were executed"),
        ("|18700|", "|19700|", "line 1, improved shares: more shares"),
        ("|18700|", "|18700.5|", "line 1, improved shares: '18700.5' is not a whole number"),
        ("|0.0150|", "|-0.0150|", "line 1, average improvement: -0.0150 is negative"),
        ("|0.0150|", "|x|", "line 1, average improvement: 'x' is not a number"),
        ("|11|21|", "|16|21|", "line 1, order type: '16' is none of 11 to 15"),
        ("|11|21|", "|11|25|", "line 1, order size: '25' is none of 21 to 24"),
        ("LNTN|202606|EFGH", "LNTN|202605|EFGH", "line 2, month: 202605 stands among rows of 202606"),
        ("EFGH", "ABCD", "line 2: the same symbol"),
        ("|0.0011", "", "line 1: has 25 fields instead of 26"),
    ],
)
def test_a_wrong_row_is_told_and_nothing_is_stored(tmp_path, old, new, said):
    assert said in refusal("import_rule605", changed(tmp_path, "rule605-detail.txt", (old, new)))
    assert stored() == [[], []]


# --- The collection ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "stats"), [("rule605-summary/sec-oes-sample.csv", 35), ("synthetic/rule605-legacy.dat", 3)]
)
def test_collected_files_load_and_load_again(name, stats):
    run("import_rule605", collected(name))
    before = stored()
    assert len(before[1]) == stats
    assert "nothing changed" in run("import_rule605", collected(name))
    assert stored() == before


def test_the_secs_invalid_file_is_refused_cell_by_cell():
    said = refusal("import_rule605", collected("rule605-summary/sec-oes-invalid.csv")).splitlines()
    assert sum(line.startswith("line 2,") for line in said) == 15
    assert any(line.startswith("line 3, OrderType: 'MLIMIT'") for line in said)
    assert any(line.startswith("line 6, AvgPctQuotSprd: -0.002293 is less than 0") for line in said)
    assert said[-1].startswith("... and ")
    assert stored() == [[], []]
