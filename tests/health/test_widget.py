"""The widget when there is much to say: every broker called with every operation, in trouble, much of it planned."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from brokerhub.kernel.models import User
from connections.brokers.calls import BrokerCall, Operation
from connections.brokers.records import Broker
from health.health_monitor import BROKERS
from health.maintenance_models import MaintenanceWindow, once
from health.tasks import watch
from tests.aggregation.factories import a_connection
from tests.health import calls

pytestmark = pytest.mark.django_db
MOST = 15_000  # bytes
HOUR = timedelta(hours=1)
FAILURES = {Broker.SCHWAB: 40, Broker.ROBINHOOD: 8}  # beside twelve that went well


def much_to_say(person: User) -> None:
    """The first broker fails in part, the second is degraded, the third under maintenance, the last one slow."""
    MaintenanceWindow.objects.all().delete()
    now = timezone.now()
    for broker in BROKERS:
        a_connection(person, broker=broker.value, label=broker.label)
        calls.record(*(call for operation in Operation for call in _of(broker, operation, now)))
        starts_at = now - HOUR / 2 if broker is Broker.IBKR else now + 3 * HOUR
        once(broker, "Database upgrade", starts_at, starts_at + HOUR).save()
    cache.clear()
    watch()


def test_beside_a_page_of_health_the_widget_says_what_the_page_says(client: Client, person: User) -> None:
    much_to_say(person)
    client.force_login(person)
    calls.record(*[calls.server_error(started_at=timezone.now())] * 2_000)
    cache.delete("health:board:1h")  # its three seconds are over
    page = client.get("/health/schwab/").content.decode()
    assert page.count("Major outage") > 2, "the page's own badges"
    assert "Partial outage" not in page.partition("</aside>")[0], "the widget stands before the page"


def _of(broker: Broker, operation: Operation, now: datetime) -> list[BrokerCall]:
    facts: dict[str, Any] = {"broker": broker, "operation": operation, "started_at": now}
    facts |= {"limit": 60, "remaining": 3, "period": 60}
    good = [calls.good(**facts, duration=12.3)] * 12
    return good + [calls.server_error(**facts)] * FAILURES.get(broker, 0)


def test_the_widget_is_small_whatever_there_is_to_say(client: Client, person: User) -> None:
    much_to_say(person)
    client.force_login(person)
    answer = client.get("/health/widget")
    part = answer.content.decode()
    assert len(answer.content) < MOST
    for broker in BROKERS:
        assert f"/health/{broker.value}/" in part
    for words in (
        "95 % within",
        "Failed calls",
        "Calls used",
        "Next maintenance",
        "Maintenance, over",
        "it is used up",
    ):
        assert words in part, words
    assert "Not connected" not in part


def test_a_budget_of_which_nothing_is_left_is_said_to_be_used_up(client: Client, person: User) -> None:
    told = {"started_at": timezone.now(), "limit": 60, "remaining": 0, "period": 60}
    calls.record(*[calls.good(**told)] * 300)
    client.force_login(person)
    for path in ("/health/widget", "/health/", "/health/schwab/"):
        page = client.get(path).content.decode()
        assert "It is used up; calls wait until some of it is back." in page, path
        assert "used up in" not in page, path
