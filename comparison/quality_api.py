"""Execution quality for programs: imported reports with all their figures, and those that come with the hub."""

from decimal import Decimal
from typing import Any, ClassVar

from django.db import models
from django.db.models import Prefetch
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView

from aggregation.serializers import plain
from brokerhub.kernel.models import Scope
from comparison.models import ExecutionReport, ExecutionStat, RoutingSection, RoutingVenue
from comparison.quality_figures import METRICS, SAMPLES
from comparison.quality_models import ReportForm
from comparison.rule606 import OrderKind

FIGURE_NAMES = [metric.name for metric in (*METRICS, *SAMPLES)]
PAID = "Positive: the broker received it; negative: it paid. A conflict of interest, no measure of quality."


@extend_schema_field({"type": "string", "format": "decimal", "nullable": True})
class Number(serializers.Field[Any, Any, Any, Any]):
    """Exact, as a string; null when the report does not say."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, help_text=options.get("help_text"))

    def to_representation(self, value: Any) -> str | None:
        return plain(Decimal(value))


class Numbers(serializers.ModelSerializer[Any]):
    serializer_field_mapping: ClassVar = serializers.ModelSerializer.serializer_field_mapping | {
        models.DecimalField: Number
    }


class StatSerializer(Numbers):
    """How one kind and size of orders was executed. Shares and percentages are fractions, `_usd` is per share."""

    class Meta:
        model = ExecutionStat
        fields = ("is_sp500", "order", "size", *FIGURE_NAMES)


class RouteSerializer(serializers.Serializer[Any]):
    """What one kind of orders brought."""

    kind = serializers.ChoiceField(OrderKind.choices)
    share_pct = Number(help_text="Of the orders left to the broker; at a venue, of this kind.")
    payment_cents = Number(help_text=f"Cents per 100 shares (options: per contract). {PAID}")
    payment_usd = Number(help_text=f"In the month. {PAID}")


class VenueSerializer(Numbers):
    kinds = serializers.SerializerMethodField()

    class Meta:
        model = RoutingVenue
        fields = ("name", "mic", "mpid", "order_pct", "kinds")

    @extend_schema_field(RouteSerializer(many=True))
    def get_kinds(self, venue: RoutingVenue) -> Any:
        return [_route(kind, venue.share_of(kind), venue.cents_for(kind), venue.usd_for(kind)) for kind in OrderKind]


class SectionSerializer(Numbers):
    kinds = serializers.SerializerMethodField()
    venues = VenueSerializer(many=True)

    class Meta:
        model = RoutingSection
        fields = ("month_on", "section", "non_directed_pct", "kinds", "venues")

    @extend_schema_field(RouteSerializer(many=True))
    def get_kinds(self, section: RoutingSection) -> Any:
        return [
            _route(kind, section.share_of(kind), section.rate_for(kind), section.paid_for(kind)) for kind in OrderKind
        ]


def _route(kind: OrderKind, share: Decimal | None, cents: Decimal | None, usd: Decimal | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "share_pct": plain(share),
        "payment_cents": None if cents is None else plain(round(cents, 4)),
        "payment_usd": plain(usd),
    }


class ReportSerializer(serializers.ModelSerializer[ExecutionReport]):
    """One file of one publisher. Never rank over different periods, order sizes or forms."""

    broker: Any = serializers.SlugRelatedField("key", read_only=True, allow_null=True)
    document = serializers.CharField(
        source="source.title", default="", read_only=True, help_text="Of figures that come with the hub (form 606cat)."
    )
    stats = StatSerializer(many=True)
    sections = SectionSerializer(many=True)

    class Meta:
        model = ExecutionReport
        fields = (
            "id",
            "form",
            "publisher",
            "broker",
            "first_on",
            "last_on",
            "generated_at",
            "document",
            "source_url",
            "file_name",
            "sha256",
            "imported_at",
            "warnings",
            "stats",
            "sections",
        )


class QueryForm(serializers.Serializer[Any]):
    """What may be asked for; each may be left out."""

    broker = serializers.CharField(required=False, help_text="A broker's key; reports of others have none.")
    form = serializers.ChoiceField(ReportForm.choices, required=False)


@extend_schema(tags=["comparison"], parameters=[QueryForm])
class ReportList(ListAPIView[ExecutionReport]):
    """Reports on execution quality (Rule 605) and on order routing (Rule 606), newest first."""

    queryset = ExecutionReport.objects.none()
    serializer_class = ReportSerializer
    required_scopes: ClassVar = {"GET": Scope.COMPARE_READ}
    ordering = ("-last_on", "-pk")
    filter_backends = ()

    def get_queryset(self) -> Any:
        asked = QueryForm(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = {"broker__key" if name == "broker" else name: value for name, value in asked.validated_data.items()}
        venues = Prefetch("sections__venues", queryset=RoutingVenue.objects.order_by("-order_pct", "position"))
        reports = ExecutionReport.objects.current().filter(**wanted)
        return reports.select_related("broker", "source").prefetch_related("stats", "sections", venues)


urlpatterns = [path("brokerage/execution-quality", ReportList.as_view(), name="execution-quality")]
