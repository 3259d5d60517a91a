"""What a person typed does not stand in the report of an error that follows it, for whoever gets such reports."""

import pytest
from django.core.signals import got_request_exception
from django.test import RequestFactory
from django.urls import reverse
from django.views.debug import ExceptionReporter

from connections import app_keys, connection_manager, signing_in
from connections.brokers import robinhood_login
from connections.brokers.records import AuthMethod, Broker

pytestmark = pytest.mark.usefixtures("unpaced")


class Bug(Exception):
    """Something that should never happen."""


def fail(*_args, **_kwargs):
    raise Bug


def reported(error):
    """The report of `error` with the variables of every frame, from the first of the hub's own views or services on."""
    trace = error.__traceback__
    while "/connections/" not in trace.tb_frame.f_code.co_filename.partition("/tests/")[0]:
        trace = trace.tb_next
    request = RequestFactory().get("/")
    return ExceptionReporter(request, type(error), error, trace).get_traceback_html()


@pytest.fixture
def waiting(person, settings):
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    return connection_manager.create_connection(user=person, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_LOGIN)


@pytest.fixture(params=["page", "program"])
def send(request, web, token_client, person):
    """`send(connection, values)`: as a form, or by the API."""

    def send(connection, values):
        if request.param == "page":
            return web.post(reverse("connections:keys", args=[connection.pk]), values)
        url = f"/api/v1/brokerage/connections/{connection.pk}/keys"
        program = token_client(person)
        program.raise_request_exception = True
        return program.post(url, {"keys": values}, format="json")

    return send


def test_not_the_password_of_a_sign_in_by_questions(send, waiting, monkeypatch):
    monkeypatch.setattr(robinhood_login.RobinhoodLogin, "_call", fail)
    with pytest.raises(Bug) as bug:
        send(waiting, {"username": "james", "password": "canary-in-a-frame"})
    report = reported(bug.value)
    assert "converse" in report
    assert "canary-in-a-frame" not in report


def test_not_the_keys_of_a_report(send, person, flex_keys, monkeypatch):
    connection = connection_manager.create_connection(user=person, broker=Broker.IBKR, method=AuthMethod.IBKR_FLEX)
    monkeypatch.setattr(signing_in, "_store", fail)
    with pytest.raises(Bug) as bug:
        send(connection, flex_keys)
    report = reported(bug.value)
    assert "connect_with_keys" in report
    assert flex_keys["token"] not in report


def test_not_the_app_keys_an_operator_enters(person, sign_up, monkeypatch):
    person.is_staff = person.is_superuser = True
    person.save()
    monkeypatch.setattr(app_keys, "enter", fail)
    asked = []
    got_request_exception.connect(lambda request, **_: asked.append(request), weak=False, dispatch_uid="asked")
    keys = {"app_key": "ApublicKey0001", "app_secret": "canarysecret0001", "callback_url": "https://127.0.0.1:8182"}
    try:
        with pytest.raises(Bug) as bug:
            sign_up(person).post("/admin/connections/appcredentials/add/?method=schwab_oauth", keys)
    finally:
        got_request_exception.disconnect(dispatch_uid="asked")
    report = ExceptionReporter(asked[0], Bug, bug.value, bug.value.__traceback__).get_traceback_text()
    assert "app_secret = " in report
    assert "canarysecret0001" not in report
