"""Broker health for programs: the figures of the health page, from the same reading."""

from typing import Any, ClassVar

from django.http import Http404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from health import health_monitor
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
    operations = OperationHealthSerializer(many=True, help_text="Those that were called in the window.")


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
        responses=BrokerHealthSerializer,
        filters=False,
    )
    def get(self, request: Request, broker: str) -> Response:
        """How one broker's API is doing."""
        if broker not in BROKERS:
            raise Http404
        return Response(BrokerHealthSerializer(health_monitor.broker_health(Broker(broker), _window(request))).data)


urlpatterns = [
    path("broker/health", BoardView.as_view(), name="broker-health-list"),
    path("broker/health/<str:broker>", BrokerView.as_view(), name="broker-health"),
]
