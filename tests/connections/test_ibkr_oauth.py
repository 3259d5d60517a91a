"""Signing in at Interactive Brokers' Web API by its consent page: agreed, denied, renewed, ended, and going wrong."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone

from connections import connection_manager
from connections.brokers import NotConfigured, transport
from connections.brokers.base import (
    AppCredentialsRefused,
    BrokerError,
    BrokerUnavailable,
    NeedsReauth,
    Refused,
    UnexpectedReply,
)
from connections.brokers.records import AuthMethod, Broker
from connections.errors import ConsentDenied
from connections.models import Connection
from connections.tokens import read_grant
from sync.models import RunState
from tests.journey.books import sync

pytestmark = pytest.mark.usefixtures("unpaced", "ibkr_app")


def begin(person):
    connection = connection_manager.create_connection(user=person, broker=Broker.IBKR, method=AuthMethod.IBKR_OAUTH)
    return connection_manager.start_oauth(connection=connection)


def come_back(person, landed, **changes):
    answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
    return connection_manager.complete_oauth(user=person, answer=answer | changes, broker=Broker.IBKR)


def test_whoever_agrees_is_connected_with_the_accounts_ticked(person, sandbox):
    connection = come_back(person, sandbox.sign_in(begin(person), "maria", ["U7712346"]))
    assert (connection.state, connection.broker_user_key) == ("connected", "U7712346")
    assert [(account.external_id, account.mask, account.currency) for account in connection.accounts.all()] == [
        ("U7712346", "2346", "EUR")
    ]
    assert connection.access_expires_at > timezone.now() + timedelta(hours=23)
    assert connection.authorization_expires_at is None


def test_whoever_refuses_is_not_connected_and_told_so(person, sandbox):
    with pytest.raises(ConsentDenied):
        come_back(person, sandbox.sign_in(begin(person), "maria", deny=True))
    connection = Connection.objects.get(user=person)
    assert (connection.state, connection.accounts.count()) == ("pending_auth", 0)


def test_a_verifier_that_is_not_the_brokers_connects_nobody(person, sandbox):
    with pytest.raises(Refused, match="sign in once more"):
        come_back(person, sandbox.sign_in(begin(person)), oauth_verifier="invented")
    assert Connection.objects.get(user=person).state == "pending_auth"


def test_the_same_login_comes_back_as_the_connection_it_was(connect_ibkr, person):
    first = connect_ibkr(person, "oauth")
    assert connect_ibkr(person, "keys").pk == connect_ibkr(person, "oauth").pk == first.pk
    assert Connection.objects.get(user=person).accounts.count() == 2


def test_more_or_fewer_accounts_of_one_login_are_the_same_connection(connect_ibkr, person):
    """Its key is the lowest number among the accounts ticked, which is another one each time here."""
    first = connect_ibkr(person, "oauth", ["U7712346"])
    more = connect_ibkr(person, "oauth")
    assert {account.external_id for account in more.accounts.all()} == {"U7712345", "U7712346"}
    fewer = connect_ibkr(person, "oauth", ["U7712346"])
    assert fewer.pk == more.pk == first.pk
    assert fewer.accounts.count() == 2, "one that is not shared any more keeps its history"
    assert Connection.objects.get(user=person).state == "connected"


# --- Renewal ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["oauth", "keys"])
def test_access_is_renewed_ahead_of_its_end_with_the_same_access_token(connect_ibkr, person, sandbox, way):
    connection = connect_ibkr(person, way)
    before = read_grant(connection)
    Connection.objects.update(access_expires_at=timezone.now() + timedelta(minutes=2))
    assert connection_manager.renew_due() == 1
    connection.refresh_from_db()
    after = read_grant(connection)
    assert after.secrets["live_session_token"] != before.secrets["live_session_token"]
    assert after.secrets["access_token"] == before.secrets["access_token"]
    assert after.access_expires_at > timezone.now() + timedelta(hours=23)
    assert sync(connection).state == RunState.SUCCEEDED


@pytest.mark.parametrize("way", ["oauth", "keys"])
def test_a_session_the_broker_has_ended_is_opened_anew_once(connect_ibkr, person, sandbox, way):
    connection = connect_ibkr(person, way)
    sandbox.end_tokens(expire=True, broker="ibkr")
    opened = len(sandbox.calls("live_session_token"))
    assert sync(connection).state == RunState.SUCCEEDED
    assert len(sandbox.calls("live_session_token")) == opened + 1
    assert connection.state == "connected"


def test_a_sign_in_the_person_has_ended_there_asks_for_a_new_one(connect_ibkr, person, sandbox):
    connection = connect_ibkr(person, "oauth")
    sandbox.end_tokens(revoke=True, broker="ibkr")
    run = sync(connection)
    assert (run.state, run.error_code) == (RunState.FAILED, "needs_reauth")
    assert (connection.state, connection.reason_code) == ("needs_reauth", "refresh_refused")


def test_an_empty_response_to_the_challenge_is_asked_for_again(connect_ibkr, person, sandbox):
    connection = connect_ibkr(person, "oauth")
    sandbox.fault("broker_error", "live_session_token", times=2, broker="ibkr", code="empty_response")
    connection_manager.refresh_credentials(connection)
    sandbox.fault("broker_error", "live_session_token", broker="ibkr", code="empty_response")
    with pytest.raises(BrokerUnavailable, match="did not open a session"):
        connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    assert connection.status.may_sync, "the session there was is still good"


# --- Going wrong ------------------------------------------------------------------------------------------------------
KINDS = ["reset", "500", "html", "429", "410"]


@pytest.mark.parametrize("step", ["request_token", "access_token", "live_session_token", "accounts"])
def test_whatever_goes_wrong_on_the_way_connects_nobody_and_can_be_tried_again(person, sandbox, monkeypatch, step):
    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    for kind in KINDS:
        sandbox.fault(kind, step, broker="ibkr", times=1)
        with pytest.raises(BrokerError) as caught:
            come_back(person, sandbox.sign_in(begin(person)))
        assert isinstance(caught.value, BrokerUnavailable | Refused | NeedsReauth), kind
        assert not Connection.objects.filter(user=person).exclude(state="pending_auth").exists()
    assert come_back(person, sandbox.sign_in(begin(person))).state == "connected"


@pytest.mark.parametrize(
    "field", ["diffie_hellman_response", "live_session_token_signature", "live_session_token_expiration"]
)
def test_a_session_that_cannot_be_confirmed_is_not_used(person, sandbox, field):
    sandbox.fault("schema_drift", "live_session_token", broker="ibkr", change="type", field=field)
    with pytest.raises(UnexpectedReply, match="could not be confirmed"):
        come_back(person, sandbox.sign_in(begin(person)))
    assert Connection.objects.get(user=person).state == "pending_auth"


# --- The hub's own registration ---------------------------------------------------------------------------------------


def other_key():
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def test_wrong_keys_of_the_hub_are_no_fault_of_the_person(person, sandbox, settings):
    right = settings.IBKR_SIGNING_KEY
    settings.IBKR_SIGNING_KEY = other_key()
    with pytest.raises(AppCredentialsRefused, match="administrator"):
        begin(person)
    settings.IBKR_SIGNING_KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    with pytest.raises(AppCredentialsRefused, match="damaged"):
        begin(person)
    settings.IBKR_SIGNING_KEY, settings.IBKR_ENCRYPTION_KEY = right, other_key()
    with pytest.raises(AppCredentialsRefused, match="encryption key"):
        come_back(person, sandbox.sign_in(begin(person)))
    settings.IBKR_CONSUMER_KEY = "UNKNOWNAA"
    with pytest.raises(AppCredentialsRefused, match="administrator"):
        begin(person)


def test_keys_may_lie_in_files(connect_ibkr, person, settings, tmp_path):
    for name in ("IBKR_SIGNING_KEY", "IBKR_ENCRYPTION_KEY", "IBKR_DH_PRIME"):
        path = tmp_path / name
        path.write_text(getattr(settings, name))
        setattr(settings, name, str(path))
    assert connect_ibkr(person, "oauth").state == "connected"


def test_a_key_file_that_is_gone_is_missing_and_said_to_be(person, settings, tmp_path):
    settings.IBKR_SIGNING_KEY = str(tmp_path / "nowhere.pem")
    with pytest.raises(NotConfigured, match="IBKR_SIGNING_KEY"):
        begin(person)
