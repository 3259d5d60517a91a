"""The history as people see it: a page that answers in words, and every number of its chart in a table and in files."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregation.history import taking
from aggregation.ledger import book
from aggregation.models import BalancePoint, PointBasis, Source
from brokerhub.kernel.models import User
from connections.models import Account
from tests.aggregation.factories import a_connection, an_account
from tests.aggregation.history.test_points import a_deposit

pytestmark = pytest.mark.django_db
PAGE = "/portfolio/history/"


def days_of(account: Account, *values: str | None, basis: PointBasis = PointBasis.REBUILT) -> None:
    """The account's last days up to yesterday."""
    first = timezone.localdate() - timedelta(days=len(values))
    BalancePoint.objects.bulk_create(
        BalancePoint(
            account=account,
            on=first + timedelta(days=number),
            currency="USD",
            cash=None if value is None else Decimal(value),
            net_asset_value=None if value is None else Decimal(value),
            by_class={},
            basis=PointBasis.UNKNOWN if value is None else basis,
            as_of=datetime.now(UTC),
        )
        for number, value in enumerate(values)
    )


@pytest.fixture
def account(person: User) -> Account:
    account = an_account(a_connection(person), name="Savings")
    days_of(account, "1000", "1100", None, "1210")
    return account


def text(client: Client, url: str, **asked: str) -> str:
    answer = client.get(url, asked)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_shows_value_return_and_what_is_not_known(web: Client, account: Account):
    page = text(web, PAGE)
    assert "1,210.00" in page
    assert "+21.00" in page
    assert "1 day is not known and left empty" in page
    assert "How the time-weighted return was worked out" in page


def test_the_line_has_a_gap_where_a_day_is_unknown(web: Client, account: Account):
    figure = web.get(PAGE).context["figure"]
    line = next(trace for trace in figure["data"] if trace["name"] == "Rebuilt")
    assert line["y"] == [1000.0, 1100.0, None, 1210.0]
    assert line["connectgaps"] is False


@pytest.mark.parametrize("chart", ["account", "class", "return"])
def test_the_other_charts_show_the_same_days(web: Client, account: Account, chart: str):
    figure = web.get(PAGE, {"chart": chart}).context["figure"]
    (trace,) = figure["data"]
    assert trace["y"] == ([0.0, 0.1, 0.1, 0.21] if chart == "return" else [1000.0, 1100.0, None, 1210.0])


def test_every_number_stands_in_a_table_and_in_the_files(web: Client, account: Account):
    table = text(web, PAGE, view="table")
    assert table.index("1,210.00") < table.rindex("1,100.00") < table.rindex("1,000.00")
    lines = b"".join(web.get("/portfolio/history.csv").streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert [line.split(",")[1] for line in lines] == ["value", "1000", "1100", "", "1210"]
    rows = web.get("/portfolio/history.json")
    assert b'"basis": "unknown"' in b"".join(rows.streaming_content)  # type: ignore[attr-defined]


def test_an_address_nobody_can_answer_shows_the_last_year(web: Client, account: Account):
    page = text(web, PAGE, range="soon", account="999999", **{"from": "yesterday"})
    assert "1,210.00" in page


def test_a_return_without_meaning_says_why(web: Client, person: User):
    days_of(an_account(a_connection(person)), "0", "0")
    assert "Nothing was invested in this time." in text(web, PAGE)


def test_days_gone_by_that_changed_are_listed_with_the_reason(web: Client, person: User):
    account = an_account(a_connection(person))
    records = [a_deposit("1", date(2026, 3, 2), "1000")]
    book(account=account, records=records, source=Source.API, run_id=None)
    taking.take(account, datetime(2026, 3, 9, 22, tzinfo=UTC))
    book(account=account, records=[a_deposit("2", date(2026, 3, 6), "50")], source=Source.API, run_id=None)
    taking.take(account, datetime(2026, 3, 9, 22, tzinfo=UTC))
    page = text(web, PAGE, range="all")
    assert "Transactions were added, corrected or taken back" in page
    assert "6 Mar 2026 to 8 Mar 2026 (3 days)" in page


def test_without_days_the_page_says_what_to_do(web: Client, person: User):
    assert "Connect a broker" in text(web, PAGE)
    an_account(a_connection(person))
    assert "worked out within a minute" in text(web, PAGE)


def test_others_see_nothing_of_it(stranger_web: Client, account: Account):
    assert "1,210.00" not in text(stranger_web, PAGE, account=str(account.pk))


def test_the_number_of_queries_does_not_grow(web: Client, account: Account, person: User):
    web.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        web.get(PAGE)
    for _ in range(5):
        days_of(an_account(a_connection(person)), *["1000"] * 40)
    with CaptureQueriesContext(connection) as many:
        web.get(PAGE)
    assert len(many) == len(few)
