"""Disconnecting: what would go is shown, keys go at once, history stays or goes as the person says."""

import pytest
from django.urls import reverse

from aggregation.models import Balance, BalancePoint, Position, Transaction
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
    from connections import connection_manager

    leave(web, james, "keep")
    connection_manager.note_success(james)
    james.refresh_from_db()
    assert james.state == ConnectionState.DISCONNECTED
