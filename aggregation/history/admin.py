"""Daily history for operators: to look at and to search, never to write."""

from typing import ClassVar

from django.contrib import admin

from aggregation.models import AccountHistory, DailyPrice, PointChange, PositionPoint, PriceCoverage, ReportedValue
from brokerhub.kernel.readonly import ReadOnlyAdmin

OWNER = "=account__connection__user__email"


@admin.register(PositionPoint)
class PositionPointAdmin(ReadOnlyAdmin):
    list_display = ("on", "account", "instrument", "quantity", "price", "value", "currency", "basis")
    list_filter = ("account__connection__broker", "on")
    search_fields = (OWNER, "=instrument__symbol")
    list_select_related: ClassVar[tuple[str, ...]] = ("account", "instrument")
    ordering = ("-pk",)


@admin.register(DailyPrice)
class DailyPriceAdmin(ReadOnlyAdmin):
    list_display = ("on", "user", "instrument", "close", "currency", "source")
    list_filter = ("source", "on")
    search_fields = ("=user__email", "=instrument__symbol")
    list_select_related: ClassVar[tuple[str, ...]] = ("user", "instrument")
    ordering = ("-pk",)


@admin.register(PriceCoverage)
class PriceCoverageAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "user", "source", "covered_from", "covered_to", "asked_at", "trouble")
    list_filter = ("source", ("trouble", admin.EmptyFieldListFilter))
    search_fields = ("=user__email", "=instrument__symbol")
    list_select_related: ClassVar[tuple[str, ...]] = ("user", "instrument")


@admin.register(ReportedValue)
class ReportedValueAdmin(ReadOnlyAdmin):
    list_display = ("on", "account", "net_asset_value", "currency", "told_at")
    list_filter = ("on",)
    search_fields = (OWNER,)
    list_select_related: ClassVar[tuple[str, ...]] = ("account",)
    ordering = ("-pk",)


@admin.register(AccountHistory)
class AccountHistoryAdmin(ReadOnlyAdmin):
    list_display = ("account", "taken_to", "rebuilt_at", "changed_at", "prices_at", "asked_at")
    list_filter = ("account__connection__broker",)
    search_fields = (OWNER,)
    list_select_related: ClassVar[tuple[str, ...]] = ("account",)


@admin.register(PointChange)
class PointChangeAdmin(ReadOnlyAdmin):
    list_display = ("changed_at", "account", "on", "currency", "was", "became", "flow_was", "flow_became", "reason")
    list_filter = ("reason", "changed_at")
    search_fields = (OWNER,)
    list_select_related: ClassVar[tuple[str, ...]] = ("account",)
    ordering = ("-pk",)
