"""The page Prometheus reads."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from kombu import Connection, Queue
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from brokerhub.celery import app
from brokerhub.kernel.tasks import HEARTBEAT_KEY
from tests.aggregation.factories import a_connection
from tests.health import calls

pytestmark = pytest.mark.django_db
PAGE = "/metrics"


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_its_token_the_page_is_not_there(client: Client, settings: Any, token: str) -> None:
    assert client.get(PAGE, headers={"Authorization": f"Bearer {token}"}).status_code == 404
    settings.METRICS_TOKEN = "a secret of Prometheus"
    assert client.get(PAGE, headers={"Authorization": f"Bearer {token}"}).status_code == 404


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("", "text/plain; version=0.0.4"),
        ("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.1", "text/plain; version=1.0.0"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_the_page_is_in_the_form_that_the_reader_asks_for(
    client: Client, settings: Any, accept: str, told: str
) -> None:
    settings.METRICS_TOKEN = "a secret of Prometheus"
    calls.record(calls.good(started_at=timezone.now()))
    cache.set(HEARTBEAT_KEY, (timezone.now() - timedelta(seconds=20)).isoformat())
    app.send_task("nobody.reads.this", queue="files")
    answer = client.get(PAGE, headers={"Authorization": "Bearer a secret of Prometheus", "Accept": accept})
    with app.connection_for_write() as line:
        Queue("files")(line.channel()).purge()
    assert answer["Content-Type"].startswith(told)
    is_open = told.startswith("application/openmetrics-text")
    parse = openmetrics_families if is_open else text_string_to_metric_families
    families = {family.name: family for family in parse(answer.content.decode())}
    assert all(name.startswith("hub_") and family.documentation for name, family in families.items())
    assert {family.type for family in families.values()} == {"counter", "gauge"}
    assert families["hub_broker_calls"].samples[0].name == "hub_broker_calls_total", "a counter is named as one"
    waiting = {sample.labels["queue"]: sample.value for sample in families["hub_queue_tasks"].samples}
    assert waiting["files"] == 1
    assert [sample.value for sample in families["hub_queues_reachable"].samples] == [1]
    assert set(waiting) == {"sync.schwab", "sync.robinhood", "sync.ibkr", "sync.alpaca", "files", "health", "default"}
    assert 20 <= families["hub_worker_heartbeat_age_seconds"].samples[0].value < 80
    assert [sample.value for sample in families["hub_renewals_overdue"].samples] == [0]


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


def test_without_redis_the_rest_of_the_page_is_still_told(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.METRICS_TOKEN = "a secret of Prometheus"
    monkeypatch.setattr(app, "connection_for_read", lambda: Connection("redis://127.0.0.1:1/0"))
    calls.record(calls.good(started_at=timezone.now()))
    text = client.get(PAGE, headers={"Authorization": "Bearer a secret of Prometheus"}).content.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert [sample.value for sample in families["hub_queues_reachable"].samples] == [0]
    assert families["hub_queue_tasks"].samples == []
    assert families["hub_broker_calls"].samples[0].value == 1
