"""The comparison as CSV, with the source of every value. A spreadsheet cannot take a cell for a formula."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse

from aggregation.exports import safe_cell
from comparison import hub_use
from comparison.features import Section
from comparison.matrix import Calculator, Cell, Group
from comparison.replay import PlanCost
from comparison.stored import Catalogue
from comparison.terms import PlanTerms
from comparison.wording import label_of

READS = "What this hub reads today"


def address(request: HttpRequest) -> str:
    """Of this page as CSV, with the same choices."""
    query = request.GET.copy()
    query["format"] = "csv"
    return f"{request.path}?{query.urlencode()}"


def _answer(name: str, rows: Iterable[Sequence[Any]]) -> HttpResponse:
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    writer = csv.writer(answer)
    for row in rows:
        writer.writerow([safe_cell(str(cell)) for cell in row])
    return answer


def _sources(cell: Cell) -> str:
    return "; ".join(f"{title} {url} ({as_of})".replace("  ", " ") for title, url, as_of in cell.sources)


def prices(groups: Iterable[Group], plans: Sequence[PlanTerms], calculator: Calculator) -> HttpResponse:
    head = ["group", "item", "unit", "plan", "price", "low", "high", "not_included", "badge", "badge_reason", "sources"]
    rows = [
        [
            group.label,
            row.item.label,
            row.item.unit,
            plan.ref,
            cell.text,
            cell.amount.low if cell.amount else "",
            cell.amount.high if cell.amount else "",
            "; ".join(map(label_of, cell.missing)),
            cell.badge.text,
            cell.badge.why,
            _sources(cell),
        ]
        for group in groups
        for row in group.rows
        for plan, cell in zip(plans, row.cells, strict=True)
    ]
    return _answer("broker-prices", [head, *rows])


def features(sections: Iterable[Section], plans: Sequence[PlanTerms]) -> HttpResponse:
    head = ["group", "feature", "plan", "answer", "detail", "this_hub", "badge", "source", "url", "as_of"]
    rows = [
        [
            section.label,
            line.definition.label,
            plan.ref,
            mark.text,
            mark.answer.detail or mark.answer.reason,
            mark.this_hub,
            mark.badge.text,
            mark.answer.source.title if mark.answer.source else "",
            mark.answer.source.url if mark.answer.source else "",
            mark.answer.as_of,
        ]
        for section in sections
        for line in section.rows
        for plan, mark in zip(plans, line.marks, strict=True)
    ]
    ways = [["", READS, plan.ref, "; ".join(hub_use.ways_in(plan.broker)), *[""] * 6] for plan in plans]
    return _answer("broker-features", [head, *rows, *ways])


def my_cost(catalogue: Catalogue, costs: Iterable[PlanCost]) -> HttpResponse:
    head = ["plan", "item", "in_total", "low", "high", "lines", "unknown_lines", "why_unknown", "sources"]
    rows = []
    for cost in costs:
        plan = catalogue.plans[cost.ref]
        for item, entry in cost.items.items():
            rules = plan.rules.get(item, ())
            dated = catalogue.rates.regulatory.get("orf_estimate" if item == "orf_venue" else item, ())
            found = [rule for rule in rules if rule.source] or [row.rule for row in dated[-1:]]
            sources = "; ".join(f"{r.source.title} {r.source.url} ({r.as_of})" for r in found if r.source)
            why = "; ".join(entry.reasons)
            sums = ("", "") if entry.is_unknown else (entry.low, entry.high)
            values = [plan.ref, label_of(item), "yes" if entry.counted else "no", *sums]
            rows.append([*values, entry.count, entry.unknown, why, sources])
        for reason, count in cost.impossible.items():
            rows.append([plan.ref, f"not possible there: {count} trades", "no", "", "", "", count, reason, ""])
    return _answer("my-cost", [head, *rows])
