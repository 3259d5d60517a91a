"""Operators see how runs went. Nothing of the books is changed here; contents of files and raw rows are not shown."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from brokerhub.kernel.readonly import ReadOnlyAdmin
from sync.models import ImportFile, ParkedRow, SyncCursor, SyncRun


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "connection",
        "trigger",
        "mode",
        "state",
        "fetched",
        "inserted",
        "matched",
        "superseded",
        "parked",
        "error_code",
        "created_at",
        "finished_at",
    )
    list_filter = ("state", "trigger", "mode", "error_code", "connection__broker")
    search_fields = ("id", "connection__id", "connection__label", "connection__user__email", "error")
    list_select_related = ("connection",)
    date_hierarchy = "created_at"
    readonly_fields = ("held_by", "held_until", "sent_at")


@admin.register(SyncCursor)
class SyncCursorAdmin(ReadOnlyAdmin):
    list_display = ("account", "covered_from", "covered_to", "updated_at")
    list_filter = ("account__connection__broker",)
    search_fields = ("account__name", "account__mask", "account__connection__user__email")
    list_select_related = ("account",)


@admin.register(ImportFile)
class ImportFileAdmin(ReadOnlyAdmin):
    list_display = ("name", "format", "size", "account", "run")
    list_filter = ("format",)
    search_fields = ("name", "sha256", "account__connection__user__email")
    list_select_related = ("account", "run")
    exclude: ClassVar = ["content"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("content")


@admin.register(ParkedRow)
class ParkedRowAdmin(ReadOnlyAdmin):
    list_display = ("id", "account", "reason", "run", "created_at", "resolved_at")
    list_filter = ("resolved_at", "account__connection__broker")
    search_fields = ("reason", "external_id", "account__connection__user__email")
    list_select_related = ("account", "run")
    date_hierarchy = "created_at"
    exclude: ClassVar = ["raw"]
