"""The API's lists against their own SQL: once through a bare view with the same login, once without HTTP at all."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from aggregation import ledger
from aggregation.models import Source
from bench import booking
from bench.measure import Ratio, Work, in_turns, seconds
from brokerhub.kernel.models import User
from connections.brokers.records import Holdings, PositionRecord
from connections.models import Account, Connection

ACCOUNTS, POSITIONS, CALLS = 12, 40, 15
TRANSACTIONS = 100_000
SQL = """
SELECT p.id, a.id, a.name, a.mask, c.broker, i.id, i.symbol, i.name, i.asset_class, i.cusip, i.isin, i.multiplier,
    p.quantity, p.average_cost, p.price, p.market_value, p.day_change, p.currency, p.as_of
FROM aggregation_position p
JOIN aggregation_instrument i ON i.id = p.instrument_id
JOIN connections_account a ON a.id = p.account_id
JOIN connections_connection c ON c.id = a.connection_id
WHERE c.user_id = %s AND p.closed_at IS NULL ORDER BY p.id LIMIT 501
"""


def by_sql(user_id: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute(SQL, [user_id])
        return json.dumps(cursor.fetchall(), default=str)


@login_required
def floor_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(by_sql(int(request.user.pk or 0)), content_type="application/json")


urlpatterns = [path("floor", floor_view), path("", include("brokerhub.urls"))]


def fill(owner: Connection) -> list[Account]:
    """Twelve accounts with forty positions and together a hundred thousand transactions."""
    accounts = [booking.an_account(owner) for _ in range(ACCOUNTS)]
    batch = booking.records(TRANSACTIONS // ACCOUNTS)
    held = tuple(_position(number) for number in range(POSITIONS))
    for account in accounts:
        holdings = Holdings(as_of=timezone.now(), positions=held, balances=())
        ledger.record_holdings(account=account, holdings=holdings, run_id=None)
        ledger.book(account=account, records=batch, source=Source.API, run_id=None)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return accounts


def _position(number: int) -> PositionRecord:
    price = Decimal(100 + number)
    return PositionRecord(
        instrument=booking.INSTRUMENTS[number],
        quantity=Decimal(10),
        average_cost=price - 3,
        price=price,
        market_value=10 * price,
        day_change=Decimal("1.25"),
        currency="USD",
        raw={},
    )


def p50(call: Callable[[], Any]) -> Callable[[], float]:
    return lambda: median(seconds(call) for _ in range(CALLS))


def measure(owner: Connection, user: User) -> Iterator[Ratio]:
    fill(owner)
    client = Client()
    client.force_login(user)

    def get(url: str) -> Callable[[], Any]:
        def call() -> bytes:
            response = client.get(url)
            assert response.status_code == 200, response.content
            return bytes(response.content)

        return call

    rows = len(json.loads(get("/api/v1/brokers/positions?limit=500")())["results"])
    assert rows == len(json.loads(by_sql(user.pk))) == ACCOUNTS * POSITIONS
    positions = p50(get("/api/v1/brokers/positions?limit=500"))
    floors: dict[str, tuple[Work, float | None]] = {
        "a view of its SQL, same login": (p50(get("/floor")), 4.0),
        "its SQL through psycopg, no HTTP": (p50(lambda: by_sql(user.pk)), None),
    }
    yield from in_turns(f"GET positions, {rows} rows", positions, floors)
    first, deep = "/api/v1/brokerage/transactions?limit=50", _deep(client)
    shallow = {"its first page": (p50(get(first)), 1.2)}
    yield from in_turns(f"GET transactions, deep page of {TRANSACTIONS:,}", p50(get(deep)), shallow)


def _deep(client: Client) -> str:
    """The address of a page in the middle of the list: the one after the rows up to 2020, asked for without a date."""
    page = client.get("/api/v1/brokerage/transactions?limit=50&until=2020-12-31").json()
    cursor = parse_qs(urlsplit(page["next"]).query)["cursor"][0]
    return f"/api/v1/brokerage/transactions?limit=50&cursor={cursor}"
