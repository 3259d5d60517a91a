"""Reading a portfolio from Interactive Brokers' Web API: what it leaves out, brings late, and refuses."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.utils import timezone

from aggregation.models import Position, Transaction
from connections import connection_manager
from connections.brokers import BROKERS, budgets, ibkr_web, transport
from connections.brokers.base import (
    AppKeys,
    BrokerError,
    BrokerUnavailable,
    NeedsReauth,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from connections.brokers.ibkr_flex import IbkrFlex
from connections.brokers.records import AssetClass, AuthMethod
from connections.tokens import FreshGrant
from sync.models import RunState
from tests.connections.conftest import some_grant
from tests.journey.books import sync

ACCOUNT, SAVINGS = "U7712345", "U7712346"


@pytest.fixture
def connected(unpaced, connect_ibkr, person):
    return connect_ibkr(person, "keys")


@pytest.fixture
def once(monkeypatch):
    """Nothing is tried again after a pause."""
    monkeypatch.setattr(transport, "ATTEMPTS", 1)


def read(connection, account=ACCOUNT):
    return connection_manager.connector_for(connection).holdings(account)


def facts(holdings):
    """All that does not depend on the moment."""
    return (
        {(each.instrument, each.quantity, each.average_cost, each.market_value) for each in holdings.positions},
        {(each.currency, each.cash, each.net_asset_value, each.buying_power) for each in holdings.balances},
    )


# --- Positions --------------------------------------------------------------------------------------------------------


def test_definitions_that_come_late_are_waited_for(connected, sandbox):
    held = read(connected)
    assert len(sandbox.calls("positions")) == 2
    assert sandbox.calls("secdef") == []
    assert {each.instrument.asset_class for each in held.positions} >= {AssetClass.EQUITY, AssetClass.ETF}
    assert all(each.instrument.name for each in held.positions)
    read(connected)
    assert len(sandbox.calls("positions")) == 3


def test_definitions_the_list_never_brings_are_asked_for_in_batches(connected, sandbox, monkeypatch):
    whole = facts(read(connected))
    monkeypatch.setattr(ibkr_web, "MOST_CONTRACTS", 5)
    for name in ("ticker", "name", "type", "undSym"):
        sandbox.fault("schema_drift", "positions", broker="ibkr", field=name)
    assert facts(read(connected)) == whole
    assert len(sandbox.calls("secdef")) == -(-len(whole[0]) // 5)


def test_pages_are_read_until_one_is_not_full(connected, sandbox):
    """A full one has as many rows as each of them says; a hundred, by all accounts."""
    whole = facts(read(connected))
    size = len(whole[0]) // 3
    sandbox.control("ibkr/switches", page_size=size)
    before = len(sandbox.calls("positions"))
    assert facts(read(connected)) == whole
    assert len(sandbox.calls("positions")) - before == len(whole[0]) // size + 1


@pytest.mark.parametrize("kind", ["duplicate_page", "reordered"])
def test_rows_told_twice_or_in_another_order_count_once(connected, sandbox, kind):
    whole = facts(read(connected))
    sandbox.fault(kind, "positions", broker="ibkr")
    assert facts(read(connected)) == whole


def test_an_option_is_the_one_a_flex_statement_names(connected, sandbox, flex_keys):
    flex = BROKERS[AuthMethod.IBKR_FLEX]
    grant = flex.sign_in(AppKeys()).complete(answer=flex_keys, kept={}, at=connected.created_at)
    by_flex = flex.connector(None, FreshGrant(grant), AppKeys()).holdings(ACCOUNT)
    names = {(each.instrument.asset_class, each.instrument.symbol) for each in read(connected).positions}
    assert names == {(each.instrument.asset_class, each.instrument.symbol) for each in by_flex.positions}
    assert AssetClass.OPTION in {asset_class for asset_class, _ in names}
    multipliers = {each.instrument.symbol: each.instrument.multiplier for each in by_flex.positions}
    assert multipliers == {each.instrument.symbol: each.instrument.multiplier for each in read(connected).positions}


# --- Going wrong ------------------------------------------------------------------------------------------------------
LASTING = [
    ("401", NeedsReauth),
    ("403", BrokerUnavailable),
    ("410", Refused),
    ("429", RateLimited),
    ("500", BrokerUnavailable),
    ("reset", BrokerUnavailable),
    ("html", BrokerUnavailable),
    ("route_missing", BrokerUnavailable),
    ("truncated_json", BrokerUnavailable),
    ("empty_page", BrokerError),
    ("broker_error", BrokerUnavailable),
]


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("operation", ["accounts", "ledger", "summary", "positions"])
def test_no_failure_is_ever_read_as_an_empty_account(connected, sandbox, redis_client, operation):
    whole = facts(read(connected))
    for kind, error in LASTING:
        sandbox.fault(kind, operation, broker="ibkr", code="hidden")
        connector = connection_manager.connector_for(connected)
        with pytest.raises(error):
            connector.accounts() if operation == "accounts" else connector.holdings(ACCOUNT)
        sandbox.clear_faults()
        redis_client.flushdb()  # the hub waits before it asks again one that has failed five times
    assert facts(read(connected)) == whole


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("accounts", "clearingStatus"),
        ("accounts", "accountId"),
        ("ledger", "cashbalance"),
        ("summary", "netliquidation"),
        ("positions", "mktValue"),
        ("positions", "position"),
        ("positions", "assetClass"),
    ],
)
def test_a_field_that_has_gone_is_ours_to_mend(connected, sandbox, operation, field):
    sandbox.fault("schema_drift", operation, broker="ibkr", field=field)
    connector = connection_manager.connector_for(connected)
    with pytest.raises(UnexpectedReply):
        connector.accounts() if operation == "accounts" else connector.holdings(ACCOUNT)


def test_fields_of_tomorrow_change_nothing(connected, sandbox):
    whole = facts(read(connected))
    sandbox.fault("schema_drift", broker="ibkr", change="add", to="mood")
    assert facts(read(connected)) == whole


@pytest.mark.parametrize("kind", ["410", "expired_token"])
def test_a_session_lost_between_two_calls_is_opened_anew_with_its_list_of_accounts(connected, sandbox, kind):
    connector = connection_manager.connector_for(connected)
    connector.accounts()
    sandbox.fault(kind, "ledger", broker="ibkr", times=1)
    assert connector.holdings(ACCOUNT).positions
    assert len(sandbox.calls("accounts")) == 1 + 1 + 1, "to connect, to begin, and for the new session"


def test_a_part_that_is_gone_for_good_degrades_the_connection_and_leaves_its_rows(connected, sandbox):
    sync(connected)
    held = Position.objects.held().count()
    sandbox.fault("410", "positions", broker="ibkr")
    assert sync(connected).state in {RunState.PARTIAL, RunState.FAILED}
    assert (connected.state, Position.objects.held().count()) == ("degraded", held)


def test_an_account_of_somebody_else_is_refused(connected):
    with pytest.raises(Refused):
        read(connected, "U9999999")


# --- Pace -------------------------------------------------------------------------------------------------------------


def test_the_hub_keeps_below_what_the_broker_allows(connect_ibkr, person, sandbox, monkeypatch, redis_client):
    """Ten calls a second for the whole address, the list of accounts once in five: a single 429 would show here."""
    connection = connect_ibkr(person, "keys")
    monkeypatch.setattr(ibkr_web, "LISTS", 2)  # one was for connecting; the sandbox's clock goes on instead of ours
    sandbox.advance(5)
    assert sync(connection).state == RunState.SUCCEEDED
    assert len(sandbox.calls()) > 8
    assert {call["status"] for call in sandbox.calls()} == {200}


@pytest.mark.usefixtures("once")
def test_the_list_of_accounts_is_not_asked_for_again_too_soon(connect_ibkr, person, sandbox):
    connection = connect_ibkr(person, "keys")
    with pytest.raises(RateLimited) as caught:
        connection_manager.connector_for(connection).accounts()
    assert caught.value.retry_at is not None
    wait = caught.value.retry_at - timezone.now()
    assert timedelta(0) < wait <= timedelta(seconds=budgets.SHORT_WAIT), "short enough to be waited for in place"
    assert len(sandbox.calls("accounts")) == 1


# --- Transactions -----------------------------------------------------------------------------------------------------


def test_without_a_flex_query_no_day_counts_as_read(connected):
    connector = connection_manager.connector_for(connected)
    today = connected.created_at.date()
    assert list(connector.transactions(ACCOUNT, since=today - timedelta(days=30), until=today)) == []
    assert sync(connected).state == RunState.SUCCEEDED
    assert not Transaction.objects.exists()


def test_with_a_flex_query_transactions_come_beside_the_positions_of_now(
    connected, person, sandbox, flex_keys, monkeypatch
):
    monkeypatch.setattr(ibkr_web.IbkrWeb, "history", timedelta(days=360))
    monkeypatch.setattr(IbkrFlex, "history", timedelta(days=360))
    connection = connection_manager.add_history(connection=connected, keys=flex_keys, actor=person)
    assert sync(connection).state == RunState.SUCCEEDED
    told = {
        row["activity_id"] for account in sandbox.truth(broker="ibkr")["accounts"] for row in account["transactions"]
    }
    read_ids = {key.partition(":")[0] for key in Transaction.objects.in_books().values_list("external_id", flat=True)}
    assert len(read_ids) > 100
    assert read_ids <= told
    sandbox.control("ibkr/flex", "POST", login="maria")  # a new Flex token ends the one before
    held = Position.objects.held().count()
    run = sync(connection)
    assert run.state == RunState.PARTIAL
    assert "Flex token" in str(run.parts)
    assert (connection.state, Position.objects.held().count()) == ("degraded", held)


# --- What the sandbox has not: an adviser's accounts, and the other spellings -----------------------------------------


@pytest.fixture
def saying(settings):
    """`saying({path: answer})` is a broker that says this; it keeps the paths it was asked for."""
    servers = []

    def start(answers):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.removeprefix("/ibkr/v1/api")
                asked.append(path)
                body = json.dumps(answers[path]).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                """Nothing on the terminal."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.BROKERS_SANDBOX_URL = f"http://127.0.0.1:{server.server_port}"
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def connector():
    grant = some_grant()
    grant.secrets.update(consumer_key="ADASKEYSA", realm="limited_poa", live_session_token="c2Vzc2lvbg==")
    return lambda: ibkr_web.IbkrWeb(ibkr_web.session(None, FreshGrant(grant)))


def account(number, **changes):
    row = {"accountId": number, "accountAlias": None, "displayName": "Ada", "currency": "CHF", "clearingStatus": "O"}
    return row | {"faclient": False} | changes


def test_an_advisers_accounts_are_those_of_the_clients(saying, connector):
    clients = [account(f"U{number}") for number in range(3)]
    asked = saying({"/portfolio/accounts": [account("F1", faclient=True)], "/portfolio/subaccounts": clients})
    assert [each.external_id for each in connector().accounts()] == ["U0", "U1", "U2"]
    assert asked == ["/portfolio/accounts", "/portfolio/subaccounts"]


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"metadata": {}, "subaccounts": rows}])
def test_more_clients_than_fit_on_one_page_are_read_in_pages(saying, connector, monkeypatch, wrap):
    monkeypatch.setattr(ibkr_web, "LISTS", 100)
    clients = [account(f"U{number:03}") for number in range(125)]
    answers = {"/portfolio/accounts": [account("F1", faclient=True)], "/portfolio/subaccounts": clients[:100]}
    for page in range(7):
        answers[f"/portfolio/subaccounts2?page={page}"] = wrap(clients[page * 20 : page * 20 + 20])
    saying(answers)
    assert len(connector().accounts()) == 125
