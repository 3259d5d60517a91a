"""The page Prometheus reads."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from tests.aggregation.factories import a_connection
from tests.health import calls

pytestmark = pytest.mark.django_db
PAGE = "/metrics"


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_its_token_the_page_is_not_there(client: Client, settings: Any, token: str) -> None:
    assert client.get(PAGE, headers={"Authorization": f"Bearer {token}"}).status_code == 404
    settings.METRICS_TOKEN = "a secret of Prometheus"
    assert client.get(PAGE, headers={"Authorization": f"Bearer {token}"}).status_code == 404


def test_it_tells_calls_states_budgets_and_what_goes_on_inside(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "a secret of Prometheus"
    a_connection(label="My own words", last_success_at=timezone.now())
    now = timezone.now()
    calls.record(
        *[calls.good(started_at=now, limit=60, remaining=45, period=60)] * 9, calls.server_error(started_at=now)
    )
    answer = client.get(PAGE, headers={"Authorization": "Bearer a secret of Prometheus"})
    assert answer.status_code == 200
    text = answer.content.decode()
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["hub_broker_calls_total", "none", "ok", "schwab", "transactions"] == 9
    assert found["hub_broker_calls_total", "broker", "schwab", "server_error", "transactions"] == 1
    assert found["hub_broker_status", "operational", "schwab"] == 1
    assert found["hub_broker_budget_remaining", "schwab"] == 45
    assert found["hub_connections", "connected", "schwab"] == 1
    assert found["hub_data_age_seconds", "schwab"] < 60
    assert found["hub_syncs_overdue",] == 0
    assert "My own words" not in text
