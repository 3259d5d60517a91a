"""A renewal that is cut off: the next one recovers where the broker lets it, or says at once what has happened."""

import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from connections import connection_manager, tokens
from connections.brokers.base import BrokerUnavailable, NeedsReauth, RateLimited
from connections.models import EPOCH, Connection
from connections.tokens import StoredGrants, read_grant

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds
RENEW = """
from connections.models import Connection
from connections.tokens import StoredGrants, read_grant
connection = Connection.objects.get()
StoredGrants(connection.pk).renew(refused=read_grant(connection))
"""
SOMEBODY_WAITS_FOR_US = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
)


def wait_until(happened):
    give_up = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < give_up, "it never happened"


def somebody_waits_for_us():
    with database.cursor() as cursor:
        cursor.execute(SOMEBODY_WAITS_FOR_US)
        return cursor.fetchone() != (0,)


def run_out():
    """The lease of a process that died runs out: its time passes."""
    Connection.objects.update(refresh_held_until=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def killed(connect, person, sandbox, hub_environment):
    """`killed(grace=30)` is a connection whose renewal was killed after the broker's answer and before the save.

    The broker has replaced the refresh token then; the one that is stored stays good for `grace` seconds.
    """

    def arrange(**params):
        connection = connect(person)
        sandbox.fault("rotate_refresh_token", "token", **params)
        sandbox.fault("latency", "token", seconds=PATIENCE)  # until the faults are cleared
        command = [sys.executable, "manage.py", "shell", "-c", RENEW]
        with subprocess.Popen(command, cwd=ROOT, env=hub_environment, stdout=subprocess.DEVNULL) as renewing:
            wait_until(lambda: len(sandbox.calls("token")) == 2)  # the first was the sign-in
            with transaction.atomic():  # it cannot save while we have the row
                Connection.objects.select_for_update().get()
                sandbox.clear_faults()
                wait_until(somebody_waits_for_us)
                renewing.kill()
                renewing.wait()
        assert [call["status"] for call in sandbox.calls("token")] == [200, 200]
        connection.refresh_from_db()
        return connection

    return arrange


@pytest.mark.django_db(transaction=True)
def test_killed_between_answer_and_save_the_next_one_recovers_while_the_broker_lets_it(killed, sandbox):
    connection = killed(grace=60)
    lost = read_grant(connection)
    run_out()
    connection_manager.refresh_credentials(connection)
    assert (connection.state, connection.reason_code) == ("connected", "")
    assert read_grant(connection).secrets["refresh_token"] != lost.secrets["refresh_token"]
    assert connection.refresh_held_until == EPOCH
    connection_manager.refresh_credentials(connection)


@pytest.mark.django_db(transaction=True)
def test_killed_between_answer_and_save_of_a_token_good_once_asks_for_a_sign_in_at_once(killed, sandbox):
    connection = killed()
    Connection.objects.update(access_expires_at=timezone.now())
    assert connection_manager.renew_due() == 0, "the lease of the dead process stands for a moment"
    run_out()
    assert connection_manager.renew_due() == 0
    connection.refresh_from_db()
    assert (connection.state, connection.reason_code) == ("needs_reauth", "renewal_interrupted")
    assert "was interrupted while it renewed" in connection.reason.text
    connection_manager.renew_due()
    assert len(sandbox.calls("token")) == 3, "it was asked once, and no more"


def test_the_lease_of_a_process_that_died_runs_out_soon():
    assert timedelta(seconds=tokens.PROLONG_SECONDS) * 2 < tokens.LEASE <= timedelta(seconds=30)


@pytest.mark.django_db(transaction=True)
def test_a_renewal_that_takes_longer_than_a_lease_keeps_it(connect, person, sandbox, monkeypatch):
    connection = connect(person)
    monkeypatch.setattr(tokens, "LEASE", timedelta(seconds=0.5))
    monkeypatch.setattr(tokens, "PROLONG_SECONDS", 0.1)
    sandbox.fault("rotate_refresh_token", "token")
    sandbox.fault("latency", "token", seconds=1.5)
    refused, got = read_grant(connection), []

    def renew():
        try:
            got.append(StoredGrants(connection.pk).renew(refused=refused))
        finally:
            database.close()

    threads = [threading.Thread(target=renew) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({grant.secrets["access_token"] for grant in got}) == 1
    assert len(sandbox.calls("token")) == 2


# --- The answer is lost on its way ------------------------------------------------------------------------------------


@pytest.fixture
def unanswered(connect, person, sandbox):
    """`unanswered()` is a connection whose renewal the broker has carried out, but its answer never came."""

    def arrange(**params):
        connection = connect(person)
        sandbox.fault("rotate_refresh_token", "token", **params)
        sandbox.fault("lost_answer", "token")
        with pytest.raises(BrokerUnavailable):
            connection_manager.refresh_credentials(connection)
        sandbox.clear_faults()
        return connection

    return arrange


def test_a_lost_answer_is_made_good_while_the_broker_lets_it(unanswered):
    connection = unanswered(grace=60)
    assert connection.reason_code == "renewal_delayed"
    connection_manager.refresh_credentials(connection)
    assert (connection.state, connection.reason_code) == ("connected", "")


def test_a_lost_answer_of_a_token_good_once_is_told_apart_from_a_refusal(unanswered):
    connection = unanswered()
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(connection)
    assert connection.reason_code == "renewal_interrupted"


def test_the_doubt_outlives_a_try_that_came_to_nothing(unanswered, sandbox):
    connection = unanswered()
    sandbox.fault("429", "token", times=1, retry_after=0)
    with pytest.raises(RateLimited):
        connection_manager.refresh_credentials(connection)
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(connection)
    assert connection.reason_code == "renewal_interrupted"


def test_a_new_sign_in_ends_the_doubt(unanswered, connect, person, sandbox):
    unanswered()
    connection = connect(person)
    sandbox.end_tokens(revoke=True)
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(connection)
    assert connection.reason_code == "refresh_refused"
