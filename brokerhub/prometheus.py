"""The hub's measurements for Prometheus: calls to brokers, their states, and what goes on inside.

Read at each scrape from the database, so that it is the same whichever process answers. Nothing of any user is in it.
"""

import hmac
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from brokerhub import queues
from brokerhub.kernel.hints import hints
from brokerhub.kernel.tasks import HEARTBEAT_KEY
from brokerhub.webhooks.models import Delivery, Endpoint
from connections.models import Connection, ConnectionEvent
from health import health_monitor
from health.health_monitor import BrokerHealth
from health.verdicts import Status
from sync.models import Schedule, SyncRun

CALLS = """SELECT broker, operation, split_part(key, '/', 1), split_part(key, '/', 2), sum(value::bigint)
    FROM health_callbucket, jsonb_each_text(counts) WHERE resolution = 'day' GROUP BY 1, 2, 3, 4"""


class HubCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        yield self._calls()
        yield from self._brokers()
        yield from self._syncs()
        yield from self._renewals()
        yield from self._work()
        yield from self._webhooks()

    def _calls(self) -> Metric:
        names = ["broker", "operation", "outcome", "attribution"]
        calls = CounterMetricFamily("hub_broker_calls", "Calls to brokers, by whose side failed.", labels=names)
        with connection.cursor() as cursor:
            cursor.execute(CALLS)
            for *labels, count in cursor.fetchall():
                calls.add_metric(labels, float(count))
        return calls

    def _brokers(self) -> Iterator[Metric]:
        state = GaugeMetricFamily("hub_broker_status", "1 for the state a broker is in.", labels=["broker", "status"])
        latency = GaugeMetricFamily(
            "hub_broker_latency_seconds", "Answers of the last hour.", labels=["broker", "quantile"]
        )
        left = GaugeMetricFamily("hub_broker_budget_remaining", "Calls left of the rate budget.", labels=["broker"])
        limit = GaugeMetricFamily("hub_broker_budget_limit", "The rate budget's size.", labels=["broker"])
        for health in health_monitor.board():
            broker = health.broker.value
            for each in Status:
                state.add_metric([broker, each.value], float(health.status is each))
            for quantile, seconds in _quantiles(health):
                latency.add_metric([broker, quantile], seconds)
            if health.budget:
                limit.add_metric([broker], health.budget.limit)
                if health.budget.remaining is not None:
                    left.add_metric([broker], health.budget.remaining)
        yield from (state, latency, left, limit)

    def _syncs(self) -> Iterator[Metric]:
        now = timezone.now()
        runs = GaugeMetricFamily("hub_sync_runs", "Runs by state.", labels=["state"])
        for name, count in SyncRun.objects.order_by().values_list("state").annotate(Count("pk")):
            runs.add_metric([name], count)
        yield runs
        connections = GaugeMetricFamily(
            "hub_connections", "Connections by broker and state.", labels=["broker", "state"]
        )
        for broker, name, count in Connection.objects.order_by().values_list("broker", "state").annotate(Count("pk")):
            connections.add_metric([broker, name], count)
        yield connections
        waits = SyncRun.objects.waits_since()
        yield GaugeMetricFamily(
            "hub_sync_oldest_waiting_seconds",
            "Since the oldest run was asked for that no worker has taken up.",
            value=0.0 if waits is None else (now - waits).total_seconds(),
        )
        overdue = Schedule.objects.filter(next_at__lt=now, connection__in=Connection.objects.syncable()).count()
        yield GaugeMetricFamily("hub_syncs_overdue", "Schedules whose turn has come and gone.", value=overdue)
        age = GaugeMetricFamily(
            "hub_data_age_seconds", "Since a broker's data last arrived, at best.", labels=["broker"]
        )
        newest = Connection.objects.order_by().values_list("broker").annotate(Max("last_success_at"))
        for broker, at in newest:
            if at is not None:
                age.add_metric([broker], (now - at).total_seconds())
        yield age

    def _renewals(self) -> Iterator[Metric]:
        overdue = Connection.objects.renewable(within=timedelta(0)).count()
        yield GaugeMetricFamily("hub_renewals_overdue", "Connections whose access has run out.", value=overdue)
        failing = ConnectionEvent.objects.filter(reason_code__in=["renewal_delayed", "refresh_refused"])
        yield CounterMetricFamily("hub_renewals_failed", "Renewals of access that failed.", value=failing.count())

    def _work(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("hub_queue_tasks", "Tasks that wait for a worker, by queue.", labels=["queue"])
        reached = GaugeMetricFamily("hub_queues_reachable", "1 when the queues can be asked, 0 when Redis is away.")
        oldest = GaugeMetricFamily(
            "hub_queue_oldest_seconds", "Since the oldest task that waits was due, by queue.", labels=["queue"]
        )
        try:
            for line in queues.lines():
                waiting.add_metric([line.queue], line.tasks)
                oldest.add_metric([line.queue], line.seconds)
            reached.add_metric([], 1)
        except queues.AWAY:  # told as such; the rest of the page is still worth reading
            reached.add_metric([], 0)
        yield from (waiting, oldest, reached)
        beat: str | None = hints.get(HEARTBEAT_KEY)
        if beat is not None:
            since = (timezone.now() - datetime.fromisoformat(beat)).total_seconds()
            yield GaugeMetricFamily("hub_worker_heartbeat_age_seconds", "Since a worker did a task.", value=since)

    def _webhooks(self) -> Iterator[Metric]:
        deliveries = Delivery.objects.pending().count()
        yield GaugeMetricFamily("hub_webhook_deliveries_pending", "Messages to people's programs.", value=deliveries)
        first = Delivery.objects.due(timezone.now()).aggregate(at=Min("next_attempt_at"))["at"]
        late = 0.0 if first is None else (timezone.now() - first).total_seconds()
        yield GaugeMetricFamily("hub_webhook_deliveries_late_seconds", "Since the first that is due was.", value=late)
        endpoints = GaugeMetricFamily("hub_webhook_endpoints", "Addresses of programs, by state.", labels=["state"])
        for state, count in Endpoint.objects.order_by().values_list("state").annotate(Count("pk")):
            endpoints.add_metric([state], count)
        yield endpoints


def _quantiles(health: BrokerHealth) -> Iterator[tuple[str, float]]:
    figures = health.figures
    for name, seconds in (("0.5", figures.p50), ("0.95", figures.p95), ("0.99", figures.p99)):
        if seconds is not None:
            yield name, seconds


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever presents the token; for everybody else, and without a token set, the page is not there."""
    presented = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN or not hmac.compare_digest(presented.encode(), settings.METRICS_TOKEN.encode()):
        raise Http404
    registry = CollectorRegistry()
    registry.register(HubCollector())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)
