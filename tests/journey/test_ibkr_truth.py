"""The hub's books equal what is so at Interactive Brokers, read by a Flex query: four currencies, four years."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest

from aggregation.models import Balance, Position, Transaction
from connections import connection_manager
from connections.brokers import ibkr_flex
from connections.brokers.records import AuthMethod
from connections.states import ConnectionState
from sync import sync_service
from sync.models import RunState, SyncCursor, SyncRun, Trigger
from tests.journey.books import differences, number

QUERY, TRADES_AND_CASH_ONLY = "1001001", "1001003"
MOST_TRIES = 8


class Flex:
    """The person's side at the broker: makes a token, and lets the minute of the rate limit go by."""

    def __init__(self, sandbox, redis_client):
        self.sandbox, self.redis = sandbox, redis_client
        sandbox.control("ibkr/switches", flex_delay=0)

    def keys(self, query=QUERY):
        return {"token": self.sandbox.control("ibkr/flex", login="maria")["token"], "query_id": query}

    def connect(self, person, keys, connection=None):
        return connection_manager.connect_with_keys(
            user=person, method=AuthMethod.IBKR_FLEX, keys=keys, connection=connection
        )

    def a_minute_later(self):
        self.sandbox.advance(61)
        self.redis.flushdb()

    def sync(self, connection):
        """One sync to its end; waits are cut short, not slept through."""
        run = sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL)
        for _ in range(MOST_TRIES):
            self.a_minute_later()
            sync_service.run_one(run.pk)
            run.refresh_from_db()
            if not run.status.is_open:
                connection.refresh_from_db()
                return run
            SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
        raise AssertionError(f"the run is still {run.state}: {run.wait_reason}")


@pytest.fixture
def flex(sandbox, redis_client, monkeypatch):
    monkeypatch.setattr(ibkr_flex, "PAUSES", (1.05,) * 4)  # the sandbox's statements are made at once; it keeps 1/s
    return Flex(sandbox, redis_client)


@pytest.fixture
def one_year(monkeypatch):
    """As if the broker went back no further than the query itself: two calls a sync instead of eight."""
    monkeypatch.setattr(ibkr_flex.IbkrFlex, "history", timedelta(days=360))


def agree(connection, sandbox):
    """Cash, positions and, from the first day that was read, every transaction."""
    since = min(SyncCursor.objects.filter(account__connection=connection).values_list("covered_from", flat=True))
    truth = {
        account["number"]: of_truth(account, since.isoformat()) for account in sandbox.truth(broker="ibkr")["accounts"]
    }
    hub = {account.external_id: of_hub(account) for account in connection.accounts.all()}
    assert differences(hub, truth) == []


def of_truth(account, since):
    return {
        "currency": account["currency"],
        "cash": {currency: number(amount) for currency, amount in account["balances"].items()},
        "positions": {
            held["symbol"]: (number(held["quantity"]), round(Decimal(held["average_cost"]), 2), held["currency"])
            for held in account["positions"]
        },
        "transactions": {
            row["activity_id"]: event(row)
            for row in account["transactions"]
            if row["status"] == "posted" and row["traded_on"] >= since
        },
    }


def event(row):
    cash = defaultdict(Decimal, {row["currency"]: Decimal(row["net_amount"])})
    for other in row["other_cash"]:
        cash[other["currency"]] += Decimal(other["amount"])
    return {
        "kind": row["kind"],
        "traded_on": row["traded_on"],
        "settled_on": None if row["kind"] == "split" else row["settled_on"],  # Flex tells none for these
        "what": None if row["kind"] == "fx" else (row["symbol"], number(row["quantity"]), number(row["price"])),
        "costs": Decimal(row["fees"]),
        "cash": dict(cash),
    }


def of_hub(account):
    legs = defaultdict(list)
    for row in Transaction.objects.in_books().filter(account=account).select_related("instrument").order_by("pk"):
        legs[row.external_id.partition(":")[0]].append(row)
    return {
        "currency": account.currency,
        "cash": dict(Balance.objects.filter(account=account).values_list("currency", "cash")),
        "positions": {
            held.instrument.symbol: (held.quantity, round(held.average_cost, 2), held.currency)
            for held in Position.objects.held().filter(account=account).select_related("instrument")
        },
        "transactions": {key: heard(rows) for key, rows in legs.items()},
    }


def heard(rows):
    row = rows[0]
    cash: defaultdict[str, Decimal] = defaultdict(Decimal)
    for leg in rows:
        cash[leg.currency] += leg.net_amount
    return {
        "kind": row.kind,
        "traded_on": row.traded_on.isoformat(),
        "settled_on": row.settled_on and row.settled_on.isoformat(),
        "what": None
        if row.kind == "fx"
        else (row.instrument.symbol if row.instrument else None, row.quantity, row.price),
        "costs": sum(leg.fees + leg.taxes for leg in rows),
        "cash": dict(cash),
    }


def test_the_first_sync_brings_everything_exactly_and_the_second_changes_nothing(flex, person, sandbox):
    connection = flex.connect(person, flex.keys())
    run = flex.sync(connection)
    assert (run.state, run.parked, run.error) == (RunState.SUCCEEDED, 0, "")
    assert run.fetched == run.inserted + run.matched > 700
    agree(connection, sandbox)
    for balance in Balance.objects.filter(account__connection=connection):
        rows = Transaction.objects.in_books().filter(account=balance.account, currency=balance.currency)
        assert sum(row.net_amount for row in rows) == balance.cash
    before = list(Transaction.objects.order_by("pk").values())
    again = flex.sync(connection)
    assert (again.state, again.inserted, again.superseded) == (RunState.SUCCEEDED, 0, 0)
    assert list(Transaction.objects.order_by("pk").values()) == before


@pytest.mark.usefixtures("unpaced")
def test_one_statement_answers_for_both_accounts_and_all_parts(flex, one_year, person, sandbox):
    connection = flex.connect(person, flex.keys())
    flex.sync(connection)
    before = len(sandbox.calls())
    flex.sync(connection)
    assert [call["operation"] for call in sandbox.calls()[before:]] == ["flex_request", "flex_statement"]


@pytest.mark.usefixtures("unpaced")
def test_a_back_dated_row_is_found_in_the_next_statement(flex, one_year, person, sandbox):
    connection = flex.connect(person, flex.keys())
    flex.sync(connection)
    sandbox.control(
        "corrections", login="maria", account="U7712345", backdated={"kind": "fee", "amount": "7.5", "days_ago": 9}
    )
    assert flex.sync(connection).inserted == 1


PASSING = [
    ("500", "flex_request", {"times": 2}),
    ("reset", "flex_statement", {"times": 2}),
    ("html", "flex_statement", {"times": 1}),
    ("truncated_json", "flex_statement", {"times": 1}),
    ("429", "flex_statement", {"times": 1, "retry_after": 120}),
    ("503", "flex_request", {"times": 6}),
]


@pytest.mark.usefixtures("unpaced")
@pytest.mark.parametrize(("kind", "operation", "how"), PASSING, ids=str)
def test_a_fault_that_passes_leaves_the_books_exact(flex, one_year, person, sandbox, kind, operation, how):
    connection = flex.connect(person, flex.keys())
    sandbox.fault(kind, operation, broker="ibkr", **how)
    run = flex.sync(connection)
    assert run.state == RunState.SUCCEEDED
    assert connection.state == ConnectionState.CONNECTED
    agree(connection, sandbox)


@pytest.mark.usefixtures("unpaced")
def test_a_new_token_ends_the_old_one_and_mends_the_connection_in_place(flex, one_year, person, sandbox):
    connection = flex.connect(person, flex.keys())
    flex.sync(connection)
    rows = Transaction.objects.count()
    new = flex.keys()
    run = flex.sync(connection)
    assert (run.state, run.error_code) == (RunState.FAILED, "needs_reauth")
    assert (connection.state, connection.reason_code) == ("needs_reauth", "keys_refused")
    flex.a_minute_later()
    again = flex.connect(person, new, connection)
    assert again.pk == connection.pk
    assert flex.sync(again).state == RunState.SUCCEEDED
    assert Transaction.objects.count() == rows


@pytest.mark.usefixtures("unpaced")
def test_a_query_that_loses_its_sections_never_empties_the_books(flex, one_year, person, sandbox):
    keys = flex.keys()
    connection = flex.connect(person, keys)
    flex.sync(connection)
    before = of_hub(connection.accounts.first())
    connection.seal_credentials(keys | {"query_id": TRADES_AND_CASH_ONLY})
    connection.save()
    run = flex.sync(connection)
    assert run.state == RunState.FAILED
    assert "lacks the section" in run.error
    assert connection.state == ConnectionState.DEGRADED
    assert of_hub(connection.accounts.first()) == before
