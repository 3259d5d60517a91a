"""The catalogue in the database: loaded whole, twice changes nothing, what is replaced stays as history."""

import json
from copy import deepcopy
from datetime import date, timedelta
from decimal import Decimal as D

import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from brokerhub.kernel.models import User
from comparison import loading, stored
from comparison.catalogue_models import (
    BenchmarkValue,
    CatalogueChange,
    Change,
    EditState,
    FactEdit,
    FeeRule,
    PlanFeature,
    RegulatoryFee,
)
from comparison.costs import Tariff, cost
from comparison.models import BrokerPlan, ComparisonBroker, ComparisonSource
from comparison.terms import Side
from tests.comparison.engine import CATALOGUE, shares, shipped

SHIPPED = json.loads(CATALOGUE.read_text())


def a_file(tmp_path, change):
    content = deepcopy(SHIPPED)
    change(content)
    path = tmp_path / "next.json"
    path.write_text(json.dumps(content))
    return path


def fixed(content):
    return content["brokers"][0]["plans"][1]["fees"][0]


def stock_rules(**more):
    return FeeRule.objects.filter(broker__key="ibkr", plan__key="pro_fixed", item="us_stock_trade", **more)


def test_everything_is_loaded_and_reads_back_as_it_was(loaded):
    catalogue = stored.catalogue()
    plans, rates = shipped()
    assert catalogue.plans.keys() == plans.keys()
    assert len(catalogue.brokers) == 15
    for ref, plan in plans.items():
        assert catalogue.plans[ref] == plan
    assert catalogue.rates == rates
    assert len(catalogue.answers) == 43 * 19


def test_loading_twice_changes_nothing(loaded, capsys):
    before = stored.version()
    call_command("load_broker_catalogue")
    assert capsys.readouterr().out == "Nothing changed.\n"
    assert stored.version() == before


def test_a_new_price_closes_the_old_one_and_keeps_it(loaded, tmp_path, capsys):
    path = a_file(tmp_path, lambda content: fixed(content).update(rate="0.004", as_of="2026-11-20"))
    before = stored.version()
    call_command("load_broker_catalogue", str(path), verbosity=2)
    assert "1 changed" in capsys.readouterr().out
    assert stored.version() > before
    old, new = stock_rules().order_by("id")
    assert (old.parameters["rate"], old.valid_to) == ("0.005", date(2026, 11, 19))
    assert (new.parameters["rate"], new.valid_from, new.valid_to) == ("0.004", date(2026, 11, 20), None)
    terms = stored.catalogue()
    rates = {
        day: cost(Tariff(terms.plans["ibkr:pro_fixed"], terms.rates), shares(Side.BUY, "1000", "25", day))[0].low
        for day in (date(2026, 11, 19), date(2026, 11, 20))
    }
    assert rates == {date(2026, 11, 19): D(5), date(2026, 11, 20): D(4)}


def test_a_rule_that_is_gone_from_the_file_is_closed(loaded, tmp_path):
    found = loading.load(a_file(tmp_path, lambda content: content["brokers"][1]["fees_common"].pop(0)))
    assert found.counts == {Change.CLOSED: 1}
    gone = FeeRule.objects.get(broker__key="schwab", item="us_stock_trade")
    assert gone.valid_to is not None


def test_a_changed_feature_keeps_its_old_answer(loaded, tmp_path):
    def change(content):
        content["brokers"][0]["plans"][0]["features"]["drip"]["value"] = False

    found = loading.load(a_file(tmp_path, change))
    assert found.counts == {Change.CHANGED: 1}
    answers = PlanFeature.objects.filter(plan__key="lite", feature__key="drip").order_by("id")
    assert [(answer.value, answer.retired_at is None) for answer in answers] == [(True, False), (False, True)]


def test_a_file_with_a_mistake_changes_nothing(loaded, tmp_path):
    def change(content):
        fixed(content).update(rate="0.004")
        content["brokers"][14]["fees_common"][0].pop("source")

    before = stored.version()
    with pytest.raises(CommandError, match=r"next\.json: brokers\[14\]\.fees_common\[0\]\.source: is missing"):
        call_command("load_broker_catalogue", str(a_file(tmp_path, change)))
    assert stored.version() == before
    assert stock_rules().get().parameters["rate"] == "0.005"


@pytest.mark.parametrize(
    "without", [{"source": None}, {"as_of": ""}, {"source": None, "as_of": "", "confidence": "unknown", "reason": ""}]
)
def test_the_database_refuses_a_value_without_source_and_date(loaded, without):
    broker, source = ComparisonBroker.objects.get(key="ibkr"), ComparisonSource.objects.get(key="IBKR_STK")
    values = {"source": source, "as_of": "2026", "confidence": "checked"} | without
    with pytest.raises(IntegrityError), transaction.atomic():
        FeeRule.objects.create(broker=broker, item="new", **values)


# --- Reviewed edits -----------------------------------------------------------------------------------------------
def staff(name):
    return User.objects.create_superuser(f"{name}@example.com", "correct horse battery")


def proposal(**more):
    values = {
        "model": "per_share",
        "parameters": json.dumps({"rate": "0.0045", "min": "1.00", "max_pct_of_trade": "1.0", "cap_beats_min": True}),
        "starts_on": "2026-11-01",
        "source": ComparisonSource.objects.get(key="IBKR_STK26").pk,
        "as_of": "2026-11-02",
        "confidence": "checked",
        "notes": "",
    }
    return values | {"rule": stock_rules(valid_to=None).get().pk} | more


def propose(client, person, **more):
    client.force_login(person)
    return client.post("/admin/comparison/factedit/add/", proposal(**more))


def decide(client, person, action):
    client.force_login(person)
    chosen = [str(edit.pk) for edit in FactEdit.objects.all()]
    answer = client.post("/admin/comparison/factedit/", {"action": action, "_selected_action": chosen})
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_an_edit_counts_once_somebody_else_agreed(loaded, client):
    anna, ben = staff("anna"), staff("ben")
    assert propose(client, anna).status_code == 302
    assert stock_rules(valid_to=None).get().parameters["rate"] == "0.005", "it waits for review"
    assert "Somebody else has to review" in decide(client, anna, "approve")
    assert "approved" in decide(client, ben, "approve")
    old, new = stock_rules().order_by("id")
    assert (old.valid_to, new.valid_from) == (date(2026, 10, 31), date(2026, 11, 1))
    assert new.parameters["rate"] == "0.0045"
    trail = CatalogueChange.objects.get(by=ben)
    assert trail.before is not None
    assert trail.after is not None
    assert (trail.before["parameters"]["rate"], trail.after["source"]) == ("0.005", "IBKR_STK26")
    assert "reviewed already" in decide(client, ben, "reject")


def test_an_approved_edit_survives_the_next_start(loaded, client, tmp_path):
    anna = staff("anna")
    propose(client, anna)
    assert "approved" in decide(client, anna, "approve"), "the only one who can"
    assert loading.load().words == "Nothing changed."
    newer = (timezone.now().date() + timedelta(days=30)).isoformat()
    loading.load(a_file(tmp_path, lambda content: fixed(content).update(as_of=newer)))
    assert stock_rules(valid_to=None).get().parameters["rate"] == "0.005", "a file read later knows better"


def test_a_rejected_edit_changes_nothing(loaded, client):
    propose(client, staff("anna"))
    assert "rejected" in decide(client, staff("ben"), "reject")
    assert FactEdit.objects.get().state == EditState.REJECTED
    assert stock_rules().count() == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"parameters": json.dumps({"rate": "cheap"})}, "is not a number"),
        ({"model": "per_dream"}, "is not known"),
        ({"parameters": json.dumps({"min": "1"})}, "needs rate"),
        ({"source": ""}, "This field is required"),
        ({"as_of": ""}, "This field is required"),
    ],
)
def test_an_edit_the_engine_cannot_read_or_without_source_and_date_is_refused(loaded, client, wrong, said):
    answer = propose(client, staff("anna"), **wrong)
    assert said in answer.content.decode()
    assert not FactEdit.objects.exists()


NO_PRICE = {"rule": "", "model": "", "parameters": "{}", "starts_on": ""}


def test_a_feature_is_edited_with_review_and_the_edit_outlives_the_next_load(loaded, client):
    answer = PlanFeature.objects.get(plan__broker__key="vanguard", feature__key="api_read", retired_at=None)
    given = NO_PRICE | {"answer": answer.pk, "value": '"limited"', "detail": "For institutions."}
    assert propose(client, staff("anna"), **given).status_code == 302
    assert "approved" in decide(client, staff("ben"), "approve")
    now = stored.catalogue().answers["vanguard:standard", "api_read"]
    assert (now.value, now.detail, now.as_of) == ("limited", "For institutions.", "2026-11-02")
    answer.refresh_from_db()
    assert answer.retired_at is not None, "what it was stays"
    assert loading.load().words == "Nothing changed."
    said = propose(client, User.objects.get(email="anna@example.com"), **given).content.decode()
    assert "This fact was replaced" in said


def test_a_regulatory_rate_is_edited_from_a_day_on(loaded, client):
    rate = RegulatoryFee.objects.get(key="sec_section_31", effective_to=None, retired_at=None)
    parameters = json.dumps(rate.parameters | {"rate_per_million": "27.80"})
    given = NO_PRICE | {"rate": rate.pk, "parameters": parameters, "starts_on": "2026-12-01"}
    assert propose(client, staff("anna"), **given).status_code == 302
    assert "approved" in decide(client, staff("ben"), "approve")
    rates = stored.catalogue().rates
    before, after = (rates.on("sec_section_31", date(2026, month, day)) for month, day in ((11, 30), (12, 1)))
    assert before is not None
    assert after is not None
    assert (before.rate, before.last, after.rate) == (D("20.60"), date(2026, 11, 30), D("27.80"))
    assert loading.load().words == "Nothing changed."


def test_a_new_reading_of_a_reference_rate_follows_the_newest(loaded, client):
    newest = BenchmarkValue.objects.filter(benchmark="FED_FUNDS_UPPER", retired_at=None).order_by("-on").first()
    assert newest is not None
    given = NO_PRICE | {"reading": newest.pk, "value": '"3.50"', "starts_on": "2026-11-20"}
    assert propose(client, staff("anna"), **given).status_code == 302
    assert "approved" in decide(client, staff("ben"), "approve")
    rates = stored.catalogue().rates
    read = [rates.benchmark("FED_FUNDS_UPPER", date(2026, 11, day)) for day in (19, 20)]
    assert [reading and reading.value for reading in read] == [newest.value, D("3.50")]
    assert loading.load().words == "Nothing changed."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Choose one fact"),
        ({"answer": True, "value": '"sometimes"'}, "does not answer a question of the kind"),
        ({"rate": True, "parameters": "{}", "starts_on": "2026-12-01"}, "the parameters of this rate are"),
        ({"reading": True, "value": "3.5", "starts_on": "2026-12-01"}, "write the rate as text"),
        ({"reading": True, "value": '"3.5"'}, "say from which day it holds"),
    ],
)
def test_an_edit_of_another_fact_that_says_too_little_is_refused(loaded, client, given, said):
    rows = {"answer": PlanFeature, "rate": RegulatoryFee, "reading": BenchmarkValue}
    chosen = {
        name: rows[name]._default_manager.filter(retired_at=None).values_list("pk", flat=True)[0]
        for name in given
        if name in rows
    }
    assert said in propose(client, staff("anna"), **NO_PRICE | given | chosen).content.decode()
    assert not FactEdit.objects.exists()


def test_plans_are_named_as_people_say(loaded):
    titles = {plan.title for plan in stored.catalogue().plans.values()}
    assert {"IBKR Pro, tiered", "Charles Schwab", "Robinhood Gold", "Public Premium", "Alpaca"} <= titles
    assert len(titles) == BrokerPlan.objects.count()
