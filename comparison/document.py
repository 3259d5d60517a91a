"""The catalogue file: read, checked against its vocabularies, and taken apart into rows. Pure: no database.

Every mistake is said with the place in the file: brokers[3].fees_common[2].rate. Nothing is taken over from a file with
a mistake in it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from comparison import price_words
from comparison.price_words import NotReadable
from comparison.terms import Confidence, Rounding

PRIMARY, SECONDARY, KNOWLEDGE = "primary-stored-copy", "secondary-transcription", "knowledge"
BROKER = ("id", "name", "role", "legal_entity")
KINDS = {PRIMARY, SECONDARY, KNOWLEDGE}
# Keys of a rule that are columns; every other one is a parameter of its model.
COLUMNS = {"item", "model", "mode", "condition", "source", "as_of", "confidence", "null_reason", "notes", "currency"}


class CatalogueError(ValueError):
    """What is wrong with a catalogue file, one sentence each."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(f"{path.name}: {mistake}" for mistake in mistakes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A fact with its source. `source` "" and a reason: unknown."""

    source: str
    as_of: str
    confidence: Confidence
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow(Cell):
    broker: str
    plan: str  # "" = every plan of the broker
    item: str
    model: str | None
    parameters: dict[str, Any] = field(default_factory=dict)
    mode: str = ""
    condition: str = ""
    notes: str = ""
    effective_from: date | None = None
    valid_to: date | None = None  # the last day of a rule that was replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow(Cell):
    fee: str
    label: str
    parameters: dict[str, Any]
    effective_from: date | None
    effective_to: date | None
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRow(Cell):
    benchmark: str
    label: str
    on: str  # as the catalogue writes it; may be a year only
    value: str
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow(Cell):
    broker: str
    plan: str
    feature: str
    value: bool | int | str | None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    broker: str
    key: str
    name: str
    eligibility: str
    passes: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    generated: date
    sources: list[dict[str, str]]
    brokers: list[dict[str, str]]
    plans: list[PlanRow]
    rules: list[RuleRow]
    rates: list[RateRow]
    benchmarks: list[BenchmarkRow]
    definitions: list[dict[str, str]]
    features: list[FeatureRow]
    changes: list[dict[str, str]]


def fits(kind: str, value: object) -> bool:
    """Whether `value` answers a feature of this kind: bool, int, decimal as a string, or enum: with its words."""
    name, _, words = kind.partition(":")
    return {
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "decimal": isinstance(value, str),
        "enum": value in words.split(","),
    }.get(name, False)


def _no_float(text: str) -> Any:
    raise NotReadable(f"{text} is a float: write money and rates as strings")


def read(path: Path) -> Document:
    """Raises CatalogueError with every mistake, naming file and place."""
    try:
        content = json.loads(path.read_text(), parse_float=_no_float)
    except (OSError, ValueError) as error:
        raise CatalogueError(path, [str(error)]) from error
    if not isinstance(content, dict):
        raise CatalogueError(path, ["the file must hold one object"])
    reader = _Reader(content)
    document = reader.document()
    if reader.mistakes or document is None:
        raise CatalogueError(path, reader.mistakes)
    return document


class _Reader:
    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.mistakes: list[str] = []
        self.sources: dict[str, dict[str, Any]] = content.get("sources") or {}
        self.vocabulary = {row["key"]: row for row in content.get("feature_vocabulary", [])}

    def wrong(self, place: str, what: object) -> None:
        self.mistakes.append(f"{place}: {what}")

    def document(self) -> Document | None:
        missing = [
            name
            for name in ("generated", "sources", "brokers", "regulatory_fees", "benchmarks", "feature_vocabulary")
            if name not in self.content
        ]
        for name in missing:
            self.wrong(name, "is missing")
        if missing:
            return None
        for key, source in self.sources.items():
            if source.get("kind") not in KINDS:
                self.wrong(f"sources.{key}.kind", f"{source.get('kind')!r} is not one of {', '.join(sorted(KINDS))}")
        content = self.content
        return Document(
            generated=date.fromisoformat(content["generated"]),
            sources=[{"key": key, **source} for key, source in self.sources.items()],
            brokers=[
                {name: b.get(name) or "" for name in ("id", "name", "role", "legal_entity")} for b in self.brokers
            ],
            plans=list(self.plans()),
            rules=list(self.rules()),
            rates=list(self.rates()),
            benchmarks=list(self.benchmarks()),
            definitions=content["feature_vocabulary"],
            features=list(self.features()),
            changes=content.get("rule_changes", []),
        )

    @property
    def brokers(self) -> list[dict[str, Any]]:
        return list(self.content["brokers"])

    def cell(self, place: str, row: Mapping[str, Any], key: str | None) -> dict[str, Any]:
        """Source, date and confidence of a fact; a fact that is known needs all three."""
        said = row.get("confidence")
        if said is None and (row.get("null_reason") or "value" not in row):
            reason = row.get("null_reason") or ""
            if not reason:
                self.wrong(place, "is unknown without a reason (null_reason)")
            return {"source": "", "as_of": "", "confidence": Confidence.UNKNOWN, "reason": reason}
        if key not in self.sources:
            self.wrong(f"{place}.source", f"{key!r} is not in the list of sources" if key else "is missing")
            return {"source": "", "as_of": "", "confidence": Confidence.UNKNOWN}
        if said not in ("verified-in-source", "from-knowledge"):
            self.wrong(f"{place}.confidence", f"{said!r} is neither verified-in-source nor from-knowledge")
        if not row.get("as_of"):
            self.wrong(f"{place}.as_of", "is missing")
        if said == "from-knowledge" or self.sources[key]["kind"] == KNOWLEDGE:
            confidence = Confidence.NOT_VERIFIED
        else:
            is_primary = self.sources[key]["kind"] == PRIMARY
            confidence = Confidence.CHECKED if is_primary else Confidence.REPORTED
        return {"source": key, "as_of": str(row.get("as_of") or ""), "confidence": confidence}

    def plans(self) -> Iterator[PlanRow]:
        seen = set()
        for place, broker in enumerate(self.brokers):
            for number, plan in enumerate(broker["plans"]):
                at = f"brokers[{place}].plans[{number}]"
                if (broker["id"], plan["id"]) in seen:
                    self.wrong(at, f"{broker['id']}:{plan['id']} is there twice")
                seen.add((broker["id"], plan["id"]))
                self.check_passes(at, plan["regulatory_pass_through"])
                yield PlanRow(
                    broker=broker["id"],
                    key=plan["id"],
                    name=plan["name"],
                    eligibility=plan.get("eligibility", ""),
                    passes=plan["regulatory_pass_through"],
                )

    def check_passes(self, at: str, passes: list[dict[str, Any]]) -> None:
        known = {row["id"] for row in self.content["regulatory_fees"]}
        for number, row in enumerate(passes):
            place = f"{at}.regulatory_pass_through[{number}]"
            if row["fee"] not in known and "rate_per_contract" not in row:
                self.wrong(place, f"{row['fee']!r} is neither a regulatory fee nor a house rate")
            if row["rounding"] not in list(Rounding):
                self.wrong(place, f"rounding {row['rounding']!r} is not known")
            if "waived_if" in row:
                self.understood(f"{place}.waived_if", price_words.small_trades, row["waived_if"])

    def understood(self, place: str, read: Any, *arguments: Any) -> None:
        try:
            read(*arguments)
        except NotReadable as error:
            self.wrong(place, error)

    def rules(self) -> Iterator[RuleRow]:
        for place, broker in enumerate(self.brokers):
            lists = [("", f"brokers[{place}].fees_common", broker["fees_common"])]
            lists += [(p["id"], f"brokers[{place}].plans[{n}].fees", p["fees"]) for n, p in enumerate(broker["plans"])]
            for plan, at, rows in lists:
                seen = set()
                for number, row in enumerate(rows):
                    key = (row["item"], row.get("mode"), row.get("condition"))
                    if key in seen:
                        self.wrong(f"{at}[{number}]", f"{row['item']} is there twice")
                    seen.add(key)
                    yield self.rule(f"{at}[{number}]", broker["id"], plan, row)

    def rule(self, at: str, broker: str, plan: str, row: dict[str, Any]) -> RuleRow:
        parameters = {name: value for name, value in row.items() if name not in COLUMNS and value is not None}
        if "exchange_fee" in row:
            parameters["exchange_fee"] = row["exchange_fee"]
        model = row.get("model")
        if model is not None:
            self.understood(at, price_words.values_of, model, parameters)
        started = parameters.pop("effective_from", None)
        return RuleRow(
            broker=broker,
            plan=plan,
            item=row["item"],
            model=model,
            parameters=parameters if model is not None else {},
            mode=row.get("mode", ""),
            condition=row.get("condition", ""),
            notes=row.get("notes", ""),
            effective_from=None if started is None else date.fromisoformat(started),
            **self.cell(at, row, (row.get("source") or {}).get("key")),
        )

    def rates(self) -> Iterator[RateRow]:
        columns = {"id", "label", "source", "as_of", "confidence", "notes", "effective_from", "effective_to"}
        for number, row in enumerate(self.content["regulatory_fees"]):
            at = f"regulatory_fees[{number}]"
            yield RateRow(
                fee=row["id"],
                label=row["label"],
                parameters={name: value for name, value in row.items() if name not in columns},
                effective_from=self.day(f"{at}.effective_from", row["effective_from"]),
                effective_to=self.day(f"{at}.effective_to", row["effective_to"]),
                notes=row.get("notes", ""),
                **self.cell(at, row, row["source"]["key"]),
            )

    def day(self, place: str, text: str | None) -> date | None:
        try:
            return None if text is None else date.fromisoformat(text)
        except ValueError:
            self.wrong(place, f"{text!r} is not a date")
            return None

    def benchmarks(self) -> Iterator[BenchmarkRow]:
        for place, benchmark in enumerate(self.content["benchmarks"]):
            for number, row in enumerate(benchmark["series"]):
                at = f"benchmarks[{place}].series[{number}]"
                self.understood(f"{at}.value", price_words.number, row["value"])
                if price_words.first_day(row["date"]) is None:
                    self.wrong(f"{at}.date", f"{row['date']!r} is not a date")
                yield BenchmarkRow(
                    benchmark=benchmark["id"],
                    label=benchmark["label"],
                    on=row["date"],
                    value=row["value"],
                    notes=row.get("derivation", ""),
                    **self.cell(at, row, row["source"]["key"]),
                )

    def features(self) -> Iterator[FeatureRow]:
        for place, broker in enumerate(self.brokers):
            for number, plan in enumerate(broker["plans"]):
                for key, cell in plan["features"].items():
                    at = f"brokers[{place}].plans[{number}].features.{key}"
                    self.check_feature(at, key, cell.get("value"))
                    yield FeatureRow(
                        broker=broker["id"],
                        plan=plan["id"],
                        feature=key,
                        value=cell.get("value"),
                        detail=cell.get("detail", ""),
                        **self.cell(at, cell, cell.get("source_key")),
                    )

    def check_feature(self, at: str, key: str, value: object) -> None:
        definition = self.vocabulary.get(key)
        if definition is None:
            self.wrong(at, "is not in feature_vocabulary")
            return
        if value is not None and not fits(definition["type"], value):
            self.wrong(at, f"{value!r} is not {definition['type']}")
