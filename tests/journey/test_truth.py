"""The hub's books equal what is so at the broker: at first, later, after corrections, and whatever goes wrong."""

import pytest
from django.core.cache import cache

from aggregation.models import Transaction
from connections.brokers import schwab
from connections.states import ConnectionState
from sync.models import RunState, SyncRun
from tests.journey.books import differences, of_broker, of_hub, sync


def agree(connection, sandbox, login="maria"):
    assert differences(of_hub(connection), of_broker(sandbox.truth(login))) == []


def test_the_first_sync_brings_everything_exactly(connect, person, sandbox):
    connection = connect(person)
    run = sync(connection)
    assert run.state == RunState.SUCCEEDED
    assert run.fetched == run.inserted > 300
    agree(connection, sandbox)


def test_the_second_sync_changes_nothing(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    before = list(Transaction.objects.order_by("pk").values())
    run = sync(connection)
    assert (run.state, run.inserted, run.superseded) == (RunState.SUCCEEDED, 0, 0)
    assert list(Transaction.objects.order_by("pk").values()) == before
    agree(connection, sandbox)


def test_two_equal_fills_of_one_day_are_two(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    rows = [
        tuple(row.values())
        for account in of_broker(sandbox.truth()).values()
        for row in account["transactions"].values()
    ]
    twins = {row for row in rows if rows.count(row) > 1 and row[0] == "buy"}
    assert twins, "the seeded history has equal fills"
    agree(connection, sandbox)


def recent(sandbox, kind):
    """(account number, activity id) of the latest row of a kind."""
    for account in sandbox.truth()["accounts"]:
        for row in reversed(account["transactions"]):
            if row["kind"] == kind:
                return account["number"], row["activity_id"]
    raise AssertionError(f"no {kind} in the seeded history")


def test_a_corrected_amount_replaces_the_row_and_keeps_the_old_one(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    number, activity = recent(sandbox, "dividend")
    sandbox.correct(number, activity, "amount")
    run = sync(connection)
    assert run.superseded == 1
    old, new = Transaction.objects.filter(external_id=activity).order_by("pk")
    assert (old.status, old.superseded_by) == ("superseded", new)
    assert old.net_amount != new.net_amount
    agree(connection, sandbox)


def test_a_row_the_broker_takes_back_no_longer_counts_and_stays_visible(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    number, activity = recent(sandbox, "dividend")
    sandbox.correct(number, activity, "status")
    sync(connection)
    assert Transaction.objects.filter(external_id=activity).exists()
    agree(connection, sandbox)


def test_a_back_dated_row_is_found_within_the_look_back(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    number = sandbox.truth()["accounts"][0]["number"]
    sandbox.backdate(number, kind="deposit", days_ago=20, amount="123.45")
    run = sync(connection)
    assert run.inserted == 1
    agree(connection, sandbox)


PASSING_FAULTS = [
    ("401", "transactions", {"after": 2, "times": 1}),
    ("expired_token", "transactions", {"after": 2, "times": 1}),
    ("429", "transactions", {"after": 2, "times": 1, "retry_after": 120}),
    ("429", "transactions", {"after": 2, "times": 1, "retry_after": None}),
    ("500", "transactions", {"after": 2, "times": 4}),
    ("503", "accounts", {"times": 4}),
    ("html", "transactions", {"after": 1, "times": 4}),
    ("truncated_json", "transactions", {"after": 1, "times": 4}),
    ("reset", "transactions", {"after": 1, "times": 4}),
    ("timeout", "transactions", {"after": 1, "times": 1, "seconds": 3}),
    ("duplicate_page", "transactions", {}),
    ("reordered", "transactions", {}),
    ("latency", "transactions", {"seconds": 0.05}),
    ("route_missing", "account_numbers", {"times": 4}),
]


@pytest.mark.parametrize(
    ("kind", "operation", "how"), PASSING_FAULTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_fault_that_passes_leaves_the_books_exact(connect, person, sandbox, settings, kind, operation, how):
    settings.BROKER_READ_TIMEOUT = 1.0
    connection = connect(person, "james")
    sandbox.fault(kind, operation, **how)
    run = sync(connection)
    assert run.state == RunState.SUCCEEDED
    assert run.fetched == run.inserted + run.matched
    assert connection.state == ConnectionState.CONNECTED
    agree(connection, sandbox, "james")


LASTING_FAULTS = [
    ("410", "transactions", {}),
    ("410", "accounts", {}),
    ("403", "transactions", {}),
    ("403", "accounts", {}),
    ("schema_drift", "transactions", {"change": "rename", "field": "netAmount", "to": "net"}),
    ("schema_drift", "accounts", {"change": "rename", "field": "longQuantity", "to": "quantityLong"}),
]


@pytest.mark.parametrize(("kind", "operation", "how"), LASTING_FAULTS, ids=str)
def test_a_part_that_fails_for_good_never_looks_like_an_empty_one(
    connect, person, sandbox, monkeypatch, kind, operation, how
):
    monkeypatch.setattr(schwab, "CALLS_PER_MINUTE", 100_000)  # tries that are minutes apart come all at once here
    connection = connect(person)
    sync(connection)
    before = of_hub(connection)
    sandbox.fault(kind, operation, **how)
    run = sync(connection)
    assert run.state in {RunState.PARTIAL, RunState.FAILED}
    assert run.error
    assert of_hub(connection) == before
    assert connection.state == ConnectionState.DEGRADED
    sandbox.clear_faults()
    cache.clear()  # half a minute later: the circuit breaker lets calls through again
    assert sync(connection).state == RunState.SUCCEEDED
    assert connection.state == ConnectionState.CONNECTED
    agree(connection, sandbox)


def test_a_dead_sign_in_ends_the_run_with_its_reason_and_is_mended_in_place(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    rows = Transaction.objects.count()
    sandbox.end_tokens(expire=True, revoke=True)
    run = sync(connection)
    assert (run.state, run.error_code) == (RunState.FAILED, "needs_reauth")
    assert (connection.state, connection.reason_code) == ("needs_reauth", "refresh_refused")
    again = connect(person)
    assert again.pk == connection.pk
    assert sync(again).state == RunState.SUCCEEDED
    assert Transaction.objects.count() == rows
    agree(again, sandbox)


def test_every_run_adds_up(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    sandbox.fault("duplicate_page", "transactions")
    sync(connection)
    for run in SyncRun.objects.all():
        assert run.fetched == run.inserted + run.matched + run.superseded + run.parked + run.rejected
        assert run.parked == 0
