"""People and what they sign in with. No token, digest, session key or second factor is ever shown."""

from allauth.mfa.admin import AuthenticatorAdmin
from allauth.mfa.models import Authenticator
from allauth.usersessions.admin import UserSessionAdmin
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from brokerhub.kernel import admin_actions, tokens
from brokerhub.kernel.acts import Act
from brokerhub.kernel.admin_access import guard
from brokerhub.kernel.desk_admin import DeskAdmin
from brokerhub.kernel.models import ApiToken, User

admin.site.site_header = admin.site.site_title = "Broker Integration Hub"
admin.site.index_title = "Administration"
guard(admin.site)
admin.site.unregister([Authenticator, UserSession])  # allauth's forms show secrets; ours follow below


class PersonCreationForm(BaseUserCreationForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = User
        fields = ("email",)


@admin.register(User)
class PersonAdmin(DeskAdmin, UserAdmin):  # type: ignore[type-arg]
    add_form = PersonCreationForm
    list_display = ("email", "name", "currency", "timezone", "is_active", "is_staff", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "currency", "date_joined")
    search_fields = ("email", "name")
    ordering = ("email",)
    date_hierarchy = "date_joined"
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("name", "currency", "timezone")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),)
    acts = (
        Act(
            name="end_sessions",
            label="Sign out everywhere",
            done="is signed out on every device",
            do=admin_actions.end_sessions,
            permission="kernel.change_user",
            warning="Every browser this person is signed in with has to sign in again.",
        ),
        Act(
            name="revoke_tokens",
            label="Revoke all API tokens",
            done="has no API token any more",
            do=admin_actions.revoke_tokens,
            permission="kernel.change_user",
            warning="Programs of this person are refused at once, and need new tokens.",
        ),
    )


class OwnersOwn:
    """Can be looked at and removed here; only its owner can make or change one."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(OwnersOwn, DeskAdmin):
    list_display = ("name", "beginning", "user", "scopes", "created", "expiry", "last_used_at")
    list_filter = ("created", "expiry", "last_used_at")
    search_fields = ("name", "token_key", "user__email")
    list_select_related = ("user",)
    ordering = ("-created",)
    fields = readonly_fields = ("name", "beginning", "user", "scopes", "created", "expiry", "last_used_at")
    actions = ("revoke",)

    @admin.display(description="Begins with", ordering="token_key")
    def beginning(self, token: ApiToken) -> str:
        return f"{token.token_key}..."

    @admin.action(description="Revoke the selected API tokens", permissions=["delete"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        """At once, each with a row in the log; Django's own deletion asks first."""
        assert isinstance(request.user, User)
        for token in chosen:
            tokens.revoke(token, by=request.user)
        self.message_user(request, "Revoked. The programs that use them are refused from now on.", messages.SUCCESS)


@admin.register(Authenticator)
class SecondFactorAdmin(OwnersOwn, DeskAdmin, AuthenticatorAdmin):  # type: ignore[misc]  # allauth has no type hints
    """Removing one lets a person in who has lost their phone and their recovery codes."""

    search_fields = ("user__email",)
    list_select_related = ("user",)
    fields = ("user", "type", "created_at", "last_used_at")


@admin.register(UserSession)
class SignedInDeviceAdmin(OwnersOwn, DeskAdmin, UserSessionAdmin):  # type: ignore[misc]
    search_fields = ("user__email", "ip")
    list_select_related = ("user",)
    fields = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    ordering = ("-pk",)
    acts = (
        Act(
            name="end",
            label="Sign this device out",
            done="is signed out",
            do=admin_actions.end_session,
            permission="usersessions.delete_usersession",
            warning="Whoever uses it has to sign in again.",
        ),
    )
