"""Operators see how runs went. Nothing of the books is changed here; contents of files and raw rows are not shown."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from brokerhub.kernel.acts import Act
from brokerhub.kernel.readonly import ReadOnlyAdmin
from sync import admin_actions
from sync.feed_models import AccountFeed, TransactionChange
from sync.import_models import DraftRow, ImportDraft, MappingTemplate
from sync.models import ImportFile, ParkedRow, RunEntry, SyncCursor, SyncRun, Trouble
from sync.schedule_models import HistorySetting, Schedule, WordRule


class TroubleFilter(admin.SimpleListFilter):
    title, parameter_name = "trouble", "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return Trouble.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.troubled().filter(trouble=self.value()) if self.value() else queryset


class TurnFilter(admin.SimpleListFilter):
    title, parameter_name = "turn", "turn"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("late", "Has come and gone"), ("paused", "Paused by an administrator")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "late":
            return queryset.late()
        return queryset.exclude(paused_at=None) if self.value() == "paused" else queryset


class WaitingFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Waiting"), ("no", "Understood, or taken back")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "yes":
            return queryset.waiting()
        return queryset.exclude(resolved_at=None, is_aside=False) if self.value() == "no" else queryset


RUNS, SCHEDULES = "sync.change_syncrun", "sync.change_schedule"


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
    list_filter = (TroubleFilter, "state", "trigger", "mode", "connection__broker")
    search_fields = ("=id", "=request_id", "connection__label", "connection__user__email")
    list_select_related = ("connection",)
    ordering = ("-pk",)
    readonly_fields = ("request_id", "held_by", "held_until", "sent_at")
    acts = (
        Act(
            name="requeue",
            label="Put back into the queue",
            done="is in the queue again",
            do=admin_actions.requeue,
            permission=RUNS,
            warning="A worker that still has it books nothing more, and the run starts over. What is booked stays.",
        ),
        Act(
            name="cancel",
            label="Cancel the run",
            done="is cancelled",
            do=admin_actions.cancel,
            permission=RUNS,
            warning="The run ends at once. What is booked stays; the rest comes with the next sync.",
        ),
    )


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
    list_filter = (WaitingFilter, "account__connection__broker")
    search_fields = ("reason", "external_id", "account__connection__user__email")
    list_select_related = ("account__connection__user", "run")
    ordering = ("-pk",)
    exclude: ClassVar = ["raw"]
    acts = (
        Act(
            name="map_word",
            label="Say what a word means",
            done="is understood now",
            do=admin_actions.map_word,
            permission="sync.change_parkedrow",
            warning="Makes a rule for the owner of each row: rows with its word are booked as this kind, also later "
            "ones. The owner sees the rule, and can forget it.",
            form=admin_actions.WordForm,
        ),
    )


@admin.register(RunEntry)
class RunEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "run", "text")
    search_fields = ("=run__id", "text")
    list_select_related = ("run__connection",)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    list_display = ("connection", "user", "rhythm", "every_hours", "daily_at", "zone", "next_at", "paused_at")
    list_filter = (TurnFilter, "rhythm", "connection__broker")
    search_fields = ("=connection__id", "connection__label", "connection__user__email")
    list_select_related = ("connection__user",)
    readonly_fields = ("zone", "paused_at")
    acts = (
        Act(
            name="pause",
            label="Pause the schedule",
            done="is paused",
            do=admin_actions.pause,
            permission=SCHEDULES,
            warning="Nothing is synced by itself until it is resumed; the owner sees that. Syncs by hand still run.",
        ),
        Act(
            name="resume",
            label="Resume the schedule",
            done="goes on as its owner had it",
            do=admin_actions.resume,
            permission=SCHEDULES,
        ),
    )

    @admin.display(description="user")
    def user(self, schedule: Schedule) -> str:
        return schedule.connection.user.email


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
