"""The comparison for programs."""

from datetime import date
from decimal import Decimal as D

import pytest

from aggregation import ledger
from aggregation.models import Source
from brokerhub.kernel.models import Scope
from comparison import running
from comparison.catalogue_models import FeeRule
from comparison.models import CostSimulation
from connections.brokers.records import TransactionKind
from tests.aggregation.factories import a_connection, a_record, a_user, an_account


@pytest.fixture
def person(loaded):
    user = a_user()
    account = an_account(a_connection(user))
    sold = a_record(
        "1",
        kind=TransactionKind.SELL,
        traded_on=date(2026, 6, 1),
        quantity=D(-100),
        gross_amount=D(8500),
        net_amount=D("8499.80"),
        fees=D("0.20"),
    )
    ledger.book(account=account, records=[sold], source=Source.API, run_id=None)
    return user


def test_everything_in_one_answer(person, token_client):
    answer = token_client(person).get(
        "/api/v1/brokerage/compare?plans=ibkr:pro_fixed,robinhood:gold&profile=options&weights=cost:80&needs=options"
    )
    assert answer.status_code == 200
    body = answer.json()
    assert [plan["plan"] for plan in body["plans"]] == ["ibkr:pro_fixed", "robinhood:gold"]
    commission = next(row for row in body["fees"] if row["item"] == "us_stock_trade")
    assert (commission["cells"][0]["low"], commission["cells"][0]["sources"][0]["as_of"]) == ("1", "2025-04")
    assert len(body["features"]) == 43
    assert [plan["plan"] for plan in body["simulation"]["plans"]] == ["ibkr:pro_fixed", "robinhood:gold"]
    first = body["recommendation"]["ranked"][0]
    points = sum(D(reason["points"] or 0) for reason in first["reasons"])
    assert abs(points - D(first["score"])) < D("0.05"), "two decimals each"


def test_the_own_costs(person, token_client):
    body = token_client(person).get("/api/v1/brokerage/compare?mine=1&period=2026&plans=ibkr:pro_fixed").json()
    assert body["simulation"]["basis"] == "mine"
    [plan] = body["simulation"]["plans"]
    commission = next(item for item in plan["items"] if item["item"] == "us_stock_trade")
    assert (commission["low"], commission["lines"]) == ("1", 1)


def test_the_own_costs_need_the_scope_of_the_portfolio(person, token_client):
    client = token_client(person, Scope.COMPARE_READ)
    assert client.get("/api/v1/brokerage/compare").status_code == 200
    refused = client.get("/api/v1/brokerage/compare?mine=1")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


def test_a_price_list_with_sources_and_history(person, token_client):
    FeeRule.objects.filter(broker__key="ibkr", plan__key="pro_fixed", item="us_stock_trade").update(
        valid_to=date(2026, 10, 31)
    )
    client = token_client(person)
    now = client.get("/api/v1/brokerage/fees/ibkr?plan=pro_fixed").json()
    assert [plan["plan"] for plan in now["plans"]] == ["ibkr:pro_fixed"]
    assert {rule["plan"] for rule in now["rules"]} == {None, "pro_fixed"}
    assert all(rule["source"] or rule["reason"] for rule in now["rules"])
    assert [rule["item"] for rule in now["history"]] == ["us_stock_trade"]
    then = client.get("/api/v1/brokerage/fees/ibkr?plan=pro_fixed&as_of=2026-10-31").json()
    assert len(then["rules"]) == len(now["rules"]) + 1
    assert {row["fee"] for row in now["regulatory"]} >= {"sec_section_31", "finra_taf_equity", "orf_venue"}


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("fees/nobody", 404, "Known: ally, alpaca"),
        ("fees/ibkr?plan=gold", 404, "Known: lite, pro_fixed, pro_tiered"),
        ("fees/ibkr?as_of=soon", 400, "is not a date"),
        ("compare?plans=nobody:gold", 404, "Known: ally:standard"),
        ("compare?weights=luck:5", 400, "Known: cost, features"),
        ("compare?weights=cost:", 400, "a whole number"),
        ("compare?needs=everything", 400, "is no feature"),
        ("compare?mine=1&period=1492", 400, "choose a year"),
    ],
)
def test_what_is_not_known_is_answered_with_what_is(person, token_client, address, status, said):
    answer = token_client(person).get(f"/api/v1/brokerage/{address}")
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_a_simulation_is_asked_for_and_fetched(person, token_client):
    client = token_client(person)
    started = client.post("/api/v1/compare/simulations", {"since": "2026-01-01", "until": "2026-06-30"}, format="json")
    assert started.status_code == 202
    assert started.json()["state"] == "queued"
    again = client.post("/api/v1/compare/simulations", {"since": "2026-01-01", "until": "2026-06-30"}, format="json")
    assert again.json()["id"] == started.json()["id"]
    running.run(started.json()["id"])
    done = client.get(f"/api/v1/compare/simulations/{started.json()['id']}").json()
    assert (done["state"], done["result"]["orders"]) == ("done", 1)
    assert len(done["result"]["plans"]) == 19
    assert done["result"]["actual"]["trade_fees"] == "0.2"
    assert CostSimulation.objects.count() == 1


def test_a_wrong_period_starts_nothing(person, token_client):
    answer = token_client(person).post(
        "/api/v1/compare/simulations", {"since": "2026-02-01", "until": "2026-01-01"}, format="json"
    )
    assert answer.status_code == 400
    assert not CostSimulation.objects.exists()
