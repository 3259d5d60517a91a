"""The books for programs."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator

from aggregation.balances_api import AccountSerializer, BalanceSerializer
from aggregation.ledger import book, record_holdings
from aggregation.models import Source
from aggregation.serializers import (
    ListedTransactionSerializer,
    PositionSerializer,
    TransactionDetailSerializer,
    TransactionSerializer,
)
from brokerhub.kernel.models import Scope
from connections.brokers.records import Broker, TransactionKind
from connections.states import ConnectionState
from tests.aggregation.factories import AAPL, AS_OF, BND, CALL, a_connection, a_position, a_record, a_user, an_account
from tests.aggregation.factories import some_holdings as holdings_of

pytestmark = pytest.mark.django_db
LISTS = ["brokers/accounts", "brokers/positions", "brokers/balances", "brokerage/transactions"]


@pytest.fixture
def account(caller):
    return an_account(a_connection(caller))


def hold(account, *positions, **fields):
    record_holdings(account=account, holdings=holdings_of(*positions, **fields), run_id=None)


def book_api(account, *records):
    return book(account=account, records=records, source=Source.API, run_id=None)


def results(api, path: str):
    answer = api.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def test_a_position_has_money_as_strings_with_its_currency(api, account):
    hold(account, a_position(CALL, "-2", average_cost=Decimal("5.50"), market_value=Decimal("-800.00")))
    [row] = results(api, "brokers/positions")
    assert row["account"] == {"id": account.pk, "name": "Individual", "mask": "4321", "broker": "schwab"}
    assert row["instrument"]["symbol"] == "AAPL  270115C00240000"
    assert row["instrument"]["title"] == "AAPL 15 Jan 2027 240 Call"
    assert (row["quantity"], row["average_cost"], row["market_value"]) == ("-2", "5.5", "-800")
    assert (row["unrealised_gain"], row["currency"], row["as_of"]) == ("300", "USD", "2026-11-20T21:30:00Z")


def test_what_the_broker_did_not_say_is_null(api, account):
    hold(account, a_position(average_cost=None, price=None, market_value=None, day_change=None))
    [row] = results(api, "brokers/positions")
    unknown = ("average_cost", "price", "market_value", "unrealised_gain", "day_change")
    assert [row[name] for name in unknown] == [None] * 5
    [balance] = results(api, "brokers/balances")
    assert (balance["cash"], balance["buying_power"]) == ("500", None)


def test_an_account_says_its_money_its_connection_and_how_fresh_it_is(api, account):
    hold(account)
    waiting = an_account(account.connection)
    rows = {row["id"]: row for row in results(api, "brokers/accounts")}
    assert rows[account.pk]["as_of"] == "2026-11-20T21:30:00Z"
    assert rows[account.pk]["balances"][0]["net_asset_value"] == "2500"
    assert rows[account.pk]["connection"]["state"] == "connected"
    assert (rows[waiting.pk]["as_of"], rows[waiting.pk]["balances"]) == (None, [])


def test_closed_positions_are_not_listed(api, account):
    hold(account, a_position(), a_position(BND))
    hold(account, a_position(), as_of=AS_OF.replace(hour=22))
    assert [row["instrument"]["symbol"] for row in results(api, "brokers/positions")] == ["AAPL"]


@pytest.mark.parametrize("path", ["brokers/positions", "brokers/balances", "brokerage/transactions"])
def test_lists_can_be_narrowed_to_an_account_or_a_broker(api, account, path):
    other = an_account(a_connection(account.connection.user, broker=Broker.OTHER))
    for each in (account, other):
        hold(each, a_position())
        book_api(each, a_record("1"))
    assert len(results(api, path)) == 2
    assert [row["account"]["id"] for row in results(api, f"{path}?account={account.pk}")] == [account.pk]
    assert [row["account"]["id"] for row in results(api, f"{path}?broker=other")] == [other.pk]
    assert api.get(f"/api/v1/{path}?broker=none").status_code == 400


@pytest.mark.parametrize("path", ["brokers/positions", "brokers/balances"])
def test_the_lists_add_up_to_the_portfolio_and_an_account_that_was_left_is_seen_when_asked_for(api, account, path):
    left = an_account(a_connection(account.connection.user, state=ConnectionState.DISCONNECTED))
    closed = an_account(account.connection, closed_on=date(2026, 11, 1))
    for each in (account, left, closed):
        hold(each, a_position())
    assert [row["account"]["id"] for row in results(api, path)] == [account.pk]
    assert [row["account"]["id"] for row in results(api, f"{path}?account={left.pk}")] == [left.pk]
    theirs = an_account()
    hold(theirs, a_position())
    assert api.get(f"/api/v1/{path}?account={theirs.pk}").status_code == 400


def test_transactions_can_be_filtered(api, account):
    book_api(
        account,
        a_record("1"),
        a_record("2", instrument=BND, traded_on=date(2026, 5, 1)),
        a_record("3", kind=TransactionKind.DEPOSIT, instrument=None, quantity=None, traded_on=date(2026, 6, 1)),
    )
    found = {
        query: [row["external_id"] for row in results(api, f"brokerage/transactions?{query}")]
        for query in ("kind=deposit", "symbol=BND", "since=2026-05-01", "until=2026-05-01", "since=2026-05-01&kind=buy")
    }
    assert list(found.values()) == [["3"], ["2"], ["3", "2"], ["2", "1"], ["2"]]
    answer = api.get("/api/v1/brokerage/transactions?since=soon")
    assert (answer.status_code, answer.json()["attr"]) == (400, "since")


def test_pages_of_transactions_stay_in_place_while_rows_come_in(api, account):
    other = an_account(account.connection)
    for number in range(25):
        book_api(other if number % 2 else account, a_record(str(number), traded_on=date(2026, 1, 1 + number // 3)))
    first = api.get("/api/v1/brokerage/transactions?limit=10").json()
    book_api(account, a_record("new", traded_on=date(2026, 11, 1)))
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    ids = [row["external_id"] for page in (first, second, third) for row in page["results"]]
    assert ids == [str(number) for number in reversed(range(25))]
    assert third["next"] is None
    assert [row["external_id"] for row in api.get(third["previous"]).json()["results"]] == ids[10:20]


def test_a_transaction_tells_where_it_came_from_and_what_it_replaced(api, account):
    book_api(account, a_record("1"))
    book_api(account, a_record("1", net_amount=Decimal("-1803"), raw={"accountNumber": 12344321, "activityId": 1}))
    old, new = account.transactions.order_by("pk")
    row = api.get(f"/api/v1/brokerage/transactions/{new.pk}").json()
    assert (row["net_amount"], row["supersedes"], row["superseded_by"]) == ("-1803", [old.pk], None)
    assert row["raw"] == {"accountNumber": "…4321", "activityId": 1}
    replaced = api.get(f"/api/v1/brokerage/transactions/{old.pk}").json()
    assert (replaced["status"], replaced["superseded_by"]) == ("superseded", new.pk)
    assert [row["id"] for row in results(api, "brokerage/transactions")] == [new.pk]


def test_times_carry_their_zone(api, account):
    book_api(account, a_record("1", occurred_at=datetime(2026, 3, 2, 14, 30, 7, tzinfo=UTC)))
    assert results(api, "brokerage/transactions")[0]["occurred_at"] == "2026-03-02T14:30:07Z"


def test_a_stranger_finds_nothing(token_client, account):
    hold(account, a_position())
    book_api(account, a_record("1"))
    stranger = token_client(a_user())
    assert [results(stranger, path) for path in LISTS] == [[], [], [], []]
    assert stranger.get(f"/api/v1/brokerage/transactions/{account.transactions.get().pk}").status_code == 404
    assert stranger.get(f"/api/v1/brokers/positions?account={account.pk}").status_code == 400


@pytest.mark.parametrize("path", LISTS)
def test_a_token_needs_the_scope(token_client, caller, path):
    assert token_client(caller, Scope.HEALTH_READ).get(f"/api/v1/{path}").status_code == 403
    assert token_client(caller, Scope.PORTFOLIO_READ).get(f"/api/v1/{path}").status_code == 200


def test_without_a_token_there_is_no_answer(client):
    assert client.get("/api/v1/brokers/positions").status_code == 401


@pytest.mark.parametrize("path", LISTS)
def test_the_number_of_queries_is_the_same_for_one_row_and_fifty(api, account, path):
    shares = [replace(AAPL, symbol=f"S{number}", cusip="") for number in range(50)]
    counted = []
    for more in ([], shares):
        hold(account, *map(a_position, [AAPL, *more]))
        book_api(account, *(a_record(share.symbol, instrument=share) for share in [AAPL, *more]))
        for _ in more if path in ("brokers/accounts", "brokers/balances") else ():
            hold(an_account(account.connection))
        api.get(f"/api/v1/{path}")
        with CaptureQueriesContext(connection) as queries:
            rows = results(api, path)
        counted.append((len(queries), len(rows)))
    assert counted[0][0] == counted[1][0]
    assert (counted[0][1], counted[1][1]) == (1, 51)


def test_the_schema_describes_exactly_the_rows_that_are_sent(account):
    hold(account, a_position())
    book_api(account, a_record("1"))
    shown = {
        AccountSerializer: account,
        PositionSerializer: account.positions.get(),
        BalanceSerializer: account.balances.get(),
        TransactionSerializer: account.transactions.get(),
        ListedTransactionSerializer: account.transactions.get(),
        TransactionDetailSerializer: account.transactions.get(),
    }
    for serializer, row in shown.items():
        assert serializer.row(row).keys() == serializer().fields.keys()


def test_the_schema_is_made_without_a_warning(capsys):
    from drf_spectacular.drainage import GENERATOR_STATS

    GENERATOR_STATS.reset()
    schema = SchemaGenerator(api_version="v1").get_schema(request=None, public=True)
    paths = [path for path in schema["paths"] if "{broker}" not in path]  # those are the comparison's
    ours = [path for path in paths if "/brokers/" in path or "transactions" in path]
    assert len(ours) >= 6
    assert [line for line in capsys.readouterr().err.splitlines() if "aggregation" in line] == []
