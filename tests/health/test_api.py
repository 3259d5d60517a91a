from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from brokerhub.kernel.models import Scope, User
from connections.brokers.calls import LimitSource, Operation
from health.models import StatusSpan
from tests.aggregation.factories import a_connection
from tests.health import calls

pytestmark = pytest.mark.django_db
BOARD, SCHWAB = "/api/v1/broker/health", "/api/v1/broker/health/schwab"


def test_a_broker_that_was_never_called_is_unknown_with_nulls(api: APIClient) -> None:
    health = api.get(SCHWAB).json()
    assert health.pop("measured_from") < health.pop("as_of")
    uptime = health.pop("uptime")
    assert uptime.keys() == {"window", "chosen", "24h", "7d", "30d", "90d"}
    assert uptime.pop("chosen") is None
    assert [(each["share"], each["known_share"]) for each in uptime.values()] == [(None, 0.0)] * 5
    assert health == {
        "broker": "schwab",
        "name": "Charles Schwab",
        "status": "unknown",
        "message": "Charles Schwab has not been called in the last minutes, so nothing is known.",
        "window": "1h",
        "calls": 0,
        "error_rate": None,
        "error_rates": {"broker": None, "ours": None, "credential": None},
        "latency_ms": {"p50": None, "p95": None, "p99": None},
        "budget": None,
        "budget_used_up_in_seconds": None,
        "last_call_at": None,
        "operations": [],
        "freshness": {
            "state": "on_time",
            "positions_at": None,
            "balances_at": None,
            "transactions_at": None,
            "scheduled": 0,
            "late": 0,
            "failing": 0,
        },
        "connections": [],
    }


def test_the_figures_of_a_broker(api: APIClient) -> None:
    now = timezone.now()
    calls.record(
        *[calls.good(started_at=now, duration=0.5, limit=60, remaining=45, period=60)] * 8,
        calls.server_error(started_at=now, duration=0.5),
        calls.login_refused(started_at=now, duration=0.5, operation=Operation.HOLDINGS),
    )
    health = api.get(SCHWAB).json()
    assert (health["status"], health["calls"], health["error_rate"]) == ("operational", 10, 0.2)
    assert health["error_rates"] == {"broker": 0.1, "ours": 0.0, "credential": 0.1}
    assert health["latency_ms"]["p95"] == pytest.approx(500, rel=0.01)
    assert {key: health["budget"][key] for key in ("limit", "used", "remaining", "period_seconds")} == {
        "limit": 60,
        "used": 15,
        "remaining": 45,
        "period_seconds": 60,
    }
    assert [(each["operation"], each["calls"]) for each in health["operations"]] == [
        ("holdings", 1),
        ("transactions", 9),
    ]
    assert datetime.fromisoformat(health["last_call_at"]) == now


def test_the_board_holds_every_broker_as_its_own_address_does(api: APIClient) -> None:
    calls.record(calls.good(started_at=timezone.now()))
    board = {entry["broker"]: entry for entry in api.get(BOARD, {"window": "24h"}).json()["results"]}
    schwab = board["schwab"]
    assert {"schwab", "robinhood", "ibkr"} <= board.keys()
    alone = api.get(SCHWAB, {"window": "24h"}).json()
    assert alone.pop("uptime")["window"]["since"] < alone["as_of"]
    assert alone.pop("connections") == []
    assert schwab == alone
    assert schwab["window"] == "24h"


@pytest.mark.parametrize("address", [BOARD, SCHWAB])
def test_an_unknown_window_is_refused_with_its_name(api: APIClient, address: str) -> None:
    answer = api.get(address, {"window": "2y"})
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["attr"]) == ("invalid_choice", "window")


@pytest.mark.parametrize("broker", ["other", "nobody"])
def test_an_unknown_broker_is_not_found(api: APIClient, broker: str) -> None:
    answer = api.get(f"{BOARD}/{broker}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert answer.json()["request_id"]


@pytest.mark.parametrize("address", [BOARD, SCHWAB])
def test_a_token_needs_the_scope_of_health(caller: User, token_client: Callable[..., APIClient], address: str) -> None:
    assert APIClient().get(address).status_code == 401
    assert token_client(caller, Scope.PORTFOLIO_READ).get(address).status_code == 403
    assert token_client(caller, Scope.HEALTH_READ).get(address).status_code == 200


def test_uptime_is_told_of_any_time_in_seconds_with_and_without_maintenance(api: APIClient) -> None:
    start = timezone.now().replace(microsecond=0) - timedelta(days=3)
    at = start
    for status, hours in (("operational", 6), ("outage", 2), ("maintenance", 1)):
        end = at + timedelta(hours=hours)
        StatusSpan.objects.create(broker="schwab", status=status, starts_at=at, ends_at=end)
        at = end
    asked = {"from": start.isoformat(), "to": (start + timedelta(hours=10)).isoformat()}
    chosen = api.get(SCHWAB, asked).json()["uptime"]["chosen"]
    assert (chosen["share"], chosen["share_with_maintenance"], chosen["known_share"]) == (0.75, 0.666667, 0.9)
    names = ("up", "down", "maintenance", "unknown")
    assert [chosen[f"{name}_seconds"] for name in names] == [21_600.0, 7_200.0, 3_600.0, 3_600.0]


@pytest.mark.parametrize(
    ("asked", "attr"),
    [
        ({"from": "2026-01-01T00:00:00Z"}, "to"),
        ({"to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "2020-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "yesterday", "to": "2026-01-01T00:00:00Z"}, "from"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused_with_its_name(api: APIClient, asked: dict[str, str], attr: str) -> None:
    answer = api.get(SCHWAB, asked)
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)


def test_a_person_sees_what_their_own_connections_may_still_ask_and_nobody_else_s(
    api: APIClient, caller: User, stranger: User, token_client: Callable[..., APIClient]
) -> None:
    mine, theirs = a_connection(caller, label="Mine"), a_connection(stranger, label="Charlie's")
    for connection, remaining in ((mine, 45), (theirs, 12)):
        told = {"limit": 60, "remaining": remaining, "period": 60, "limit_source": LimitSource.HEADER}
        calls.record(calls.good(started_at=timezone.now(), connection_id=connection.pk, **told))
    [seen] = api.get(SCHWAB).json()["connections"]
    assert seen["connection"] == {"id": f"{mine.pk}", "label": "Mine"}
    assert (seen["budget"]["remaining"], seen["budget"]["limit_source"]) == (45, "header")
    [other] = token_client(stranger).get(SCHWAB).json()["connections"]
    assert other["budget"]["remaining"] == 12


def test_alerts_are_chosen_over_the_api_one_at_a_time(api: APIClient, caller: User) -> None:
    address = "/api/v1/broker/health/alerts"
    assert api.get(address).json() == {
        "mail_before": True, "mail_start": False, "mail_end": False, "show_banner": True,
    }  # fmt: skip
    assert api.patch(address, {"mail_end": True}, format="json").json()["mail_end"] is True
    assert api.patch(address, {"show_banner": False}, format="json").json()["mail_before"] is True
    assert api.get(address).json() == {
        "mail_before": True, "mail_start": False, "mail_end": True, "show_banner": False,
    }  # fmt: skip
    assert api.patch(address, {"mail_end": "perhaps"}, format="json").status_code == 400
