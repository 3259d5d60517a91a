"""Operators see states and reasons, never secrets; the audit trail is read-only."""

from typing import ClassVar

from django.contrib import admin

from brokerhub.kernel.readonly import ReadOnlyAdmin
from connections.models import (
    Account,
    AppCredentials,
    Authorization,
    Connection,
    ConnectionEvent,
    ExpiryNotice,
    OfferedAccount,
    UnfinishedRevocation,
)


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    list_display = (
        "label",
        "user",
        "broker",
        "environment",
        "state",
        "reason_code",
        "last_success_at",
        "authorization_expires_at",
    )
    list_filter = ("state", "broker", "method", "environment", "reason_code")
    search_fields = ("id", "label", "user__email", "accounts__mask")
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    exclude = ("sealed_credentials",)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("name", "mask", "kind", "currency", "connection", "closed_on")
    list_filter = ("kind", "currency", "connection__broker")
    search_fields = ("name", "mask", "external_id", "connection__user__email")
    list_select_related = ("connection",)


@admin.register(Authorization)
class AuthorizationAdmin(ReadOnlyAdmin):
    list_display = ("connection", "created_at", "expires_at", "used_at")
    list_filter = ("used_at",)
    search_fields = ("connection__user__email",)
    list_select_related = ("connection",)
    fields: ClassVar = ["connection", "redirect_uri", "created_at", "expires_at", "used_at"]


@admin.register(ConnectionEvent)
class ConnectionEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "connection", "action", "from_state", "to_state", "reason_code", "actor")
    list_filter = ("action", "to_state", "reason_code")
    search_fields = ("connection__id", "connection__user__email", "detail")
    list_select_related = ("connection", "actor")
    date_hierarchy = "created_at"


@admin.register(ExpiryNotice)
class ExpiryNoticeAdmin(ReadOnlyAdmin):
    list_display = ("sent_at", "connection", "hours_before", "channel", "authorization_expires_at")
    list_filter = ("channel", "hours_before")
    search_fields = ("connection__user__email", "connection__label")
    list_select_related = ("connection",)


@admin.register(OfferedAccount)
class OfferedAccountAdmin(ReadOnlyAdmin):
    list_display = ("name", "mask", "kind", "currency", "connection", "declined_at")
    search_fields = ("name", "mask", "connection__user__email")
    list_select_related = ("connection",)


@admin.register(AppCredentials)
class AppCredentialsAdmin(ReadOnlyAdmin):
    list_display = ("method", "environment", "owner", "hint", "changed_at")
    list_filter = ("method", "environment")
    search_fields = ("owner__email",)
    list_select_related = ("owner",)
    exclude = ("sealed_values",)


@admin.register(UnfinishedRevocation)
class UnfinishedRevocationAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "label", "user", "broker", "attempts", "next_try_at", "gave_up_at")
    list_filter = ("broker", "gave_up_at")
    search_fields = ("label", "user__email")
    list_select_related = ("user",)
    exclude = ("sealed_grant",)
