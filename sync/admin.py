"""Operators see how runs went. Nothing of the books is changed here; contents of files and raw rows are not shown."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from brokerhub.kernel.readonly import ReadOnlyAdmin
from sync.feed_models import AccountFeed, TransactionChange
from sync.import_models import DraftRow, ImportDraft, MappingTemplate
from sync.models import ImportFile, ParkedRow, RunEntry, SyncCursor, SyncRun
from sync.schedule_models import HistorySetting, Schedule, WordRule


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
    list_display = ("id", "account", "reason", "run", "created_at", "resolved_at", "is_aside")
    list_filter = ("resolved_at", "account__connection__broker")
    search_fields = ("reason", "external_id", "account__connection__user__email")
    list_select_related = ("account", "run")
    date_hierarchy = "created_at"
    exclude: ClassVar = ["raw"]


@admin.register(RunEntry)
class RunEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "run", "text")
    search_fields = ("=run__id", "text")
    list_select_related = ("run__connection",)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    list_display = ("connection", "rhythm", "every_hours", "daily_at", "zone", "next_at")
    list_filter = ("rhythm",)
    search_fields = ("connection__label", "connection__user__email")
    list_select_related = ("connection",)


@admin.register(HistorySetting)
class HistorySettingAdmin(ReadOnlyAdmin):
    list_display = ("user", "keep_days")
    search_fields = ("user__email",)
    list_select_related = ("user",)


@admin.register(WordRule)
class WordRuleAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "broker", "institution", "field", "word", "kind")
    list_filter = ("broker", "kind")
    search_fields = ("word", "user__email")
    list_select_related = ("user",)


@admin.register(ImportDraft)
class ImportDraftAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "name", "format", "size", "state", "touched_at")
    list_filter = ("state", "format")
    search_fields = ("name", "user__email")
    list_select_related = ("user",)
    exclude: ClassVar = ["content"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("content")


@admin.register(DraftRow)
class DraftRowAdmin(ReadOnlyAdmin):
    list_display = ("draft", "line", "account", "state", "is_left_out")
    list_filter = ("state",)
    list_select_related = ("draft",)
    exclude: ClassVar = ["records", "text"]


@admin.register(MappingTemplate)
class MappingTemplateAdmin(ReadOnlyAdmin):
    list_display = ("updated_at", "user", "name")
    search_fields = ("name", "user__email")
    list_select_related = ("user",)


@admin.register(AccountFeed)
class AccountFeedAdmin(ReadOnlyAdmin):
    list_display = ("account_id", "user", "seq")
    search_fields = ("=account_id", "user__email")
    list_select_related = ("user",)


@admin.register(TransactionChange)
class TransactionChangeAdmin(ReadOnlyAdmin):
    list_display = ("transaction_id", "account_feed", "seq", "added_seq", "is_erased")
    list_filter = ("is_erased",)
    search_fields = ("=transaction_id",)
    list_select_related = ("account_feed",)
