"""Operators look at the catalogue and propose new prices; a second person reviews them. Facts are never overwritten."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from brokerhub.kernel.acts import Act
from brokerhub.kernel.desk_admin import DeskAdmin
from brokerhub.kernel.readonly import ReadOnlyAdmin
from comparison import admin_actions, editing, quality_admin, rating_admin, stale_cells  # noqa: F401  # they register their own
from comparison.models import (
    BenchmarkValue,
    BrokerPlan,
    CatalogueChange,
    ComparisonBroker,
    ComparisonSource,
    CostSimulation,
    FactEdit,
    FeatureDefinition,
    FeeRule,
    PlanFeature,
    RecommendationProfile,
    RegulatoryFee,
    RuleChange,
)
from comparison.price_words import NotReadable


@admin.register(ComparisonSource)
class ComparisonSourceAdmin(DeskAdmin):
    list_display = ("key", "title", "kind", "as_of")
    list_filter = ("kind",)
    search_fields = ("key", "title", "url")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ComparisonBroker)
class ComparisonBrokerAdmin(ReadOnlyAdmin):
    list_display = ("key", "name", "role", "legal_entity")
    list_filter = ("role",)
    search_fields = ("key", "name", "legal_entity")


@admin.register(BrokerPlan)
class BrokerPlanAdmin(ReadOnlyAdmin):
    list_display = ("ref", "name", "broker", "eligibility")
    list_filter = ("broker",)
    search_fields = ("key", "name", "broker__name")
    list_select_related = ("broker",)


class FreshnessFilter(admin.SimpleListFilter):
    """Whose date says that it has to be read again, now or soon."""

    title, parameter_name = "freshness", "freshness"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        kinds = {k: v for k, v in stale_cells.KINDS.items() if (k == "feature") is (model_admin.model is PlanFeature)}
        return [
            (f"{kind}-{when}", f"{label}: {words}")
            for kind, label in kinds.items()
            for when, words in (("now", "stale"), ("soon", "stale within two weeks"))
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.value()
        if chosen is None:
            return queryset
        kind, _, when = chosen.rpartition("-")
        cells = (stale_cells.answers if queryset.model is PlanFeature else stale_cells.rules)(timezone.localdate())
        found = [cell.pk for cell in cells if cell.kind == kind and cell.is_stale is (when == "now")]
        return queryset.filter(pk__in=found)


@admin.register(FeeRule)
class FeeRuleAdmin(ReadOnlyAdmin):
    list_display = ("item", "broker", "plan", "model", "as_of", "confidence", "valid_from", "valid_to")
    list_filter = (FreshnessFilter, "broker", "confidence")
    search_fields = ("item", "broker__name", "plan__name", "source__title")
    list_select_related = ("broker", "plan__broker")


@admin.register(RegulatoryFee)
class RegulatoryFeeAdmin(ReadOnlyAdmin):
    list_display = ("key", "label", "effective_from", "effective_to", "as_of", "confidence", "retired_at")
    list_filter = ("key", "confidence")
    search_fields = ("key", "label")


@admin.register(BenchmarkValue)
class BenchmarkValueAdmin(ReadOnlyAdmin):
    list_display = ("benchmark", "on", "value", "as_of", "confidence", "retired_at")
    list_filter = ("benchmark",)
    search_fields = ("benchmark", "label")


@admin.register(FeatureDefinition)
class FeatureDefinitionAdmin(ReadOnlyAdmin):
    list_display = ("key", "label", "group", "kind")
    list_filter = ("group",)
    search_fields = ("key", "label")


@admin.register(PlanFeature)
class PlanFeatureAdmin(ReadOnlyAdmin):
    list_display = ("plan", "feature", "value", "as_of", "confidence", "retired_at")
    list_filter = (FreshnessFilter, "confidence", "feature__group", "plan__broker")
    search_fields = ("feature__label", "plan__name", "plan__broker__name")
    list_select_related = ("plan__broker", "feature")


@admin.register(RuleChange)
class RuleChangeAdmin(ReadOnlyAdmin):
    list_display = ("on", "title", "kind")
    search_fields = ("title", "detail")


@admin.register(CatalogueChange)
class CatalogueChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "change", "what", "origin", "by")
    list_filter = ("change", "origin")
    search_fields = ("what", "by__email")
    list_select_related = ("by",)
    date_hierarchy = "at"


@admin.register(CostSimulation)
class CostSimulationAdmin(ReadOnlyAdmin):
    """That it ran and how, not what anybody paid."""

    list_display = ("id", "user", "state", "done", "total", "created_at", "finished_at")
    list_filter = ("state",)
    search_fields = ("user__email",)
    list_select_related = ("user",)
    exclude = ("result", "inputs")


@admin.register(RecommendationProfile)
class RecommendationProfileAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "created_at")
    list_filter = ("created_at",)
    search_fields = ("user__email", "name")
    list_select_related = ("user",)
    exclude = ("result", "inputs")


class FactEditForm(forms.ModelForm):  # type: ignore[type-arg]
    """The engine must be able to compute with what is proposed; it says here what it cannot read."""

    class Meta:
        model = FactEdit
        fields = (
            *FactEdit.KINDS,
            *("model", "parameters", "value", "detail", "starts_on", "source", "as_of", "confidence", "notes"),
        )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        chosen = [values[name] for name in FactEdit.KINDS if values.get(name)]
        if len(chosen) != 1:
            raise ValidationError("Choose one fact: a price, a feature, a regulatory rate or a reference rate.")
        if not editing.holds(chosen[0]):
            raise ValidationError("This fact was replaced; choose the one that holds now.")
        said = (*FactEdit.KINDS, "model", "parameters", "value", "starts_on")
        if values.keys() >= set(said):
            try:
                editing.check(FactEdit(**{name: values[name] for name in said}))
            except NotReadable as error:
                raise ValidationError(str(error)) from error
        return values


@admin.register(FactEdit)
class FactEditAdmin(DeskAdmin):
    form = FactEditForm
    list_display = ("__str__", "source", "as_of", "state", "proposed_by", "reviewed_by", "reviewed_at")
    list_filter = ("state", "rule__broker")
    search_fields = ("rule__item", "rule__broker__name", "answer__feature__label", "rate__label", "source__title")
    list_select_related = (
        *("rule__broker", "rule__plan__broker", "answer__plan__broker", "answer__feature", "rate", "reading"),
        *("source", "proposed_by", "reviewed_by"),
    )
    autocomplete_fields = (*FactEdit.KINDS, "source")
    acts = (
        Act(
            name="approve",
            label="Approve the edit",
            done="is approved; the new value holds now",
            do=admin_actions.approve_edit,
            permission="comparison.change_factedit",
        ),
        Act(
            name="reject",
            label="Reject the edit",
            done="is rejected",
            do=admin_actions.reject_edit,
            permission="comparison.change_factedit",
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The list and its actions; a proposal itself is not altered after it was made."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.proposed_by = request.user
        super().save_model(request, obj, form, change)
