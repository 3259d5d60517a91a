"""The moderation queue, its audit trail, and scores of others. Nobody but its author edits a rating."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from brokerhub.kernel.acts import Act, ActForm
from brokerhub.kernel.desk_admin import DeskAdmin
from brokerhub.kernel.models import User
from brokerhub.kernel.readonly import ReadOnlyAdmin
from comparison import ratings
from comparison.models import BrokerRating, ExternalRating, RatingEvent, RatingReport


class ReasonForm(ActForm):
    """Said to the author too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["why"].help_text = "Its author is told this, and it stays in the trail of the rating."


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


MODERATE = "comparison.change_brokerrating"


def _reject(rating: BrokerRating, *, actor: User, why: str) -> None:
    ratings.reject(rating, actor=actor, reason=why)


def _hide(rating: BrokerRating, *, actor: User, why: str) -> None:
    ratings.hide(rating, actor=actor, reason=why)


@admin.register(BrokerRating)
class BrokerRatingAdmin(ReadOnlyAdmin):
    """What waits stands first. A decision is for rules of writing, never for the opinion."""

    list_display = ("broker", "overall", "excerpt", "state", "verified", "open_reports", "user", "written_at")
    list_filter = ("state", ReportedFilter, "broker", "overall")
    search_fields = ("text", "user__email", "broker__name")
    list_select_related = ("broker", "user")
    date_hierarchy = "written_at"
    inlines: ClassVar = [ReportsInline, EventsInline]
    acts = (
        Act(name="approve", label="Publish", done="is published", do=ratings.approve, permission=MODERATE),
        Act(
            name="reject",
            label="Reject, with a reason",
            done="is rejected",
            do=_reject,
            permission=MODERATE,
            form=ReasonForm,
            tells_why=True,
        ),
        Act(
            name="hide",
            label="Hide, with a reason",
            done="is hidden",
            do=_hide,
            permission=MODERATE,
            form=ReasonForm,
            tells_why=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[BrokerRating]:
        open_reports = Count("reports", filter=Q(reports__settled_at=None), distinct=True)
        found = BrokerRating.objects.with_verified().annotate(open_reports=open_reports)
        return found.order_by("-open_reports", "-written_at")

    @admin.display(description="text")
    def excerpt(self, rating: BrokerRating) -> str:
        return rating.text[:80] or "(stars only)"

    @admin.display(description="customer", boolean=True)
    def verified(self, rating: Any) -> bool:
        return bool(rating.is_verified)

    @admin.display(description="reports", ordering="open_reports")
    def open_reports(self, rating: Any) -> int:
        return int(rating.open_reports)


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
class ExternalRatingAdmin(DeskAdmin):
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
