"""The pages of the comparison as people open them."""

import re
from datetime import date
from decimal import Decimal as D

import pytest
from django.core.cache import cache
from django.test import Client

from aggregation import ledger
from aggregation.models import Source
from comparison import running, simulation, stored
from comparison.models import CatalogueChange, CostSimulation, PlanFeature, RegulatoryFee
from comparison.simulation_models import SimulationState
from comparison.stored import catalogue
from connections.brokers.records import TransactionKind
from tests.aggregation.factories import a_connection, a_record, a_user, an_account

PAGES = ["/compare/", "/compare/features/", "/compare/mine/?mode=profile", "/compare/brokers/schwab/"]
CELL = re.compile(r'<details class="cell">(.*?)</details>', re.DOTALL)


@pytest.fixture
def person(loaded):
    return a_user()


@pytest.fixture
def browser(person):
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def account(person):
    account = an_account(a_connection(person))
    records = [
        a_record(
            str(number),
            kind=TransactionKind.SELL,
            traded_on=date(2026, 6, number),
            quantity=D(-100),
            gross_amount=D(8500),
            net_amount=D("8499.80"),
            fees=D("0.20"),
        )
        for number in (1, 2, 3)
    ]
    ledger.book(account=account, records=records, source=Source.API, run_id=None)
    return account


def page(client, address, **more):
    answer = client.get(address, **more)
    assert answer.status_code == 200, address
    return answer.content.decode()


@pytest.mark.parametrize("address", PAGES)
def test_pages_open_only_to_people_signed_in(browser, address):
    assert "Compare" in page(browser, address) or "Charles Schwab" in page(browser, address)
    assert Client().get(address).status_code == 302


def test_every_shown_number_names_its_source(browser):
    cells = CELL.findall(page(browser, "/compare/?plans=all"))
    assert len(cells) > 700
    for cell in cells:
        summary, _, more = cell.partition("</summary>")
        if re.search(r"\d", re.sub("<[^>]+>", "", summary)):
            assert "as of" in more, cell


def test_every_unknown_says_why(browser):
    for address in ("/compare/?plans=all", "/compare/features/?plans=all"):
        for cell in CELL.findall(page(browser, address)):
            summary, _, more = cell.partition("</summary>")
            said = re.sub("<[^>]+>", "", summary).strip().casefold()
            if said in ("unknown", "not offered", "not listed"):
                assert "<p>" in more, cell


def test_the_calculator_turns_prices_into_amounts(browser):
    found = page(browser, "/compare/?plan=ibkr:pro_fixed&shares=1000&price=25")
    assert "1000 x 0.005 = 5" in found
    assert "5.00" in found


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("shares=many", "is not a number"),
        ("shares=0", "must be above 0"),
        ("price=NaN", "InvalidOperation"),
        ("price=1e400", "must be above 0"),
    ],
)
def test_numbers_nobody_means_are_refused_in_words(browser, query, said):
    found = page(browser, f"/compare/?{query}")
    assert said in found if said != "InvalidOperation" else "alert--bad" in found


def test_chosen_plans_stand_side_by_side(browser):
    found = page(browser, "/compare/?plan=fidelity:standard&plan=vanguard:standard&plan=nobody:here")
    heads = re.findall(r'class="matrix__plan">\s*<a[^>]*>([^<]+)', found)
    assert heads == ["Fidelity", "Vanguard"]


def test_htmx_gets_the_matrix_alone(browser):
    found = page(browser, "/compare/", headers={"HX-Request": "true"})
    assert "<html" not in found
    assert "US stocks and ETFs" in found


def test_differences_only_hides_what_is_equal(browser):
    query = "?plan=robinhood:standard&plan=robinhood:gold"
    everything = page(browser, f"/compare/features/{query}")
    different = page(browser, f"/compare/features/{query}&differences=1")
    assert "Mobile app" in everything
    assert different.count('scope="row"') < everything.count('scope="row"')


def test_a_need_excludes_only_on_a_known_no(browser, loaded):
    plans = catalogue().plans
    assert len(plans) == 19
    found = page(browser, "/compare/features/?plans=all&need=mutual_funds")
    left_out = found.split('aria-label="Plans left out"')[1].split("</section>")[0]
    assert "Robinhood" in left_out
    assert "does not have: Mutual funds" in left_out
    PlanFeature.objects.filter(plan__broker__key="robinhood", feature__key="mutual_funds", retired_at=None).update(
        value=None, confidence="unknown", reason="not found", source=None
    )
    stored._catalogue.cache_clear()  # rows were changed behind the loader's back
    found = page(browser, "/compare/features/?plans=all&need=mutual_funds")
    stored._catalogue.cache_clear()
    open_ = found.split('aria-label="Plans not confirmed"')[1].split("</section>")[0]
    assert "Robinhood" in open_


@pytest.mark.parametrize("address", ["/compare/?format=csv", "/compare/features/?format=csv"])
def test_csv_carries_the_sources(browser, address):
    answer = browser.get(address)
    assert answer["Content-Type"].startswith("text/csv")
    assert "https://" in answer.content.decode()


def test_a_broker_nobody_knows_is_not_there(browser):
    assert browser.get("/compare/brokers/nobody/").status_code == 404


def test_prices_of_a_day_and_a_day_that_is_none(browser):
    assert "What the catalogue knows to have held on 1 Jan 2026" in page(
        browser, "/compare/brokers/schwab/?as_of=2026-01-01"
    )
    assert "is not a date" in page(browser, "/compare/brokers/schwab/?as_of=soon")


# --- My cost ------------------------------------------------------------------------------------------------------
def test_people_without_data_describe_a_year(browser):
    found = page(browser, "/compare/mine/")
    assert "Describe a year below" in found
    assert "Long-term investor" in found
    assert "What it would have cost" in found


def test_the_own_trades_are_priced_and_every_amount_opens_its_lines(browser, account):
    found = page(browser, "/compare/mine/?period=2026")
    assert "Orders priced" in found
    assert "Model fits" in found
    link = re.search(r'href="([^"]+plan=ibkr:pro_fixed&amp;item=us_stock_trade)"', found)
    assert link is not None
    lines = page(browser, link[1].replace("&amp;", "&"))
    assert lines.count("100 x 0.005 = 0.5, minimum 1") == 3
    assert "Interactive Brokers - Commissions" in lines


def test_order_by_total_puts_the_lowest_complete_plan_first(browser, account):
    found = page(browser, "/compare/mine/?period=2026&sort=total")
    names = re.findall(r'<th scope="row">\s*<a[^>]*>([^<]+)', found)
    assert names.index("Robinhood") < names.index("IBKR Pro, fixed")
    by_name = re.findall(r'<th scope="row">\s*<a[^>]*>([^<]+)', page(browser, "/compare/mine/?period=2026"))
    assert by_name == sorted(by_name, key=str.casefold)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("period=1492", "choose a year"),
        ("period=custom&since=2026-02-30", "is not a date"),
        ("period=custom&since=2026-05-02&until=2026-05-01", "lies after the last one"),
        ("account=1x", "is a number"),
        ("rates=yesterday", "`today` or `day`"),
    ],
)
def test_a_wrong_choice_is_said(browser, account, query, said):
    assert said in page(browser, f"/compare/mine/?{query}")


def test_another_persons_account_is_none(browser, account, loaded):
    other = an_account(a_connection(a_user()))
    assert "none of these is an account of yours" in page(browser, f"/compare/mine/?account={other.pk}")


def test_a_form_without_a_ticked_account_asks_for_one_and_keeps_what_was_chosen(browser, account, person):
    other = an_account(a_connection(person))
    shown = page(browser, "/compare/mine/?period=2026")
    assert '<input type="hidden" name="accounts" value="shown">' in shown
    found = page(browser, "/compare/mine/?accounts=shown&period=2026&rates=day")
    assert "Choose at least one account." in found
    assert "Orders priced" not in found
    assert '<option value="2026" selected>' in found
    assert '<option value="day" selected>' in found
    assert f'value="{other.pk}" checked' not in re.sub(r"\s+", " ", found)
    one = page(browser, f"/compare/mine/?accounts=shown&period=2026&account={account.pk}")
    assert "Orders priced" in one
    assert f'value="{account.pk}" checked' in re.sub(r"\s+", " ", one)


def test_orders_that_cannot_be_compared_are_said_in_words(browser, account):
    found = re.sub(r"\s+", " ", page(browser, "/compare/mine/?period=2026"))
    assert "The fees of your own 3 orders at your own broker" in found
    assert "cannot be compared" not in found
    RegulatoryFee.objects.filter(key="sec_section_31", retired_at=None).update(effective_to=date(2026, 6, 1))
    CatalogueChange.objects.create(origin="test", change="changed", what="a rate")
    found = re.sub(r"\s+", " ", page(browser, "/compare/mine/?period=2026"))
    assert "2 of 3 orders not compared" in found
    assert "2 orders cannot be compared, for which you paid" in found
    assert "SEC Section 31 fee not known (2)" in found


def test_my_cost_as_csv(browser, account):
    found = page(browser, "/compare/mine/?period=2026&format=csv")
    assert "ibkr:pro_fixed,US stocks and ETFs,yes,3" in found


def test_a_long_history_runs_in_the_background(browser, account, monkeypatch):
    monkeypatch.setattr(running, "LARGE", 1)
    found = page(browser, "/compare/mine/?period=2026")
    assert "priced in the background" in found
    one = CostSimulation.objects.get()
    assert one.state == SimulationState.QUEUED
    running.run(str(one.pk))
    running.run(str(one.pk))  # a task may come twice
    one.refresh_from_db()
    assert (one.state, one.done, one.total) == (SimulationState.DONE, one.total, one.total)
    assert one.total > 300
    answer = browser.get(f"/compare/mine/running/{one.pk}", headers={"HX-Request": "true"})
    assert answer["HX-Refresh"] == "true"
    assert "Orders priced" in page(browser, "/compare/mine/?period=2026")


def test_a_long_history_is_priced_again_when_its_result_is_no_longer_kept(browser, account, monkeypatch):
    monkeypatch.setattr(running, "LARGE", 1)
    page(browser, "/compare/mine/?period=2026")
    running.run(str(CostSimulation.objects.get().pk))
    assert "Orders priced" in page(browser, "/compare/mine/?period=2026")
    cache.clear()  # as after twelve hours
    assert "priced in the background" in page(browser, "/compare/mine/?period=2026")
    again = CostSimulation.objects.get(state=SimulationState.QUEUED)
    running.run(str(again.pk))
    assert "Orders priced" in page(browser, "/compare/mine/?period=2026")


def test_the_recommendation_does_not_wait_for_a_long_history(browser, account, monkeypatch):
    monkeypatch.setattr(running, "LARGE", 1)
    found = page(browser, "/compare/match/?mine=1")
    assert "priced in the background" in found
    assert CostSimulation.objects.get().state == SimulationState.QUEUED
    running.run(str(CostSimulation.objects.get().pk))
    assert "Costs are those of your own trades" in page(browser, "/compare/match/?mine=1")


def test_a_period_in_the_future_is_refused(browser, account):
    found = page(browser, "/compare/mine/?period=custom&since=2999-01-01&until=2999-02-01")
    assert "The first day lies in the future" in found


def test_a_failed_run_says_so(account, monkeypatch):
    user = account.connection.user
    wish = simulation.Wish(accounts=(account.pk,), since=date(2026, 1, 1), until=date(2026, 6, 30))
    one = running.request(user, wish)
    assert running.request(user, wish) == one
    monkeypatch.setattr(simulation, "_simulate", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        running.run(str(one.pk))
    one.refresh_from_db()
    assert (one.state, one.error) == (SimulationState.FAILED, "The simulation failed on our side.")
    assert running.request(user, wish) != one, "it may be tried again"


def test_what_is_unknown_is_never_shown_as_nothing(browser, account):
    """No broker said how much cash there is, so what a loan would cost is not known."""
    found = page(browser, "/compare/mine/?period=2026")
    robinhood = found[found.index(">Robinhood</a>") :]
    margin = robinhood[robinhood.index('data-label="Margin"') : robinhood.index('data-label="Account"')]
    assert "unknown" in margin
    assert "0.00" not in margin


def test_the_features_say_what_this_hub_reads_today(browser, loaded):
    found = page(browser, "/compare/features/?plan=ibkr:lite&plan=vanguard:standard")
    row = found[found.index("What this hub reads today") :]
    ways = re.findall(r"<td>(.*?)</td>", row)[:2]
    assert ways == ["Official sign-in · Your own API keys · Flex query · Files", "Files"]
    row = found.split("OAuth sign-in for third-party apps")[2]  # after the form's own
    assert re.findall(r'class="cell__hub">(.*?)<', row)[:2] == ["This hub uses it", "This hub does not use it"]
    assert found.count("This hub never places orders") >= 2
    lines = page(browser, "/compare/features/?plan=ibkr:lite&plan=vanguard:standard&format=csv").splitlines()
    assert any(line.startswith(",What this hub reads today,vanguard:standard,Files,") for line in lines)
    assert any("Official API: read account data,ibkr:lite," in line and "This hub reads it" in line for line in lines)
