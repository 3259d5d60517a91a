"""The catalogue of the database as the engine reads it: built once per data version, kept in the process."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from django.db.models import Max, Q

from comparison.catalogue_models import (
    BenchmarkValue,
    CatalogueChange,
    Fact,
    FeatureDefinition,
    FeeRule,
    PlanFeature,
    RegulatoryFee,
)
from comparison.document import BenchmarkRow, FeatureRow, PlanRow, RateRow, RuleRow
from comparison.freshness import policy_changes
from comparison.models import BrokerPlan, ComparisonBroker, ComparisonSource
from comparison.price_lists import price_lists, rates_of, rule_of
from comparison.terms import Confidence, PlanTerms, Rates, Rule, SourceRef

DRAWBACKS = {"pfof_equities", "pfof_options"}


@dataclass(frozen=True, slots=True)
class Definition:
    key: str
    label: str
    group: str
    kind: str  # bool, int, decimal or enum
    words: tuple[str, ...]  # of an enum, as the catalogue orders them
    hint: str

    @property
    def is_drawback(self) -> bool:
        """Yes is the worse answer."""
        return self.key in DRAWBACKS


@dataclass(frozen=True, slots=True)
class Answer:
    """One cell of the feature matrix. `value` None: unknown, and `reason` says why."""

    value: Any
    detail: str
    source: SourceRef | None
    as_of: str
    confidence: Confidence
    reason: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    version: int
    plans: dict[str, PlanTerms]  # by broker:plan, in the order of their titles
    rates: Rates
    definitions: tuple[Definition, ...]
    answers: dict[tuple[str, str], Answer]  # by plan and feature
    brokers: dict[str, str]  # names by key
    policy: tuple[date, ...]


def version() -> int:
    """Grows with every change of a fact. 0: nothing is loaded."""
    return CatalogueChange.objects.aggregate(newest=Max("id"))["newest"] or 0


def catalogue() -> Catalogue:
    """The facts that hold now, with the rules they replaced as history."""
    newest = version()
    return _catalogue(newest) if newest else build(newest, FeeRule.objects.all())  # before the first load nothing lasts


@lru_cache(maxsize=2)
def _catalogue(data_version: int) -> Catalogue:
    return build(data_version, FeeRule.objects.all())


def catalogue_on(day: date) -> Catalogue:
    """As it held on `day`: only the rules of that day."""
    return build(version(), FeeRule.objects.on(day))


def _fact(row: Fact) -> dict[str, Any]:
    return {
        "source": row.source.key if row.source else "",
        "as_of": row.as_of,
        "confidence": Confidence(row.confidence),
        "reason": row.reason,
    }


def build(data_version: int, rules: Iterable[FeeRule]) -> Catalogue:
    sources = {row.key: SourceRef(key=row.key, title=row.title, url=row.url) for row in ComparisonSource.objects.all()}
    brokers = {b.key: {"name": b.name, "role": b.role} for b in ComparisonBroker.objects.all()}
    plans = [
        PlanRow(broker=p.broker.key, key=p.key, name=p.name, eligibility=p.eligibility, passes=p.passes_on)
        for p in BrokerPlan.objects.select_related("broker").order_by("broker__name", "id")
    ]
    answers = list(PlanFeature.objects.filter(retired_at=None).select_related("plan__broker", "feature", "source"))
    terms = price_lists(plans, _rules(rules), map(_feature, answers), brokers, sources)
    rates = rates_of(_rates(), _benchmarks(), sources)
    return Catalogue(
        version=data_version,
        plans=dict(sorted(terms.items(), key=lambda entry: entry[1].title.casefold())),
        rates=rates,
        definitions=tuple(map(_definition, FeatureDefinition.objects.all())),
        answers={(a.plan.ref, a.feature.key): _answer(a, sources) for a in answers},
        brokers={key: row["name"] for key, row in sorted(brokers.items(), key=lambda entry: entry[1]["name"])},
        policy=policy_changes(rates),
    )


def _rules(rules: Iterable[FeeRule]) -> list[RuleRow]:
    if hasattr(rules, "select_related"):
        rules = rules.select_related("broker", "plan", "source")
    return [
        RuleRow(
            broker=rule.broker.key,
            plan=rule.plan.key if rule.plan else "",
            item=rule.item,
            model=rule.model or None,
            parameters=rule.parameters,
            mode=rule.mode,
            condition=rule.condition,
            notes=rule.notes,
            effective_from=rule.valid_from,
            valid_to=rule.valid_to,
            **_fact(rule),
        )
        for rule in rules
    ]


def as_rule(rule: FeeRule) -> Rule:
    """One row as the engine reads it."""
    sources = {}
    if rule.source is not None:
        sources[rule.source.key] = SourceRef(key=rule.source.key, title=rule.source.title, url=rule.source.url)
    return rule_of(_rules([rule])[0], sources, rule.plan.name if rule.plan else "")


def _rates() -> list[RateRow]:
    return [
        RateRow(
            fee=row.key,
            label=row.label,
            parameters=row.parameters,
            effective_from=row.effective_from,
            effective_to=row.effective_to,
            notes=row.notes,
            **_fact(row),
        )
        for row in RegulatoryFee.objects.filter(retired_at=None).select_related("source")
    ]


def _benchmarks() -> list[BenchmarkRow]:
    return [
        BenchmarkRow(
            benchmark=row.benchmark, label=row.label, on=row.on, value=str(row.value), notes=row.notes, **_fact(row)
        )
        for row in BenchmarkValue.objects.filter(retired_at=None).select_related("source")
    ]


def _feature(row: PlanFeature) -> FeatureRow:
    return FeatureRow(
        broker=row.plan.broker.key, plan=row.plan.key, feature=row.feature.key, value=row.value, **_fact(row)
    )


def _definition(row: FeatureDefinition) -> Definition:
    kind, _, words = row.kind.partition(":")
    return Definition(row.key, row.label, row.group, kind, tuple(filter(None, words.split(","))), row.hint)


def _answer(row: PlanFeature, sources: dict[str, SourceRef]) -> Answer:
    source = sources[row.source.key] if row.source else None
    return Answer(row.value, row.detail, source, row.as_of, Confidence(row.confidence), row.reason)


def history(broker: str) -> list[FeeRule]:
    """Every rule of a broker that no longer holds, newest first."""
    ended = FeeRule.objects.filter(~Q(valid_to=None), broker__key=broker)
    return list(ended.select_related("broker", "plan", "source").order_by("-valid_to", "-id"))
