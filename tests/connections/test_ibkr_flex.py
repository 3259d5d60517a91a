"""How the hub talks to the Flex Web Service: what each code means, how long it waits, what it tells people."""

from datetime import timedelta

import pytest
from django.utils import timezone

from connections import connection_manager
from connections.brokers import ibkr_flex
from connections.brokers.base import (
    BrokerUnavailable,
    Grant,
    KeysRefused,
    NeedsReauth,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from connections.brokers.calls import Operation, call_finished
from connections.brokers.ibkr_statement import IncompleteQuery
from connections.brokers.records import AccountKind, AuthMethod, Broker
from connections.brokers.transport import Wire
from connections.models import Connection
from connections.tokens import FreshGrant
from tests.connections.conftest import whole

TOKEN = "639081394944328045983589"
XML = b"Content-Type: text/xml;charset=utf-8\r\n"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(ibkr_flex, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(ibkr_flex, "BETWEEN_CALLS", 0.0)


def service():
    return ibkr_flex.FlexService(Wire(broker=Broker.IBKR, budget=ibkr_flex.budget(TOKEN)), TOKEN, "1001001")


def saying(answering, settings, body, **options):
    settings.BROKERS_SANDBOX_URL = answering(whole(body, XML, **options), hang_up=True)


def wait(error):
    assert error.retry_at is not None
    return error.retry_at - timezone.now()


def refusal(code):
    return (
        b'<FlexStatementResponse timestamp="22 November, 2026 06:20 AM EST"><Status>Fail</Status>'
        b"<ErrorCode>%d</ErrorCode><ErrorMessage>Told in words.</ErrorMessage></FlexStatementResponse>" % code
    )


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (1003, ibkr_flex.NotAvailable, "no statement for the period"),
        (1010, Refused, "Create an Activity Flex Query"),
        (1011, Refused, "Switch it on"),
        (1012, NeedsReauth, "has expired"),
        (1013, Refused, "IP restriction"),
        (1014, Refused, "query id"),
        (1015, NeedsReauth, "does not know your Flex token"),
        (1016, Refused, "accounts"),
        (1018, RateLimited, "so many requests"),
        (1020, Refused, "validate"),
        (1099, UnexpectedReply, "does not know"),
    ],
)
def test_each_code_is_told_apart_and_said_in_words(answering, settings, code, error, words):
    saying(answering, settings, refusal(code))
    with pytest.raises(error, match=words) as raised:
        service().statement(Operation.ACCOUNTS)
    assert type(raised.value) is error


@pytest.mark.parametrize("code", [1001, 1004, 1005, 1006, 1007, 1008, 1019, 1021])
def test_a_statement_that_is_not_ready_in_time_is_asked_for_later(answering, settings, code):
    saying(answering, settings, refusal(code))
    with pytest.raises(BrokerUnavailable, match="within a minute") as raised:
        service().statement(Operation.ACCOUNTS)
    assert timedelta(minutes=4) < wait(raised.value) <= timedelta(minutes=5)


def test_an_overloaded_service_is_left_alone_for_minutes(answering, settings):
    saying(answering, settings, refusal(1009))
    calls = []
    call_finished.connect(receiver := lambda call, **_: calls.append(call))
    with pytest.raises(BrokerUnavailable) as raised:
        service().statement(Operation.ACCOUNTS)
    call_finished.disconnect(receiver)
    assert wait(raised.value) > timedelta(minutes=4)
    assert [(call.outcome, call.attribution) for call in calls] == [("server_error", "broker")]


def test_too_many_requests_wait_a_minute(answering, settings):
    saying(answering, settings, refusal(1018))
    with pytest.raises(RateLimited) as raised:
        service().statement(Operation.ACCOUNTS)
    assert wait(raised.value) > timedelta(seconds=59)


def test_a_token_may_ask_ten_times_a_minute(answering, settings):
    saying(answering, settings, refusal(1003))
    talk = service()
    for _ in range(ibkr_flex.CALLS_PER_MINUTE):
        with pytest.raises(ibkr_flex.NotAvailable):
            talk.statement(Operation.ACCOUNTS)
    with pytest.raises(RateLimited):
        talk.statement(Operation.ACCOUNTS)


@pytest.mark.parametrize("body", [b"<html><p>Sorry", b"", b"<FlexQueryResponse><FlexStatements"])
def test_what_is_no_statement_is_an_outage_and_not_an_empty_account(answering, settings, body):
    saying(answering, settings, body)
    with pytest.raises(BrokerUnavailable, match="not a statement"):
        service().statement(Operation.ACCOUNTS)


def test_no_error_and_no_log_holds_the_token(answering, settings, capfd):
    settings.BROKERS_SANDBOX_URL = answering(b"", hang_up=True)
    with pytest.raises(BrokerUnavailable) as raised:
        service().statement(Operation.ACCOUNTS)
    error: BaseException | None = raised.value
    while error is not None:
        assert TOKEN not in f"{error} {error!r}"
        error = error.__cause__
    assert TOKEN not in "".join(capfd.readouterr())
    assert TOKEN not in repr(service())


# --- Keys -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({"token": "my token", "query_id": "1001001"}, "token"),
        ({"token": TOKEN, "query_id": "HubActivity"}, "query_id"),
        ({"token": TOKEN, "query_id": ""}, "query_id"),
        ({"token": "1001001", "query_id": TOKEN}, "token"),
    ],
)
def test_keys_that_cannot_be_right_are_refused_before_they_are_tried(answer, field):
    with pytest.raises(KeysRefused) as raised:
        ibkr_flex.FlexKeys().complete(answer=answer, kept={}, at=timezone.now())
    assert raised.value.field == field


def test_a_token_that_must_have_ended_asks_for_a_new_one():
    grant = ibkr_flex.FlexKeys().complete(answer={"token": TOKEN, "query_id": "1"}, kept={}, at=timezone.now())
    with pytest.raises(NeedsReauth) as raised:
        ibkr_flex.FlexKeys().refresh(grant)
    assert raised.value.reason_code == "keys_refused"


# --- Against the sandbox ----------------------------------------------------------------------------------------------
@pytest.fixture
def keys(sandbox, monkeypatch):
    monkeypatch.setattr(ibkr_flex, "PAUSES", (1.05,) * 4)
    monkeypatch.setattr(ibkr_flex, "BETWEEN_CALLS", 1.05)
    sandbox.control("ibkr/switches", flex_delay=0)

    def make(query="1001001"):
        return {"token": sandbox.control("ibkr/flex", login="maria")["token"], "query_id": query}

    return make


def connector(keys):
    grant = Grant(secrets=keys, access_expires_at=timezone.now() + timedelta(days=1), authorization_expires_at=None)
    return ibkr_flex.IbkrFlex(Wire(broker=Broker.IBKR), FreshGrant(grant))


def test_one_statement_tells_whose_login_it_is_and_its_accounts(keys, sandbox):
    flex = connector(keys())
    assert flex.identity().broker_user_key == "U7712345"
    assert [(account.external_id, account.kind, account.currency) for account in flex.accounts()] == [
        ("U7712345", AccountKind.MARGIN, "EUR"),
        ("U7712346", AccountKind.CASH, "EUR"),
    ]
    assert len(sandbox.calls()) == 2


def test_a_sync_right_after_the_sign_in_is_not_one_request_too_many(keys):
    same = keys()
    assert connector(same).identity()
    assert len(connector(same).accounts()) == 2


def test_a_statement_that_takes_its_time_is_waited_for(keys, sandbox):
    sandbox.control("ibkr/switches", flex_delay=2)
    assert len(connector(keys()).accounts()) == 2
    assert len(sandbox.calls("flex_statement")) > 1


def test_the_sections_a_query_lacks_are_all_named_before_anything_is_connected(keys, person):
    with pytest.raises(IncompleteQuery, match="Transfers, Corporate Actions, Open Positions, Cash Report"):
        connection_manager.connect_with_keys(user=person, method=AuthMethod.IBKR_FLEX, keys=keys("1001003"))
    assert not Connection.objects.exists()


def test_a_query_with_every_level_of_detail_counts_nothing_twice(keys, sandbox):
    plain = keys()
    today = timezone.now().date()
    month = {"since": today - timedelta(days=30), "until": today}
    pages = list(connector(plain).transactions("U7712345", **month))
    sandbox.advance(61)
    again = list(connector(plain | {"query_id": "1001002"}).transactions("U7712345", **month))
    assert len(pages) == len(again) == 1
    assert [record.external_id for record in again[0].records] == [record.external_id for record in pages[0].records]


@pytest.mark.parametrize(
    ("query", "words"), [("1001004", "Activity Flex Query"), ("1001005", "account"), ("999", "query id")]
)
def test_a_query_that_cannot_be_served_says_what_to_do(keys, query, words):
    with pytest.raises(Refused, match=words):
        connector(keys(query)).accounts()


def test_a_refused_token_is_not_asked_with_again_in_the_same_sync(keys, sandbox):
    flex = connector(keys() | {"token": "1" * 24})
    for _ in range(3):
        with pytest.raises(NeedsReauth):
            flex.accounts()
    assert len(sandbox.calls()) == 1
