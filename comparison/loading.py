"""The catalogue file into the database: twice changes nothing, a changed fact closes its old row and keeps it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from comparison import document as documents
from comparison.catalogue_models import (
    BenchmarkValue,
    CatalogueChange,
    Change,
    FeatureDefinition,
    FeeRule,
    PlanFeature,
    RegulatoryFee,
    RuleChange,
)
from comparison.document import Cell, Document, RuleRow
from comparison.models import BrokerPlan, ComparisonBroker, ComparisonSource
from comparison.price_words import day_before, first_day

SHIPPED = Path(documents.__file__).parent / "data" / "brokers.json"
FACT = ("as_of", "confidence", "reason", "notes")


@dataclass(slots=True)
class Loaded:
    """What a load changed, by kind of row."""

    counts: Counter[str] = field(default_factory=Counter)
    changes: list[CatalogueChange] = field(default_factory=list)

    @property
    def words(self) -> str:
        if not self.changes:
            return "Nothing changed."
        return ", ".join(f"{self.counts[change]} {change.value}" for change in Change if self.counts[change]) + "."


@transaction.atomic
def load(path: Path = SHIPPED) -> Loaded:
    """Take over the catalogue at `path`. Raises CatalogueError, and changes nothing, when it has a mistake."""
    found = documents.read(path)
    loading = _Loading(found, path.name)
    loading.run()
    CatalogueChange.objects.bulk_create(loading.loaded.changes)
    return loading.loaded


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, models.Model) else value


class _Loading:
    def __init__(self, found: Document, origin: str) -> None:
        self.found, self.origin = found, origin
        self.loaded = Loaded()
        self.now = timezone.now()
        self.today = self.now.date()

    def run(self) -> None:
        self.sources = self.keyed(ComparisonSource, "key", self.source_rows())
        self.brokers = self.keyed(ComparisonBroker, "key", self.broker_rows())
        self.definitions = self.keyed(FeatureDefinition, "key", self.definition_rows())
        self.plans = self.plan_rows()
        self.rules()
        self.dated(RegulatoryFee, self.rate_rows(), ("key", "effective_from", "venue"))
        self.dated(BenchmarkValue, self.benchmark_rows(), ("benchmark", "on"))
        self.dated(PlanFeature, self.feature_rows(), ("plan_id", "feature_id"))
        for row in self.found.changes:
            values = {name: row.get(name) or "" for name in ("detail", "url", "kind")}
            RuleChange.objects.update_or_create(title=row["title"], defaults={"on": row["date"], **values})

    def note(self, change: Change, what: str, before: Any = None, after: Any = None) -> None:
        self.loaded.counts[change] += 1
        entry = CatalogueChange(origin=self.origin, change=change, what=what[:200], before=before, after=after)
        self.loaded.changes.append(entry)

    # --- Rows that are what they are: overwritten, and noted ----------------------------------------------------------
    def source_rows(self) -> Iterable[dict[str, Any]]:
        for row in self.found.sources:
            yield {name: row.get(name) or "" for name in ("key", "title", "url", "kind", "as_of", "note")}

    def broker_rows(self) -> Iterable[dict[str, Any]]:
        for row in self.found.brokers:
            yield {"key": row["id"], "name": row["name"], "role": row["role"], "legal_entity": row["legal_entity"]}

    def definition_rows(self) -> Iterable[dict[str, Any]]:
        for place, row in enumerate(self.found.definitions):
            same = {name: row.get(name) or "" for name in ("key", "label", "group", "hint")}
            yield {**same, "kind": row["type"], "position": place}

    def keyed(self, model: type[Any], key: str, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
        known = {getattr(row, key): row for row in model.objects.all()}
        for values in rows:
            known[values[key]] = self.overwrite(model, known.get(values[key]), values, values[key])
        return known

    def plan_rows(self) -> dict[tuple[str, str], BrokerPlan]:
        known = {(plan.broker.key, plan.key): plan for plan in BrokerPlan.objects.select_related("broker")}
        for row in self.found.plans:
            values = {
                "broker": self.brokers[row.broker],
                "key": row.key,
                "name": row.name,
                "eligibility": row.eligibility,
                "passes_on": row.passes,
            }
            name = f"{row.broker}:{row.key}"
            known[row.broker, row.key] = self.overwrite(BrokerPlan, known.get((row.broker, row.key)), values, name)
        return known

    def overwrite(self, model: type[Any], row: Any, values: dict[str, Any], name: str) -> Any:
        what = f"{model._meta.verbose_name} {name}"
        if row is None:
            row = model.objects.create(**values)
            self.note(Change.ADDED, what)
            return row
        before = {field: _plain(getattr(row, field)) for field in values if getattr(row, field) != values[field]}
        if before:
            for field_name in before:
                setattr(row, field_name, values[field_name])
            row.save(update_fields=list(before))
            self.note(Change.CHANGED, what, before, {name: _plain(values[name]) for name in before})
        return row

    # --- Facts: closed and followed by a new row ----------------------------------------------------------------------
    def fact(self, cell: Cell) -> dict[str, Any]:
        values = {name: getattr(cell, name, "") for name in FACT}
        return values | {"source": self.sources[cell.source] if cell.source else None}

    def rules(self) -> None:
        current = {
            (rule.broker_id, rule.plan_id, rule.item, rule.mode, rule.condition): rule
            for rule in FeeRule.objects.current().select_related("source", "broker", "plan__broker", "from_edit")
        }
        new = []
        for row in self.found.rules:
            plan = self.plans[row.broker, row.plan] if row.plan else None
            broker = self.brokers[row.broker]
            values = self.fact(row) | {"model": row.model or "", "parameters": row.parameters}
            key = (broker.pk, plan.pk if plan else None, row.item, row.mode, row.condition)
            old = current.pop(key, None)
            name = f"{plan.ref if plan else broker.key} {row.item} {row.mode}".strip()
            if old is not None and (not self.differs(old, values) or self.is_newer_by_edit(old, row.as_of)):
                continue
            starts = row.effective_from
            if old is None:
                self.note(Change.ADDED, name)
            else:
                starts = self.close(old, row)
                self.note(Change.CHANGED, name, self.said(old), self.said(FeeRule(**values)))
            same = {"broker": broker, "plan": plan, "item": row.item, "mode": row.mode, "condition": row.condition}
            new.append(FeeRule(**same, **values, valid_from=starts))
        for rule in current.values():
            rule.valid_to = self.today
            rule.save(update_fields=["valid_to"])
            self.note(Change.CLOSED, str(rule), self.said(rule))
        FeeRule.objects.bulk_create(new)

    def is_newer_by_edit(self, old: Any, as_of: str) -> bool:
        """A reviewed edit stands until a file knows something read after it."""
        read_on = first_day(as_of)
        return old.from_edit is not None and (read_on is None or read_on <= old.from_edit.as_of)

    def close(self, old: FeeRule, row: RuleRow) -> date:
        """End `old` on the day before its successor starts; gives that start. Never before `old` itself began."""
        starts = row.effective_from or first_day(row.as_of) or self.today
        is_early = old.valid_from is not None and starts <= old.valid_from
        if is_early or (row.effective_from is None and starts > self.today):
            starts = self.today
        old.valid_to = day_before(starts)
        old.save(update_fields=["valid_to"])
        return starts

    def differs(self, row: Any, values: Mapping[str, Any]) -> bool:
        return any(getattr(row, name) != value for name, value in values.items())

    def said(self, row: Any) -> dict[str, Any]:
        names = ("model", "parameters", "value", "detail", "effective_to", *FACT)
        found = {name: _plain(getattr(row, name)) for name in names if hasattr(row, name)}
        found["source"] = row.source.key if row.source else None
        return {name: str(value) if name == "value" and value is not None else value for name, value in found.items()}

    def rate_rows(self) -> Iterable[dict[str, Any]]:
        for row in self.found.rates:
            same = {name: getattr(row, name) for name in ("label", "parameters", "effective_from", "effective_to")}
            yield self.fact(row) | same | {"key": row.fee}

    def benchmark_rows(self) -> Iterable[dict[str, Any]]:
        for row in self.found.benchmarks:
            from_row = {name: asdict(row)[name] for name in ("benchmark", "label", "on")}
            yield self.fact(row) | from_row | {"value": BenchmarkValue._meta.get_field("value").to_python(row.value)}

    def feature_rows(self) -> Iterable[dict[str, Any]]:
        for row in self.found.features:
            plan, feature = self.plans[row.broker, row.plan], self.definitions[row.feature]
            values = {"plan_id": plan.pk, "feature_id": feature.pk, "value": row.value, "detail": row.detail}
            yield self.fact(row) | values

    def dated(self, model: type[Any], rows: Iterable[dict[str, Any]], key: tuple[str, ...]) -> None:
        def identity(values: Mapping[str, Any]) -> tuple[Any, ...]:
            parameters = values.get("parameters") or {}
            return tuple(values.get(name, parameters.get(name)) for name in key)

        current = {
            identity({field.attname: getattr(row, field.attname) for field in model._meta.concrete_fields}): row
            for row in model.objects.filter(retired_at=None).select_related("source", "from_edit")
        }
        new, retired = [], []
        for values in rows:
            old = current.pop(identity(values), None)
            if old is not None and (not self.differs(old, values) or self.is_newer_by_edit(old, values["as_of"])):
                continue
            made = model(**values)
            new.append(made)
            if old is None:
                self.note(Change.ADDED, f"{model._meta.verbose_name} {' '.join(map(str, identity(values)))}")
            else:
                retired.append(old.pk)
                self.note(Change.CHANGED, str(old), self.said(old), self.said(made))
        for old in current.values():
            if old.from_edit is not None:
                continue  # a rate or reading the file does not know yet
            retired.append(old.pk)
            self.note(Change.CLOSED, str(old), self.said(old))
        model.objects.filter(pk__in=retired).update(retired_at=self.now)
        model.objects.bulk_create(new)
