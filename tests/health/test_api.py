from collections.abc import Callable
from datetime import datetime

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from brokerhub.kernel.models import Scope, User
from connections.brokers.calls import Operation
from tests.health import calls

pytestmark = pytest.mark.django_db
BOARD, SCHWAB = "/api/v1/broker/health", "/api/v1/broker/health/schwab"


def test_a_broker_that_was_never_called_is_unknown_with_nulls(api: APIClient) -> None:
    health = api.get(SCHWAB).json()
    assert health.pop("measured_from") < health.pop("as_of")
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
        "uptime": {
            name: {"share": None, "share_with_maintenance": None, "known_share": 0.0}
            for name in ("24h", "7d", "30d", "90d")
        },
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
    assert alone.pop("uptime").keys() == {"24h", "7d", "30d", "90d"}
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
