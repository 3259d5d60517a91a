"""Broker health for programs: the figures of the health page, from the same reading."""

from datetime import timedelta
from typing import Any, ClassVar, cast

from django.http import Http404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope, User
from connections.brokers.calls import LimitSource, Operation
from connections.brokers.records import Broker
from connections.models import Connection
from health import alerts, details, health_monitor, rates, statuspage_api
from health.forms import mistake_in
from health.health_monitor import BROKERS, Window
from health.models import AlertChoice
from health.verdicts import Status

RATE = "Share of all calls in the window, 0 to 1; null when there were none."


class Rate(serializers.FloatField):
    def to_representation(self, value: float) -> float:  # type: ignore[override]  # the stubs say str
        return round(value, 6)


class Milliseconds(serializers.FloatField):
    """From seconds."""

    def to_representation(self, value: float) -> float:  # type: ignore[override]  # the stubs say str
        return round(value * 1000, 1)


class Seconds(serializers.FloatField):
    """From a length of time."""

    def to_representation(self, value: timedelta) -> float:  # type: ignore[override]  # the stubs say str
        return round(value.total_seconds(), 1)


class LatencySerializer(serializers.Serializer[Any]):
    """How long answers took, within 1 %; null when none came."""

    p50 = Milliseconds(allow_null=True)
    p95 = Milliseconds(allow_null=True)
    p99 = Milliseconds(allow_null=True)


class ErrorRatesSerializer(serializers.Serializer[Any]):
    """Failed calls by whose side the fault was on."""

    broker = Rate(source="broker_error_rate", allow_null=True, help_text=RATE)
    ours = Rate(source="our_error_rate", allow_null=True, help_text=RATE)
    credential = Rate(source="login_error_rate", allow_null=True, help_text=RATE)


class BudgetSerializer(serializers.Serializer[Any]):
    """The rate budget as it stands now."""

    limit = serializers.IntegerField()
    used = serializers.IntegerField(allow_null=True)
    remaining = serializers.IntegerField(allow_null=True)
    period_seconds = serializers.IntegerField(source="period", allow_null=True)
    seen_at = serializers.DateTimeField(help_text="The call that told it.")
    resets_at = serializers.DateTimeField(
        allow_null=True, help_text="When all of it is there again, if nothing is called until then."
    )
    limit_source = serializers.ChoiceField(
        [each.value for each in LimitSource],
        source="source",
        help_text="`header`: the broker says it with its answers. `documented`: by the broker or its users; the hub "
        "counts its calls. `learned`: the broker refused before that was reached.",
    )


class FiguresSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(Status.choices, help_text="Judged from the last minutes, whatever the window.")
    calls = serializers.IntegerField(source="figures.calls")
    error_rate = Rate(source="figures.error_rate", allow_null=True, help_text=RATE)
    error_rates = ErrorRatesSerializer(source="figures")
    latency_ms = LatencySerializer(source="figures")


class UsedUpSerializer(serializers.Serializer[Any]):
    budget = BudgetSerializer(allow_null=True)
    budget_used_up_in_seconds = serializers.FloatField(
        source="used_up_in", allow_null=True, help_text="If calls go on as in the last minute; null when it never is."
    )


class OperationHealthSerializer(UsedUpSerializer, FiguresSerializer):
    operation = serializers.ChoiceField([each.value for each in Operation])
    slow_after_ms = Milliseconds(source="slow_after", help_text="An answer that takes longer counts as slow.")


class FreshnessSerializer(serializers.Serializer[Any]):
    """When data last arrived, of all connections, and scheduled syncs that did not bring any in time."""

    state = serializers.ChoiceField(["on_time", "late", "stopped"], source="state_name")
    positions_at = serializers.DateTimeField(allow_null=True)
    balances_at = serializers.DateTimeField(allow_null=True)
    transactions_at = serializers.DateTimeField(allow_null=True)
    scheduled = serializers.IntegerField(help_text="Connections that are synced by themselves.")
    late = serializers.IntegerField(help_text="Of them: their turn and its grace have passed, and none has started.")
    failing = serializers.IntegerField(source="vain", help_text="Of them: the last sync brings nothing.")


class BrokerHealthSerializer(UsedUpSerializer, FiguresSerializer):
    broker = serializers.ChoiceField(Broker.choices)
    name = serializers.CharField(source="broker.label")
    message = serializers.CharField(source="sentence", help_text="The status in a sentence for people.")
    window = serializers.ChoiceField(Window.choices)
    measured_from = serializers.DateTimeField(help_text="Where the window begins, to the whole minute, hour or day.")
    as_of = serializers.DateTimeField()
    last_call_at = serializers.DateTimeField(allow_null=True, help_text="null when there was none in the last week.")
    freshness = FreshnessSerializer()
    operations = OperationHealthSerializer(many=True, help_text="Those that were called in the window.")


class UptimeSerializer(serializers.Serializer[Any]):
    """Shares of a time, 0 to 1. A partial or a major outage is down; unknown time counts neither way."""

    share = Rate(allow_null=True, help_text="Up, of the known time outside of maintenance.")
    share_with_maintenance = Rate(allow_null=True, help_text="The same with maintenance counted as down.")
    known_share = Rate(help_text="Of the whole time: how much of it somebody looked.")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    up_seconds = Seconds(source="up")
    down_seconds = Seconds(source="down")
    maintenance_seconds = Seconds(source="maintenance")
    unknown_seconds = Seconds(source="unknown")


class UptimesSerializer(serializers.Serializer[Any]):
    window = UptimeSerializer(help_text="Of the window the figures are of.")
    chosen = UptimeSerializer(allow_null=True, help_text="Of `from` to `to`; null without them.")

    def get_fields(self) -> dict[str, Any]:
        return {name: UptimeSerializer() for name in details.PERIODS} | super().get_fields()


class ConnectionNameSerializer(serializers.ModelSerializer[Connection]):
    class Meta:
        model = Connection
        fields: ClassVar = ["id", "label"]


class OwnBudgetSerializer(UsedUpSerializer):
    connection = ConnectionNameSerializer()


class DetailSerializer(BrokerHealthSerializer):
    uptime = UptimesSerializer()
    connections = OwnBudgetSerializer(many=True, help_text="The caller's own, with what each may still ask.")


class BoardSerializer(serializers.Serializer[Any]):
    results = BrokerHealthSerializer(many=True)


class WindowSerializer(serializers.Serializer[Any]):
    window = serializers.ChoiceField(Window.choices, default=Window.HOUR, help_text="How far the figures look back.")


class PeriodSerializer(WindowSerializer):
    """A window for the figures, and any time for the uptime beside them."""

    def get_fields(self) -> dict[str, Any]:
        words = "ISO 8601. With both, uptime is given of this time too, up to 800 days."
        ends = {name: serializers.DateTimeField(required=False, help_text=words) for name in ("from", "to")}
        return super().get_fields() | ends

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        since, until = attrs.get("from"), attrs.get("to")
        if (since is None) != (until is None):
            raise serializers.ValidationError({"to" if until is None else "from": "Give both, `from` and `to`."})
        if since is not None and until is not None and (mistake := mistake_in(since, until)):
            raise serializers.ValidationError({"from": mistake})
        return attrs


def _window(request: Request) -> Window:
    query = WindowSerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    return Window(query.validated_data["window"])


class BoardView(APIView):
    required_scopes: ClassVar = {"GET": Scope.HEALTH_READ}

    @extend_schema(
        tags=["health"],
        operation_id="broker_health_list",
        parameters=[WindowSerializer],
        responses=BoardSerializer,
        filters=False,
    )
    def get(self, request: Request) -> Response:
        """How every broker's API is doing, measured from the hub's own calls."""
        return Response(BoardSerializer({"results": health_monitor.board(_window(request))}).data)


class BrokerView(APIView):
    required_scopes: ClassVar = {"GET": Scope.HEALTH_READ}

    @extend_schema(
        tags=["health"],
        operation_id="broker_health_retrieve",
        parameters=[PeriodSerializer],
        responses=DetailSerializer,
        filters=False,
    )
    def get(self, request: Request, broker: str) -> Response:
        """How one broker's API is doing, and what your own connections to it may still ask."""
        if broker not in BROKERS:
            raise Http404
        query = PeriodSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        chosen, asked = Broker(broker), query.validated_data
        health = health_monitor.broker_health(chosen, Window(asked["window"]))
        uptimes: dict[str, Any] = dict(details.history(chosen, health.as_of).uptimes)
        uptimes["window"] = details.uptime_between(chosen, health.as_of - health.window.length, health.as_of)
        uptimes["chosen"] = details.uptime_between(chosen, asked["from"], asked["to"]) if "from" in asked else None
        mine = Connection.objects.for_user(cast(User, request.user)).by_api().open().filter(broker=chosen)
        budgets = rates.of_connections(mine, health.as_of).values()
        return Response(
            {
                **BrokerHealthSerializer(health).data,
                "uptime": UptimesSerializer(uptimes).data,
                "connections": OwnBudgetSerializer(budgets, many=True).data,
            }
        )


class AlertChoiceSerializer(serializers.ModelSerializer[AlertChoice]):
    """What you are told of planned maintenance at your brokers."""

    class Meta:
        model = AlertChoice
        fields: ClassVar = ["mail_before", "mail_start", "mail_end", "show_banner"]


class AlertsView(APIView):
    required_scopes: ClassVar = {"GET": Scope.HEALTH_READ, "PATCH": Scope.CONNECTIONS_WRITE}

    @extend_schema(tags=["health"], operation_id="broker_health_alerts_retrieve", responses=AlertChoiceSerializer)
    def get(self, request: Request) -> Response:
        """Which alerts about planned maintenance you get."""
        return Response(AlertChoiceSerializer(alerts.choice_of(cast(User, request.user))).data)

    @extend_schema(
        tags=["health"],
        operation_id="broker_health_alerts_update",
        request=AlertChoiceSerializer,
        responses=AlertChoiceSerializer,
    )
    def patch(self, request: Request) -> Response:
        """Choose which alerts you get; what you leave out stays as it is."""
        form = AlertChoiceSerializer(alerts.choice_of(cast(User, request.user)), data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        form.save()
        return Response(form.data)


urlpatterns = [
    path("broker/health", BoardView.as_view(), name="broker-health-list"),
    path("broker/health/summary", statuspage_api.SummaryView.as_view(), name="broker-health-summary"),
    path("broker/health/components", statuspage_api.ComponentsView.as_view(), name="broker-health-components"),
    path("broker/health/incidents", statuspage_api.IncidentsView.as_view(), name="broker-health-incidents"),
    path(
        "broker/health/scheduled-maintenances/upcoming",
        statuspage_api.UpcomingView.as_view(),
        name="broker-health-maintenances",
    ),
    path("broker/health/alerts", AlertsView.as_view(), name="broker-health-alerts"),
    path("broker/health/<str:broker>", BrokerView.as_view(), name="broker-health"),
]
