from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from brokerhub.kernel.acts import Act
from brokerhub.kernel.desk_admin import DeskAdmin
from brokerhub.kernel.readonly import ReadOnlyAdmin
from health import admin_actions
from health.models import (
    AlertChoice,
    CallBucket,
    ConnectionMeasure,
    FailedCall,
    Incident,
    IncidentUpdate,
    MaintenanceFeed,
    MaintenanceNotice,
    MaintenanceWindow,
    StatusSpan,
    Thresholds,
)
from health.templatetags.health import latency

HTTPS: dict[Any, dict[str, Any]] = {
    models.URLField: {"assume_scheme": "https"}
}  # of an address that is typed without one


@admin.register(CallBucket)
class CallBucketAdmin(ReadOnlyAdmin):
    """Measurements are looked at, never written by hand."""

    list_display = (
        "starts_at",
        "resolution",
        "broker",
        "operation",
        "calls",
        "failed",
        "p95",
        "budget",
        "last_call_at",
    )
    list_filter = ("resolution", "broker", "operation", "starts_at")
    search_fields = ("broker", "operation")
    date_hierarchy = "starts_at"
    ordering = ("-starts_at", "broker", "operation")

    @admin.display(description="calls")
    def calls(self, bucket: CallBucket) -> int:
        return bucket.tally.calls

    @admin.display(description="failed")
    def failed(self, bucket: CallBucket) -> int:
        return bucket.tally.failed()

    @admin.display(description="95 % within")
    def p95(self, bucket: CallBucket) -> str:
        return latency(bucket.p95)

    @admin.display(description="budget used")
    def budget(self, bucket: CallBucket) -> str:
        seen = bucket.budget
        return "" if seen is None or seen.used is None else f"{seen.used} of {seen.limit}"


@admin.register(ConnectionMeasure)
class ConnectionMeasureAdmin(ReadOnlyAdmin):
    list_display = ("connection_id", "broker", "failed_at", "budget_remaining", "budget_limit", "budget_source")
    list_filter = ("broker", "budget_source", "failed_at")
    search_fields = ("connection_id",)
    ordering = ("-failed_at",)


@admin.register(FailedCall)
class FailedCallAdmin(ReadOnlyAdmin):
    """One by one, for a fortnight; the counts of all calls are in the buckets."""

    list_display = (
        "started_at",
        "broker",
        "operation",
        "outcome",
        "attribution",
        "status",
        "correlation_id",
        "request_id",
    )
    list_filter = ("broker", "operation", "outcome", "attribution", "started_at")
    search_fields = ("=request_id", "=correlation_id", "=connection_id")
    search_help_text = "A request id, the broker's correlation id, or a connection's id"
    readonly_fields = ("request_id",)
    ordering = ("-pk",)


@admin.register(StatusSpan)
class StatusSpanAdmin(ReadOnlyAdmin):
    list_display = ("broker", "operation", "status", "starts_at", "ends_at")
    list_filter = ("broker", "status", "operation")
    search_fields = ("broker", "operation")
    ordering = ("-ends_at", "broker", "operation")


class IncidentUpdateInline(admin.TabularInline):  # type: ignore[type-arg]
    """The timeline: what was found stays as it is, and words can be added to it."""

    model = IncidentUpdate
    extra = 1
    fields = ("at", "status", "text", "author")
    readonly_fields = ("at", "status", "author")
    verbose_name = "line"
    verbose_name_plural = "timeline; add words for people in an empty line"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Incident)
class IncidentAdmin(DeskAdmin):
    """Incidents open and close by themselves; administrators add words to their timeline."""

    list_display = ("broker", "status", "first_failure_at", "opened_at", "resolved_at", "people")
    list_filter = ("broker", "status", "opened_at")
    search_fields = ("broker", "updates__text")
    date_hierarchy = "opened_at"
    ordering = ("-opened_at",)
    readonly_fields = (*list_display, "operations")
    fields = readonly_fields
    inlines: ClassVar = [IncidentUpdateInline]
    acts = (
        Act(
            name="close",
            label="Close the incident",
            done="is closed",
            do=admin_actions.close,
            permission="health.change_incident",
            warning="People no longer see it as open. It opens again by itself while the broker goes on failing.",
            form=admin_actions.CloseForm,
        ),
        Act(
            name="annotate",
            label="Add words to the timeline",
            done="has new words in its timeline",
            do=admin_actions.annotate,
            permission="health.change_incident",
            form=admin_actions.WordsForm,
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for line in formset.save(commit=False):
            line.at, line.author = timezone.now(), request.user
            line.save()


@admin.register(IncidentUpdate)
class IncidentUpdateAdmin(ReadOnlyAdmin):
    """All timelines in one list, to search in."""

    list_display = ("at", "incident", "status", "text", "author")
    list_filter = ("status", "incident__broker")
    list_select_related = ("incident", "author")
    search_fields = ("text",)
    date_hierarchy = "at"
    ordering = ("-at",)


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(DeskAdmin):
    """One that is shipped or read from a feed can be switched off; deleted, it would come back."""

    formfield_overrides: ClassVar = HTTPS
    deletes_many = True

    list_display = ("broker", "title", "timezone", "starts_on", "starts_time", "lasts", "repeats", "pauses_syncs",
                    "is_active")  # fmt: skip
    list_filter = ("broker", "is_active", "pauses_syncs", "is_routine", "feed")
    search_fields = ("title", "details")
    ordering = ("broker", "-starts_on", "title")

    def has_delete_permission(self, request: HttpRequest, obj: MaintenanceWindow | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or not (obj.key or obj.feed_id))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[MaintenanceWindow]) -> None:
        """Those that would come back are switched off instead."""
        lasting = queryset.exclude(key=None) | queryset.exclude(feed=None)
        if switched_off := lasting.update(is_active=False):
            self.message_user(request, f"{switched_off} shipped or read ones were switched off.", messages.INFO)
        super().delete_queryset(request, queryset.filter(key=None, feed=None))


@admin.register(MaintenanceFeed)
class MaintenanceFeedAdmin(DeskAdmin):
    formfield_overrides: ClassVar = HTTPS
    list_display = ("broker", "kind", "url", "is_active", "read_at", "error")
    list_filter = ("broker", "kind", "is_active")
    search_fields = ("url",)
    readonly_fields = ("read_at", "error")
    acts = (
        Act(
            name="read_now",
            label="Read now",
            done="was read",
            do=admin_actions.read_feed,
            permission="health.change_maintenancefeed",
        ),
    )


@admin.register(MaintenanceNotice)
class MaintenanceNoticeAdmin(ReadOnlyAdmin):
    list_display = ("broker", "title", "starts_at", "moment", "channel", "user", "sent_at")
    list_filter = ("broker", "moment", "channel")
    search_fields = ("title", "user__email")


@admin.register(AlertChoice)
class AlertChoiceAdmin(ReadOnlyAdmin):
    list_display = ("user", "mail_before", "mail_start", "mail_end", "show_banner")
    list_filter = ("mail_before", "mail_start", "mail_end", "show_banner")
    search_fields = ("user__email",)


@admin.register(Thresholds)
class ThresholdsAdmin(DeskAdmin):
    """One row for a broker that is to be judged otherwise than the others."""

    list_display = ("broker", "trouble", "calm", "partial", "outage", "in_a_row", "slow", "slow_after", "late_after")
    list_filter = ("broker",)
    search_fields = ("broker",)
    ordering = ("broker",)
