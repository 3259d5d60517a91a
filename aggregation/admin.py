"""The books for operators: to look at and to search, never to write; only the ledger writes them."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from aggregation.models import (
    AppliedAction,
    Balance,
    BalancePoint,
    Break,
    CorporateAction,
    Correction,
    Delivery,
    Instrument,
    InstrumentChoice,
    LotPick,
    Position,
    PossibleDuplicate,
    Reconciliation,
    ReferenceRate,
    RunningTotal,
    Transaction,
    TransferLink,
    UserEdit,
)
from brokerhub.kernel.readonly import ReadOnlyAdmin
from connections.models import Account


@admin.register(Instrument)
class InstrumentAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "name", "asset_class", "currency", "cusip", "isin", "conid", "multiplier")
    list_filter = ("asset_class", "currency")
    search_fields = ("symbol", "name", "=cusip", "=isin", "key")


@admin.register(ReferenceRate)
class ReferenceRateAdmin(ReadOnlyAdmin):
    list_display = ("on", "currency", "per_euro", "publisher", "read_at")
    list_filter = ("currency", "publisher")
    date_hierarchy = "on"


@admin.register(RunningTotal)
class RunningTotalAdmin(ReadOnlyAdmin):
    list_display = ("account", "instrument", "currency", "rows", "amount")
    list_filter = ("currency", "account__connection__broker")
    search_fields = ("=account__connection__user__email", "=instrument__symbol")
    list_select_related = ("account", "instrument")


@admin.register(InstrumentChoice)
class InstrumentChoiceAdmin(ReadOnlyAdmin):
    list_display = ("decided_at", "user", "instrument", "other", "account", "is_same")
    list_filter = ("is_same",)
    search_fields = ("=user__email", "=instrument__symbol")
    list_select_related = ("user", "instrument", "other", "account")


class OfAccountAdmin(ReadOnlyAdmin):
    """Rows of an account: the owner, the broker and the account in one query with them."""

    list_select_related: ClassVar[tuple[str, ...]] = ("account__connection__user",)

    @admin.display(description="user", ordering="account__connection__user__email")
    def user(self, row: Transaction | Position | Balance | BalancePoint) -> str:
        return row.account.connection.user.email

    @admin.display(description="broker", ordering="account__connection__broker")
    def broker(self, row: Transaction | Position | Balance | BalancePoint) -> str:
        return row.account.connection.get_broker_display()


@admin.register(Transaction)
class TransactionAdmin(OfAccountAdmin):
    list_display = (
        "traded_on",
        "kind",
        "instrument",
        "quantity",
        "net_amount",
        "currency",
        "status",
        "source",
        "account",
        "broker",
        "user",
    )
    list_filter = ("status", "kind", "source", "account__connection__broker", "traded_on")
    list_select_related: ClassVar[tuple[str, ...]] = ("instrument", "account__connection__user")
    search_fields = ("=external_id", "=instrument__symbol", "=account__connection__user__email")
    search_help_text = "The broker's id of it, a symbol, or the owner's e-mail address, whole"
    exclude = ("content_key", "fingerprint", "raw")
    ordering = ("-pk",)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """First whose accounts and which instruments, then their rows by index: one question over all of it would join
        a million rows to look into each."""
        word = search_term.strip()
        if not word:
            return queryset, False
        accounts = list(Account.objects.filter(connection__user__email__iexact=word).values_list("pk", flat=True))
        instruments = list(Instrument.objects.filter(symbol__iexact=word).values_list("pk", flat=True))
        named = Q(external_id=word)
        if accounts:
            named |= Q(account__in=accounts)
        if instruments:
            named |= Q(instrument__in=instruments)
        return queryset.filter(named), False


@admin.register(Position)
class PositionAdmin(OfAccountAdmin):
    list_display = (
        "instrument",
        "quantity",
        "average_cost",
        "market_value",
        "currency",
        "as_of",
        "closed_at",
        "account",
        "broker",
        "user",
    )
    list_filter = ("instrument__asset_class", ("closed_at", admin.EmptyFieldListFilter), "currency")
    list_select_related: ClassVar[tuple[str, ...]] = ("instrument", "account__connection__user")
    search_fields = ("=instrument__symbol", "instrument__name", "=account__connection__user__email")
    exclude = ("raw",)


@admin.register(Balance)
class BalanceAdmin(OfAccountAdmin):
    list_display = ("account", "currency", "cash", "market_value", "net_asset_value", "as_of", "broker", "user")
    list_filter = ("currency", "account__connection__broker")
    search_fields = ("account__name", "=account__connection__user__email")
    exclude = ("raw",)


@admin.register(BalancePoint)
class BalancePointAdmin(OfAccountAdmin):
    list_display = ("account", "on", "net_asset_value", "cash", "currency", "basis", "as_of", "broker", "user")
    list_filter = ("basis", "account__connection__broker", "on")
    search_fields = ("account__name", "=account__connection__user__email")
    ordering = ("-pk",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "account", "source", "rows", "first_on", "last_on", "undone_at")
    list_filter = ("source", ("undone_at", admin.EmptyFieldListFilter))
    search_fields = ("=account__connection__user__email",)
    list_select_related = ("account",)


@admin.register(UserEdit)
class UserEditAdmin(ReadOnlyAdmin):
    list_display = ("edited_at", "transaction", "is_excluded", "account", "edited_by")
    list_filter = ("is_excluded",)
    search_fields = ("=account__connection__user__email",)
    list_select_related = ("account", "transaction", "edited_by")


@admin.register(PossibleDuplicate)
class PossibleDuplicateAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "account", "first", "second", "decision", "decided_by", "decided_at")
    list_filter = ("decision",)
    search_fields = ("=account__connection__user__email",)
    list_select_related = ("account", "first", "second", "decided_by")


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ("account", "compared_at", "reported_at", "items", "due_at", "parked")
    list_filter = (("due_at", admin.EmptyFieldListFilter), "account__connection__broker")
    search_fields = ("=account__connection__user__email",)
    list_select_related = ("account",)


@admin.register(Break)
class BreakAdmin(ReadOnlyAdmin):
    list_display = ("account", "instrument", "currency", "reported", "derived", "cause", "state", "found_at")
    list_filter = ("state", "cause", "came_back", "account__connection__broker")
    search_fields = ("=account__connection__user__email", "=instrument__symbol")
    list_select_related = ("account", "instrument")


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    list_display = ("done_at", "account", "cause", "label", "about", "done_by", "undone_at")
    list_filter = ("cause", "action", ("undone_at", admin.EmptyFieldListFilter))
    search_fields = ("=account__connection__user__email",)
    list_select_related = ("account", "done_by")


@admin.register(TransferLink)
class TransferLinkAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "outgoing", "incoming", "state", "decided_by")
    list_filter = ("state",)
    search_fields = ("=outgoing__account__connection__user__email",)
    list_select_related = ("outgoing", "incoming", "decided_by")


@admin.register(CorporateAction)
class CorporateActionAdmin(ReadOnlyAdmin):
    list_display = ("on", "kind", "instrument", "received", "user", "entered_at", "undone_at")
    list_filter = ("kind", ("undone_at", admin.EmptyFieldListFilter))
    search_fields = ("=instrument__symbol", "=received__symbol", "=user__email")
    list_select_related = ("instrument", "received", "user")


@admin.register(AppliedAction)
class AppliedActionAdmin(ReadOnlyAdmin):
    list_display = ("action", "account", "booked")
    list_filter = ("action__kind",)
    search_fields = ("=action__instrument__symbol", "=account__connection__user__email")
    list_select_related = ("action__instrument", "account")


@admin.register(LotPick)
class LotPickAdmin(ReadOnlyAdmin):
    list_display = ("picked_at", "account", "sale", "lot", "quantity")
    search_fields = ("=account__connection__user__email",)
    list_select_related = ("account", "sale", "lot")


from aggregation.history import admin as _history_admin  # noqa: E402, F401
