"""Disconnecting: what would go is shown, keys go at once, history stays or goes as the person says."""

import threading

import pytest
from django.db import connection as database
from django.urls import reverse

from aggregation.models import Balance, BalancePoint, Position, Transaction
from brokerhub.kernel.errors import NotAllowed
from connections import connection_manager, leaving
from connections.brokers import BROKERS
from connections.brokers.base import NeedsReauth
from connections.brokers.records import Broker
from connections.models import Account, Authorization, Connection, ConnectionEvent
from connections.states import ConnectionState
from sync.models import SyncCursor, SyncRun
from tests.journey.books import sync

EVERYTHING = (Connection, Account, Authorization, ConnectionEvent, SyncRun, SyncCursor, Transaction, Position, Balance)


@pytest.fixture
def james(connect, person):
    connection = connect(person, "james")
    sync(connection)
    return connection


def leave(web, connection, history):
    return web.post(reverse("connections:disconnect", args=[connection.pk]), {"history": history})


def test_first_it_is_shown_what_the_connection_holds(web, james):
    count = Transaction.objects.count()
    shown = web.get(reverse("connections:disconnect", args=[james.pk])).content.decode()
    assert f"1 account, {count:,} transactions" in shown
    assert Transaction.objects.count() == count


def test_keeping_the_history_deletes_only_the_keys(web, james):
    rows = Transaction.objects.count()
    receipt = leave(web, james, "keep").content.decode()
    james.refresh_from_db()
    assert james.state == ConnectionState.DISCONNECTED
    assert bytes(james.sealed_credentials) == b""
    assert Transaction.objects.count() == rows > 0
    assert "Kept, read-only" in receipt
    assert "schwab.com" in receipt, "what only the person can do at the broker"


def test_erasing_leaves_no_row_of_it(web, james):
    leave(web, james, "erase")
    assert {model.__name__: model.objects.count() for model in (*EVERYTHING, BalancePoint)} == {
        model.__name__: 0 for model in (*EVERYTHING, BalancePoint)
    }


def test_erasing_works_with_corrected_rows_and_spares_the_other_connection(web, james, connect, person, sandbox):
    maria = connect(person)
    sync(maria)
    kept = Transaction.objects.filter(account__connection=maria).count()
    row = sandbox.truth("james")["accounts"][0]
    dividend = next(item for item in reversed(row["transactions"]) if item["kind"] == "dividend")
    Transaction.objects.filter(external_id=dividend["activity_id"]).update(
        superseded_by=Transaction.objects.filter(account__connection=james).last()
    )
    leave(web, james, "erase")
    assert Connection.objects.get() == maria
    assert Transaction.objects.count() == kept


def test_a_disconnected_broker_comes_back_with_its_history(web, james, connect, person):
    rows = Transaction.objects.count()
    leave(web, james, "keep")
    again = connect(person, "james")
    assert again.pk == james.pk
    sync(again)
    assert Transaction.objects.count() == rows


def test_leaving_needs_a_choice(web, james):
    answer = leave(web, james, "")
    assert answer.status_code == 200
    james.refresh_from_db()
    assert james.state == ConnectionState.CONNECTED


def test_a_sync_that_is_under_way_does_not_bring_a_disconnected_broker_back(web, james):
    leave(web, james, "keep")
    connection_manager.note_success(james)
    james.refresh_from_db()
    assert james.state == ConnectionState.DISCONNECTED


def test_a_second_click_on_disconnect_finds_it_done(person, james):
    stale = Connection.objects.get()
    first = connection_manager.disconnect(connection=james, actor=person)
    assert connection_manager.disconnect(connection=stale, actor=person) == first
    assert stale.state == ConnectionState.DISCONNECTED


def test_a_second_click_on_erase_is_told_that_nothing_is_left(person, james):
    stale = Connection.objects.get()
    connection_manager.disconnect(connection=james, actor=person, keep_history=False)
    with pytest.raises(NotAllowed, match="removed already"):
        connection_manager.disconnect(connection=stale, actor=person, keep_history=False)


def test_a_failure_noted_after_erasing_crashes_nothing(person, james):
    stale = Connection.objects.get()
    connection_manager.disconnect(connection=james, actor=person, keep_history=False)
    connection_manager.note_failure(stale, NeedsReauth("refused"))
    assert not Connection.objects.exists()


def test_accounts_kept_by_file_open_again_with_the_next_file(person):
    wanted = {"user": person, "broker": Broker.OTHER, "label": "Another broker, by file"}
    connection = connection_manager.ensure_file_connection(**wanted)
    connection_manager.disconnect(connection=connection, actor=person)
    again = connection_manager.ensure_file_connection(**wanted)
    assert (again.pk, again.state, again.reason_code) == (connection.pk, ConnectionState.CONNECTED, "")


@pytest.mark.django_db(transaction=True)
def test_two_first_files_at_once_make_one_connection(person):
    gate = threading.Barrier(6)

    def ask():
        try:
            gate.wait()
            connection_manager.ensure_file_connection(user=person, broker=Broker.OTHER, label="By file")
        finally:
            database.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Connection.objects.count() == 1


def test_leaving_says_what_to_do_about_the_keys_of_the_report_too(connect_ibkr, person, web, flex_keys, unpaced):
    connection = connect_ibkr(person)
    connection_manager.add_history(connection=connection, keys=flex_keys, actor=person)
    asked = web.get(reverse("connections:disconnect", args=[connection.pk])).context["left_to_do"]
    told = web.post(reverse("connections:disconnect", args=[connection.pk]), {"history": "keep"})
    for sentence in ("Client Portal", "Switch off the Flex Web Service"):
        assert sentence in asked
        assert sentence in told.content.decode()
    assert asked.count("deleted its keys") == 1


def test_every_way_begins_what_is_left_to_do_alike():
    assert {entry.after_disconnect.startswith(leaving.KEYS_DELETED) for entry in BROKERS.values()} == {True}
