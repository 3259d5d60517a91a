"""Rule 606 figures that come with the hub, each with its document and date; kept apart from files that were imported.

The catalogue file tells of each month the mix of orders, what all venues paid together, and of some months the largest
venues. Loading again changes nothing; a report that is told otherwise takes the place of the old one.
"""

import hashlib
import json
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from comparison.execution_imports import section_row, venue_row
from comparison.models import ComparisonBroker, ComparisonSource, ExecutionReport, RoutingVenue, SourceKind
from comparison.published import CATALOGUE, Float, Loaded, what_is_wrong
from comparison.quality_models import ReportForm
from comparison.report_files import FileRefused, Problem, refuse
from comparison.rule606 import OrderKind, Section, SectionOfMonth, Venue, plain_name

MOST_PERCENT, MOST_MONEY = Decimal(100), Decimal(10) ** 12
Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """One report as the file tells it: its own row, and each section with the totals over all venues."""

    row: ExecutionReport
    source: ComparisonSource
    sections: tuple[tuple[SectionOfMonth, dict[str, Decimal | None]], ...]


@transaction.atomic
def load(path: Path = CATALOGUE) -> Loaded:
    """The file's reports become those that are stored. Raises FileRefused with every mistake; nothing changes then."""
    wanted = _reports(path)
    stored = {_identity(row): row for row in ExecutionReport.objects.of_catalogue()}
    added = changed = 0
    for report in wanted:
        old = stored.pop(_identity(report.row), None)
        if old is not None and old.sha256 == report.row.sha256:
            continue
        if old is not None:
            old.delete()
        added, changed = added + (old is None), changed + (old is not None)
        _store(report)
    for gone in stored.values():
        gone.delete()
    return Loaded(added, changed, len(stored))


def _identity(row: ExecutionReport) -> tuple[Any, ...]:
    return row.publisher_key, row.first_on


def _store(report: Report) -> None:
    told = report.source
    values = {"title": told.title, "url": told.url, "kind": told.kind, "as_of": told.as_of}
    report.row.source = ComparisonSource.objects.update_or_create(key=told.key, defaults=values)[0]
    report.row.save()
    for section, totals in report.sections:
        row = section_row(report.row, section)
        for name, amount in totals.items():
            setattr(row, name, amount)
        row.save()
        RoutingVenue.objects.bulk_create(venue_row(row, place, venue) for place, venue in enumerate(section.venues))


def _reports(path: Path) -> list[Report]:
    try:
        document = json.loads(path.read_text(), parse_float=Float)
        rows = [*document.get("rule606_reports", ()), *document.get("rule606_partial", ())]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise FileRefused(f"{path.name} is no file of execution figures.") from error
    brokers = {broker.key: broker for broker in ComparisonBroker.objects.all()}
    problems: list[Problem] = []
    found: dict[tuple[Any, ...], Report] = {}
    for number, row in enumerate(rows, start=1):
        try:
            report = _report(row, brokers, path.name)
            if _identity(report.row) in found:
                raise ValueError("it is told twice")
            found[_identity(report.row)] = report
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            problems.append(Problem(number, "Rule 606 report", what_is_wrong(error)))
        except ValidationError as error:
            problems.append(Problem(number, "Rule 606 report", "; ".join(error.messages)))
    refuse(f"{path.name} was not loaded.", problems)
    return list(found.values())


def _report(told: Told, brokers: Mapping[str, ComparisonBroker], file_name: str) -> Report:
    """A quarter with its months, or one section of one month of a report that was not found whole."""
    last_month = 3 * int(told["quarter"]) if "quarter" in told else int(told["month"])
    first_month = last_month - 2 if "quarter" in told else last_month
    year = int(told["year"])
    row = ExecutionReport(
        form=ReportForm.CATALOGUE,
        publisher=told["reporting_entity"],
        publisher_key=plain_name(told["reporting_entity"]),
        broker=brokers.get(told["broker"]),
        first_on=date(year, first_month, 1),
        last_on=date(year, last_month, monthrange(year, last_month)[1]),
        file_name=file_name,
        sha256=hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest(),
        source_url=told["source"].get("url") or "",
        warnings=[f"In part: {told['partial_reason']}"] if told.get("partial") else [],
    )
    row.clean_fields(exclude=["source", "broker"])
    return Report(row, _source(told, row), tuple(_sections(told)))


def _source(told: Told, row: ExecutionReport) -> ComparisonSource:
    given = told["source"]
    if not given.get("title"):
        raise ValueError("it has no source")
    digest = hashlib.sha256(f"{given['title']} {given.get('url')}".encode()).hexdigest()
    kind = SourceKind.PRIMARY if given.get("file") else SourceKind.SECONDARY
    source = ComparisonSource(
        key=f"routing-{digest[:16]}",
        title=given["title"],
        url=row.source_url,
        kind=kind,
        as_of=told.get("as_of") or row.last_on.isoformat(),
    )
    source.clean_fields()
    return source


def _sections(told: Told) -> Iterator[tuple[SectionOfMonth, dict[str, Decimal | None]]]:
    months = told.get("months") or [{**told, "sections": {told["section"]: told}}]
    for month in months:
        month_on = date(int(month["year"]), int(month["month"]), 1)
        for name, section in month["sections"].items():
            totals = {}
            for kind, paid in section.get("all_venues", {}).items():
                totals[f"{OrderKind(kind)}_usd"] = _money(paid["net_usd"])
                totals[f"{OrderKind(kind)}_cents"] = _money(paid["net_cents_per_100_shares_weighted"])
            of_month = SectionOfMonth(
                month_on=month_on,
                section=Section(name),
                non_directed_pct=_percent(section["non_directed_pct"]),
                mix={kind: _percent(section["mix_pct"].get(kind)) for kind in OrderKind},
                venues=tuple(map(_venue, section.get("venues", ()))),
            )
            yield of_month, totals


def _venue(told: Told) -> Venue:
    paid = told["net_payment"]
    return Venue(
        name=told["name"],
        mic=told.get("mic") or "",
        mpid="",
        order_pct=_percent(told["order_pct"]),
        routed={kind: _percent(told.get("pct", {}).get(kind)) for kind in OrderKind},
        usd={kind: _money(paid.get(kind, {}).get("usd")) for kind in OrderKind},
        cents={kind: _money(paid.get(kind, {}).get("cents_per_100_shares")) for kind in OrderKind},
        material_aspects="",
    )


def _percent(told: Any) -> Decimal | None:
    return _number(told, Decimal(0), MOST_PERCENT)


def _money(told: Any) -> Decimal | None:
    return _number(told, -MOST_MONEY, MOST_MONEY)


def _number(told: Any, lowest: Decimal, highest: Decimal) -> Decimal | None:
    """None stays "not meaningful". Raises ValueError or InvalidOperation."""
    if told is None:
        return None
    if not isinstance(told, str) or isinstance(told, Float):
        raise ValueError(f"{told} is a number: figures are written as strings")
    value = Decimal(told)
    if not lowest <= value <= highest:
        raise ValueError(f"{told} is not between {lowest} and {highest}")
    return value
