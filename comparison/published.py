"""Figures out of studies and brokers' own pages, from the catalogue file into the database; loading again adds none."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from comparison import freshness
from comparison.matrix import Badge
from comparison.models import ComparisonBroker, ComparisonSource, Confidence, PublishedFigure
from comparison.quality_models import FigureKind, PublishedBy
from comparison.report_files import FileRefused, Problem, refuse

CATALOGUE = Path(__file__).parent / "data" / "execution.json"
NAMES = {"td_ameritrade": "TD Ameritrade (with Schwab since 2024)", "ibkr:lite": "Interactive Brokers Lite"}
NAMES |= {"ibkr:pro": "Interactive Brokers Pro"}
# A broker's table with several figures a row: our kind and unit of each.
TABLE = {
    "pct_shares_at_or_better": (FigureKind.AT_OR_BETTER, "percent"),
    "pct_shares_price_improved": (FigureKind.IMPROVED, "percent"),
    "average_savings_per_order_usd": (FigureKind.SAVINGS, "USD"),
    "average_speed_seconds": (FigureKind.SPEED, "seconds"),
}
PRIMARY = "primary-stored-copy"


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    explained: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that stand together: a study's measure of several brokers, or what one page of a broker says."""

    title: str
    explained: str
    rows: tuple[Row, ...]
    note: str
    source: ComparisonSource
    badge: Badge


def groups(*, payments: bool) -> list[Group]:
    """What studies and brokers published on execution, or on payment for orders. Studies first, lowest figure first."""
    studies: dict[tuple[Any, ...], list[PublishedFigure]] = {}
    pages: dict[tuple[Any, ...], list[PublishedFigure]] = {}
    for figure in PublishedFigure.objects.select_related("source").order_by("metric", "value", "name", "pk"):
        if FigureKind(figure.metric).is_payment != payments:
            continue
        if figure.published_by == PublishedBy.ACADEMICS:
            key = (figure.metric, figure.period, figure.scope, figure.unit, figure.source_id)
            studies.setdefault(key, []).append(figure)
        else:
            pages.setdefault((figure.name, figure.period, figure.source_id), []).append(figure)
    today = timezone.localdate()
    told = [_study(figures, today) for figures in studies.values()]
    return [*told, *sorted((_page(figures, today) for figures in pages.values()), key=lambda group: group.title)]


def _badge(figure: PublishedFigure, today: date) -> Badge:
    word = Confidence(figure.confidence)
    if stale := freshness.why_stale(_last_month(figure.as_of), "execution", today):
        return Badge("warn", f"Stale, {word.label.lower()}", stale)
    return Badge({"checked": "good", "reported": "plain"}.get(word, "quiet"), word.label, f"As of {figure.as_of}")


def _last_month(period: str) -> str:
    """2026-06 for 2026-Q2 and for 2026-H1; any other text as it is."""
    year, _, part = period.partition("-")
    months = {"Q1": "03", "Q2": "06", "Q3": "09", "Q4": "12", "H1": "06", "H2": "12"}
    return f"{year}-{months[part]}" if part in months else period


def _study(figures: list[PublishedFigure], today: date) -> Group:
    first = figures[0]
    return Group(
        title=FigureKind(first.metric).label,
        explained=f"Independent study, {_period(first)}: {first.scope}. In {first.unit}.",
        rows=tuple(Row(figure.name, "", figure.value) for figure in figures),
        note=first.note.rstrip("."),
        source=first.source,
        badge=_badge(first, today),
    )


def _page(figures: list[PublishedFigure], today: date) -> Group:
    first = figures[0]
    figures = sorted(figures, key=lambda figure: (figure.metric, figure.pk))  # as the page has them
    rows = [Row(FigureKind(it.metric).label, f"{it.scope}; {it.unit}", it.value) for it in figures]
    return Group(
        title=first.name,
        explained=f"Said by or quoted from the broker, {_period(first)}.",
        rows=tuple(rows),
        note=first.note.rstrip("."),
        source=first.source,
        badge=_badge(first, today),
    )


def _period(figure: PublishedFigure) -> str:
    """2021-12 to 2022-06, as the document names it."""
    return figure.period.replace("..", " to ")


@dataclass(frozen=True, slots=True)
class Loaded:
    added: int
    changed: int
    removed: int


@transaction.atomic
def load(path: Path = CATALOGUE) -> Loaded:
    """The file's figures become those that are stored. Raises FileRefused with every mistake; nothing changes then."""
    wanted = list(_figures(path))
    stored = {_identity(figure): figure for figure in PublishedFigure.objects.select_related("source")}
    added = changed = 0
    for figure in wanted:
        figure.source = _source(figure.source)
        known = stored.pop(_identity(figure), None)
        figure.pk = known.pk if known else None
        if known is None or _said(known) != _said(figure):
            figure.save()
            added, changed = added + (known is None), changed + (known is not None)
    for gone in stored.values():
        gone.delete()
    return Loaded(added, changed, len(stored))


def _identity(figure: PublishedFigure) -> tuple[str, ...]:
    return figure.name, figure.metric, figure.period, figure.scope


def _said(figure: PublishedFigure) -> dict[str, Any]:
    fields = [field.attname for field in PublishedFigure._meta.fields if field.attname != "id"]
    return {name: getattr(figure, name) for name in fields}


def _source(told: ComparisonSource) -> ComparisonSource:
    values = {"title": told.title, "url": told.url, "kind": told.kind, "as_of": told.as_of}
    return ComparisonSource.objects.update_or_create(key=told.key, defaults=values)[0]


def _figures(path: Path) -> Iterator[PublishedFigure]:
    try:
        rows = json.loads(path.read_text(), parse_float=Float)["statistics"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileRefused(f"{path.name} is no file of execution figures.") from error
    brokers = {broker.key: broker for broker in ComparisonBroker.objects.all()}
    problems: list[Problem] = []
    found: dict[tuple[str, ...], PublishedFigure] = {}
    for number, row in enumerate(rows, start=1):
        try:
            for figure in _of_row(row, brokers):
                if _identity(figure) in found:
                    raise ValueError("it is told twice")
                found[_identity(figure)] = figure
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            problems.append(Problem(number, "statistic", what_is_wrong(error)))
        except ValidationError as error:
            problems.append(Problem(number, "statistic", "; ".join(error.messages)))
    refuse(f"{path.name} was not loaded.", problems)
    yield from found.values()


def what_is_wrong(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return "its value cannot be read" if isinstance(error, InvalidOperation) else str(error)


def _of_row(row: Mapping[str, Any], brokers: Mapping[str, ComparisonBroker]) -> Iterator[PublishedFigure]:
    """Raises KeyError, ValueError, InvalidOperation or ValidationError for a row that says too little or wrongly."""
    told = str(row["broker"])
    broker = brokers.get(told.partition(":")[0])
    source = _told_source(row)
    values = (
        [(kind, row[name], unit) for name, (kind, unit) in TABLE.items() if name in row]
        if row["metric"] == "fif_retail_table"
        else [(FigureKind(row["metric"]), row["value"], row["unit"])]
    )
    for kind, value, unit in values:
        if not isinstance(value, str) or isinstance(value, Float):
            raise ValueError(f"{value} is a number: figures are written as strings")
        figure = PublishedFigure(
            broker=broker,
            name=NAMES.get(told) or (broker.name if broker else told),
            metric=kind,
            value=Decimal(value),
            unit=unit,
            period=row["period"],
            scope=row["scope"],
            published_by=PublishedBy(row["published_by"]),
            note=row.get("notes", ""),
            as_of=str(row["period"]).rpartition("..")[2],
            confidence=Confidence.CHECKED if source.kind == PRIMARY else Confidence.REPORTED,
            source=source,
        )
        figure.clean_fields(exclude=["source", "broker"])
        yield figure


def _told_source(row: Mapping[str, Any]) -> ComparisonSource:
    told = row["source"]
    if not told.get("title"):
        raise ValueError("it has no source")
    digest = hashlib.sha256(f"{told['title']} {told.get('url')}".encode()).hexdigest()
    source = ComparisonSource(
        key=f"execution-{digest[:16]}",
        title=told["title"],
        url=told.get("url") or "",
        kind=told["kind"],
        as_of=str(row["period"]).rpartition("..")[2],
    )
    source.clean_fields()
    return source


class Float(str):
    """A number of the file that was not written as a string; told apart so that it can be refused."""
