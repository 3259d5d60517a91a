"""The facts of the catalogue. A fact is never overwritten: it is closed, and its successor gets a row of its own."""

from datetime import date
from functools import reduce
from operator import or_
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from comparison.models import BrokerPlan, ComparisonBroker, ComparisonSource
from comparison.terms import Confidence


class Fact(models.Model):
    """A value with its source, its date and how far it can be trusted; or unknown, with the reason."""

    source = models.ForeignKey(ComparisonSource, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    as_of = models.CharField(
        "as of", max_length=80, blank=True, help_text="YYYY, YYYY-MM or YYYY-MM-DD; other text counts as undated."
    )
    confidence = models.CharField(max_length=12, choices=Confidence.choices)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it is not known.")
    notes = models.TextField(blank=True)

    class Meta:
        abstract = True


def known_or_explained(name: str) -> models.CheckConstraint:
    """No value without its source and date, no gap without its reason."""
    known = ~Q(confidence=Confidence.UNKNOWN) & ~Q(source=None) & ~Q(as_of="")
    return models.CheckConstraint(condition=known | Q(confidence=Confidence.UNKNOWN) & ~Q(reason=""), name=name)


class FeeRuleQuerySet(models.QuerySet["FeeRule"]):
    def current(self) -> Self:
        return self.filter(valid_to=None)

    def on(self, day: date) -> Self:
        """What held on `day`; a rule without a first day has held for as long as we know."""
        return self.filter(Q(valid_from=None) | Q(valid_from__lte=day), Q(valid_to=None) | Q(valid_to__gte=day))


class FeeRule(Fact):
    """One line of a broker's price list, for one plan or, without one, for every plan that has none of its own."""

    broker = models.ForeignKey(ComparisonBroker, on_delete=models.CASCADE, related_name="rules")
    plan = models.ForeignKey(BrokerPlan, null=True, blank=True, on_delete=models.CASCADE, related_name="rules")
    item = models.CharField(max_length=60)
    model = models.CharField(max_length=40, blank=True, help_text="Empty: not known or not offered; see the reason.")
    parameters = models.JSONField(default=dict, blank=True)
    mode = models.CharField(max_length=20, blank=True)
    condition = models.CharField(max_length=160, blank=True)
    valid_from = models.DateField(null=True, blank=True, help_text="Empty: since before we knew.")
    valid_to = models.DateField(null=True, blank=True, help_text="The last day; empty: holds now.")
    added_at = models.DateTimeField(auto_now_add=True)
    from_edit = models.OneToOneField(
        "FactEdit", null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="made"
    )

    objects = FeeRuleQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["broker", "plan", "item", "mode", "condition"],
                condition=Q(valid_to=None),
                nulls_distinct=False,
                name="one_current_rule_per_item",
            ),
            known_or_explained("fee_rule_known_or_explained"),
        ]

    def __str__(self) -> str:
        return f"{self.plan or self.broker}: {self.item}"


class Dated(Fact):
    """A fact that a correction retires; what it was stays."""

    retired_at = models.DateTimeField(null=True, blank=True)
    from_edit = models.ForeignKey(
        "FactEdit", null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        abstract = True


class RegulatoryFee(Dated):
    """A fee by law or by a clearing house, the days it holds included at both ends."""

    key = models.CharField(max_length=40)
    label = models.CharField(max_length=120)
    parameters = models.JSONField(default=dict)
    effective_from = models.DateField(null=True, blank=True)
    effective_to = models.DateField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [known_or_explained("regulatory_fee_known_or_explained")]

    def __str__(self) -> str:
        return f"{self.label} from {self.effective_from or 'the beginning'}"


class BenchmarkValue(Dated):
    """One reading of a reference rate, in percent a year."""

    benchmark = models.CharField(max_length=40)
    label = models.CharField(max_length=120)
    on = models.CharField(max_length=10, help_text="YYYY, YYYY-MM or YYYY-MM-DD")
    value = models.DecimalField(max_digits=9, decimal_places=4)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [known_or_explained("benchmark_known_or_explained")]

    def __str__(self) -> str:
        return f"{self.label} {self.on}: {self.value}%"


class FeatureDefinition(models.Model):
    """A question asked of every plan. `kind`: bool, int, decimal, or enum with its words, worst first."""

    key = models.SlugField(max_length=40, unique=True)
    label = models.CharField(max_length=120)
    group = models.CharField(max_length=20)
    kind = models.CharField(max_length=80)
    hint = models.CharField(max_length=200, blank=True)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering: ClassVar = ["position"]

    def __str__(self) -> str:
        return self.label


class PlanFeature(Dated):
    """The answer for one plan. `value` null is unknown, which is not no."""

    plan = models.ForeignKey(BrokerPlan, on_delete=models.CASCADE, related_name="features")
    feature = models.ForeignKey(FeatureDefinition, on_delete=models.CASCADE, related_name="answers")
    value = models.JSONField(null=True, blank=True)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["plan", "feature"], condition=Q(retired_at=None), name="one_answer_per_plan_and_feature"
            ),
            known_or_explained("plan_feature_known_or_explained"),
        ]

    def __str__(self) -> str:
        return f"{self.plan}, {self.feature}: {self.value}"


class RuleChange(models.Model):
    """A change of the law or of a price worth a footnote."""

    on = models.DateField()
    title = models.CharField(max_length=200, unique=True)
    detail = models.TextField()
    url = models.URLField(max_length=500, blank=True)
    kind = models.CharField(max_length=24)

    class Meta:
        ordering: ClassVar = ["-on"]

    def __str__(self) -> str:
        return f"{self.on} {self.title}"


class Change(models.TextChoices):
    ADDED = "added", "Added"
    CHANGED = "changed", "Changed"
    CLOSED = "closed", "Closed"


class CatalogueChange(models.Model):
    """The audit trail: what became of a fact, by whom, from which file or edit. The newest id is the data version."""

    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    origin = models.CharField(max_length=80, help_text="The file, or the edit.")
    change = models.CharField(max_length=8, choices=Change.choices)
    what = models.CharField(max_length=200)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_change_display()} {self.what}"


class EditState(models.TextChoices):
    PENDING = "pending", "Waits for review"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


def one_of(*names: str) -> models.CheckConstraint:
    each = [Q(**{f"{name}__isnull": name != wanted for name in names}) for wanted in names]
    return models.CheckConstraint(condition=reduce(or_, each), name=f"edit_of_one_{'_'.join(names)}")


class FactEdit(models.Model):
    """A new value of one fact, proposed with its source and date by one person and reviewed by another.

    The fact is one of four: a broker's price (`model`, `parameters`), a plan's feature (`value`, `detail`), a
    regulatory rate (`parameters`), or a reference rate, of which a new reading follows the newest one (`value`).
    """

    KINDS: ClassVar = ("rule", "answer", "rate", "reading")

    rule = models.ForeignKey(
        FeeRule, null=True, blank=True, on_delete=models.CASCADE, related_name="edits", verbose_name="price"
    )
    answer = models.ForeignKey(
        PlanFeature, null=True, blank=True, on_delete=models.CASCADE, related_name="edits", verbose_name="feature"
    )
    rate = models.ForeignKey(
        RegulatoryFee,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="edits",
        verbose_name="regulatory rate",
    )
    reading = models.ForeignKey(
        BenchmarkValue,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="edits",
        verbose_name="reference rate",
        help_text="Its newest reading; yours will be one more.",
    )
    model = models.CharField(max_length=40, blank=True, help_text="Of a price only.")
    parameters = models.JSONField(default=dict, blank=True, help_text="Of a price or a regulatory rate.")
    value = models.JSONField(
        null=True,
        blank=True,
        help_text='Of a feature: true, false, "limited", 12. Of a reference rate, in percent a year: "3.63".',
    )
    detail = models.CharField(max_length=300, blank=True, help_text="Of a feature: a few words more.")
    starts_on = models.DateField(null=True, blank=True, help_text="The first day of the new value; no feature has one.")
    source = models.ForeignKey(ComparisonSource, on_delete=models.PROTECT, related_name="+")
    as_of = models.DateField("as of", help_text="The day on which the source was read.")
    confidence = models.CharField(
        max_length=12, choices=[choice for choice in Confidence.choices if choice[0] != Confidence.UNKNOWN]
    )
    notes = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=EditState.choices, default=EditState.PENDING)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    proposed_at = models.DateTimeField(auto_now_add=True)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    reviewed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [one_of("rule", "answer", "rate", "reading")]

    def __str__(self) -> str:
        return f"{self.fact}, from {self.starts_on}" if self.starts_on else str(self.fact)

    @property
    def fact(self) -> "FeeRule | PlanFeature | RegulatoryFee | BenchmarkValue":
        """What is to be changed."""
        found = self.rule or self.answer or self.rate or self.reading
        assert found is not None
        return found
