"""The broker catalogue: who the brokers are, which plans they offer, and where each fact was read."""

from typing import ClassVar

from django.db import models

from comparison.terms import Confidence


class SourceKind(models.TextChoices):
    PRIMARY = "primary-stored-copy", "The publisher's own page, kept as a copy"
    SECONDARY = "secondary-transcription", "A dated transcription of the publisher's page"
    KNOWLEDGE = "knowledge", "General knowledge, not checked against a document"
    ENTERED = "entered", "Entered here, from the page named"


class ComparisonSource(models.Model):
    """One document facts were read in."""

    key = models.CharField(max_length=40, unique=True)
    title = models.CharField(max_length=300)
    url = models.URLField(max_length=500, blank=True)
    kind = models.CharField(max_length=24, choices=SourceKind.choices)
    as_of = models.CharField(max_length=80, blank=True, help_text="YYYY, YYYY-MM or YYYY-MM-DD; other text: undated.")
    note = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.title


class Sourced(models.Model):
    """A fact of the catalogue: no row without its source, its date and how far it can be trusted."""

    source = models.ForeignKey(ComparisonSource, on_delete=models.PROTECT, related_name="+")
    as_of = models.CharField(max_length=80, blank=True, help_text="YYYY, YYYY-MM or YYYY-MM-DD; other text: undated.")
    confidence = models.CharField(max_length=12, choices=Confidence.choices)

    class Meta:
        abstract = True


class Role(models.TextChoices):
    INTEGRATED = "integrated", "Can be connected to the hub"
    COMPARISON_ONLY = "comparison_only", "Comparison only"


class ComparisonBroker(models.Model):
    """A broker of the comparison. `key` is also the broker's key in the hub where it can be connected."""

    key = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=16, choices=Role.choices)
    legal_entity = models.CharField(max_length=160, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class BrokerPlan(models.Model):
    """What is compared: one price list of a broker (IBKR Lite, IBKR Pro tiered). Named broker:plan from outside."""

    broker = models.ForeignKey(ComparisonBroker, on_delete=models.CASCADE, related_name="plans")
    key = models.SlugField(max_length=40)
    name = models.CharField(max_length=80)
    eligibility = models.CharField(max_length=160, blank=True)
    passes_on = models.JSONField(
        "regulatory fees passed on", default=list, help_text="Each with its rounding, as in the catalogue file."
    )

    class Meta:
        ordering: ClassVar = ["broker__name", "name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["broker", "key"], name="one_plan_per_broker_and_key")]

    def __str__(self) -> str:
        return f"{self.broker.name}: {self.name}"

    @property
    def ref(self) -> str:
        return f"{self.broker.key}:{self.key}"


# Last, because the facts refer to brokers, plans and sources.
from comparison.catalogue_models import (  # noqa: E402
    BenchmarkValue,
    CatalogueChange,
    FactEdit,
    FeatureDefinition,
    FeeRule,
    PlanFeature,
    RegulatoryFee,
    RuleChange,
)
from comparison.quality_models import (  # noqa: E402
    ExecutionReport,
    ExecutionStat,
    PublishedFigure,
    RoutingSection,
    RoutingVenue,
)
from comparison.rating_models import (  # noqa: E402
    BrokerRating,
    ExternalRating,
    RatingEvent,
    RatingReport,
)
from comparison.simulation_models import CostSimulation, RecommendationProfile  # noqa: E402

__all__ = [
    "BenchmarkValue",
    "BrokerPlan",
    "BrokerRating",
    "CatalogueChange",
    "ComparisonBroker",
    "ComparisonSource",
    "Confidence",
    "CostSimulation",
    "ExecutionReport",
    "ExecutionStat",
    "ExternalRating",
    "FactEdit",
    "FeatureDefinition",
    "FeeRule",
    "PlanFeature",
    "PublishedFigure",
    "RatingEvent",
    "RatingReport",
    "RecommendationProfile",
    "RegulatoryFee",
    "Role",
    "RoutingSection",
    "RoutingVenue",
    "RuleChange",
    "SourceKind",
    "Sourced",
]
