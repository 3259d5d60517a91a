"""Connecting with keys a person fetches at the broker: Interactive Brokers' Flex queries, by the pages."""

import pytest
from django.urls import reverse

from connections.models import Connection

NEW = reverse("connections:keys_new", args=["ibkr_flex"])


@pytest.fixture
def keys(sandbox, unpaced):
    flex = sandbox.control("ibkr/flex", "GET")
    return {"token": flex["token"], "query_id": "1001001"}


def test_the_choice_of_brokers_leads_to_the_form(web):
    assert NEW in web.get(reverse("connections:new")).content.decode()
    assert web.post(reverse("connections:new"), {"method": "ibkr_flex"}).url == NEW
    form = web.get(NEW).content.decode()
    assert 'type="password"' in form
    assert "<li>" in form, "it says how to come by the keys"


def test_good_keys_connect_the_accounts(web, person, keys):
    answer = web.post(NEW, keys)
    assert answer.status_code == 302
    connection = Connection.objects.get(user=person)
    assert (connection.state, connection.broker) == ("connected", "ibkr")
    assert connection.accounts.count() >= 1


def test_wrong_keys_are_told_in_the_form_and_leave_nothing_behind(web, person, keys):
    answer = web.post(NEW, keys | {"token": "123456789012345678901234"})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert not Connection.objects.filter(user=person).exists()


def test_a_secret_is_never_written_back_into_the_page(web, keys):
    answer = web.post(NEW, {"token": keys["token"], "query_id": ""})
    assert answer.status_code == 200
    assert keys["token"] not in answer.content.decode()


def test_new_keys_renew_the_same_connection(web, person, keys, sandbox):
    web.post(NEW, keys)
    connection = Connection.objects.get(user=person)
    Connection.objects.update(state="needs_reauth", reason_code="keys_refused")
    page = web.post(reverse("connections:sign_in", args=[connection.pk]))
    assert page.url == reverse("connections:keys", args=[connection.pk])
    fresh = sandbox.control("ibkr/flex", "POST", login="maria")
    web.post(page.url, keys | {"token": fresh["token"]})
    assert Connection.objects.get().pk == connection.pk
    assert Connection.objects.get().state == "connected"


def test_a_way_with_keys_has_no_sign_in_page(api, keys):
    made = api.post("/api/v1/brokerage/connections", {"broker": "ibkr", "method": "ibkr_flex"})
    assert made.data["next_action"] == "enter_keys"
    refused = api.post("/api/v1/brokerage/oauth/initiate", {"connection": made.data["id"]})
    assert refused.status_code == 409
