"""What the hub makes of Schwab's sign-in answers, and how it asks for rows."""

import json
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from connections import connection_manager
from connections.brokers import breaker, schwab
from connections.brokers.base import (
    AppCredentialsRefused,
    BrokerUnavailable,
    NeedsReauth,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from connections.brokers.calls import Attribution, Operation
from connections.brokers.records import Broker
from connections.brokers.transport import BrokerSession, Reply
from connections.tokens import FreshGrant
from tests.connections.conftest import some_grant, whole
from tests.journey.books import sync

JSON = b"Content-Type: application/json\r\n"
WRAPPED = '{"error":"unsupported_token_type","error_description":"400 Bad Request: \\"{%s}\\""}'


def judged(status, text, **headers):
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    reply = Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, text, data)
    return schwab.judge_token(Broker.SCHWAB, reply)[1:]


@pytest.mark.parametrize(
    ("status", "text", "error", "attribution"),
    [
        (401, '{"error":"invalid_client","error_description":"Unauthorized"}', AppCredentialsRefused, "ours"),
        (400, WRAPPED % "Bad authorization code: AuthorizationCode has expired", Refused, "credential"),
        (400, WRAPPED % "refresh_token_authentication_error", NeedsReauth, "credential"),
        (400, WRAPPED % "Refresh token is invalid, expired or revoked", NeedsReauth, "credential"),
        (400, '{"error":"invalid_client","error_description":"refresh token invalid"}', NeedsReauth, "credential"),
        (400, '{"error":"invalid_grant","error_description":"Invalid refresh token: null"}', NeedsReauth, "credential"),
        (400, '{"error":"a_word_of_tomorrow"}', UnexpectedReply, "ours"),
        (403, "<H1>Access Denied</H1>", BrokerUnavailable, "broker"),
        (500, "", BrokerUnavailable, "broker"),
        (429, '{"errors":[{"status":429}]}', RateLimited, "ours"),
    ],
)
def test_a_refused_token_request_is_blamed_on_the_right_one(status, text, error, attribution):
    blamed, raised = judged(status, text)
    assert type(raised) is error
    assert blamed == Attribution(attribution)


def test_a_rate_limited_sign_in_waits_as_long_as_it_was_told():
    _, raised = judged(429, "", Retry_After="90")
    assert timedelta(seconds=80) < raised.retry_at - timezone.now() <= timedelta(seconds=90)


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b'{"access_token": "an-access-token"}',
        b'{"access_token": "an-access-token", "refresh_token": "a-refresh-token", "expires_in": "soon"}',
        b'{"error": "nothing"}',
    ],
)
def test_a_sign_in_answer_of_another_form_is_ours_to_mend_and_not_shown(answering, settings, body):
    settings.BROKERS_SANDBOX_URL = answering(whole(body, JSON))
    sign_in = schwab.SchwabSignIn("the-key", "the-app-secret", "https://127.0.0.1")
    with pytest.raises(UnexpectedReply) as raised:
        sign_in.complete(answer={"code": "a-code"}, kept={"verifier": "a-verifier"}, at=timezone.now())
    assert "an-access-token" not in str(raised.value)


def test_the_app_secret_is_not_printed():
    assert "the-app-secret" not in repr(schwab.SchwabSignIn("the-key", "the-app-secret", "https://127.0.0.1"))


@pytest.mark.parametrize("key", [b'""', b"null", b"5"])
def test_a_login_without_a_name_is_nobodys(answering, key):
    answer = b'{"accounts": [], "streamerInfo": [{"schwabClientCustomerId": %b}]}' % key
    session = BrokerSession(
        wire=schwab.wire("the-key"), base_url=answering(whole(answer, JSON)), grants=FreshGrant(some_grant())
    )
    with pytest.raises(UnexpectedReply, match="whose login"):
        schwab.Schwab(session).identity()


def test_an_account_of_an_unknown_type_is_read_and_its_own_word_kept(connect, person, sandbox):
    sandbox.fault("schema_drift", "accounts", change="word", field="type", to="PLEDGED")
    connection = connect(person, "james")
    assert sync(connection).state == "succeeded"
    account = connection.accounts.get()
    assert (account.kind, account.balances.get().raw["type"]) == ("unknown", "PLEDGED")


def test_rows_are_asked_for_by_all_their_types(connect, person, sandbox):
    connection = connect(person)
    account = connection.accounts.first()
    today = timezone.now().date()
    pages = connection_manager.connector_for(connection).transactions(account.external_id, since=today, until=today)
    assert len(list(pages)) == 1
    asked = sandbox.calls("transactions")[-1]["query"]["types"]
    assert len(set(asked.split(","))) == 15


def test_a_success_elsewhere_in_the_moment_of_a_failure_crashes_nothing(monkeypatch):
    class Forgetful:
        """The cache as it is when another process deletes the count between our two steps."""

        def __getattr__(self, name):
            return getattr(cache, name)

        def add(self, key, *args, **options):
            cache.add(key, *args, **options)
            cache.delete(key)

    monkeypatch.setattr(breaker, "cache", Forgetful())
    breaker.failed(Broker.SCHWAB, Operation.ACCOUNTS)
    breaker.check(Broker.SCHWAB, Operation.ACCOUNTS)


def test_a_broker_that_fails_again_and_again_is_left_alone_and_then_tried_by_one(monkeypatch):
    for _ in range(breaker.THRESHOLD):
        breaker.check(Broker.SCHWAB, Operation.ACCOUNTS)
        breaker.failed(Broker.SCHWAB, Operation.ACCOUNTS)
    with pytest.raises(BrokerUnavailable) as raised:
        breaker.check(Broker.SCHWAB, Operation.ACCOUNTS)
    assert raised.value.retry_at is not None
    assert raised.value.retry_at > timezone.now()
    breaker.check(Broker.SCHWAB, Operation.HOLDINGS)
    cache.delete("breaker:trial:schwab:accounts")  # half a minute later
    breaker.check(Broker.SCHWAB, Operation.ACCOUNTS)
    with pytest.raises(BrokerUnavailable):
        breaker.check(Broker.SCHWAB, Operation.ACCOUNTS)
    breaker.succeeded(Broker.SCHWAB, Operation.ACCOUNTS)
    breaker.check(Broker.SCHWAB, Operation.ACCOUNTS)
