"""Pages and lists against their own questions: a view with the same login asks PostgreSQL the very same, and answers.

The floor of a list makes the rows JSON; that of a page renders an empty template of the page's size. What a page asks
is noted from one look at it, so a floor cannot fall behind the page. The widget's floor is a view that asks nothing.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from statistics import median
from urllib.parse import parse_qs, urlsplit

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone

from aggregation import ledger
from aggregation.models import Source
from bench import booking, clients
from bench.measure import Ratio, in_turns, seconds
from brokerhub.kernel.models import User
from connections.brokers.records import Holdings, PositionRecord
from connections.models import Account, Connection

ACCOUNTS, POSITIONS, CALLS = 12, 40, 7
READ_IN_PIECES = re.compile(r'^DECLARE "\w+" .*?CURSOR .*?FOR (?=SELECT)')
HISTORY_FROM = date(2016, 1, 4)
DAYS = """
INSERT INTO aggregation_balancepoint
(account_id, "on", currency, cash, net_asset_value, flow, at_older_prices, basis, as_of)
SELECT %(account)s, day, 'USD', 1000, 10000 + extract(doy FROM day), 0, 0, 'observed', %(now)s
FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS days (day)
ON CONFLICT DO NOTHING
"""


@dataclass
class Look:
    """One address, and what its floor has to do."""

    what: str
    url: str
    budget: float
    is_page: bool = False
    asked: list[str] = field(default_factory=list)
    size: int = 0

    def floor(self) -> str:
        rows = []
        with connection.cursor() as cursor:
            for question in self.asked:
                cursor.execute(question)
                rows.append(cursor.fetchall())
        if self.is_page:
            return str(engines["django"].from_string(" " * self.size).render())
        return json.dumps(rows, default=str)


_looks: dict[str, Look] = {}


@login_required
def floor_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_looks[request.GET["of"]].floor())


urlpatterns = [path("floor", floor_view), path("", include("brokerhub.urls"))]


def fill(owner: Connection, rows: int) -> None:
    """Twelve accounts with forty positions, ten years of days each, and together `rows` transactions."""
    for number in range(ACCOUNTS):
        account = booking.an_account(owner)
        held = tuple(_position(each) for each in range(POSITIONS))
        ledger.record_holdings(
            account=account, holdings=Holdings(as_of=timezone.now(), positions=held, balances=()), run_id=None
        )
        each = rows // ACCOUNTS
        for first in range(0, each, booking_piece := 50_000):
            batch = booking.records(min(booking_piece, each - first), first=number * each + first)
            ledger.book(account=account, records=batch, source=Source.API, run_id=None)
        _days(account)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _days(account: Account) -> None:
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute(DAYS, {"account": account.pk, "now": now, "first": HISTORY_FROM, "last": now.date()})


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


def measure(owner: Connection, user: User, rows: int) -> Iterator[Ratio]:
    fill(owner, rows)
    client = Client()
    client.force_login(user)
    transactions, far = "/api/v1/brokerage/transactions?limit=50", f"of {rows:,} transactions"
    deep = _deep(client)
    for look in (
        Look("GET accounts", "/api/v1/brokers/accounts", 4),
        Look(f"GET positions, {ACCOUNTS * POSITIONS} rows", "/api/v1/brokers/positions?limit=500", 4),
        Look("GET balances", "/api/v1/brokers/balances", 4),
        Look("GET balances of ten years", "/api/v1/brokers/balances/history?range=all", 4),
        Look(f"GET first page {far}", transactions, 4),
        Look(f"GET deep page {far}", deep, 4),
        Look(f"GET one instrument's {far}", f"{transactions}&q=B007", 4),
        Look("overview page", "/", 5, is_page=True),
        Look("portfolio page", "/portfolio/", 5, is_page=True),
        Look("history page, ten years", "/portfolio/history/?range=all", 5, is_page=True),
    ):
        yield from _against_its_questions(client, look)
    yield from _widget(client)
    shallow = {"its first page": (lambda: _p50(client, transactions), 1.2)}
    yield from in_turns(f"GET deep page {far}", lambda: _p50(client, deep), shallow)
    yield from clients.measure({name: morsel.value for name, morsel in client.cookies.items()})


def _against_its_questions(client: Client, look: Look) -> Iterator[Ratio]:
    _get(client, look.url)  # caches are warm from here on
    _looks[look.what] = look
    floor = f"/floor?of={look.what}"
    with CaptureQueriesContext(connection) as of_login:
        _get(client, floor)
    with CaptureQueriesContext(connection) as of_page:
        look.size = len(_get(client, look.url))
    asked = [READ_IN_PIECES.sub("", query["sql"]) for query in of_page.captured_queries]
    look.asked = [sql for sql in asked[len(of_login) :] if sql.startswith(("SELECT", "WITH", "("))]
    name = f"its {len(look.asked)} questions, same login"
    yield from in_turns(look.what, lambda: _p50(client, look.url), {name: (lambda: _p50(client, floor), look.budget)})


def _widget(client: Client) -> Iterator[Ratio]:
    look = _looks["widget"] = Look("health widget", "/health/widget", 2, is_page=True)
    look.size = len(_get(client, look.url))
    bare = {"a constant, same login": (lambda: _p50(client, "/floor?of=widget"), look.budget)}
    yield from in_turns(look.what, lambda: _p50(client, look.url), bare)


def _get(client: Client, url: str) -> bytes:
    response = client.get(url)
    assert response.status_code == 200, (url, response.content)
    return bytes(response.content)


def _p50(client: Client, url: str) -> float:
    return median(seconds(lambda: _get(client, url)) for _ in range(CALLS))


def _deep(client: Client) -> str:
    """The address of a page in the middle of the list: the one after the rows up to 2020, asked for without a date."""
    page = client.get("/api/v1/brokerage/transactions?limit=50&until=2020-12-31").json()
    cursor = parse_qs(urlsplit(page["next"]).query)["cursor"][0]
    return f"/api/v1/brokerage/transactions?limit=50&cursor={cursor}"
