"""Operators see imported reports and say which broker a publisher is; figures come from files only."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from brokerhub.kernel.readonly import ReadOnlyAdmin
from comparison.models import ExecutionReport, ExecutionStat, PublishedFigure, RoutingSection, RoutingVenue


class CurrentFilter(admin.SimpleListFilter):
    title, parameter_name = "standing", "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("current", "Current"), ("replaced", "Replaced by a corrected file")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() is None:
            return queryset
        return queryset.filter(replaced_at__isnull=self.value() == "current")


@admin.register(ExecutionReport)
class ExecutionReportAdmin(ReadOnlyAdmin):
    """Only the link to a broker and the address of the file can be changed; Django's own log keeps who did."""

    list_display = ("publisher", "broker", "form", "period", "file_name", "imported_at", "replaced_at")
    list_filter = (CurrentFilter, "form", "broker")
    search_fields = ("publisher", "reporter_code", "file_name", "sha256")
    list_select_related = ("broker",)
    date_hierarchy = "last_on"
    changeable: ClassVar = {"broker", "source_url"}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("comparison.change_executionreport"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in ExecutionReport._meta.fields if field.name not in self.changeable]


@admin.register(RoutingSection)
class RoutingSectionAdmin(ReadOnlyAdmin):
    list_display = ("report", "month_on", "section", "non_directed_pct")
    list_filter = ("section", "month_on")
    search_fields = ("report__publisher",)
    list_select_related = ("report",)


@admin.register(RoutingVenue)
class RoutingVenueAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "mic", "section", "order_pct")
    list_filter = ("section__section",)
    search_fields = ("name", "mic", "mpid", "section__report__publisher")
    list_select_related = ("section__report",)


@admin.register(ExecutionStat)
class ExecutionStatAdmin(ReadOnlyAdmin):
    list_display = ("report", "is_sp500", "order", "size", "effective_over_quoted", "improved", "speed_ms")
    list_filter = ("is_sp500", "order", "size")
    search_fields = ("report__publisher",)
    list_select_related = ("report",)


@admin.register(PublishedFigure)
class PublishedFigureAdmin(ReadOnlyAdmin):
    list_display = ("name", "metric", "value", "unit", "period", "published_by", "confidence")
    list_filter = ("metric", "published_by", "confidence")
    search_fields = ("name", "scope", "source__title")
    list_select_related = ("source",)
