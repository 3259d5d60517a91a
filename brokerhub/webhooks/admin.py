"""Operators see which webhooks fail and why, never a secret."""

from typing import ClassVar

from django.contrib import admin

from brokerhub.kernel.readonly import ReadOnlyAdmin
from brokerhub.webhooks.models import Delivery, Endpoint, Event, EventCounter, ToldChange


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    list_display = ("url", "user", "state", "off_reason", "failing_since", "last_success_at", "created_at")
    list_filter = ("state", "off_reason", "failing_since")
    search_fields = ("id", "url", "description", "user__email")
    list_select_related = ("user",)
    exclude = ("sealed_secrets",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("id", "event", "endpoint", "kind", "state", "attempts", "response_status", "last_attempt_at")
    list_filter = ("state", "kind", "response_status")
    search_fields = ("endpoint__url", "endpoint__user__email", "event__type", "error")
    list_select_related = ("event", "endpoint")
    raw_id_fields: ClassVar = ["event", "endpoint"]


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Without what it said, which is its person's business."""

    list_display = ("public_id", "type", "user", "number", "occurred_at")
    list_filter = ("type", ("number", admin.EmptyFieldListFilter))
    search_fields = ("key", "user__email", "type")
    list_select_related = ("user",)
    fields: ClassVar = ["key", "type", "user", "number", "occurred_at", "only_for"]


@admin.register(EventCounter)
class EventCounterAdmin(ReadOnlyAdmin):
    list_display = ("user", "last")
    search_fields = ("user__email",)
    list_select_related = ("user",)


@admin.register(ToldChange)
class ToldChangeAdmin(ReadOnlyAdmin):
    list_display = ("account_id", "user", "seq")
    search_fields = ("account_id", "user__email")
    list_select_related = ("user",)
