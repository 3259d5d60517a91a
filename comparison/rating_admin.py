"""The moderation queue, its audit trail, and scores of others. Nobody but its author edits a rating."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.readonly import ReadOnlyAdmin
from comparison import ratings
from comparison.models import BrokerRating, ExternalRating, RatingEvent, RatingReport


class ReasonForm(ActionForm):
    reason = forms.CharField(
        required=False, max_length=300, widget=forms.TextInput(attrs={"size": 50}), label="Reason (rejecting, hiding)"
    )


class ReportedFilter(admin.SimpleListFilter):
    title, parameter_name = "reports", "reports"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Reported by readers")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(open_reports__gt=0) if self.value() else queryset


class Trail(admin.TabularInline):  # type: ignore[type-arg]  # not subscriptable at run time
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EventsInline(Trail):
    model = RatingEvent
    fields = readonly_fields = ("at", "action", "actor", "reason", "said")


class ReportsInline(Trail):
    model = RatingReport
    fields = readonly_fields = ("at", "reporter", "reason", "settled_at")


@admin.register(BrokerRating)
class BrokerRatingAdmin(ReadOnlyAdmin):
    """What waits stands first. A decision is for rules of writing, never for the opinion."""

    list_display = ("broker", "overall", "excerpt", "state", "verified", "open_reports", "user", "written_at")
    list_filter = ("state", ReportedFilter, "broker", "overall")
    search_fields = ("text", "user__email", "broker__name")
    list_select_related = ("broker", "user")
    date_hierarchy = "written_at"
    inlines: ClassVar = [ReportsInline, EventsInline]
    actions = ("approve", "reject", "hide")
    action_form = ReasonForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[BrokerRating]:
        open_reports = Count("reports", filter=Q(reports__settled_at=None), distinct=True)
        found = BrokerRating.objects.with_verified().annotate(open_reports=open_reports)
        return found.order_by("-open_reports", "-written_at")

    def has_moderate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("comparison.change_brokerrating")

    @admin.display(description="text")
    def excerpt(self, rating: BrokerRating) -> str:
        return rating.text[:80] or "(stars only)"

    @admin.display(description="customer", boolean=True)
    def verified(self, rating: Any) -> bool:
        return bool(rating.is_verified)

    @admin.display(description="reports", ordering="open_reports")
    def open_reports(self, rating: Any) -> int:
        return int(rating.open_reports)

    @admin.action(description="Publish", permissions=["moderate"])
    def approve(self, request: HttpRequest, queryset: QuerySet[BrokerRating]) -> None:
        self._each(request, queryset, lambda rating: ratings.approve(rating, actor=_actor(request)), "is published")

    @admin.action(description="Reject, with the reason given", permissions=["moderate"])
    def reject(self, request: HttpRequest, queryset: QuerySet[BrokerRating]) -> None:
        reason = request.POST.get("reason", "")
        self._each(
            request,
            queryset,
            lambda rating: ratings.reject(rating, actor=_actor(request), reason=reason),
            "is rejected",
        )

    @admin.action(description="Hide, with the reason given", permissions=["moderate"])
    def hide(self, request: HttpRequest, queryset: QuerySet[BrokerRating]) -> None:
        reason = request.POST.get("reason", "")
        self._each(
            request, queryset, lambda rating: ratings.hide(rating, actor=_actor(request), reason=reason), "is hidden"
        )

    def _each(
        self, request: HttpRequest, chosen: QuerySet[BrokerRating], decide: Callable[[BrokerRating], None], done: str
    ) -> None:
        """One that refuses does not stop the others; each is told."""
        for rating in chosen:
            try:
                decide(rating)
            except HubError as error:
                self.message_user(request, f"{rating}: {error}", messages.WARNING)
            else:
                self.message_user(request, f"{rating} {done}.", messages.SUCCESS)


def _actor(request: HttpRequest) -> Any:
    return request.user


@admin.register(RatingEvent)
class RatingEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "rating", "action", "actor", "reason")
    list_filter = ("action",)
    search_fields = ("rating__user__email", "actor__email", "reason", "rating__broker__name")
    list_select_related = ("rating__broker", "actor")
    date_hierarchy = "at"


@admin.register(RatingReport)
class RatingReportAdmin(ReadOnlyAdmin):
    list_display = ("at", "rating", "reporter", "reason", "settled_at")
    list_filter = ("settled_at",)
    search_fields = ("reason", "reporter__email", "rating__broker__name")
    list_select_related = ("rating__broker", "reporter")


@admin.register(ExternalRating)
class ExternalRatingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Entered here with its document, or imported; Django's log keeps who did."""

    list_display = ("broker", "publisher", "kind", "value", "scale_max", "count", "as_of", "confidence")
    list_filter = ("kind", "publisher", "confidence")
    search_fields = ("broker__name", "publisher", "source__title")
    list_select_related = ("broker", "source")
    autocomplete_fields = ("source", "broker")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=ExternalRatingForm, **kwargs)


class ExternalRatingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new score needs a date, and editors' scores have no count."""

    class Meta:
        model = ExternalRating
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        if not said.get("as_of"):
            self.add_error("as_of", "A score needs the date it was read on.")
        if said.get("kind") == "editorial" and said.get("count") is not None:
            self.add_error("count", "Editors' scores are no votes and have no count.")
        return said
