"""Execution quality on the page, as a file and over the API; and the figures of studies that come with the hub."""

import csv
import io
import json
from decimal import Decimal

import pytest
from django.urls import reverse

from brokerhub.kernel.models import Scope
from comparison.models import ComparisonBroker, ExecutionReport, PublishedFigure
from tests.comparison.report_samples import FIXTURES, changed, collected, refusal, run

pytestmark = pytest.mark.django_db
PAGE = "/compare/execution-quality/"
FIGURES = FIXTURES.parents[2] / "comparison" / "data" / "execution.json"


@pytest.fixture
def reports(tmp_path) -> None:
    """Harbour Street executes (605) and routes (606); Lantern is a market centre that executes only."""
    broker = ComparisonBroker.objects.create(key="harbour", name="Harbour Street", role="comparison_only")
    run("import_rule606", FIXTURES / "rule606.xml", broker=broker.key, source="https://example.com/606.xml")
    run("import_rule605", FIXTURES / "rule605-summary.csv", broker=broker.key)
    run("import_rule605", FIXTURES / "rule605-detail.txt", publisher="Lantern <b>Execution</b>")


def shown(web, **choice) -> str:
    """The page's text with single blanks."""
    return " ".join(web.get(PAGE, choice).content.decode().split())


def exported(web, **choice) -> str:
    answer = web.get("/compare/execution-quality.csv", choice)
    return b"".join(answer.streaming_content).decode("utf-8-sig")


def test_the_empty_page_says_in_plain_words_what_will_be_here(web):
    page = shown(web)
    assert "No publisher's file for this choice has been added to this hub yet." in page
    assert "manage.py" not in page


def test_publishers_stand_side_by_side_each_with_its_period_sample_and_file(web, reports):
    page = shown(web)
    assert page.count("Harbour Street</label>") == 1, "its two reports are one publisher"
    for told in ("August 2026", "0.248", "94.12", "38.3", "All below 200,000 USD", "June 2026", "0.363", "29,500"):
        assert told in page, told
    assert "These columns are about different months" in page
    assert "https://example.com/606.xml" in page
    assert "Lantern &lt;b&gt;Execution&lt;/b&gt;" in page
    assert "<b>Execution" not in page


@pytest.fixture
def came_with_the_hub(db) -> None:
    for key, name in (("robinhood", "Robinhood"), ("schwab", "Charles Schwab"), ("ibkr", "Interactive Brokers")):
        ComparisonBroker.objects.create(key=key, name=name, role="integrated")
    run("load_execution_figures", FIGURES)


def test_routing_figures_that_come_with_the_hub_are_shown_with_source_and_date(web, came_with_the_hub):
    page = shown(web)
    apart = page.split("Figures that come with this hub")[1]
    for told in ("October 2024", "December 2022, old", "Q4 2022", "as of 2022-12-31", "Stale", "8-K exhibit", "34.09"):
        assert told in apart, told
    assert "In part: only the first section of the filing was in the stored text" in apart
    assert "No broker's own file for this choice has been added" in page, "nobody imported anything"
    december = shown(web, month="2022-12").split("Figures that come with this hub")[1]
    assert "34.62" in december, "Robinhood's rate over all venues, not only those stored"
    assert "192,170" in december
    assert "October 2024" not in december
    options = shown(web, section="options").split("Figures that come with this hub")[1]
    assert "Robinhood: 5 venues, December 2022" in options, "the newest month that tells of options"


def test_routing_figures_are_exported_and_read_by_programs_with_their_document(web, api, came_with_the_hub):
    rows = list(csv.DictReader(io.StringIO(exported(web, month="2022-12"))))
    wanted = ("robinhood", "market", "payment_rate", "")
    [rate] = [row for row in rows if (row["broker"], row["orders"], row["figure"], row["venue"]) == wanted]
    assert (rate["rule"], rate["value"], rate["source"][:19]) == ("606", "34.6197", "https://github.com/")
    assert rate["document"] == "Robinhood Securities, Rule 606(a)(1) report Q4 2022 (XML)"
    found = api.get("/api/v1/brokerage/execution-quality?form=606cat&broker=schwab").json()["results"]
    assert [(one["document"], len(one["sections"])) for one in found] == [
        ("Charles Schwab, Rule 606(a)(1) report Q4 2022 (XML)", 9)
    ]


def test_an_imported_report_takes_the_place_of_what_came_with_the_hub(web, came_with_the_hub, tmp_path):
    moved = (("<year>2026", "<year>2022"), ("<year>2026", "<year>2022"), ("<qtr>2", "<qtr>4"), ("<mon>6", "<mon>12"))
    own = changed(tmp_path, "rule606.xml", ("Harbour   Street Brokerage, LLC", "Charles Schwab"), *moved)
    assert "Charles Schwab:" in shown(web, month="2022-12").split("Figures that come with this hub")[1]
    run("import_rule606", own, broker="schwab")
    before, after = shown(web, month="2022-12").split("Figures that come with this hub")
    assert "Charles Schwab:" in before
    assert "Charles Schwab:" not in after
    assert "Robinhood:" in after


def test_loading_the_routing_figures_again_changes_nothing_and_a_mistake_neither(came_with_the_hub, tmp_path):
    assert "0 routing reports added, 0 changed, 0 removed" in run("load_execution_figures", FIGURES)
    before = list(ExecutionReport.objects.values_list("pk", flat=True))
    assert len(before) == 7
    told = json.loads(FIGURES.read_text())
    told["rule606_reports"][1]["months"][0]["sections"]["sp500"]["mix_pct"]["market"] = "101"
    told["statistics"][0]["value"] = "0.5"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(told))
    assert "line 2, Rule 606 report: 101 is not between 0 and 100" in refusal("load_execution_figures", wrong)
    assert list(ExecutionReport.objects.values_list("pk", flat=True)) == before
    assert not PublishedFigure.objects.filter(value=Decimal("0.5")).exists(), "neither part was taken"
    told["rule606_reports"][1]["months"][0]["sections"]["sp500"]["mix_pct"]["market"] = "1"
    del told["rule606_partial"]
    wrong.write_text(json.dumps(told))
    assert "0 routing reports added, 1 changed, 3 removed" in run("load_execution_figures", wrong)


def test_a_second_company_of_a_broker_is_not_lost_behind_the_first(web, reports, tmp_path):
    other = changed(
        tmp_path, "rule606.xml", ("Harbour   Street Brokerage, LLC", "Harbour Clearing"), ("98.50", "97.31")
    )
    run("import_rule606", other, broker="harbour")
    page = shown(web)
    assert "98.50" in page
    assert "97.31" in page
    assert "Harbour Clearing</label>" in page


def test_payment_is_told_as_a_conflict_of_interest_apart_from_quality(web, reports):
    page = shown(web)
    quality, routing = page.split("Where orders are sent")
    assert "A conflict of interest, not a measure of quality" in routing
    assert "7.50" in routing
    assert "Lantern Execution" in routing, "its venue"
    assert "payment" not in quality.lower().split("how orders were executed")[1]
    assert "No routing report for this choice from Lantern" in routing


def test_unknown_is_a_dash_with_a_reason_and_never_zero(web, reports):
    page = shown(web, publisher="harbour")
    assert "Unknown: The report does not say" in page, "the summary does not tell how many orders there were"
    assert "Unknown: The report says: not meaningful" in shown(web, publisher="harbour", section="options")


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"section": "other_stocks"}, "0.478"),
        ({"order": "marketable_limit"}, "0.407"),
        ({"size": "1000"}, "0.200"),
        ({"section": "options"}, "Rule 605 is about stocks"),
        ({"month": "2026-08"}, "No broker's own file for this choice has been added"),
        ({"month": "2026-04"}, "No publisher's file for this choice has been added"),
        ({"publisher": "nobody"}, "Select a valid choice"),
        ({"section": "moon", "order": "x", "size": "y", "month": "2026-99"}, "0.248"),
    ],
)
def test_a_choice_narrows_what_is_shown_and_a_wrong_one_does_no_harm(web, reports, choice, told):
    assert told in shown(web, **choice)


def test_at_most_five_stand_side_by_side(web):
    for letter in "ABCDEFG":
        ExecutionReport.objects.create(
            form="606a1",
            publisher=f"Broker {letter}",
            publisher_key=letter,
            first_on="2026-04-01",
            last_on="2026-06-30",
        )
    page = shown(web, publisher=list("ABCDEF"))
    assert "Choose up to 5; more do not fit side by side." in page


def test_a_replaced_report_is_not_shown(web, reports, tmp_path):
    run(
        "import_rule605",
        changed(tmp_path, "rule605-summary.csv", ("0.248276", "0.555")),
        broker="harbour",
        replace=True,
    )
    page = shown(web, publisher="harbour")
    assert "0.555" in page
    assert "0.248" not in page


def test_the_page_costs_the_same_queries_for_one_publisher_as_for_all(web, reports, django_assert_max_num_queries):
    with django_assert_max_num_queries(15):
        shown(web, publisher="harbour")
    for letter in "abc":
        ExecutionReport.objects.create(
            form="606a1", publisher=letter, publisher_key=letter, first_on="2026-04-01", last_on="2026-06-30"
        )
    with django_assert_max_num_queries(15):
        shown(web)


def test_the_export_holds_what_is_shown_with_its_source(web, reports):
    ExecutionReport.objects.filter(form="605a1").update(publisher="=HYPERLINK(1)")
    rows = list(csv.DictReader(io.StringIO(exported(web))))
    ratio = next(row for row in rows if row["figure"] == "effective_over_quoted" and row["broker"] == "harbour")
    assert (ratio["value"], ratio["unit"], ratio["period"]) == ("0.248276", "ratio", "August 2026")
    assert (ratio["file"], len(ratio["sha256"])) == ("rule605-summary.csv", 64)
    venue = next(row for row in rows if row["venue"] == "Quayside Exchange" and row["figure"] == "payment_rate")
    assert (venue["value"], venue["source"]) == ("-30", "https://example.com/606.xml")
    assert {row["publisher"] for row in rows} >= {"'=HYPERLINK(1)"}, "no spreadsheet takes a name for a formula"
    told = json.loads(b"".join(web.get("/compare/execution-quality.json?publisher=harbour").streaming_content))
    assert {row["broker"] for row in told} == {"harbour"}


@pytest.mark.parametrize("path", [PAGE, "/compare/execution-quality.csv"])
def test_a_visitor_is_sent_to_sign_in(client, path):
    assert client.get(path)["Location"].startswith(reverse("account_login"))


# --- The API ----------------------------------------------------------------------------------------------------------
def test_programs_read_reports_with_numbers_as_strings_and_unknown_as_null(api, reports):
    found = api.get("/api/v1/brokerage/execution-quality?broker=harbour").json()["results"]
    summary, routing = found
    assert (summary["form"], summary["broker"]) == ("605a2", "harbour")
    stat = next(stat for stat in summary["stats"] if stat["size"] == "1000")
    assert (stat["effective_over_quoted"], stat["orders"]) == ("0.2", None)
    section = routing["sections"][-1] if routing["sections"][-1]["section"] == "sp500" else routing["sections"][0]
    assert section["kinds"][0] == {"kind": "market", "share_pct": "52", "payment_cents": "7.5", "payment_usd": "500"}
    assert [venue["mpid"] or venue["mic"] for venue in section["venues"]] == ["LNTN", "XQUA"]


def test_programs_need_the_scope_and_a_known_form(caller, token_client, api):
    path = "/api/v1/brokerage/execution-quality"
    assert token_client(caller, Scope.HEALTH_READ).get(path).status_code == 403
    assert api.get(path, {"form": "999"}).json()["attr"] == "form"


# --- Studies and brokers' own figures ---------------------------------------------------------------------------------
def test_the_figures_that_come_with_the_hub_load_once(web):
    ComparisonBroker.objects.create(key="fidelity", name="Fidelity", role="comparison_only")
    assert "47 figures added" in run("load_execution_figures", FIGURES)
    assert "0 figures added, 0 changed, 0 removed" in run("load_execution_figures", FIGURES)
    figure = PublishedFigure.objects.get(metric="effective_over_quoted", name="Fidelity")
    assert (figure.value, figure.published_by) == (Decimal("0.142"), "independent academics")
    assert figure.source.url.startswith("https://www.federalreserve.gov/")
    page = shown(web)
    assert "Independent study, 2021-12-21 to 2023-05-31" in page
    assert page.index("Studies, and what brokers say") < page.index("Payment for order flow, from other documents")


STUDY = {
    "broker": "harbour",
    "metric": "effective_over_quoted",
    "value": "0.2",
    "unit": "ratio",
    "period": "2026-01..2026-02",
    "scope": "ten orders",
    "source": {"title": "A study", "url": "https://example.com/study", "kind": "primary-stored-copy"},
    "published_by": "independent academics",
}


def catalogue(folder, *rows):
    path = folder / "execution.json"
    path.write_text(json.dumps({"statistics": rows}))
    return path


def test_a_changed_figure_is_taken_over_and_a_dropped_one_goes(tmp_path):
    run("load_execution_figures", catalogue(tmp_path, STUDY, STUDY | {"scope": "five orders"}))
    said = run("load_execution_figures", catalogue(tmp_path, STUDY | {"value": "0.3"}))
    assert "0 figures added, 1 changed, 1 removed" in said
    assert PublishedFigure.objects.get().value == Decimal("0.3")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"value": "many"}, "cannot be read"),
        ({"metric": "luck"}, "luck"),
        ({"source": {"title": "", "kind": "knowledge"}}, "no source"),
        ({"source": {"title": "X", "kind": "hearsay"}}, "hearsay"),
        ({"source": {"title": "X", "kind": "knowledge", "url": "javascript:alert(1)"}}, "valid URL"),
        ({"value": 0.25}, "figures are written as strings"),
        ({"published_by": "a friend"}, "a friend"),
        ({"scope": "x" * 400}, "300"),
        ({"scope": "ten orders"}, "told twice"),
    ],
)
def test_a_figure_without_a_source_or_with_a_mistake_changes_nothing(tmp_path, wrong, said):
    path = catalogue(tmp_path, STUDY, STUDY | {"scope": "five orders"} | wrong)
    assert said in refusal("load_execution_figures", path)
    assert not PublishedFigure.objects.exists()


def test_the_collected_reports_fill_the_page(web):
    for name in ("schwab", "ibkr"):
        ComparisonBroker.objects.create(key=name, name=name, role="integrated")
    run("import_rule606", collected("rule606/charles-schwab-2022q4.xml"), broker="schwab")
    run("import_rule606", collected("rule606/interactive-brokers-2022q4.xml"), broker="ibkr")
    page = shown(web)
    assert "December 2022, old" in page
    assert "10.00" in page
    assert "−5.36" in page, "what IBKR paid for market orders"
