"""Access is handed back on leaving. Where that fails, it is tried again for a day, and said if it was in vain."""

import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection as database
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from connections import connection_manager, credentials, leaving, revocation
from connections.brokers import robinhood_oauth
from connections.brokers.base import NeedsReauth
from connections.models import Connection, UnfinishedRevocation
from connections.revocation import Revocation
from connections.tokens import read_grant
from tests.journey.books import sync

pytestmark = pytest.mark.usefixtures("unpaced")
FOREIGN_KEYS_TO_CONNECTIONS = """
SELECT conrelid::regclass::text, attname FROM pg_constraint
JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
WHERE contype = 'f' AND confrelid = 'connections_connection'::regclass
"""


@pytest.fixture
def robinhood(connect_robinhood, person):
    return connect_robinhood(person)


def leave(connection, **choice):
    return connection_manager.disconnect(connection=connection, actor=connection.user, **choice)


def living_grants(sandbox):
    """How many of James's sign-ins the broker still honours; it ends them to count them."""
    return sandbox.end_tokens("james", revoke=True, broker="robinhood")["revoked"]


def is_refused(grant):
    try:
        robinhood_oauth.RobinhoodSignIn("http://127.0.0.1/back").refresh(grant)
    except NeedsReauth:
        return True
    return False


def let_time_pass(owed):
    """Until its next try is due."""
    UnfinishedRevocation.objects.filter(pk=owed.pk).update(next_try_at=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def owed(robinhood, sandbox):
    """What is left of a connection whose broker did not take the access back yet; now it would."""
    sandbox.fault("500", "revoke", broker="robinhood")
    leave(robinhood)
    sandbox.clear_faults()
    return UnfinishedRevocation.objects.get()


@pytest.mark.parametrize(
    ("fault", "params"), [("500", {}), ("503", {"retry_after": 5}), ("reset", {}), ("timeout", {"seconds": 0.1})]
)
def test_what_fails_for_now_is_tried_again_and_ends_the_access(robinhood, sandbox, fault, params):
    grant = read_grant(robinhood)
    sandbox.fault(fault, "revoke", broker="robinhood", **params)
    receipt = leave(robinhood)
    assert receipt.revocation is Revocation.RETRYING
    assert receipt.retry_until - timezone.now() > timedelta(hours=23)
    assert bytes(robinhood.sealed_credentials) == b""
    assert not is_refused(grant)

    sandbox.clear_faults()
    assert revocation.revoke_due() == 0, "not due yet"
    let_time_pass(UnfinishedRevocation.objects.get())
    assert revocation.revoke_due() == 1
    assert is_refused(grant)
    assert not UnfinishedRevocation.objects.exists()


def test_it_waits_longer_each_time_up_to_an_hour(owed, sandbox):
    sandbox.fault("503", "revoke", broker="robinhood")
    waits = []
    for _ in range(8):
        owed.refresh_from_db()
        waits.append(round((owed.next_try_at - timezone.now()) / timedelta(minutes=1)))
        let_time_pass(owed)
        revocation.revoke_due()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_after_a_day_the_hub_gives_up_deletes_the_secret_and_says_so(owed, person, stranger, sandbox):
    sandbox.fault("500", "revoke", broker="robinhood")
    with pytest.raises(NotAllowed, match="still trying"):
        revocation.dismiss(owed)
    UnfinishedRevocation.objects.update(created_at=timezone.now() - revocation.GOES_ON_FOR)
    let_time_pass(owed)
    assert revocation.revoke_due() == 0
    [notice] = revocation.unfinished(person)
    assert (notice.label, bytes(notice.sealed_grant)) == ("Robinhood", b"")
    assert notice.gave_up_at is not None
    assert not revocation.unfinished(stranger).exists()
    tries = len(sandbox.calls("revoke"))
    let_time_pass(notice)
    revocation.revoke_due()
    with pytest.raises(NotAllowed, match="Robinhood's own page"):
        revocation.try_again(notice)
    assert len(sandbox.calls("revoke")) == tries
    revocation.dismiss(notice)
    assert not revocation.unfinished(person).exists()


def test_the_person_may_have_it_tried_at_once(owed, person, sandbox):
    assert revocation.try_again(revocation.unfinished(person).get()) is Revocation.DONE
    assert living_grants(sandbox) == 0
    assert not revocation.unfinished(person).exists()


def test_what_the_broker_forbids_is_not_asked_again(robinhood, sandbox):
    sandbox.fault("403", "revoke", broker="robinhood")
    receipt = leave(robinhood)
    assert (receipt.revocation, receipt.retry_until) == (Revocation.FAILED, None)
    notice = UnfinishedRevocation.objects.get()
    assert notice.gave_up_at is not None
    assert bytes(notice.sealed_grant) == b""


def test_access_that_has_ended_before_counts_as_ended(robinhood, sandbox):
    sandbox.end_tokens("james", revoke=True, broker="robinhood")
    sandbox.fault("401", "revoke", broker="robinhood")
    assert leave(robinhood).revocation is Revocation.DONE
    assert not UnfinishedRevocation.objects.exists()


def test_access_of_another_environment_is_not_sent_to_this_one(robinhood, sandbox):
    Connection.objects.update(environment="live")
    robinhood.refresh_from_db()
    assert leave(robinhood).revocation is Revocation.FAILED
    assert sandbox.calls("revoke") == []
    assert bytes(robinhood.sealed_credentials) == b""


def test_a_process_that_dies_before_it_asks_the_broker_forgets_nothing(robinhood, sandbox, monkeypatch):
    def die(_owed):
        raise SystemExit

    monkeypatch.setattr(leaving, "settle", die)
    with pytest.raises(SystemExit):
        leave(robinhood)
    robinhood.refresh_from_db()
    assert robinhood.state == "disconnected"
    let_time_pass(UnfinishedRevocation.objects.get())
    assert revocation.revoke_due() == 1
    assert living_grants(sandbox) == 0


def test_a_new_sign_in_meanwhile_is_not_touched(owed, connect_robinhood, person, sandbox):
    again = connect_robinhood(person)
    let_time_pass(owed)
    assert revocation.revoke_due() == 1
    connection_manager.refresh_credentials(again)
    assert connection_manager.connector_for(again).accounts()
    assert living_grants(sandbox) == 1


def test_a_renewal_that_ends_after_leaving_is_handed_back_as_well(robinhood, sandbox, meanwhile):
    sandbox.fault("rotate_refresh_token", "token", broker="robinhood")
    meanwhile(lambda: leave(Connection.objects.get()))
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(robinhood)
    assert living_grants(sandbox) == 0
    assert not UnfinishedRevocation.objects.exists()


def test_the_stored_access_is_in_no_table_in_the_clear_and_moves_to_a_new_key(owed, settings, sandbox):
    [(name, key)] = settings.CREDENTIALS_KEYS.items()
    settings.CREDENTIALS_KEYS = {"new": b"n" * 32, name: key}
    call_command("rotate_credentials")
    settings.CREDENTIALS_KEYS = {"new": b"n" * 32}
    owed.refresh_from_db()
    secrets = credentials.unseal(bytes(owed.sealed_grant), owner=owed.seal_owner).values()
    assert len(secrets) == 3
    assert [secret for secret in secrets if secret in everything_stored()] == []
    let_time_pass(owed)
    assert revocation.revoke_due() == 1
    assert living_grants(sandbox) == 0


def everything_stored():
    """The text of every row of every table."""
    with database.cursor() as cursor:
        said = []
        for table in database.introspection.table_names(cursor):
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM \"{table}\" t")
            said += cursor.fetchone()
    return "".join(said)


def test_erasing_leaves_nothing_that_points_at_the_connection(robinhood, sandbox, web):
    sync(robinhood)
    web.get(f"/connections/{robinhood.pk}/")
    old_id = str(robinhood.pk)
    sandbox.fault("500", "revoke", broker="robinhood")
    assert leave(robinhood, keep_history=False).revocation is Revocation.RETRYING
    with database.cursor() as cursor:
        cursor.execute(FOREIGN_KEYS_TO_CONNECTIONS)
        foreign_keys = cursor.fetchall()
        assert len(foreign_keys) > 5
        for table, column in foreign_keys:
            cursor.execute(f'SELECT count(*) FROM {table} WHERE "{column}" = %s', [old_id])
            assert (table, cursor.fetchone()) == (table, (0,))
    assert old_id not in everything_stored()


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_ask_once(owed, sandbox):
    let_time_pass(owed)
    sandbox.fault("latency", "revoke", broker="robinhood", seconds=0.3)
    gate, ended = threading.Barrier(4), []

    def work():
        try:
            due = UnfinishedRevocation.objects.get()
            gate.wait()
            ended.append(revocation.settle(due))
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == [Revocation.DONE, *[Revocation.RETRYING] * 3]
    assert len(sandbox.calls("revoke")) == 2, "the one that failed on leaving, and one more"
