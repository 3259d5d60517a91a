"""What brokers tell themselves of days gone by: once a day, in one question, and never of a day that is not over."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from aggregation.history import told
from aggregation.history.service import Asked, history
from aggregation.history.taking import last_day_over, take_due
from aggregation.models import AccountHistory, ChangeReason, PointBasis, PointChange, ReportedValue
from brokerhub.kernel.models import User
from connections.brokers import ibkr_performance
from connections.models import Connection
from sync import sync_service
from sync.models import Trigger
from tests.plugins.sandbox_server import Sandbox


@pytest.fixture
def connected(connect_ibkr: Callable[..., Connection], person: User, unpaced: None) -> Connection:
    """An Interactive Brokers login without a Flex query: the Web API tells no transactions."""
    connection = connect_ibkr(person, "keys")
    run = sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL)
    sync_service.run_one(run.pk)
    return connection


@pytest.mark.django_db
def test_the_brokers_own_past_is_the_line(connected: Connection, person: User, sandbox: Sandbox) -> None:
    now = timezone.now() + timedelta(minutes=1)
    take_due(now)
    news = told.read_due(now)
    accounts = list(connected.accounts.order_by("pk"))
    (call,) = sandbox.calls("pa_performance")
    assert (call["method"], call["status"]) == ("POST", 200)
    assert news == ReportedValue.objects.count() > 40
    days = ReportedValue.objects.filter(account=accounts[0]).order_by("on")
    first, last = days[0], days[len(days) - 1]
    assert last.on <= last_day_over(person.timezone, now)
    found = history(accounts[:1], Asked(currency="EUR", first=first.on, last=last.on))
    assert [(point.value, point.basis) for point in found.points if point.on == first.on] == [
        (first.net_asset_value, PointBasis.OBSERVED)
    ]
    changes = PointChange.objects.filter(account=accounts[0])
    assert {change.reason for change in changes} <= {ChangeReason.BROKER_HISTORY}

    assert told.read_due(now + timedelta(hours=19)) == 0
    assert len(sandbox.calls("pa_performance")) == 1  # not asked again on the same day
    assert told.read_due(now + timedelta(hours=21)) == 0  # it says the same of the same days
    assert len(sandbox.calls("pa_performance")) == 2


@pytest.mark.django_db
def test_a_broker_that_is_away_is_asked_within_the_hour(connected: Connection, sandbox: Sandbox) -> None:
    now = timezone.now()
    sandbox.fault("500", "pa_performance", broker="ibkr")
    assert told.read_due(now) == 0
    sandbox.clear_faults()
    assert told.read_due(now + timedelta(minutes=30)) == 0
    assert not ReportedValue.objects.exists()
    assert told.read_due(now + timedelta(minutes=61)) > 0


@pytest.mark.django_db
def test_a_broker_that_tells_nothing_is_not_looked_at_all_day(connect: Callable[..., Connection], person: User) -> None:
    connection = connect(person)
    sync_service.run_one(sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL).pk)
    now = timezone.now()
    assert told.read_due(now) == 0
    assert {each.asked_at for each in AccountHistory.objects.all()} == {now}
    assert not told._due(now + timedelta(hours=19))


@pytest.mark.parametrize(
    ("since", "today", "expected"),
    [
        (date(2026, 11, 18), date(2026, 11, 23), "7D"),
        (date(2026, 11, 10), date(2026, 11, 23), "1M"),
        (date(2026, 8, 1), date(2026, 11, 23), "YTD"),
        (date.min, date(2026, 11, 23), "YTD"),
        (date.min, date(2026, 1, 12), "1M"),  # the year has hardly begun
    ],
)
def test_no_period_is_asked_for_that_some_document_does_not_name(since: date, today: date, expected: str) -> None:
    assert ibkr_performance.period(since, today) == expected


def an_answer(**changed: Any) -> dict[str, Any]:
    account = {"id": "U1", "baseCurrency": "EUR", "navs": [Decimal(0), Decimal("10.5"), None], **changed}
    return {"nav": {"freq": "D", "dates": ["20260901", "20260902", "20260903"], "data": [account]}}


def test_days_before_the_first_money_and_days_without_a_value_are_none() -> None:
    (day,) = ibkr_performance.read(an_answer())["U1"]
    assert (day.on, day.net_asset_value, day.currency) == (date(2026, 9, 2), Decimal("10.5"), "EUR")


def test_the_evening_before_the_period_is_told_too() -> None:
    days = ibkr_performance.read(an_answer(startNAV={"date": "20260831", "val": Decimal(7)}))["U1"]
    assert [(each.on.day, each.net_asset_value) for each in days] == [(31, 7), (1, 0), (2, Decimal("10.5"))]


@pytest.mark.parametrize("changed", [{"navs": [Decimal(1)]}, {"navs": ["x", "y", "z"]}, {"startNAV": {"date": "1.9."}}])
def test_values_that_may_belong_to_other_days_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, ArithmeticError)):
        ibkr_performance.read(an_answer(**changed))
