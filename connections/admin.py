"""Operators see states and reasons, never secrets; the audit trail is read-only."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from brokerhub.kernel.acts import Act
from brokerhub.kernel.desk_admin import DeskAdmin
from brokerhub.kernel.readonly import ReadOnlyAdmin
from connections import admin_actions, app_keys
from connections.brokers import BROKERS, BrokerEntry
from connections.brokers.base import KeysRefused
from connections.brokers.records import AuthMethod
from connections.forms import key_field
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

OPERATE = "connections.change_connection"


class WayFilter(admin.SimpleListFilter):
    """By way of connecting, named with its broker: several brokers call theirs the same."""

    title, parameter_name = "way", "method"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        ways = [(entry.method.value, _name(entry)) for entry in BROKERS.values()]
        return [*ways, (AuthMethod.FILE.value, AuthMethod.FILE.label)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(method=self.value()) if self.value() else queryset


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
    list_filter = ("state", "broker", WayFilter, "environment", "reason_code")
    search_fields = ("id", "label", "user__email", "accounts__mask")
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    exclude = ("sealed_credentials",)
    acts = (
        Act(
            name="check_now",
            label="Check now (sync)",
            done="is being checked",
            do=admin_actions.check_now,
            permission=OPERATE,
        ),
        Act(
            name="force_renewal",
            label="Force a renewal of access",
            done="has renewed access",
            do=admin_actions.force_renewal,
            permission=OPERATE,
        ),
        Act(
            name="mark_for_sign_in",
            label="Mark for sign-in",
            done="waits for its owner to sign in",
            do=admin_actions.mark_for_sign_in,
            permission=OPERATE,
            warning="Nothing is synced until the owner has signed in at the broker again.",
        ),
    )


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
    list_filter = ("connection__broker", "created_at")
    search_fields = (
        "=request_id",
        "=connection__id",
        "=connection__user__email",
        "=actor__email",
    )
    list_select_related = ("connection", "actor")
    ordering = ("-pk",)
    readonly_fields = ("request_id",)


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


class ChooseMethodForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Which way the keys are for; the next page asks for them."""

    method = forms.ChoiceField(choices=lambda: [(entry.method.value, _name(entry)) for entry in _with_apps()])

    class Meta:
        model = AppCredentials
        fields: ClassVar[list[str]] = []


class AppKeysModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """The fields of one way are added to it; what is stored is never among their values."""

    entry: BrokerEntry

    class Meta:
        model = AppCredentials
        fields: ClassVar[list[str]] = []

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = self.cleaned_data
        if not self.errors:
            try:
                self.entry.check_app(dict(values))
            except KeysRefused as error:
                self.add_error(error.field or None, str(error))
        return values


def _with_apps() -> list[BrokerEntry]:
    return [entry for entry in BROKERS.values() if entry.app_fields]


def _name(entry: BrokerEntry) -> str:
    return f"{entry.broker.label}: {entry.method.label}"


@admin.register(AppCredentials)
@method_decorator(sensitive_post_parameters(), name="add_view")
@method_decorator(sensitive_post_parameters(), name="change_view")
class AppCredentialsAdmin(DeskAdmin):
    """Keys entered here are used for everybody. Those of a person can be removed, and changed only by that person."""

    list_display = ("broker", "method", "environment", "owner", "hint", "changed_at")
    list_filter = (WayFilter, "environment")
    search_fields = ("owner__email", "hint")
    list_select_related = ("owner",)
    readonly_fields = ("environment", "owner", "hint", "changed_at")

    @admin.display(description="broker")
    def broker(self, app: AppCredentials) -> str:
        return BROKERS[AuthMethod(app.method)].broker.label

    def has_change_permission(self, request: HttpRequest, obj: AppCredentials | None = None) -> bool:
        is_for_all_here = obj is None or (obj.owner_id is None and obj.environment == settings.ENVIRONMENT)
        return is_for_all_here and super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: AppCredentials | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj else ()

    def get_form(
        self, request: HttpRequest, obj: AppCredentials | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:  # type: ignore[type-arg]
        method = obj.method if obj else request.GET.get("method", "")
        entry = next((entry for entry in _with_apps() if entry.method == method), None)
        if entry is None:
            return ChooseMethodForm
        fields = {field.name: key_field(field) for field in entry.app_fields} if obj is None or change else {}
        if callback := fields.get("callback_url"):
            callback.initial = entry.app_from_settings().get("callback_url")
        return type("AppKeysForm", (AppKeysModelForm,), {"entry": entry, **fields})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The way is chosen on a first page, whose form comes back as an address."""
        chosen = request.POST.get("method", "")
        if request.method == "POST" and chosen in {entry.method.value for entry in _with_apps()}:
            return redirect(f"{request.path}?method={chosen}")
        return super().add_view(request, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: AppCredentials, form: Any, change: bool) -> None:
        stored = app_keys.enter(owner=None, method=form.entry.method, values=form.cleaned_data)
        obj.pk, obj.hint, obj.method = stored.pk, stored.hint, stored.method


@admin.register(UnfinishedRevocation)
class UnfinishedRevocationAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "label", "user", "broker", "attempts", "next_try_at", "gave_up_at")
    list_filter = ("broker", "gave_up_at")
    search_fields = ("label", "user__email")
    list_select_related = ("user",)
    exclude = ("sealed_grant",)
    acts = (
        Act(
            name="try_again",
            label="Ask the broker once more to end access",
            done="was tried again",
            do=admin_actions.try_to_end_access,
            permission="connections.change_unfinishedrevocation",
        ),
    )
