"""The history and the returns as integrators get them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aggregation.models import BalancePoint, PointBasis, ReferenceRate
from brokerhub.kernel.models import User
from connections.models import Account
from tests.aggregation.factories import a_connection, an_account

pytestmark = pytest.mark.django_db
HISTORY, PERFORMANCE = "/api/v1/brokers/balances/history", "/api/v1/brokers/performance"


def some_points(account: Account, *values: str | None, currency: str = "USD", flow: str = "0") -> None:
    BalancePoint.objects.bulk_create(
        BalancePoint(
            account=account,
            on=date(2026, 3, 2) + timedelta(days=number),
            currency=currency,
            net_asset_value=None if value is None else Decimal(value),
            cash=None if value is None else Decimal(value),
            flow=Decimal(flow),
            by_class={},
            basis=PointBasis.UNKNOWN if value is None else PointBasis.REBUILT,
            as_of=datetime.now(UTC),
        )
        for number, value in enumerate(values)
    )


@pytest.fixture
def account(person: User) -> Account:
    account = an_account(a_connection(person))
    some_points(account, "100", "110", None, "121")
    return account


def test_each_day_says_its_value_and_how_it_is_known(web: Client, account: Account):
    answer = web.get(HISTORY).json()
    assert answer["currency"] == "USD"
    assert [(row["on"], row["value"], row["basis"]) for row in answer["points"]] == [
        ("2026-03-02", "100", "rebuilt"),
        ("2026-03-03", "110", "rebuilt"),
        ("2026-03-04", None, "unknown"),
        ("2026-03-05", "121", "rebuilt"),
    ]
    assert answer["points"][2]["unknown_accounts"] == [account.pk]


def test_returns_come_with_how_they_were_worked_out(web: Client, account: Account):
    answer = web.get(PERFORMANCE).json()
    assert answer["total"]["time_weighted"] == "0.21"
    assert answer["total"]["bridged_days"] == 1
    assert answer["total"]["steps"][0]["end"] == "121"
    assert [payment["amount"] for payment in answer["total"]["payments"]] == ["-100", "121"]
    assert answer["accounts"][0]["account"]["id"] == account.pk
    assert answer["brokers"][0]["broker"] == "schwab"


def test_an_undefined_return_is_null_with_its_reason(web: Client, person: User):
    answer = web.get(PERFORMANCE).json()["total"]
    assert answer["time_weighted"] is None
    assert answer["time_weighted_undefined"]["code"] == "no_days"


def test_days_can_be_chosen(web: Client, account: Account):
    answer = web.get(HISTORY, {"from": "2026-03-03", "to": "2026-03-04"}).json()
    assert [row["on"] for row in answer["points"]] == ["2026-03-03", "2026-03-04"]
    assert web.get(PERFORMANCE, {"from": "2026-03-02", "to": "2026-03-03"}).json()["total"]["time_weighted"] == "0.1"


def test_another_currency_converts_each_day_at_its_own_rate(web: Client, account: Account):
    now = datetime.now(UTC)
    for day, per_euro in ((2, "1.25"), (3, "1.10")):
        ReferenceRate.objects.create(currency="USD", on=date(2026, 3, day), per_euro=Decimal(per_euro), read_at=now)
    rows = web.get(HISTORY, {"currency": "EUR", "to": "2026-03-03"}).json()["points"]
    assert [row["value"] for row in rows] == ["80", "100"]


def test_without_a_rate_the_value_is_not_known(web: Client, account: Account):
    rows = web.get(HISTORY, {"currency": "JPY"}).json()["points"]
    assert {row["value"] for row in rows} == {None}


def test_the_parts_of_each_day(web: Client, account: Account):
    by_account = web.get(HISTORY, {"group_by": "account", "to": "2026-03-02"}).json()["points"][0]["parts"]
    assert by_account == {str(account.pk): "100"}
    assert web.get(HISTORY, {"group_by": "class"}).json()["points"][0]["parts"] == {"cash": "100"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"currency": "dollars"},
        {"range": "2w"},
        {"from": "2026-03-05", "to": "2026-03-01"},
        {"range": "1y", "from": "2026-03-01"},
        {"account": "999999"},
        {"broker": "nobody"},
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(web: Client, account: Account, wrong: dict[str, str]):
    answer = web.get(HISTORY, wrong)
    assert answer.status_code == 400
    assert answer.json()["attr"] in {*wrong, "range"}


def test_another_persons_account_is_not_there(stranger_web: Client, account: Account):
    assert stranger_web.get(HISTORY, {"account": account.pk}).status_code == 400
    assert stranger_web.get(HISTORY).json()["points"] == []


def test_the_number_of_queries_does_not_grow(web: Client, account: Account, person: User):
    web.get(PERFORMANCE)
    with CaptureQueriesContext(
        connection,
    ) as few:
        web.get(PERFORMANCE, {"currency": "EUR"})
    for _ in range(4):
        some_points(an_account(a_connection(person)), "100", "110", "120")
    with CaptureQueriesContext(connection) as many:
        web.get(PERFORMANCE, {"currency": "EUR"})
    assert len(many) == len(few)
