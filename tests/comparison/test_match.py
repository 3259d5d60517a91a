"""The recommendation: filters, scores that add up, what would change it, kept and opened again."""

import re
from decimal import Decimal as D

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from aggregation import ledger
from aggregation.models import Source
from comparison import matching, profiles, published, recommendation, stored
from comparison.catalogue_models import CatalogueChange
from comparison.costs import Tariff
from comparison.models import RecommendationProfile
from comparison.profiles import Profile
from comparison.recommendation import Measured
from comparison.selection import NotUnderstood
from tests.aggregation.factories import CALL, a_connection, a_record, a_user, an_account


@pytest.fixture
def person(loaded):
    return a_user()


@pytest.fixture
def browser(person):
    client = Client()
    client.force_login(person)
    return client


def recommended(person, query="", measured=None):
    catalogue, today = stored.catalogue(), timezone.localdate()
    asked = QueryDict(query)
    basis = matching.basis(person, asked, catalogue, today)
    answers = matching.answers(asked, catalogue, basis.profile, basis.days)
    return recommendation.recommend(catalogue, answers, basis.costs, measured or Measured(), today)


def test_the_points_of_every_plan_add_up_to_its_score(person):
    found = recommended(person)
    assert len(found.ranked) > 10
    for match in found.ranked:
        assert match.score.value is not None
        assert abs(sum(reason.points or 0 for reason in match.reasons) - match.score.value) < D("1e-15")
        assert sum(reason.weight for reason in match.reasons) == pytest.approx(D(100))
        assert match.score.low <= match.score.value <= match.score.high


@pytest.mark.parametrize("query", ["", "preset=options", "weight_cost=7&weight_hub=3&weight_cash=11"])
def test_the_points_as_shown_add_up_to_the_score_as_shown(person, query):
    for match in recommendation.as_json(recommended(person, query))["ranked"]:
        assert sum(D(reason["points"]) for reason in match["reasons"] if reason["points"]) == D(match["score"])


def test_every_excluded_plan_says_why_and_only_a_known_no_excludes(person):
    found = recommended(person, "need=acct_hsa&need=index_options")
    assert found.excluded
    assert all(lacks for _, lacks in found.excluded)
    not_confirmed = [match for match in (*found.ranked, *found.unranked) if match.open]
    titles = {title for title, _ in found.excluded}
    assert all(match.title not in titles for match in not_confirmed)


def test_all_weight_on_cost_puts_a_cheapest_plan_first(person):
    only = "&".join(f"weight_{name}={100 if name == 'cost' else 0}" for name in recommendation.CRITERIA)
    found = recommended(person, f"preset=active_stocks&{only}")
    assert found.ranked[0].score.value == 100
    assert [reason.points for reason in found.ranked[0].reasons if reason.points] == [D(100)]


def test_measured_reliability_and_execution_count_where_they_exist(person):
    plain = {match.ref: match for match in recommended(person).ranked}
    known = Measured(
        reliability={"schwab": D("0.5")}, execution={"schwab": (D("0.229"), "2021-12-21..2023-05-31")}, ratings={}
    )
    schwab = next(match for match in recommended(person, measured=known).ranked if match.ref == "schwab:standard")
    rows = {reason.criterion: reason for reason in schwab.reasons}
    assert rows["execution"].score == D("77.1")
    assert rows["execution"].unverified == 1, "a study of 2023 is stale"
    before = {reason.criterion: reason for reason in plain["schwab:standard"].reasons}
    assert rows["hub"].score < before["hub"].score
    assert "50.00% of the hub's calls worked" in rows["hub"].raw


def test_the_one_like_for_like_study_is_the_measure_of_execution(person):
    published.load()
    found = matching.measured(timezone.localdate()).execution
    assert {key: ratio for key, (ratio, _) in found.items()} == {
        "fidelity": D("0.142"),
        "schwab": D("0.229"),
        "etrade": D("0.322"),
        "robinhood": D("0.421"),
        "ibkr:lite": D("0.527"),
    }


def test_a_plan_that_cannot_do_the_trades_has_no_cost_score(person):
    found = recommended(person, "crypto_a_year=5000")
    vanguard = next(match for match in (*found.ranked, *found.unranked) if match.ref == "vanguard:standard")
    cost = next(reason for reason in vanguard.reasons if reason.criterion == "cost")
    assert (cost.score, cost.points) == (None, None)
    assert "not possible there" in cost.raw


def test_a_sum_without_its_margin_rate_does_not_look_cheap(person):
    found = recommended(person, "preset=margin")
    merrill = next(match for match in (*found.ranked, *found.unranked) if match.ref == "merrill:standard")
    cost = next(reason for reason in merrill.reasons if reason.criterion == "cost")
    assert (cost.raw, cost.score) == ("not known: Margin loan", None)
    assert merrill in found.unranked, "half of the weight is not known"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("preset=gambler", "choose one of"),
        ("need=everything", "is no feature"),
        ("weight_cost=-1", "a whole number"),
        ("&".join(f"weight_{name}=0" for name in recommendation.CRITERIA), "must carry weight"),
    ],
)
def test_answers_nobody_understands_are_refused(person, browser, query, said):
    with pytest.raises(NotUnderstood, match=said):
        recommended(person, query)
    assert said in browser.get(f"/compare/match/?{query}").content.decode()


def test_the_page_explains_and_names_the_cost_of_moving(person, browser):
    an_account(a_connection(person))
    found = browser.get("/compare/match/?preset=options").content.decode()
    assert "How the points come about" in found
    assert "Charles Schwab takes for the transfer of a whole account: 50.00" in re.sub(r"\s+", " ", found)
    assert "What would change this" in found
    assert "This is information, not advice" in re.sub(r"\s+", " ", found)
    assert "best broker" not in found.casefold()


def test_what_would_change_it_in_usage_is_told_in_singular_and_plural():
    options, stocks, margin = matching.SEARCHED
    assert options.words(1, is_more=False) == "1 option trade a month"
    assert stocks.words(1_200, is_more=True) == "1,200 more stock trades a month"
    assert margin.words(35, is_more=True) == "35 USD more borrowed on margin"


def test_usage_that_would_change_it_is_found_for_own_trades_too(person, browser):
    account = an_account(a_connection(person))
    records = [
        a_record(str(number), instrument=CALL, price=D(2), net_amount=D(-200), gross_amount=D(-200), quantity=D(1))
        for number in range(3)
    ]
    ledger.book(account=account, records=records, source=Source.API, run_id=None)
    only = "&".join(f"weight_{name}={100 if name == 'cost' else 0}" for name in recommendation.CRITERIA)
    query = QueryDict(f"mine=1&accounts=&{only}")
    catalogue, today = stored.catalogue(), timezone.localdate()
    given = matching.basis(person, query, catalogue, today)
    assert given.is_own
    assert (given.profile.contracts, given.profile.premium) == (D(1), D(2)), "the size of the own trades"
    asked = matching.answers(query, catalogue, given.profile, given.days)
    found = recommendation.recommend(catalogue, asked, given.costs, Measured(), today)
    turns = matching.usage_turns(catalogue, given, asked, found, Measured(), today)
    assert turns
    for turn in turns:
        assert turn.is_more
        assert turn.ref != found.ranked[0].ref
        refs = [match.ref for match in found.ranked[: matching.CLOSEST]]
        costs = matching._with_usage(catalogue, given, turn.usage, refs, today)(turn.above)
        assert recommendation.leader(catalogue, asked, costs, Measured(), today) == turn.ref
    said = browser.get(f"/compare/match/?{query.urlencode()}").content.decode()
    assert f"leads from about {turns[0].words}." in said


def test_what_a_quarter_tells_of_a_year_is_what_the_year_costs(loaded):
    catalogue, today = stored.catalogue(), timezone.localdate()
    tariffs = {
        ref: Tariff(catalogue.plans[ref], catalogue.rates, today) for ref in ("ibkr:pro_fixed", "schwab:standard")
    }
    year = Profile(trades_a_month=20, option_trades_a_month=10, margin=D(5_000), margin_days=100)
    whole, quarter = profiles.simulate(year, tariffs, today), profiles.extra(year, tariffs, today)
    for ref in tariffs:
        for item in ("us_stock_trade", "us_option_contract", "margin_interest", "orf_venue"):
            told = [found[ref].items[item] for found in (whole, quarter)]
            assert (told[0].low, told[0].high) == (told[1].low, told[1].high), item


def test_kept_and_opened_again_it_says_what_changed(person, browser, loaded):
    answer = browser.post("/compare/match/keep", {"query": "preset=margin&weight_cost=60", "name": "Before"})
    one = RecommendationProfile.objects.get()
    assert answer.url == f"/compare/match/{one.pk}/"
    assert "Nothing changed." in browser.get(answer.url).content.decode()
    first = one.result["ranked"][0]
    one.result["ranked"] = [{**first, "plan": "gone:away", "title": "Gone"}, {**first, "score": "1.00"}]
    one.save()
    CatalogueChange.objects.create(origin="test", change="changed", what="a price")
    said = browser.get(answer.url).content.decode()
    assert "1 facts" not in said
    assert "1 fact of the catalogue changed since." in said
    assert "it was Gone." in said
    assert "1.00 then" in said
    browser.post(answer.url)
    assert not RecommendationProfile.objects.exists()


def test_with_nothing_to_go_by_nobody_is_ranked(person):
    only = "&".join(f"weight_{name}={100 if name == 'ratings' else 0}" for name in recommendation.CRITERIA)
    found = recommended(person, only)
    assert not found.ranked
    assert not found.is_clear
    assert len(found.unranked) == 19
