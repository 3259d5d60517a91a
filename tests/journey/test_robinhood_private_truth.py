"""The hub's books of a Robinhood login equal what is so there, to the cent, by the API of Robinhood's own app."""

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from aggregation.models import Balance, Position, Transaction
from brokerhub.kernel.errors import HubError
from connections import connection_manager
from connections.brokers.base import NeedsReauth
from connections.brokers.records import AuthMethod, Broker
from connections.brokers.robinhood_login import RobinhoodLogin
from connections.revocation import Revocation
from connections.states import ConnectionState
from connections.tokens import read_grant
from sync.models import ParkedRow, RunState
from tests.journey.books import number, sync

ZERO = Decimal(0)
OPTION_SYMBOL = 21  # characters
pytestmark = pytest.mark.usefixtures("unpaced")


@pytest.fixture
def connect(sandbox, settings):
    """Signs a person in by the hub's dialogue, a tap on the phone included; the connection it gives."""
    settings.ROBINHOOD_PRIVATE_LOGIN = True

    def make(user, login="james", connection=None):
        connection = connection or connection_manager.create_connection(
            user=user, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_LOGIN
        )
        typed = {"username": f"{login}@example.test", "password": "sandbox"}
        step = connection_manager.converse(user=user, connection=connection, answer=typed)
        while isinstance(step, connection_manager.Asked):
            step = connection_manager.converse(user=user, connection=connection, answer={}, sealed=step.sealed)
        return step

    return make


def books(rows):
    """{what a row says: how many say so}: no row of either side knows the other's id.

    Robinhood tells the fees of an order over several options for the whole order only: what a contract was bought or
    sold for is compared by row, fees and cash of all such orders by day.
    """
    said: Counter[tuple[Any, ...]] = Counter()
    days: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for kind, day, symbol, quantity, price, fees, net, currency in rows:
        what = (
            kind,
            day,
            symbol,
            currency,
            *(None if each is None else each.normalize() for each in (quantity, price)),
        )
        if kind in ("buy", "sell") and len(symbol) == OPTION_SYMBOL:
            days[day] = [days[day][0] + fees, days[day][1] + net]
            said[what] += 1
        else:
            said[(*what, fees.normalize(), net.normalize())] += 1
    return said, dict(days)


def of_hub(account):
    rows = Transaction.objects.in_books().filter(account=account).select_related("instrument")
    return books(
        (
            row.kind,
            row.traded_on.isoformat(),
            row.instrument.symbol if row.instrument else None,
            row.quantity,
            row.price,
            row.fees,
            row.net_amount,
            row.currency,
        )
        for row in rows
    )


def of_broker(truth):
    return books(
        (
            row["kind"],
            row["traded_on"],
            row["symbol"],
            number(row["quantity"]),
            number(row["price"]),
            number(row["fees"]),
            number(row["net_amount"]),
            row["currency"],
        )
        for row in truth["transactions"]
        if row["status"] == "posted" and row["nature"] != "memorandum"
    )


def agree(connection, sandbox, login="james"):
    account = connection.accounts.get()
    [truth] = sandbox.truth(login, broker="robinhood")["accounts"]
    (hub, hub_days), (broker, broker_days) = of_hub(account), of_broker(truth)
    assert (hub - broker, broker - hub) == (Counter(), Counter())
    assert hub_days == broker_days
    held = {
        position.instrument.symbol: (position.quantity, position.market_value)
        for position in Position.objects.held().filter(account=account).select_related("instrument")
    }
    assert held == {
        position["symbol"]: (number(position["quantity"]), number(position["market_value"]))
        for position in truth["positions"]
    }
    balance = Balance.objects.get(account=account)
    assert (balance.cash, balance.net_asset_value) == (number(truth["cash"]), number(truth["value"]))
    assert sum(row.net_amount for row in Transaction.objects.in_books().filter(account=account)) == balance.cash


@pytest.mark.parametrize("login", ["maria", "james"])
def test_everything_that_happened_equals_the_truth(connect, person, sandbox, login):
    connection = connect(person, login)
    run = sync(connection)
    assert (run.state, run.warnings) == (RunState.SUCCEEDED, [])
    assert run.fetched == run.inserted > 0
    assert not ParkedRow.objects.exists()
    agree(connection, sandbox, login)


def test_the_second_sync_changes_nothing_and_asks_for_less(connect, person, sandbox):
    connection = connect(person, "maria")
    sync(connection)
    before, calls = list(Transaction.objects.order_by("pk").values()), len(sandbox.calls())
    run = sync(connection)
    assert (run.state, run.inserted, run.superseded, run.warnings) == (RunState.SUCCEEDED, 0, 0, [])
    assert list(Transaction.objects.order_by("pk").values()) == before
    assert len(sandbox.calls()) - calls < calls - 5


def test_the_official_sign_in_and_this_one_are_one_connection_with_one_history(
    connect, connect_robinhood, person, sandbox, django_capture_on_commit_callbacks
):
    official = connect_robinhood(person, "maria")
    sync(official)
    told = set(Transaction.objects.in_books().values_list("external_id", flat=True))
    with django_capture_on_commit_callbacks(execute=True):
        connection = connect(person, "maria")
    assert (connection.pk, connection.method) == (official.pk, AuthMethod.ROBINHOOD_LOGIN)
    run = sync(connection)
    assert run.state == RunState.SUCCEEDED
    assert told < set(Transaction.objects.in_books().values_list("external_id", flat=True))
    agree(connection, sandbox, "maria")
    [truth] = sandbox.truth("maria", broker="robinhood")["accounts"]
    reinvested = sum(row["nature"] == "reinvestment" for row in truth["transactions"])
    assert run.superseded <= reinvested, "only their exact sum is news"


def latest(sandbox, *natures):
    """The newest posted row of one of these natures in Maria's account."""
    [truth] = sandbox.truth("maria", broker="robinhood")["accounts"]
    return next(
        row for row in reversed(truth["transactions"]) if row["nature"] in natures and row["status"] == "posted"
    )


def test_what_robinhood_takes_back_or_corrects_is_taken_back_and_corrected(connect, person, sandbox):
    """Whatever its day: orders are asked for by the day they changed, dividends whole."""
    connection = connect(person, "maria")
    sync(connection)
    number_of = connection.accounts.get().external_id
    for nature in ("dividend", "service_fee", "bank_interest", "ach_in"):
        sandbox.correct(number_of, latest(sandbox, nature)["activity_id"], "status", login="maria")
    sandbox.correct(number_of, latest(sandbox, "order_buy")["activity_id"], "price", "1.25", login="maria")
    for facts in ({"kind": "dividend", "symbol": "KO", "amount": "3.21"}, {"kind": "deposit", "amount": "12.50"}):
        sandbox.backdate(number_of, **facts, days_ago=40)
    run = sync(connection)
    assert run.state == RunState.SUCCEEDED
    assert run.inserted == 2
    agree(connection, sandbox, "maria")


ENDPOINTS = (
    "accounts",
    "portfolios",
    "live",
    "positions",
    "quotes",
    "instruments",
    "crypto_accounts",
    "crypto_holdings",
    "orders",
    "option_orders",
    "option_events",
    "crypto_orders",
    "dividends",
    "unified_transfers",
    "ach_transfers",
    "wires",
    "acats",
    "interest",
    "fees",
    "splits",
)


def test_a_fault_that_passes_on_any_endpoint_leaves_the_books_exact(connect, person, sandbox):
    """A 401 renews access, whatever it was that asked; then everything is read."""
    connection = connect(person)
    for operation in ENDPOINTS:
        sandbox.fault("expired_token", operation, broker="robinhood", times=2)
    run = sync(connection)
    assert (run.state, connection.state) == (RunState.SUCCEEDED, ConnectionState.CONNECTED)
    agree(connection, sandbox)


THROTTLED = {"detail": "Request was throttled."}
PASSING: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "limits, with and without a time": [
        ("429", "dividends", {"times": 1, "retry_after": 120}),
        ("429", "unified_transfers", {"times": 1, "retry_after": None, "body": THROTTLED}),
    ],
    "answers that are none": [
        ("500", "splits", {"times": 1}),
        ("html", "interest", {"times": 1}),
        ("truncated_json", "positions", {"times": 1}),
        ("reset", "crypto_orders", {"times": 1}),
    ],
    "an endpoint that is away for a while": [("503", "option_events", {"times": 4})],
    "pages in disorder": [
        ("duplicate_page", "orders", {}),
        ("reordered", "unified_transfers", {}),
        ("reordered", "dividends", {}),
    ],
}


@pytest.mark.parametrize("faults", PASSING.values(), ids=PASSING.keys())
def test_faults_that_pass_leave_the_books_exact(connect, person, sandbox, faults):
    connection = connect(person)
    for kind, operation, how in faults:
        sandbox.fault(kind, operation, broker="robinhood", **how)
    run = sync(connection)
    assert (run.state, connection.state) == (RunState.SUCCEEDED, ConnectionState.CONNECTED)
    agree(connection, sandbox)


@pytest.mark.parametrize(("kind", "operation"), [("410", "positions"), ("403", "orders")])
def test_a_part_that_fails_for_good_never_looks_like_an_empty_one(connect, person, sandbox, kind, operation):
    connection = connect(person)
    sync(connection)
    account = connection.accounts.get()
    before = of_hub(account), Position.objects.held().count()
    sandbox.fault(kind, operation, broker="robinhood")
    assert sync(connection).state == RunState.PARTIAL
    assert connection.state == ConnectionState.DEGRADED
    assert (of_hub(account), Position.objects.held().count()) == before
    sandbox.clear_faults()
    assert sync(connection).state == RunState.SUCCEEDED
    assert connection.state == ConnectionState.CONNECTED
    agree(connection, sandbox)


def test_one_list_that_fails_costs_only_itself_and_is_read_from_its_beginning_later(connect, person, sandbox):
    connection = connect(person)
    sandbox.fault("410", "dividends", broker="robinhood")
    run = sync(connection)
    assert run.state == RunState.PARTIAL
    kinds = set(Transaction.objects.values_list("kind", flat=True))
    assert "dividend" not in kinds
    assert {"buy", "deposit", "interest"} <= kinds
    assert "dividends" in run.parts[f"transactions:{connection.accounts.get().pk}"]["detail"]
    sandbox.clear_faults()
    assert sync(connection).state == RunState.SUCCEEDED
    agree(connection, sandbox)


def test_a_minor_list_that_robinhood_has_dropped_is_a_note(connect, person, sandbox):
    connection = connect(person)
    sandbox.fault("410", "history", broker="robinhood")
    run = sync(connection)
    assert run.state == RunState.SUCCEEDED
    assert len(run.warnings) == 3
    assert all("does not list" in warning for warning in run.warnings)
    agree(connection, sandbox)


def test_positions_that_are_suddenly_none_beside_a_portfolio_with_value_are_not_believed(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    held = Position.objects.held().count()
    sandbox.fault("empty_page", "positions", broker="robinhood")
    assert sync(connection).state == RunState.PARTIAL
    assert Position.objects.held().count() == held > 0


def test_a_grant_ended_at_robinhood_ends_the_run_and_is_mended_in_place(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    rows = Transaction.objects.count()
    sandbox.end_tokens("james", expire=True, revoke=True, broker="robinhood")
    run = sync(connection)
    assert (run.state, run.error_code) == (RunState.FAILED, "needs_reauth")
    device, asked = connection.read_credentials()["device_token"], len(sandbox.calls("challenge"))
    again = connect(person, connection=connection)
    assert again.pk == connection.pk
    assert again.read_credentials()["device_token"] == device
    assert len(sandbox.calls("challenge")) == asked, "Robinhood knows the device"
    assert sync(again).state == RunState.SUCCEEDED
    assert Transaction.objects.count() == rows


def test_leaving_ends_the_access_and_robinhood_refuses_the_old_tokens(connect, person, sandbox):
    connection = connect(person)
    grant = read_grant(connection)
    receipt = connection_manager.disconnect(connection=connection, actor=person)
    assert receipt.revocation == Revocation.DONE
    with pytest.raises(NeedsReauth):
        RobinhoodLogin().refresh(grant)


def test_neither_password_nor_code_is_anywhere_in_the_database(connect, person, sandbox):
    connection = connect(person)
    kept = connection.read_credentials()
    assert set(kept) == {"access_token", "refresh_token", "read_only_access_token", "device_token"}
    assert "sandbox" not in kept.values()


def test_it_is_offered_only_where_it_is_switched_on(person, settings, web):
    settings.ROBINHOOD_PRIVATE_LOGIN = False
    assert "Unofficial login" not in web.get(reverse("connections:new")).content.decode()
    with pytest.raises(HubError):
        connection_manager.create_connection(user=person, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_LOGIN)
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    shown = web.get(reverse("connections:new")).content.decode()
    for words in ("Unofficial login", "does not endorse", "opens your whole account", "lock your Robinhood login"):
        assert words in shown
