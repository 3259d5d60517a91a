"""One endpoint fails and the rest goes on: the connection says what is old, since when and why, and nothing is lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from aggregation.models import Balance, Position, Transaction
from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers.records import AuthMethod
from connections.models import Connection
from connections.states import ConnectionState
from sync import sync_service
from sync.models import RunState, SyncCursor, SyncRun
from sync.planning import MAX_ATTEMPTS
from tests.journey.books import sync
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import Connect, ask, work

JAMES = "70355128"
pytestmark = pytest.mark.usefixtures("unpaced")


def books() -> tuple[Any, ...]:
    """Everything that is known; what a failing answer may not change."""
    held = Position.objects.held().order_by("pk").values_list("pk", "quantity", "market_value")
    rows = Transaction.objects.in_books().order_by("pk").values_list("pk", flat=True)
    cash = Balance.objects.order_by("pk").values_list("account", "currency", "cash")
    return tuple(held), tuple(rows), tuple(cash)


def kinds(connection: Connection) -> set[str]:
    return {part.key.partition(":")[0] for part in connection.stale}


@pytest.fixture
def at_schwab(connect: Connect, person: User, sandbox: Sandbox) -> Connection:
    sandbox.backdate(JAMES, login="james", kind="deposit", days_ago=5, amount="10")
    connection = connect(person, "james")
    sync(connection)
    return connection


@pytest.fixture
def at_robinhood(connect_robinhood: Callable[..., Connection], person: User) -> Connection:
    connection = connect_robinhood(person, "maria")
    sync(connection)
    return connection


@pytest.fixture
def at_ibkr(sandbox: Sandbox, person: User) -> Connection:
    keys = {"token": sandbox.control("ibkr/flex", "GET")["token"], "query_id": "1001001"}
    connection = connection_manager.connect_with_keys(user=person, method=AuthMethod.IBKR_FLEX, keys=keys)
    sync(connection)
    return connection


def try_each(
    connection: Connection, sandbox: Sandbox, faults: list[tuple[str, str, dict[str, Any]]]
) -> dict[tuple[str, str], tuple[str, set[str]]]:
    """{(fault, endpoint): (state, kinds of parts that are old)}, each after a run; in the end all is well again."""
    found = {}
    before = books()
    for kind, operation, params in faults:
        sandbox.fault(kind, operation, broker=connection.broker, **params)
        run = ask(connection)
        work(run)
        connection.refresh_from_db()
        found[kind, operation] = (connection.state, kinds(connection))
        assert books() == before, (kind, operation)
        assert all(part.reason and part.since < run.created_at for part in connection.stale)
        sandbox.clear_faults()
        cache.clear()  # what the breaker remembers
        if run.is_open:
            sync_service.cancel(run)
    assert sync(connection).state == RunState.SUCCEEDED
    assert (connection.state, connection.stale) == (ConnectionState.CONNECTED, [])
    assert books() == before
    return found


# --- Each endpoint of each broker -------------------------------------------------------------------------------------
def test_any_endpoint_of_schwab_costs_its_part_only(at_schwab: Connection, sandbox: Sandbox) -> None:
    whole = {"holdings", "accounts"}
    found = try_each(
        at_schwab,
        sandbox,
        [
            ("410", "account_numbers", {}),
            ("403", "account_numbers", {}),
            ("empty_page", "account_numbers", {}),
            ("410", "user_preference", {}),
            ("empty_page", "user_preference", {}),
            ("410", "transactions", {}),
            ("403", "transactions", {}),
            ("empty_page", "transactions", {}),
            ("410", "accounts", {}),
            ("empty_page", "accounts", {}),
        ],
    )
    parts = {key: kinds for key, (_, kinds) in found.items()}
    assert {state for state, _ in found.values()} == {"degraded"}
    assert parts["410", "account_numbers"] == parts["403", "account_numbers"] == {"accounts"}
    assert parts["empty_page", "account_numbers"] == {"accounts"}
    assert parts["410", "user_preference"] == parts["empty_page", "user_preference"] == {"accounts"}
    assert parts["410", "transactions"] == parts["403", "transactions"] == {"transactions"}
    assert parts["empty_page", "transactions"] == {"transactions"}
    assert parts["410", "accounts"] == whole  # the list and the positions are the same route
    assert parts["empty_page", "accounts"] == {"holdings"}


def test_any_tool_of_robinhood_costs_its_part_only(at_robinhood: Connection, sandbox: Sandbox) -> None:
    tools = {
        "get_accounts": "accounts",
        "get_portfolio": "holdings",
        "get_equity_positions": "holdings",
        "get_option_positions": "holdings",
        "get_crypto_positions": "holdings",
        "get_equity_orders": "transactions",
    }
    faults: list[tuple[str, str, dict[str, Any]]] = [("410", f"mcp_{tool}", {}) for tool in tools]
    faults += [("empty_page", f"mcp_{tool}", {}) for tool in tools if tool != "get_equity_orders"]
    found = try_each(at_robinhood, sandbox, faults)
    assert {state for state, _ in found.values()} == {"degraded"}
    wrong = {key: parts for key, (_, parts) in found.items() if tools[key[1].removeprefix("mcp_")] not in parts}
    assert not wrong


def test_an_empty_statement_of_interactive_brokers_empties_nothing(at_ibkr: Connection, sandbox: Sandbox) -> None:
    found = try_each(at_ibkr, sandbox, [("empty_page", "flex_statement", {})])
    assert found == {("empty_page", "flex_statement"): ("degraded", {"holdings", "transactions"})}


def test_any_endpoint_of_the_web_api_costs_its_part_only(
    connect_ibkr: Callable[..., Connection], person: User, sandbox: Sandbox
) -> None:
    connection = connect_ibkr(person, "keys")
    sync(connection)
    faults = [(kind, endpoint) for endpoint in ("ledger", "summary", "positions") for kind in ("410", "403")]
    found = try_each(connection, sandbox, [(*fault, {}) for fault in [*faults, ("empty_page", "positions")]])
    assert all(outcome == ("degraded", {"holdings"}) for outcome in found.values()), found


@pytest.mark.parametrize("kind", ["410", "403"])
def test_interactive_brokers_only_endpoint_away_is_a_connection_that_waits(
    at_ibkr: Connection, sandbox: Sandbox, kind: str
) -> None:
    before = books()
    sandbox.fault(kind, "flex_request", broker="ibkr")
    run = work(ask(at_ibkr))
    at_ibkr.refresh_from_db()
    assert (run.state, at_ibkr.state) == (RunState.WAITING, ConnectionState.ERROR)
    assert at_ibkr.state_until == run.wait_until
    assert books() == before


# --- Nothing where there is something ---------------------------------------------------------------------------------
def test_no_positions_in_an_account_that_is_worth_something_is_no_truth(
    at_schwab: Connection, sandbox: Sandbox
) -> None:
    before = books()
    sandbox.fault("empty_page", "accounts", field="positions")
    run = sync(at_schwab)
    assert run.state == RunState.PARTIAL
    [part] = at_schwab.stale
    assert "lists no position, yet says that there is something in the account besides cash" in part.reason
    assert books() == before


def test_coins_that_are_told_no_more_are_doubted_for_a_day(
    connect_coins: Callable[..., Connection], person: User, sandbox: Sandbox
) -> None:
    connection = connect_coins(person, "maria")
    sync(connection)
    before = books()
    sandbox.fault("empty_page", "crypto_api_holdings", broker="robinhood")
    sync(connection)
    [part] = connection.stale
    assert part.kind == "holdings"
    assert part.reason.endswith("if it still says so in a day, it is believed.")
    assert books() == before
    SyncRun.objects.update(finished_at=timezone.now() - timedelta(hours=25))
    assert sync(connection).state == RunState.SUCCEEDED
    assert not Position.objects.held().exists()


def test_an_account_that_really_was_sold_out_is_believed(connect: Connect, person: User, sandbox: Sandbox) -> None:
    sandbox.accounts("james", open={"name": "Spare", "deposit": "100"})
    connection = connect(person, "james")
    assert sync(connection).state == RunState.SUCCEEDED
    spare = connection.accounts.get(name="Spare")
    assert not Position.objects.held().filter(account=spare).exists()
    assert Balance.objects.get(account=spare).cash == 100


def test_a_list_without_any_row_moves_no_cursor(at_schwab: Connection, sandbox: Sandbox) -> None:
    cursor = SyncCursor.objects.get()
    SyncCursor.objects.update(covered_to=cursor.covered_to - timedelta(days=2))
    sandbox.fault("empty_page", "transactions")
    sync(at_schwab)
    [part] = at_schwab.stale
    assert "no transaction" in part.reason
    assert SyncCursor.objects.get().covered_to == cursor.covered_to - timedelta(days=2)
    sandbox.clear_faults()
    sync(at_schwab)
    assert SyncCursor.objects.get().covered_to == cursor.covered_to


def test_a_quiet_account_is_believed(at_schwab: Connection, sandbox: Sandbox) -> None:
    cursor = SyncCursor.objects.get()
    Transaction.objects.filter(traded_on__gt=cursor.covered_to - timedelta(days=60)).delete()
    sandbox.fault("empty_page", "transactions")
    assert sync(at_schwab).state == RunState.SUCCEEDED


# --- Since when -------------------------------------------------------------------------------------------------------
def test_a_part_is_old_since_its_last_success_and_not_since_its_failure(
    at_schwab: Connection, sandbox: Sandbox, web: Client
) -> None:
    account = at_schwab.accounts.get()
    good = SyncRun.objects.get()
    last_good = timezone.now() - timedelta(hours=5)
    good.parts[f"holdings:{account.pk}"]["at"] = last_good.isoformat(timespec="seconds")
    good.save()
    for _ in range(2):
        sandbox.clear_faults()
        sandbox.fault("410", "accounts", after=1)  # not the list, but the account's positions
        sync(at_schwab)
        [part] = at_schwab.stale
        assert part.since == last_good.replace(microsecond=0)
    assert (str(part), part.account) == (f"Positions and balances of {account}", account)
    assert part.reason == "Charles Schwab refused the request (410)."
    for page in (reverse("connections:list"), reverse("connections:detail", args=[at_schwab.pk])):
        shown = web.get(page).content.decode()
        assert str(part) in shown
        assert part.reason in shown
        assert part.since.isoformat() in shown
    told = web.get(f"/api/v1/brokerage/connections/{at_schwab.pk}").json()
    since = part.since.isoformat().replace("+00:00", "Z")
    assert told["degraded_parts"] == {part.key: since}
    assert told["stale"] == [
        {"part": "holdings", "account": account.pk, "words": str(part), "since": since, "reason": part.reason}
    ]


def test_a_part_that_never_worked_is_old_since_the_account_is_known(
    connect: Connect, person: User, sandbox: Sandbox
) -> None:
    sandbox.fault("410", "transactions")
    connection = connect(person, "james")
    sync(connection)
    [part] = connection.stale
    assert part.account is not None
    assert part.since == part.account.created_at.replace(microsecond=0)


# --- An endpoint that is away -----------------------------------------------------------------------------------------
def test_an_endpoint_that_stays_away_is_waited_for_and_then_left_to_the_next_sync(
    at_schwab: Connection, sandbox: Sandbox
) -> None:
    sandbox.fault("403", "transactions")  # a page of the network in front of the API
    run = ask(at_schwab)
    work(run)
    at_schwab.refresh_from_db()
    assert (run.state, at_schwab.state) == (RunState.WAITING, ConnectionState.DEGRADED)
    assert at_schwab.state_until == run.wait_until
    SyncRun.objects.filter(pk=run.pk).update(attempts=MAX_ATTEMPTS - 1, wait_until=None)
    assert work(run).state == RunState.PARTIAL
    at_schwab.refresh_from_db()
    assert (at_schwab.state, at_schwab.state_until) == (ConnectionState.DEGRADED, None)
    assert kinds(at_schwab) == {"transactions"}


# --- An endpoint the sign-in does not open ----------------------------------------------------------------------------
@pytest.mark.parametrize("operation", ["transactions", "account_numbers"])
def test_one_endpoint_that_refuses_a_good_sign_in_costs_its_part(
    at_schwab: Connection, sandbox: Sandbox, operation: str
) -> None:
    sandbox.fault("401", operation)
    for _ in range(2):
        run = sync(at_schwab)
        assert run.state == RunState.PARTIAL
        assert at_schwab.state == ConnectionState.DEGRADED
    [part] = at_schwab.stale
    assert part.reason == "Charles Schwab does not open this part to the hub, though your sign-in is good (401)."
    sandbox.clear_faults()
    sync(at_schwab)
    assert at_schwab.state == ConnectionState.CONNECTED


def test_a_sign_in_that_nothing_answers_to_has_to_be_renewed(at_schwab: Connection, sandbox: Sandbox) -> None:
    for operation in ("account_numbers", "accounts", "transactions", "user_preference"):
        sandbox.fault("401", operation)
    sync(at_schwab)
    assert (at_schwab.state, at_schwab.reason_code) == (ConnectionState.NEEDS_REAUTH, "access_refused")


def test_a_sign_in_that_is_revoked_halfway_has_to_be_renewed(at_schwab: Connection, sandbox: Sandbox) -> None:
    sandbox.fault("revoked_token", "transactions", times=1)
    sync(at_schwab)
    assert (at_schwab.state, at_schwab.reason_code) == (ConnectionState.NEEDS_REAUTH, "refresh_refused")
