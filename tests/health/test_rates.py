"""What each budget still allows, to whom, and when it is used up."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from brokerhub.kernel.models import User
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from connections.models import Connection
from health import rates
from health.health_monitor import BrokerHealth, Window, measure
from tests.aggregation.factories import a_connection
from tests.health import calls

pytestmark = pytest.mark.django_db
MINUTE = calls.NOW.replace(second=0)
NOW = MINUTE + timedelta(seconds=30)


def use(connection: Connection, count: int, remaining: int, *, owner: str = "", at: datetime = NOW) -> None:
    """So many calls, the last of which left so much of 60 a minute; written in two parts, as two processes would."""
    told = [
        calls.good(
            connection_id=connection.pk,
            started_at=at - timedelta(milliseconds=count - n),
            limit=60,
            remaining=remaining + count - n - 1,
            period=60,
            limit_owner=owner,
        )
        for n in range(count)
    ]
    calls.record(*told[count // 2 :])
    calls.record(*told[: count // 2])


def schwab() -> BrokerHealth:
    return next(each for each in measure(Window.HOUR, now=NOW) if each.broker is Broker.SCHWAB)


def test_a_connection_s_own_budget_is_used_up_by_its_own_calls() -> None:
    fast, slow = a_connection(), a_connection()
    use(fast, 40, remaining=20)
    use(slow, 6, remaining=54)
    own = rates.of_connections([fast, slow], NOW)
    assert own[fast.pk].used_up_in == pytest.approx(20 / (40 / 30))
    assert own[slow.pk].used_up_in is None
    assert (schwab().budget, schwab().used_up_in) == (own[fast.pk].budget, own[fast.pk].used_up_in)


def test_a_budget_that_connections_share_is_used_up_by_all_of_them_and_each_of_them_sees_it() -> None:
    mine, another, elsewhere = a_connection(), a_connection(), a_connection()
    use(mine, 20, remaining=40, owner="app", at=NOW - timedelta(seconds=2))
    use(another, 25, remaining=15, owner="app")
    use(elsewhere, 3, remaining=1, owner="other app")
    own = rates.of_connections([mine], NOW)[mine.pk]
    assert own.budget.remaining == 15, "as the other one left it a moment later"
    assert own.used_up_in == pytest.approx(15 / (45 / 30))


def test_calls_of_the_minute_before_count_on_and_older_ones_do_not() -> None:
    connection = a_connection()
    use(connection, 50, remaining=10, at=MINUTE - timedelta(minutes=1, seconds=1))
    use(connection, 58, remaining=2, at=MINUTE - timedelta(seconds=1))
    use(connection, 44, remaining=6, at=NOW)
    assert rates.of_connections([connection], NOW)[connection.pk].used_up_in == pytest.approx(6 / (44 / 30))
    later = MINUTE + timedelta(minutes=1, seconds=5)
    assert rates.of_connections([connection], later)[connection.pk].used_up_in is None, "44 in 65 seconds"
    assert rates.tightest(NOW + timedelta(hours=1)) == {}


def test_operations_share_the_budget_of_their_broker_and_tell_when_it_is_used_up() -> None:
    use(a_connection(), 45, remaining=15)
    calls.record(calls.good(operation=Operation.SIGN_IN, started_at=NOW, limit=5, remaining=4, period=60))
    found = {each.operation: each.used_up_in for each in schwab().operations}
    assert found == {Operation.TRANSACTIONS: pytest.approx(10), Operation.SIGN_IN: None}


def test_page_and_api_say_when_a_person_s_own_budget_is_used_up(
    client: Client, caller: User, token_client: Callable[..., APIClient], monkeypatch: Any
) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    use(a_connection(caller), 45, remaining=15)
    [own] = token_client(caller).get("/api/v1/broker/health/schwab").json()["connections"]
    assert own["budget_used_up_in_seconds"] == pytest.approx(10)
    client.force_login(caller)
    widget, _, page = client.get("/health/schwab/").content.decode().partition("</aside>")
    assert page.count("used up in 10") == 3, "beside the connection, the broker and the operation"
    assert widget.count("used up in 10") == 1
