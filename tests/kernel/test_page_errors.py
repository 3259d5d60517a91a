"""A page that fails says what happened in a sentence, in the hub's own frame; htmx gets it as a message."""

import pytest
from django.test import Client

from brokerhub.kernel.models import User

pytestmark = pytest.mark.usefixtures("frame")
SENTENCE = "This connection is being removed."


@pytest.fixture
def browser(caller: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(caller)
    return client


def test_a_hub_error_becomes_a_page_with_its_sentence_and_status(browser):
    answer = browser.get("/test/failing/not-allowed")
    assert answer.status_code == 409
    assert SENTENCE in answer.content.decode()
    assert "<html" in answer.content.decode()
    assert answer["X-Request-ID"] in answer.content.decode()


def test_htmx_gets_the_sentence_for_the_messages_area(browser):
    answer = browser.get("/test/failing/not-allowed", headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert answer["HX-Retarget"] == "#messages"
    assert SENTENCE in answer.content.decode()
    assert "<html" not in answer.content.decode()


def test_htmx_gets_djangos_own_errors_the_same_way(browser):
    answer = browser.get("/no-such-page", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Retarget"]) == (404, "#messages")
    assert "There is nothing at this address" in answer.content.decode()


def test_a_fragment_asked_for_after_the_session_ended_takes_the_page_to_the_sign_in(db):
    here = "http://testserver/connections/?broker=schwab"
    answer = Client().get("/connections/cards/", headers={"HX-Request": "true", "HX-Current-URL": here})
    assert answer.status_code == 200
    assert answer["HX-Redirect"] == "/accounts/login/?next=%2Fconnections%2F%3Fbroker%3Dschwab"
    elsewhere = Client().get("/connections/cards/", headers={"HX-Request": "true", "HX-Current-URL": "http://evil/x"})
    assert elsewhere["HX-Redirect"] == "/accounts/login/?next=%2F"


def test_a_boosted_link_gets_the_whole_page(browser):
    answer = browser.get("/test/failing/not-allowed", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert "<html" in answer.content.decode()
    assert "HX-Retarget" not in answer


@pytest.mark.parametrize(
    ("failure", "status"),
    [("missing", 404), ("suspicious", 400), ("bug", 500), ("database", 503), ("rate-limited", 503)],
)
def test_no_failure_shows_its_inside(browser, failure, status):
    answer = browser.get(f"/test/failing/{failure}")
    assert answer.status_code == status
    assert "secret" not in answer.content.decode()
    assert "hunter2" not in answer.content.decode()
    assert answer["X-Request-ID"] in answer.content.decode()


def test_an_unknown_page_is_told_to_a_stranger_too(db):
    answer = Client().get("/no-such-page")
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.content.decode()


def test_a_form_without_its_csrf_token_is_refused_with_advice(caller):
    client = Client(enforce_csrf_checks=True)
    client.force_login(caller)
    answer = client.post("/preferences/theme", {"theme": "dark"})
    assert answer.status_code == 403
    assert "This form is out of date" in answer.content.decode()


@pytest.mark.parametrize(
    "address", ["/no-such\0page", "/connections/?q=%00", "/api/v1/brokerage/connections?broker=%00"]
)
def test_a_nul_in_an_address_is_a_bad_request(browser, address):
    assert browser.get(address).status_code == 400


def test_every_page_carries_the_security_headers(browser):
    for address in (
        "/settings/",
        "/test/failing/not-allowed",
        "/no-such-page",
        "/api/v1/brokers/accounts",
        "/api/v1/nowhere",
    ):
        answer = browser.get(address)
        assert "script-src 'self'" in answer["Content-Security-Policy"]
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert answer["Cache-Control"] == "private, no-store"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(("zone", "name"), [("Asia/Tokyo", "Asia/Tokyo"), ("Nowhere/Gone", "UTC"), ("../etc", "UTC")])
def test_a_page_is_made_in_the_persons_time_zone(browser, caller, zone, name):
    caller.timezone = zone
    caller.save()
    assert browser.get("/test/zone").content.decode() == name
    assert browser.get("/api/test-zone").content.decode() == "UTC"
