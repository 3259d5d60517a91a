"""Robinhood's official way in: discovery, registration, tokens, and tools called over MCP."""

import json
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from connections import connection_manager
from connections.brokers import robinhood, robinhood_oauth
from connections.brokers.base import (
    AppCredentialsRefused,
    BrokerUnavailable,
    NeedsReauth,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from connections.brokers.calls import Attribution, Operation
from connections.brokers.mcp import McpSession
from connections.brokers.records import Broker
from connections.brokers.transport import Reply
from connections.models import Connection
from connections.tokens import FreshGrant, read_grant
from tests.connections.conftest import some_grant, whole

NEW, LIST = reverse("connections:new"), reverse("connections:list")
JSON, STREAM = b"Content-Type: application/json\r\n", b"Content-Type: text/event-stream\r\n"
BEGUN = {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18", "capabilities": {}}}


# --- By the pages -----------------------------------------------------------------------------------------------------


def begin(web):
    """The broker's address the hub sends this browser to."""
    answer = web.post(NEW, {"method": "robinhood_oauth"}, HTTP_HX_REQUEST="true")
    assert answer.status_code == 200
    return answer["HX-Redirect"]


def land(web, address):
    parts = urlsplit(address)
    assert parts.path == "/connections/callback/robinhood"
    return web.get(f"{parts.path}?{parts.query}")


def test_a_person_connects_by_the_pages(web, person, sandbox):
    answer = land(web, sandbox.sign_in(begin(web)))
    assert answer.status_code == 302
    connection = Connection.objects.get(user=person)
    assert (connection.broker, connection.state) == (Broker.ROBINHOOD, "connected")
    [account] = connection.accounts.all()
    [truth] = sandbox.truth(broker="robinhood")["accounts"]
    assert account.external_id == truth["number"]
    assert connection.access_expires_at is not None
    assert timedelta(days=8) < connection.access_expires_at - timezone.now() < timedelta(days=10)
    assert connection.authorization_expires_at is None
    assert "Individual" in web.get(LIST).content.decode()


def test_before_connecting_the_page_says_what_does_not_come_this_way(web):
    shown = web.get(NEW).content.decode()
    assert "does not tell dividends" in shown
    assert "one permission only" in shown


def test_the_sign_in_asks_for_one_scope_with_a_challenge(web, sandbox):
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begin(web)).query).items()}
    assert (asked["response_type"], asked["scope"], asked["code_challenge_method"]) == ("code", "internal", "S256")
    assert asked["resource"] == robinhood_oauth.resource()
    assert len(asked["code_challenge"]) == 43


def test_declining_stores_nothing(web, person, sandbox):
    answer = land(web, sandbox.sign_in(begin(web), deny=True))
    assert answer.status_code == 400
    assert "You declined access" in answer.content.decode()
    connection = Connection.objects.get(user=person)
    assert (connection.reason_code, connection.sealed_credentials) == ("consent_denied", b"")


def test_a_stale_code_says_to_sign_in_once_more(web, person, sandbox):
    back = sandbox.sign_in(begin(web))
    sandbox.advance(120)
    answer = land(web, back)
    assert answer.status_code == 502
    assert "sign in once more" in answer.content.decode()
    assert Connection.objects.get(user=person).state == "pending_auth"


# --- Registration and discovery ---------------------------------------------------------------------------------------


def test_the_hub_registers_once_for_a_rush_of_people(web, stranger_web, sandbox):
    begin(web)
    begin(stranger_web)
    assert len(sandbox.calls("register")) == 1


def test_a_grant_outlives_the_cache_with_the_client_it_was_given_to(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person)
    cache.clear()
    connection_manager.refresh_credentials(connection)
    assert connection_manager.connector_for(connection).accounts()


def test_a_refused_registration_is_for_an_administrator(sandbox):
    sign_in = robinhood_oauth.RobinhoodSignIn("http://hub.example/back")
    with pytest.raises(AppCredentialsRefused, match="administrator"):
        sign_in.begin(state="s")


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b'{"authorization_servers": []}',
        b'{"authorization_servers": ["https://evil.example/mcp"]}',
        b'{"authorization_servers": 5}',
    ],
)
def test_discovery_that_leads_elsewhere_or_nowhere_is_not_followed(answering, settings, document):
    settings.BROKERS_SANDBOX_URL = answering(whole(document, JSON))
    with pytest.raises(UnexpectedReply):
        robinhood_oauth.RobinhoodSignIn("http://127.0.0.1/back").begin(state="s")


def service(base, **changes):
    own = f"{base}/robinhood"
    document = {
        "authorization_servers": [f"{own}/issuer"],
        "issuer": f"{own}/issuer",
        "authorization_endpoint": f"{own}/oauth",
        "token_endpoint": f"{own}/token",
        "registration_endpoint": f"{own}/register",
        "code_challenge_methods_supported": ["S256"],
    }
    return json.dumps(document | changes).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://127.0.0.1/another"},
        {"token_endpoint": "https://robinhood.com.evil.example/token"},
        {"code_challenge_methods_supported": ["plain"]},
        {"registration_endpoint": None},
    ],
)
def test_a_document_that_is_not_to_be_trusted_ends_the_sign_in(monkeypatch, change):
    """Both documents are read from one answer; only `change` is wrong in it."""
    base = "http://127.0.0.1:1"
    monkeypatch.setattr("django.conf.settings.BROKERS_SANDBOX_URL", base)
    said = json.loads(service(base, **change))
    monkeypatch.setattr(robinhood_oauth.RobinhoodSignIn, "_get", lambda self, url: said)
    with pytest.raises(UnexpectedReply):
        robinhood_oauth.RobinhoodSignIn("http://127.0.0.1/back").begin(state="s")


def test_a_secret_goes_to_robinhoods_own_domain_only(settings):
    settings.BROKERS_SANDBOX_URL = ""
    checked = robinhood_oauth._checked
    assert checked("https://api.robinhood.com/oauth2/token/") == "https://api.robinhood.com/oauth2/token/"
    for url in ("http://api.robinhood.com/x", "https://robinhood.com.evil.example/", "https://evilrobinhood.com/"):
        with pytest.raises(ValueError, match="not Robinhood's"):
            checked(url)


# --- Tokens -----------------------------------------------------------------------------------------------------------


def judged(status, text, dead):
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    return robinhood_oauth.judge_token(Broker.ROBINHOOD, Reply(status, {}, text, data), dead=dead)[1:]


@pytest.mark.parametrize(
    ("status", "text", "of_code", "of_refresh", "attribution"),
    [
        (400, '{"error":"invalid_grant"}', Refused, NeedsReauth, "credential"),
        (401, '{"error":"invalid_client"}', Refused, NeedsReauth, "credential"),
        (403, '{"verification_workflow":{"id":"x"}}', Refused, NeedsReauth, "credential"),
        (400, '{"error":"a_word_of_tomorrow"}', UnexpectedReply, UnexpectedReply, "ours"),
        (429, '{"detail":"Request was throttled."}', RateLimited, RateLimited, "ours"),
        (502, "<html>", BrokerUnavailable, BrokerUnavailable, "broker"),
        (403, "<html>", BrokerUnavailable, BrokerUnavailable, "broker"),
        (400, "[]", BrokerUnavailable, BrokerUnavailable, "broker"),
    ],
)
def test_a_refused_token_request_is_blamed_on_the_right_one(status, text, of_code, of_refresh, attribution):
    for dead, error in ((robinhood_oauth._stale_code, of_code), (robinhood_oauth._dead_refresh, of_refresh)):
        blamed, raised = judged(status, text, dead)
        assert type(raised) is error
        assert blamed == Attribution(attribution)


def test_a_renewal_without_a_new_refresh_token_keeps_the_old_one(connect_robinhood, person):
    connection = connect_robinhood(person)
    before = connection.read_credentials()
    connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    after = connection.read_credentials()
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] == before["refresh_token"]


def test_a_rotated_refresh_token_is_saved_and_works(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person)
    before = connection.read_credentials()
    sandbox.fault("rotate_refresh_token", "token", broker="robinhood")
    for _ in range(2):
        connection_manager.refresh_credentials(connection)
        connection.refresh_from_db()
    assert connection.read_credentials()["refresh_token"] != before["refresh_token"]
    assert connection_manager.connector_for(connection).accounts()


def disconnect(web, connection):
    return web.post(reverse("connections:disconnect", args=[connection.pk]), {"history": "keep"}).content.decode()


def test_leaving_ends_the_access_at_robinhood_and_says_so(connect_robinhood, person, web):
    connection = connect_robinhood(person)
    grant = read_grant(connection)
    shown = disconnect(web, connection)
    assert "Access at Robinhood" in shown
    assert "Ended" in shown
    with pytest.raises(NeedsReauth):
        robinhood_oauth.RobinhoodSignIn("http://127.0.0.1/back").refresh(grant)


def test_leaving_goes_on_when_robinhood_does_not_answer_and_says_what_is_left(connect_robinhood, person, web, sandbox):
    connection = connect_robinhood(person)
    sandbox.fault("500", "revoke", broker="robinhood")
    shown = disconnect(web, connection)
    assert "Not ended yet" in shown
    assert "page of the Agentic account" in shown
    connection.refresh_from_db()
    assert (connection.state, connection.sealed_credentials) == ("disconnected", b"")


def test_a_dry_run_ends_nothing(connect_robinhood, person, web, sandbox):
    connection = connect_robinhood(person)
    answer = web.delete(f"/api/v1/brokerage/connections/{connection.pk}?dry_run=1")
    assert answer.json()["revocation"] is None
    assert sandbox.calls("revoke") == []
    assert web.delete(f"/api/v1/brokerage/connections/{connection.pk}").json()["revocation"] == "done"


@pytest.mark.parametrize("body", [b"[1]", b'{"access_token": "an-access-token"}', b'{"error": "nothing"}'])
def test_a_token_answer_of_another_form_is_not_shown(answering, settings, body):
    settings.BROKERS_SANDBOX_URL = base = answering(whole(body, JSON))
    found = json.loads(service(base))
    cache.set(f"robinhood:service:{robinhood_oauth.resource()}", {"token_endpoint": found["token_endpoint"]})
    sign_in = robinhood_oauth.RobinhoodSignIn("http://127.0.0.1/back")
    kept = {"verifier": "a-verifier", "client_id": "a-client"}
    with pytest.raises(UnexpectedReply) as raised:
        sign_in.complete(answer={"code": "a-code"}, kept=kept, at=timezone.now())
    assert "an-access-token" not in str(raised.value)


# --- Tools ------------------------------------------------------------------------------------------------------------


def mcp(url):
    return McpSession(
        wire=robinhood_oauth.wire(),
        url=url,
        grants=FreshGrant(some_grant()),
        tools=robinhood.TOOLS,
        refusal=robinhood.tool_refusal,
    )


def accounts(url):
    return mcp(url).call("get_accounts", operation=Operation.ACCOUNTS)


def result(number=2, **result):
    return {"jsonrpc": "2.0", "id": number, "result": result}


def events(*messages):
    return b"".join(b"event: message\r\ndata: %b\r\n\r\n" % json.dumps(message).encode() for message in messages)


def as_json(*messages):
    return whole(json.dumps(messages).encode(), JSON)


def as_stream(*messages):
    return whole(b": hello\r\n\r\n" + events({"jsonrpc": "2.0", "method": "notifications/x"}, *messages), STREAM)


GOOD = {"data": {"accounts": []}, "guide": ""}


@pytest.mark.parametrize("form", [as_json, as_stream])
@pytest.mark.parametrize(
    "said", [{"structuredContent": GOOD}, {"content": [{"type": "text", "text": json.dumps(GOOD)}]}]
)
def test_an_answer_is_read_in_each_of_its_forms(answering, form, said):
    assert accounts(answering(form(BEGUN, result(**said)))) == GOOD


def test_a_line_of_a_stream_may_hold_what_is_no_end_of_it(answering):
    message = b'{"jsonrpc": "2.0", "id": 2, "result": {"structuredContent":\ndata: {"name": "a\xe2\x80\xa8b"}}}'
    stream = events(BEGUN) + b"data: " + message + b"\n\n"
    assert accounts(answering(whole(stream, STREAM))) == {"name": "a\u2028b"}


def test_numbers_are_exact(answering):
    body = b'[%b, {"id": 2, "result": {"structuredContent": {"x": 0.1}}}]' % json.dumps(BEGUN).encode()
    assert accounts(answering(whole(body, JSON))) == {"x": Decimal("0.1")}


@pytest.mark.parametrize("tool", ["place_equity_order", "cancel_option_order", "exercise_option", "transfer"])
def test_a_tool_that_is_not_on_the_list_is_never_called(connect_robinhood, person, sandbox, tool):
    connector = connection_manager.connector_for(connect_robinhood(person))
    assert isinstance(connector, robinhood.Robinhood)
    before = len(sandbox.calls())
    with pytest.raises(NotAllowed, match="never calls"):
        connector.mcp.call(tool, operation=Operation.HOLDINGS, account_number="1")
    assert len(sandbox.calls()) == before


def test_the_list_holds_reading_tools_only():
    assert all(tool.startswith("get_") for tool in robinhood.TOOLS)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (as_json(BEGUN, result(number=7)), BrokerUnavailable),
        (whole(b"event: message\r\ndata: {half", STREAM), BrokerUnavailable),
        (whole(b"<html>", b"Content-Type: text/html\r\n"), BrokerUnavailable),
        (as_json(BEGUN, {"id": 2, "error": {"code": -32603, "message": "inside"}}), BrokerUnavailable),
        (as_json(BEGUN, {"id": 2, "error": {"code": -32602, "message": "Unknown tool"}}), UnexpectedReply),
        (as_json(BEGUN, result(content=[{"type": "text", "text": "hello"}])), UnexpectedReply),
        (as_json(result(1, protocolVersion="1999-01-01")), UnexpectedReply),
        (whole(b"authentication required", status=b"401 Unauthorized"), NeedsReauth),
        (whole(b'{"detail": "no"}', JSON, status=b"403 Forbidden"), Refused),
    ],
)
def test_what_is_no_answer_is_an_error_of_its_kind(answering, answer, error):
    with pytest.raises(error) as raised:
        accounts(answering(answer))
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("RATE_LIMITED: too many requests", RateLimited),
        ("UNAUTHENTICATED: sign in", NeedsReauth),
        ("UNAVAILABLE: upstream", BrokerUnavailable),
        ("NOT_FOUND: no such account", Refused),
        ("", Refused),
    ],
)
def test_a_tools_own_error_says_what_happens_next(text, error):
    raised = robinhood.tool_refusal(text)[2]
    assert type(raised) is error
    assert "such account" not in str(raised)


def test_a_limit_of_the_tools_is_waited_for_briefly():
    raised = robinhood.tool_refusal("RATE_LIMITED: too many requests")[2]
    assert isinstance(raised, RateLimited)
    assert raised.retry_at is not None
    assert raised.retry_at - timezone.now() <= timedelta(seconds=5)


def test_a_session_the_server_has_forgotten_is_begun_anew(connect_robinhood, person):
    connector = connection_manager.connector_for(connect_robinhood(person))
    assert isinstance(connector, robinhood.Robinhood)
    [account] = connector.accounts()
    connector.mcp._session_id = "forgotten"
    assert connector.holdings(account.external_id).positions


def test_a_list_that_goes_round_in_circles_is_ended(answering):
    page = {"data": {"accounts": [], "next": "https://agent.robinhood.com/x?cursor=abc"}}
    messages = [BEGUN, *(result(number, structuredContent=page) for number in range(2, 5))]
    with pytest.raises(UnexpectedReply, match="does not come to an end"):
        robinhood.Robinhood(mcp(answering(as_json(*messages)))).accounts()


def test_a_login_without_accounts_is_nobodys(answering):
    empty = {"data": {"accounts": None}}
    with pytest.raises(UnexpectedReply, match="whose login"):
        robinhood.Robinhood(mcp(answering(as_json(BEGUN, result(structuredContent=empty))))).identity()


def test_neither_token_nor_session_is_printed():
    session = mcp("http://127.0.0.1")
    session._session_id = "a-session"
    assert "a-session" not in repr(session)
    assert "a-token" not in repr(session)
