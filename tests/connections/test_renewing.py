"""Access tokens: handed out while they are good, renewed once for everybody, lost only when the broker says so."""

import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from connections import connection_manager
from connections.brokers.base import AppCredentialsRefused, BrokerUnavailable, NeedsReauth, RateLimited
from connections.brokers.calls import Operation, call_finished
from connections.brokers.records import Broker
from connections.brokers.schwab import SchwabSignIn
from connections.models import Connection
from connections.states import ConnectionState
from connections.tokens import StoredGrants, read_grant

REFRESH_CALLS = "token"


def renewals(sandbox):
    return [call for call in sandbox.calls(REFRESH_CALLS) if call["status"] == 200][1:]  # the first was the sign-in


def test_a_call_with_a_good_token_renews_nothing(connect, person, sandbox):
    connection = connect(person)
    connection_manager.connector_for(connection).accounts()
    assert renewals(sandbox) == []


def test_an_expired_token_is_renewed_ahead_of_the_call(connect, person, sandbox):
    connection = connect(person)
    Connection.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
    before = connection.read_credentials()["access_token"]
    assert connection_manager.connector_for(connection).accounts()
    connection.refresh_from_db()
    assert connection.read_credentials()["access_token"] != before
    assert len(renewals(sandbox)) == 1


def test_a_token_the_broker_dropped_early_is_renewed_once_on_its_401(connect, person, sandbox):
    connection = connect(person)
    sandbox.end_tokens(expire=True)
    assert connection_manager.connector_for(connection).accounts()
    assert len(renewals(sandbox)) == 1


def test_a_fresh_token_that_is_refused_too_is_not_tried_for_ever(connect, person, sandbox):
    connection = connect(person)
    sandbox.fault("401", "account_numbers")
    with pytest.raises(NeedsReauth):
        connection_manager.connector_for(connection).accounts()
    assert len(renewals(sandbox)) == 1


def test_renewing_leaves_the_seven_days_as_they_are(connect, person):
    connection = connect(person)
    ends = connection.authorization_expires_at
    assert timedelta(days=6, hours=23) < ends - timezone.now() <= timedelta(days=7)
    connection_manager.refresh_credentials(connection)
    assert connection.authorization_expires_at == ends


def test_a_rotated_refresh_token_is_kept(connect, person, sandbox):
    connection = connect(person)
    sandbox.fault("rotate_refresh_token", "token")
    for _ in range(3):
        connection_manager.refresh_credentials(connection)
    assert connection.state == ConnectionState.CONNECTED


def test_a_dead_refresh_token_asks_for_a_new_sign_in(connect, person, sandbox):
    connection = connect(person)
    sandbox.end_tokens(revoke=True)
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(connection)
    assert (connection.state, connection.reason_code) == ("needs_reauth", "refresh_refused")


def test_after_seven_days_the_broker_is_not_even_asked(connect, person, sandbox):
    connection = connect(person)
    Connection.objects.update(authorization_expires_at=timezone.now() - timedelta(minutes=1))
    connection.refresh_from_db()
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(connection)
    assert connection.reason_code == "authorization_expired"
    assert renewals(sandbox) == []


def test_an_outage_of_the_sign_in_service_loses_no_connection(connect, person, sandbox):
    connection = connect(person)
    sandbox.fault("html", "token")
    with pytest.raises(BrokerUnavailable):
        connection_manager.refresh_credentials(connection)
    assert (connection.state, connection.reason_code) == (ConnectionState.ERROR, "renewal_delayed")
    sandbox.clear_faults()
    connection_manager.refresh_credentials(connection)
    assert connection.read_credentials()["refresh_token"]
    assert (connection.state, connection.reason_code) == (ConnectionState.CONNECTED, "")


def test_a_renewal_does_not_hide_what_a_sync_found_broken(connect, person):
    connection = connect(person)
    connection_manager.note_failure(connection, BrokerUnavailable("The rows are not to be had."))
    connection_manager.refresh_credentials(connection)
    assert (connection.state, connection.reason_code) == (ConnectionState.ERROR, "broker_unavailable")


def test_a_mended_app_key_mends_its_connections_with_the_next_renewal(connect, person, settings):
    connection, good = connect(person), settings.SCHWAB_APP_SECRET
    settings.SCHWAB_APP_SECRET = "not0the0secret00"
    with pytest.raises(AppCredentialsRefused):
        connection_manager.refresh_credentials(connection)
    assert connection.state == ConnectionState.ERROR
    settings.SCHWAB_APP_SECRET = good
    connection_manager.refresh_credentials(connection)
    assert connection.state == ConnectionState.CONNECTED


def test_a_renewal_over_the_rate_limit_waits_without_a_word(connect, person, sandbox):
    connection = connect(person)
    sandbox.fault("429", "token", retry_after=60)
    with pytest.raises(RateLimited):
        connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    assert connection.state == ConnectionState.CONNECTED


def test_a_sign_in_during_a_sync_is_not_said_to_end_soon_by_that_sync(connect, person):
    connection = connect(person)
    Connection.objects.update(authorization_expires_at=timezone.now() + timedelta(hours=20))
    seen_by_sync = Connection.objects.get()
    connect(person)
    connection_manager.note_success(seen_by_sync)
    connection.refresh_from_db()
    assert connection.state == ConnectionState.CONNECTED


def test_lost_keys_ask_for_a_new_sign_in_instead_of_crashing(connect, person, settings):
    connection = connect(person)
    settings.CREDENTIALS_KEYS = {"other": b"x" * 32}
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(connection)
    assert (connection.state, connection.reason_code) == ("needs_reauth", "credentials_unreadable")


def test_the_task_renews_what_ends_soon_and_notes_what_has_ended(connect, person, stranger, sandbox):
    soon, ended = connect(person), connect(stranger, "james")
    Connection.objects.update(access_expires_at=timezone.now() + timedelta(minutes=2))
    Connection.objects.filter(pk=ended.pk).update(authorization_expires_at=timezone.now() - timedelta(minutes=1))
    assert connection_manager.renew_due() == 1
    soon.refresh_from_db()
    ended.refresh_from_db()
    assert soon.access_expires_at > timezone.now() + timedelta(minutes=25)
    assert ended.state == ConnectionState.NEEDS_REAUTH


def test_a_hub_without_its_app_key_fails_each_renewal_by_itself(connect, person, settings):
    connection = connect(person)
    Connection.objects.update(access_expires_at=timezone.now())
    settings.SCHWAB_APP_SECRET = ""
    assert connection_manager.renew_due() == 0
    connection.refresh_from_db()
    assert connection.state == ConnectionState.CONNECTED


def test_a_renewal_that_meets_a_bug_stops_no_other_and_is_told(connect, person, stranger, monkeypatch):
    broken, good = connect(person), connect(stranger, "james")
    Connection.objects.update(access_expires_at=timezone.now() + timedelta(minutes=2))
    Connection.objects.filter(pk=broken.pk).update(created_at=timezone.now() - timedelta(days=1))
    refresh = SchwabSignIn.refresh

    def meet_a_bug(sign_in, grant):
        if grant.secrets == broken.read_credentials():
            raise KeyError("a bug")
        return refresh(sign_in, grant)

    monkeypatch.setattr(SchwabSignIn, "refresh", meet_a_bug)
    with pytest.raises(ExceptionGroup) as told:
        connection_manager.renew_due()
    assert [type(error) for error in told.value.exceptions] == [KeyError]
    good.refresh_from_db()
    assert good.access_expires_at > timezone.now() + timedelta(minutes=25)


def test_accounts_kept_by_file_have_nothing_to_renew(person):
    connection = connection_manager.ensure_file_connection(user=person, broker=Broker.OTHER, label="By file")
    with pytest.raises(NotAllowed):
        connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    assert connection.state == ConnectionState.CONNECTED


@pytest.mark.django_db(transaction=True)
def test_many_who_meet_an_expired_token_renew_it_once(connect, person, sandbox):
    connection = connect(person)
    sandbox.fault("rotate_refresh_token", "token")  # a second exchange of the same token would be refused
    refused = read_grant(connection)
    got, gate = [], threading.Barrier(8)

    def renew():
        try:
            gate.wait()
            got.append(StoredGrants(connection.pk).renew(refused=refused))
        finally:
            database.close()

    threads = [threading.Thread(target=renew) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len({grant.secrets["access_token"] for grant in got}) == 1
    assert len(renewals(sandbox)) == 1


@pytest.mark.django_db(transaction=True)
def test_many_who_meet_a_dead_refresh_token_ask_the_broker_once(connect, person, sandbox):
    connection = connect(person)
    sandbox.end_tokens(revoke=True)
    refused = read_grant(connection)
    reasons, gate = [], threading.Barrier(8)

    def renew():
        try:
            gate.wait()
            StoredGrants(connection.pk).renew(refused=refused)
        except NeedsReauth as error:
            reasons.append(error.reason_code)
        finally:
            database.close()

    threads = [threading.Thread(target=renew) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reasons == ["refresh_refused"] * 8
    assert len(sandbox.calls("token")) == 2, "the sign-in, and one refusal"


def test_a_renewal_that_ends_after_disconnecting_brings_no_key_back(connect, person, meanwhile):
    connection = connect(person)
    meanwhile(lambda: connection_manager.disconnect(connection=Connection.objects.get(), actor=person))
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    assert connection.state == ConnectionState.DISCONNECTED
    assert bytes(connection.sealed_credentials) == b""
    assert connection.access_expires_at is None


def test_a_renewal_that_ends_after_erasing_says_that_the_connection_is_gone(connect, person, meanwhile):
    connection = connect(person)
    erase = Connection.objects.get()
    meanwhile(lambda: connection_manager.disconnect(connection=erase, actor=person, keep_history=False))
    with pytest.raises(NeedsReauth, match="removed"):
        StoredGrants(connection.pk).renew(refused=read_grant(connection))


def test_a_renewal_that_ends_after_a_new_sign_in_leaves_that_sign_in_as_it_is(connect, person, meanwhile):
    connection = connect(person)
    signed_in = []
    meanwhile(lambda: signed_in.append(connect(person).read_credentials()))
    connection_manager.refresh_credentials(connection)
    assert [connection.read_credentials()] == signed_in
    connection_manager.refresh_credentials(connection)
    assert connection.state == ConnectionState.CONNECTED


def test_a_new_sign_in_that_ends_the_old_token_under_a_renewal_asks_for_no_other(connect, person, meanwhile, sandbox):
    connection = connect(person)
    sandbox.end_tokens(revoke=True)
    meanwhile(lambda: connect(person))
    connection_manager.refresh_credentials(connection)
    assert connection.state == ConnectionState.CONNECTED


def test_a_renewal_slower_than_its_lease_is_kept_all_the_same(connect, person, meanwhile):
    connection = connect(person)
    before = connection.read_credentials()["access_token"]
    meanwhile(lambda: Connection.objects.update(refresh_held_until=timezone.now() - timedelta(seconds=1)))
    connection_manager.refresh_credentials(connection)
    assert connection.read_credentials()["access_token"] != before


def test_the_calls_are_told_without_any_secret(connect, person, sandbox):
    told = []
    call_finished.connect(lambda call, **_: told.append(call), weak=False, dispatch_uid="listening-test")
    try:
        connection = connect(person)
    finally:
        call_finished.disconnect(dispatch_uid="listening-test")
    assert {call.operation for call in told} >= {Operation.SIGN_IN, Operation.IDENTITY, Operation.ACCOUNTS}
    for secret in connection.read_credentials().values():
        assert secret not in repr(told)
