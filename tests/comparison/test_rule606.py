"""Rule 606 files: what a valid one brings, what is wrong with others, and that importing again changes nothing."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from comparison.models import ComparisonBroker, ExecutionReport, RoutingSection, RoutingVenue
from comparison.rule606 import OrderKind, weighted_rate
from tests.comparison.report_samples import FIXTURES, changed, collected, refusal, run

pytestmark = pytest.mark.django_db
REPORT = FIXTURES / "rule606.xml"
MARKET_PERCENT = "<marketPct>64.00</marketPct>"


@pytest.fixture
def harbour() -> ComparisonBroker:
    return ComparisonBroker.objects.create(
        key="harbour", name="Harbour", role="comparison_only", legal_entity="HARBOUR STREET BROKERAGE LLC / Other Inc."
    )


def stored() -> list[list[Any]]:
    return [list(model.objects.order_by("pk").values()) for model in (ExecutionReport, RoutingSection, RoutingVenue)]


def test_a_report_is_stored_with_its_sections_venues_and_origin(harbour):
    said = run("import_rule606", REPORT, source="https://example.com/606.xml")
    assert "Imported: Harbour Street Brokerage, LLC about Harbour, Q2 2026" in said
    assert "1 of the quarter's 3 months" in said
    report = ExecutionReport.objects.get()
    assert report.broker == harbour, "found by the name of its company"
    assert (report.first_on, report.last_on) == (date(2026, 4, 1), date(2026, 6, 30))
    assert report.generated_at == datetime(2026, 7, 21, 9, 30, tzinfo=UTC)
    assert (report.file_name, len(report.sha256)) == ("rule606.xml", 64)
    stocks, options = report.sections.order_by("pk")
    assert (stocks.section, stocks.month_on, stocks.non_directed_pct) == ("sp500", date(2026, 6, 1), Decimal("98.5"))
    assert [(venue.key, venue.order_pct) for venue in stocks.venues.all()] == [
        ("LNTN", Decimal("61.25")),
        ("XQUA", Decimal("38.75")),
    ]
    assert (options.market_pct, options.venues.count()) == (0, 0)


def test_the_rate_over_venues_is_weighted_by_the_shares_behind_the_dollars(harbour):
    run("import_rule606", REPORT)
    stocks = RoutingSection.objects.get(section="sp500")
    # 1000 USD at 20 cents are 5000 hundreds of shares, -500 at -30 are 1666.67: 500 USD for 6666.67 hundreds
    assert stocks.rate_for(OrderKind.MARKET) == Decimal("7.5")
    assert stocks.paid_for(OrderKind.MARKET) == Decimal(500)
    assert stocks.rate_for(OrderKind.MARKETABLE_LIMIT) == Decimal(-30), "an empty rate has no weight"
    assert stocks.paid_for(OrderKind.OTHER) == Decimal("12.5"), "an empty amount is not zero"
    options = RoutingSection.objects.get(section="options")
    assert (options.paid_for(OrderKind.MARKET), options.rate_for(OrderKind.MARKET)) == (None, None)


def test_amounts_whose_sign_contradicts_the_rate_say_nothing_about_shares():
    assert weighted_rate([(Decimal(100), Decimal(-10))]) is None
    assert weighted_rate([(Decimal(100), Decimal(0)), (Decimal(50), Decimal(10))]) == Decimal(10)


def test_the_same_file_again_changes_nothing(harbour):
    run("import_rule606", REPORT)
    before = stored()
    assert "Known already, nothing changed" in run("import_rule606", REPORT, replace=True)
    assert stored() == before


def test_another_file_of_the_same_quarter_replaces_the_first_only_when_told_to(harbour, tmp_path):
    run("import_rule606", REPORT)
    before = stored()
    corrected = changed(tmp_path, "rule606.xml", (MARKET_PERCENT, "<marketPct>63.00</marketPct>"))
    assert "There is another file for Harbour Street Brokerage, LLC, Q2 2026" in refusal("import_rule606", corrected)
    assert stored() == before
    assert "in place of the earlier file" in run("import_rule606", corrected, replace=True)
    assert RoutingVenue.objects.get(section__report__replaced_at=None, mpid="LNTN").market_pct == 63
    assert ExecutionReport.objects.exclude(replaced_at=None).count() == 1, "the earlier one stays as history"


def test_a_dry_run_checks_and_stores_nothing(harbour):
    assert "nothing was stored" in run("import_rule606", REPORT, dry_run=True)
    assert not ExecutionReport.objects.exists()


def test_a_publisher_that_is_no_broker_of_ours_is_kept_under_its_name():
    assert "none of the brokers compared here" in run("import_rule606", REPORT)
    assert ExecutionReport.objects.get().broker is None


def test_the_operator_says_which_broker_it_is_and_learns_the_known_ones(harbour):
    assert "Known are: harbour." in refusal("import_rule606", REPORT, broker="habour")
    assert not ExecutionReport.objects.exists()
    run("import_rule606", REPORT, broker="harbour")
    assert ExecutionReport.objects.get().broker == harbour


@pytest.mark.parametrize(
    ("old", "new", "where", "why"),
    [
        (MARKET_PERCENT, "<marketPct>164.00</marketPct>", "line 23, marketPct", "'164.00' is not a percentage"),
        (MARKET_PERCENT, "<marketPct>64</marketPct>", "line 23, marketPct", "at least two decimals"),
        (MARKET_PERCENT, "<marketPct>-1.00</marketPct>", "line 23, marketPct", "is not a percentage"),
        (MARKET_PERCENT, "<marketPct>６4.00</marketPct>", "line 23, marketPct", "is not a percentage"),
        (MARKET_PERCENT, "<marketPct><b/></marketPct>", "line 23, marketPct", "holds other elements"),
        (MARKET_PERCENT, "", "line 19, rVenue", "marketPct is missing"),
        (MARKET_PERCENT, MARKET_PERCENT * 2, "line 23, marketPct", "is not expected here"),
        (MARKET_PERCENT, f"{MARKET_PERCENT}<odd/>", "line 23, odd", "is not expected here"),
        ("20.0000", "20.00", "line 28, netPmtPaidRecvMarketOrdersCph", "at least four decimals"),
        ("1000.00", "1,000.00", "line 27, netPmtPaidRecvMarketOrdersUsd", "is not an amount"),
        ("1000.00", "1" + "0" * 40, "line 27, netPmtPaidRecvMarketOrdersUsd", "is not an amount"),
        ("1000.00", "NaN", "line 27, netPmtPaidRecvMarketOrdersUsd", "is not an amount"),
        ("<mic>XQUA</mic>", "<mic>xqua</mic>", "line 39, mic", "four capital letters"),
        ("<name>Lantern Execution</name>", "", "line 19, rVenue", "neither a name nor a MIC"),
        ("Lantern Execution", "L" * 81, "line 20, name", "longer than 80"),
        ("Harbour   Street Brokerage, LLC", " ", "line 5, bd", "has no name"),
        ("<version>1.3", "<version>9.9", "line 4, version", "does not know"),
        ("<qtr>2", "<qtr>5", "line 7, qtr", "from 1 to 4"),
        ("<mon>6", "<mon>7", "line 9, rMonthly", "July 2026 is not in quarter 2 of 2026"),
        ("T09:30:00Z", " 09:30", "line 8, timestamp", "is not a moment"),
        ("2026-07-21T", "2026-02-31T", "line 8, timestamp", "is not a moment"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_nothing_is_stored(tmp_path, old, new, where, why):
    said = refusal("import_rule606", changed(tmp_path, "rule606.xml", (old, new)))
    assert any(line.startswith(where) and why in line for line in said.splitlines()), said
    assert stored() == [[], [], []]


def test_an_address_that_a_browser_would_run_is_refused():
    assert "valid URL" in refusal("import_rule606", REPORT, source="javascript:alert(1)")
    assert stored() == [[], [], []]


def test_every_problem_is_told_at_once(tmp_path):
    wrong = changed(tmp_path, "rule606.xml", (MARKET_PERCENT, "<marketPct>x</marketPct>"), ("98.50", "198.50"))
    said = refusal("import_rule606", wrong)
    assert "line 23, marketPct" in said
    assert "line 13, ndoPct" in said


def test_a_venue_told_twice_is_refused(tmp_path):
    twice = changed(
        tmp_path,
        "rule606.xml",
        ("<name>Lantern Execution</name>\n          <mpid>LNTN</mpid>", "<name>Q</name><mic>XQUA</mic>"),
    )
    assert "the venue Quayside Exchange is told twice" in refusal("import_rule606", twice)


def test_oddities_that_the_schema_allows_are_noted(tmp_path):
    odd = changed(tmp_path, "rule606.xml", ("52.00", "50.00"), ("61.25", "81.25"))
    run("import_rule606", odd)
    warnings = " ".join(ExecutionReport.objects.get().warnings)
    assert "S&P 500 stocks, June 2026: the kinds of orders add up to 98.00 %" in warnings
    assert "the venues add up to 120.00 % of the orders" in warnings


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"not xml at all", "not a whole XML document"),
        (b"\0\0\0\0", "not a whole XML document"),
        (b"<heldOrderRoutingPublicReport>", "not a whole XML document"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "not a whole XML document"),
        (b"<a/>", "no report by Rule 606(a)(1)"),
        (b"<notHeldOrderHandlingCustomerReport/>", "for one customer by Rule 606(b)(3)"),
        (b"<heldExemptNotHeldOrderRoutingCustomerReport/>", "for one customer by Rule 606(b)(1)"),
        (
            BOMB.encode() + b"<heldOrderRoutingPublicReport>&c;</heldOrderRoutingPublicReport>",
            "declares a document type",
        ),
        (OUTSIDE.encode() + b"<heldOrderRoutingPublicReport>&a;</heldOrderRoutingPublicReport>", "document type"),
        (b'<!DOCTYPE b SYSTEM "http://example.com/b.dtd"><b/>', "declares a document type"),
        (b"<a>" * 5000 + b"</a>" * 5000, "not a whole XML document"),
        (b"<a>" + b"<b/>" * 250_000 + b"</a>", "not a whole XML document"),
        (b" " * (5 * 1024 * 1024 + 1), "larger than 5 MB"),
        (b"\x1f\x8bnot really gzip", "cannot be unpacked"),
        (b"PK\x03\x04not really a zip", "cannot be unpacked"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else value,
)
def test_hostile_files_are_refused_in_words(tmp_path, content, why):
    path = tmp_path / "hostile.xml"
    path.write_bytes(content)
    assert why in refusal("import_rule606", path)
    assert stored() == [[], [], []]


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "cannot be read" in refusal("import_rule606", tmp_path / "nowhere.xml")


@pytest.mark.parametrize(
    ("name", "sections", "venues"),
    [
        ("rule606/charles-schwab-2022q4.xml", 9, 42),
        ("rule606/firstrade-2022q4.xml", 9, 15),
        ("rule606/interactive-brokers-2022q4.xml", 9, 96),
        ("rule606/robinhood-securities-2022q4.xml", 9, 36),
        ("rule606/sec-sample-606a1.xml", 9, 81),
        ("rule606/sec-sample-606a1-empty.xml", 0, 0),
        ("synthetic/rule606a1-minimal.xml", 1, 2),
    ],
)
def test_published_reports_load_and_load_again(name, sections, venues):
    run("import_rule606", collected(name))
    before = stored()
    assert (len(before[1]), len(before[2])) == (sections, venues)
    assert "nothing changed" in run("import_rule606", collected(name))
    assert stored() == before


def test_a_published_report_gives_the_rates_worked_out_by_hand():
    """The figures for October 2022 as written down beside the files, to four decimals."""
    run("import_rule606", collected("rule606/robinhood-securities-2022q4.xml"))
    october = RoutingSection.objects.filter(month_on=date(2022, 10, 1))
    rates = {section.section: section.rate_for(OrderKind.MARKET) or Decimal(0) for section in october}
    assert {name: round(rate, 4) for name, rate in rates.items()} == {
        "sp500": Decimal("36.3659"),
        "other_stocks": Decimal("15.5632"),
        "options": Decimal("62.5532"),
    }
    assert october.get(section="sp500").paid_for(OrderKind.MARKET) == Decimal("262014.67")
