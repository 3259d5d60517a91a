"""Operators look at the catalogue: brokers, plans and the documents its facts were read in."""

from django.contrib import admin

from brokerhub.kernel.readonly import ReadOnlyAdmin
from comparison.models import BrokerPlan, ComparisonBroker, ComparisonSource


@admin.register(ComparisonSource)
class ComparisonSourceAdmin(ReadOnlyAdmin):
    list_display = ("key", "title", "kind", "as_of")
    list_filter = ("kind",)
    search_fields = ("key", "title", "url")


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
