"""Broker health for programs: the figures of the health page, from the same reading."""

from typing import Any, ClassVar

from django.http import Http404
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from health import details, health_monitor, statuspage_api
from health.health_monitor import BROKERS, Window
from health.verdicts import Status

RATE = "Share of all calls in the window, 0 to 1; null when there were none."


class Rate(serializers.FloatField):
    def to_representation(self, value: float) -> float:  # type: ignore[override]  # the stubs say str
        return round(value, 6)


class Milliseconds(serializers.FloatField):
    """From seconds."""

    def to_representation(self, value: float) -> float:  # type: ignore[override]  # the stubs say str
        return round(value * 1000, 1)


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
    limit_source = serializers.SerializerMethodField(help_text="Limits are those the broker documents or is known by.")

    @extend_schema_field(serializers.ChoiceField(["documented"]))
    def get_limit_source(self, budget: Any) -> str:
        return "documented"


class FiguresSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(Status.choices, help_text="Judged from the last minutes, whatever the window.")
    calls = serializers.IntegerField(source="figures.calls")
    error_rate = Rate(source="figures.error_rate", allow_null=True, help_text=RATE)
    error_rates = ErrorRatesSerializer(source="figures")
    latency_ms = LatencySerializer(source="figures")


class OperationHealthSerializer(FiguresSerializer):
    operation = serializers.ChoiceField([each.value for each in Operation])


class BrokerHealthSerializer(FiguresSerializer):
    broker = serializers.ChoiceField(Broker.choices)
    name = serializers.CharField(source="broker.label")
    message = serializers.CharField(source="sentence", help_text="The status in a sentence for people.")
    window = serializers.ChoiceField(Window.choices)
    measured_from = serializers.DateTimeField(help_text="Where the window begins, to the whole minute, hour or day.")
    as_of = serializers.DateTimeField()
    last_call_at = serializers.DateTimeField(allow_null=True, help_text="null when there was none in the last week.")
    budget = BudgetSerializer(allow_null=True)
    budget_used_up_in_seconds = serializers.FloatField(
        source="used_up_in", allow_null=True, help_text="If calls go on as in the last minute; null when it never is."
    )
    operations = OperationHealthSerializer(many=True, help_text="Those that were called in the window.")


class UptimeSerializer(serializers.Serializer[Any]):
    """Shares of a time, 0 to 1. A partial or a major outage is down; unknown time counts neither way."""

    share = Rate(allow_null=True, help_text="Up, of the known time outside of maintenance.")
    share_with_maintenance = Rate(allow_null=True, help_text="The same with maintenance counted as down.")
    known_share = Rate(help_text="Of the whole time: how much of it somebody looked.")


class UptimesSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        return {name: UptimeSerializer() for name in details.PERIODS}


class DetailSerializer(BrokerHealthSerializer):
    uptime = UptimesSerializer(source="history.uptimes")


class BoardSerializer(serializers.Serializer[Any]):
    results = BrokerHealthSerializer(many=True)


class WindowSerializer(serializers.Serializer[Any]):
    window = serializers.ChoiceField(Window.choices, default=Window.HOUR, help_text="How far the figures look back.")


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
        parameters=[WindowSerializer],
        responses=DetailSerializer,
        filters=False,
    )
    def get(self, request: Request, broker: str) -> Response:
        """How one broker's API is doing."""
        if broker not in BROKERS:
            raise Http404
        chosen = Broker(broker)
        health = health_monitor.broker_health(chosen, _window(request))
        figures = BrokerHealthSerializer(health).data
        uptimes = UptimesSerializer(details.history(chosen, health.as_of).uptimes).data
        return Response({**figures, "uptime": uptimes})


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
    path("broker/health/<str:broker>", BrokerView.as_view(), name="broker-health"),
]
