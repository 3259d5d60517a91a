"""Pages of other packages' models in our ways: nothing is counted to its end, and the log is there to be searched."""

from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from brokerhub.kernel.acts import Act
from brokerhub.kernel.desk_admin import DeskAdmin
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import KeyedRequest, OperatorAct, User
from brokerhub.kernel.readonly import ReadOnlyAdmin
from brokerhub.models import AccountDeletion, DeletionReceipt

admin.site.unregister([EmailAddress, Group])


@admin.register(Group)
class OperatorsAdmin(DeskAdmin, GroupAdmin):
    """Groups of rights, for operators who may not do everything."""

    list_display = ("name",)


def _verify(address: Any, *, actor: User) -> None:  # as all acts are called
    """Raises NotAllowed where it cannot be, as when somebody else has verified it."""
    if address.verified or not address.set_verified():
        raise NotAllowed("It is verified already, here or with another account.")


@admin.register(EmailAddress)
class AddressAdmin(DeskAdmin, EmailAddressAdmin):  # type: ignore[misc]  # allauth has no type hints
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    ordering = ("-pk",)
    actions = ()  # theirs leaves no line in the log
    acts = (
        Act(
            name="verify",
            label="Mark as verified",
            done="counts as verified",
            do=_verify,
            permission="account.change_emailaddress",
            warning="Only for an address known to be its owner's: whoever reads its mail can take over the account.",
        ),
    )

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("email",)


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who did what in the admin, and why. Nobody writes or deletes here."""

    list_display = ("action_time", "user", "action_flag", "content_type", "object_repr", "get_change_message", "why")
    list_filter = ("action_flag", "action_time")
    search_fields = ("=act__request_id", "user__email", "object_repr")
    search_help_text = "A request id, who did it, or to what"
    list_select_related = ("user", "content_type", "act")
    fields = readonly_fields = (
        *("action_time", "user", "content_type", "object_id", "object_repr"),
        *("get_change_message", "why", "request_id"),
    )
    ordering = ("-pk",)

    @admin.display(description="why")
    def why(self, entry: LogEntry) -> str:
        return entry.act.why if hasattr(entry, "act") else ""

    @admin.display(description="request id")
    def request_id(self, entry: LogEntry) -> str:
        return entry.act.request_id if hasattr(entry, "act") else ""


@admin.register(KeyedRequest)
class KeyedRequestAdmin(ReadOnlyAdmin):
    """What programs sent with an `Idempotency-Key` in the last day, without their answers."""

    list_display = ("name", "user", "begun_at", "status", "location")
    list_filter = ("status",)
    search_fields = ("=name", "user__email")
    list_select_related = ("user",)


@admin.register(OperatorAct)
class OperatorActAdmin(ReadOnlyAdmin):
    """The same acts by request id; what was done to which row is in the log entry."""

    list_display = ("at", "actor", "did", "why", "request_id")
    search_fields = ("=request_id", "entry__user__email")
    list_select_related = ("entry__user",)
    fields = readonly_fields = ("entry", "why", "request_id")
    ordering = ("-pk",)

    @admin.display(description="when")
    def at(self, act: OperatorAct) -> Any:
        return act.entry.action_time

    @admin.display(description="who")
    def actor(self, act: OperatorAct) -> str:
        return str(act.entry.user)

    @admin.display(description="what")
    def did(self, act: OperatorAct) -> str:
        return f"{act.entry.object_repr}: {act.entry.get_change_message()}"


@admin.register(AccountDeletion)
class AccountDeletionAdmin(ReadOnlyAdmin):
    """Accounts that are being deleted. One that stays here is one whose deletion fails: the log says why."""

    list_display = ("user", "requested_at", "held_until")
    list_filter = ("requested_at",)
    search_fields = ("user__email",)
    list_select_related = ("user",)
    ordering = ("requested_at",)


@admin.register(DeletionReceipt)
class DeletionReceiptAdmin(ReadOnlyAdmin):
    """Receipts whose mail has not left yet; for whom and what they say is sealed."""

    list_display = ("made_at", "attempts", "next_at")
    list_filter = ("next_at",)
    ordering = ("made_at",)
