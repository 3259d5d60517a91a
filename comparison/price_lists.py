"""From the rows of the catalogue, read from the file or from the database, to the terms the engine works with. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from comparison import price_words
from comparison.document import BenchmarkRow, Cell, Document, FeatureRow, PlanRow, RateRow, RuleRow
from comparison.terms import (
    BenchmarkValue,
    Confidence,
    DatedRate,
    PassThrough,
    PlanTerms,
    Rates,
    Rounding,
    Rule,
    SourceRef,
)

Sources = Mapping[str, SourceRef]


def sources_of(document: Document) -> dict[str, SourceRef]:
    return {
        row["key"]: SourceRef(key=row["key"], title=row["title"], url=row.get("url") or "") for row in document.sources
    }


def _fact(cell: Cell, sources: Sources) -> dict[str, Any]:
    return {
        "source": sources.get(cell.source),
        "as_of": cell.as_of,
        "confidence": cell.confidence,
        "reason": cell.reason,
    }


def rule_of(row: RuleRow, sources: Sources, plan_name: str = "") -> Rule:
    condition, checked = price_words.condition_of(row.condition)
    values = price_words.values_of(row.model, row.parameters, plan_name=plan_name) if row.model else {}
    return Rule(
        id="/".join(filter(None, (f"{row.broker}:{row.plan}" if row.plan else row.broker, row.item, row.mode))),
        item=row.item,
        model=row.model,
        values=values | checked,
        mode=row.mode,
        condition=condition,
        is_offered=price_words.is_offered(row.reason),
        notes=row.notes,
        valid_from=row.effective_from,
        valid_to=row.valid_to,
        **_fact(row, sources),
    )


def rates_of(rates: Iterable[RateRow], benchmarks: Iterable[BenchmarkRow], sources: Sources) -> Rates:
    regulatory = defaultdict(list)
    for row in rates:
        regulatory[row.fee].append(_dated(row, sources))
    series = defaultdict(list)
    for point in benchmarks:
        on = price_words.first_day(point.on)
        assert on is not None  # checked when the file was read
        rule = Rule(id=f"{point.benchmark}/{point.on}", item=point.benchmark, model=None, **_fact(point, sources))
        series[point.benchmark].append(BenchmarkValue(on=on, value=Decimal(point.value), rule=rule))
    return Rates(
        regulatory={fee: tuple(rows) for fee, rows in regulatory.items()},
        benchmarks={name: tuple(sorted(points, key=lambda p: p.on)) for name, points in series.items()},
    )


def _dated(row: RateRow, sources: Sources) -> DatedRate:
    given = row.parameters
    rate = given.get("rate_per_million", given.get("rate"))
    low, high = given.get("range", (None, None))
    maximum = given.get("max_per_trade")
    rule = Rule(
        id=f"{row.fee}/{row.effective_from or 'start'}",
        item=row.fee,
        model=given["model"],
        notes=row.notes,
        valid_from=row.effective_from,
        valid_to=row.effective_to,
        **_fact(row, sources),
    )
    return DatedRate(
        fee=row.fee,
        label=row.label,
        model=given["model"],
        rate=None if rate is None else price_words.number(rate),
        low=None if low is None else price_words.number(low),
        high=None if high is None else price_words.number(high),
        maximum=None if maximum is None else price_words.number(maximum),
        side=given["side"],
        assets=frozenset(given["applies_to"]),
        first=row.effective_from,
        last=row.effective_to,
        rule=rule,
    )


def _passes(plan: PlanRow, option_rule: Rule | None) -> tuple[PassThrough, ...]:
    """What the plan hands on. A house rate was read where the broker's price of options was: it is its source."""
    found = []
    for row in plan.passes:
        house = row.get("rate_per_contract")
        rule = Rule(
            id=f"{plan.broker}:{plan.key}/{row['fee']}",
            item=row["fee"],
            model="per_contract" if house else None,
            values={"rate": price_words.number(house)} if house else {},
            source=option_rule.source if option_rule else None,
            as_of=option_rule.as_of if option_rule else "",
            confidence=option_rule.confidence if option_rule else Confidence.UNKNOWN,
            notes=row.get("notes", ""),
        )
        found.append(
            PassThrough(
                fee=row["fee"],
                rounding=Rounding(row["rounding"]),
                minimum=price_words.number(row["min"]) if "min" in row else None,
                zero_if_below=price_words.number(row["zero_if_below"]) if "zero_if_below" in row else None,
                waived=price_words.small_trades(row["waived_if"]) if "waived_if" in row else {},
                is_daily="aggregation" in row,
                rate=None if house is None else price_words.number(house),
                rule=rule,
            )
        )
    return tuple(found)


def price_lists(
    plans: Iterable[PlanRow],
    rules: Iterable[RuleRow],
    features: Iterable[FeatureRow],
    brokers: Mapping[str, Mapping[str, str]],
    sources: Sources,
) -> dict[str, PlanTerms]:
    """The terms of every plan by its name from outside, broker:plan. A plan's rule replaces its broker's by item."""
    of_broker: dict[str, list[RuleRow]] = defaultdict(list)
    of_plan: dict[tuple[str, str], list[RuleRow]] = defaultdict(list)
    for row in rules:
        (of_plan[row.broker, row.plan] if row.plan else of_broker[row.broker]).append(row)
    known: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for cell in features:
        known[cell.broker, cell.plan][cell.feature] = cell.value
    found = {}
    for plan in plans:
        own = of_plan[plan.broker, plan.key]
        replaced = {row.item for row in own if row.valid_to is None}
        listed = own + [row for row in of_broker[plan.broker] if row.item not in replaced]
        items: dict[str, list[Rule]] = defaultdict(list)
        for row in listed:
            items[row.item].append(rule_of(row, sources, plan.name))
        found[f"{plan.broker}:{plan.key}"] = PlanTerms(
            ref=f"{plan.broker}:{plan.key}",
            broker=plan.broker,
            broker_name=brokers[plan.broker]["name"],
            name=plan.name,
            rules={item: tuple(rules) for item, rules in items.items()},
            passes=_passes(plan, next(iter(items.get("us_option_contract", ())), None)),
            features=known[plan.broker, plan.key],
            eligibility=plan.eligibility,
            is_integrated=brokers[plan.broker]["role"] == "integrated",
        )
    return found


def of_document(document: Document) -> tuple[dict[str, PlanTerms], Rates]:
    """The terms and rates straight from a file, without a database: for tests and benchmarks."""
    sources = sources_of(document)
    brokers = {row["id"]: row for row in document.brokers}
    plans = price_lists(document.plans, document.rules, document.features, brokers, sources)
    return plans, rates_of(document.rates, document.benchmarks, sources)
