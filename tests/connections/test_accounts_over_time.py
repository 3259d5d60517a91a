"""Accounts that are opened, closed, left out and renumbered in the course of years: nothing is copied, nothing lost."""

from dataclasses import replace

import pytest

from aggregation.models import Position, Transaction
from brokerhub.kernel.errors import NotAllowed
from connections import connection_manager
from connections.brokers.calls import Operation
from connections.brokers.records import AuthMethod
from connections.errors import CountedTwice
from connections.models import Account, OfferedAccount
from connections.states import ConnectionState
from sync.models import RunState, SyncRun
from tests.journey.books import sync
from tests.sync.runs import after_each_call, ask, work

pytestmark = pytest.mark.usefixtures("unpaced")
INDIVIDUAL, ROLLOVER = "40012345", "62907314"  # at Schwab
ROBINHOOD = "512904417"


@pytest.fixture
def connect_flex(sandbox):
    """Enters the keys of maria's Flex query, as the page does."""
    token = sandbox.control("ibkr/flex", "GET")["token"]

    def make(user, connection=None):
        keys = {"token": token, "query_id": "1001001"}
        method = AuthMethod.IBKR_FLEX
        return connection_manager.connect_with_keys(user=user, method=method, keys=keys, connection=connection)

    return make


def look(connection):
    """What each sync begins with."""
    connection_manager.save_accounts(connection, connection_manager.connector_for(connection).accounts())


def events(connection):
    return [event.action for event in reversed(connection.events.filter(action__startswith="account_"))]


def rows():
    return Account.objects.count(), Transaction.objects.count(), Position.objects.count()


# --- Opened later -----------------------------------------------------------------------------------------------------


def test_an_account_opened_at_robinhood_is_offered_and_not_added(connect_robinhood, person, sandbox, web):
    connection = connect_robinhood(person, "maria")
    opened = sandbox.accounts(broker="robinhood", open={"deposit": "750"})[-1]
    look(connection)
    [offered] = connection.offered_accounts.all()
    assert (offered.external_id, offered.declined_at) == (opened["number"], None)
    assert [account.external_id for account in connection.accounts.all()] == [ROBINHOOD]
    look(connection)
    connect_robinhood(person, "maria")  # who signs in there shares all accounts: nothing was chosen
    assert connection.offered_accounts.count() == connection.accounts.count() == 1
    assert events(connection) == ["account_offered"]


def test_an_offered_account_is_added_and_its_history_read_at_once(connect_flex, person, sandbox):
    connection = connect_flex(person)
    opened = sandbox.accounts(broker="ibkr", open={"deposit": "750", "currency": "EUR"})[-1]
    look(connection)
    account = connection_manager.add_offered(connection.offered_accounts.get(), person)
    assert account.external_id == opened["number"]
    assert not connection.offered_accounts.exists()
    assert connection.events.first().actor == person
    run = sync(connection)
    assert run.parts[f"transactions:{account.pk}"]["state"] == "done"
    assert [row.net_amount for row in account.transactions.all()] == [750]
    assert events(connection) == ["account_offered", "account_added"]


def test_adding_asks_for_a_sync(connect_robinhood, person, sandbox, django_capture_on_commit_callbacks):
    connection = connect_robinhood(person, "maria")
    sandbox.accounts(broker="robinhood", open={})
    look(connection)
    with django_capture_on_commit_callbacks(execute=True):
        connection_manager.add_offered(connection.offered_accounts.get(), person)
    assert SyncRun.objects.open().get().connection == connection


def test_an_account_added_while_a_run_is_on_is_read_by_it(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person, "maria")
    sandbox.accounts(broker="robinhood", open={})
    look(connection)
    added: list[Account] = []

    def add():
        if not added:
            added.append(connection_manager.add_offered(connection.offered_accounts.get(), person))

    with after_each_call(Operation.TRANSACTIONS, add):
        run = work(ask(connection))
    assert run.parts[f"holdings:{added[0].pk}"]["state"] == "done"


def test_a_declined_account_stays_declined_and_can_still_be_added(connect, person, sandbox):
    connection = connect(person)
    number = sandbox.truth()["accounts"][1]["hash"]
    connection.accounts.get(external_id=number).delete()  # as if it were new
    look(connection)
    offered = connection.offered_accounts.get()
    connection_manager.decline_offered(offered, person)
    connection_manager.decline_offered(offered, person)
    connect(person)  # all accounts are ticked on Schwab's page unless one unticks them
    look(connection)
    assert [account.mask for account in connection.accounts.all()] == ["345"]
    assert connection.offered_accounts.get().declined_at is not None
    assert events(connection).count("account_declined") == 1
    assert connection_manager.add_offered(offered, person).external_id == number


def test_what_is_not_offered_any_more_cannot_be_added(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person, "maria")
    opened = sandbox.accounts(broker="robinhood", open={})[-1]
    look(connection)
    offered = connection.offered_accounts.get()
    sandbox.accounts(broker="robinhood", close=opened["number"])
    look(connection)
    with pytest.raises(NotAllowed, match="not offered any more"):
        connection_manager.add_offered(offered, person)


def test_nothing_is_added_to_a_connection_that_was_left(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person, "maria")
    sandbox.accounts(broker="robinhood", open={})
    look(connection)
    connection_manager.disconnect(connection=connection, actor=person)
    with pytest.raises(NotAllowed, match="has been left"):
        connection_manager.add_offered(connection.offered_accounts.get(), person)


def test_an_account_that_another_connection_brings_is_not_added_twice(
    connect_robinhood, connect_coins, person, sandbox
):
    official = connect_robinhood(person, "maria")
    offered = OfferedAccount.objects.create(
        connection=connect_coins(person, "james"), external_id="x", name="Coins", aliases=[ROBINHOOD]
    )
    with pytest.raises(CountedTwice, match=official.label):
        connection_manager.add_offered(offered, person)
    assert OfferedAccount.objects.filter(pk=offered.pk).exists()


def test_an_account_ticked_at_schwab_is_added_at_the_sign_in(connect, person, sandbox):
    connection = connect(person)
    opened = sandbox.accounts(open={"name": "Trust"})[-1]
    look(connection)
    assert connection.accounts.count() == 2
    connect(person)
    assert [account.external_id for account in connection.accounts.all()][-1] == opened["hash"]
    assert not connection.offered_accounts.exists()
    assert events(connection) == ["account_added"]


# --- Closed, and not listed -------------------------------------------------------------------------------------------


def test_a_closed_account_is_read_no_more_and_keeps_its_rows(connect_flex, person, sandbox):
    connection = connect_flex(person)
    sync(connection)
    before = rows()
    sandbox.accounts(broker="ibkr", close="U7712346")
    run = sync(connection)
    closed = connection.accounts.get(external_id="U7712346")
    assert closed.closed_on is not None
    assert not any(part.endswith(f":{closed.pk}") for part in run.parts)
    assert connection.state == ConnectionState.CONNECTED
    assert rows() == before
    sandbox.accounts(broker="ibkr", reopen="U7712346")
    look(connection)
    closed.refresh_from_db()
    assert closed.closed_on is None
    assert events(connection) == ["account_closed", "account_reopened"]


def test_an_account_not_listed_any_more_is_kept_and_comes_back(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    before = rows()
    sandbox.accounts(close=ROLLOVER)  # Schwab leaves a closed account out
    look(connection)
    left_out = connection.accounts.exclude(unlisted_since=None).get()
    since = left_out.unlisted_since
    run = sync(connection)
    left_out.refresh_from_db()
    assert left_out.unlisted_since == since
    assert not any(part.endswith(f":{left_out.pk}") for part in run.parts)
    assert f"{left_out} is not listed by Charles Schwab any more" in run.warnings[0]
    sandbox.accounts(reopen=ROLLOVER)
    look(connection)
    left_out.refresh_from_db()
    assert left_out.unlisted_since is None
    assert rows() == before
    assert events(connection) == ["account_unlisted"]


def test_a_list_that_is_suddenly_empty_is_no_truth(connect, person, sandbox):
    connection = connect(person, "james")
    sync(connection)
    before = rows()
    sandbox.fault("empty_page", "account_numbers")
    run = sync(connection)
    assert run.state == RunState.PARTIAL
    assert connection.state == ConnectionState.DEGRADED
    [part] = connection.stale
    assert (part.key, part.account) == ("accounts", None)
    assert part.reason == "Charles Schwab suddenly lists no account at all."
    assert rows() == before
    assert not connection.accounts.exclude(unlisted_since=None).exists()


def test_an_account_told_twice_is_one(connect, person, sandbox):
    sandbox.fault("duplicate_page", "account_numbers")
    assert connect(person).accounts.count() == 2


def test_a_kind_that_is_left_out_once_is_not_forgotten(connect, person, sandbox):
    connection = connect(person)
    kinds = set(connection.accounts.values_list("external_id", "kind"))
    sandbox.fault("empty_page", "accounts", times=1)  # the list that tells margin from cash
    look(connection)
    assert set(connection.accounts.values_list("external_id", "kind")) == kinds


# --- Renumbered -------------------------------------------------------------------------------------------------------


def test_accounts_whose_ids_all_change_stay_the_accounts_they_are(connect, person, sandbox):
    connection = connect(person)
    ids = {account.pk: account.external_id for account in connection.accounts.all()}
    sandbox.accounts(renumber="all")
    look(connection)
    connect(person)
    now = {account.pk: account.external_id for account in connection.accounts.all()}
    assert now.keys() == ids.keys()
    assert not set(now.values()) & set(ids.values())
    assert not connection.offered_accounts.exists()
    assert events(connection) == ["account_renumbered"] * 2


def test_a_renumbered_account_goes_on_where_its_history_stands(connect, person, sandbox):
    connection = connect(person, "james")
    sync(connection)
    before = rows()
    sandbox.accounts("james", renumber="all")
    assert sync(connection).state == RunState.SUCCEEDED
    assert rows() == before
    assert "Its history goes on." in connection.events.get(action="account_renumbered").detail


def test_where_two_accounts_look_alike_a_new_number_is_offered(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person, "maria")
    look(connection)
    known = connection.accounts.get()
    twin = Account.objects.create(
        connection=connection, external_id="gone", mask=known.mask, name="Other", kind=known.kind, currency="USD"
    )
    Account.objects.filter(pk=known.pk).update(external_id="changed", aliases=[])
    look(connection)
    assert connection.offered_accounts.get().external_id == ROBINHOOD
    for account in (known, twin):
        account.refresh_from_db()
        assert account.unlisted_since is not None


def test_another_number_of_the_same_account_is_the_same_account(connect_robinhood, person):
    connection = connect_robinhood(person, "maria")
    account = connection.accounts.get()
    Account.objects.filter(pk=account.pk).update(external_id="its-other-number", aliases=[ROBINHOOD], mask="none")
    look(connection)
    account.refresh_from_db()
    assert (account.external_id, connection.accounts.count()) == (ROBINHOOD, 1)
    assert events(connection) == ["account_renumbered"]


def test_a_name_longer_than_any_page_shows_is_cut_and_stops_nothing(connect, person):
    connection = connect(person)
    [first, *others] = connection_manager.connector_for(connection).accounts()
    connection_manager.save_accounts(connection, [replace(first, name="N" * 500), *others])
    assert connection.accounts.get(external_id=first.external_id).name == "N" * 120
