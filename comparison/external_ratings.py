"""Scores that others published, from a CSV file or from the catalogue; they never enter the hub's own average."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from comparison.models import ComparisonBroker, ComparisonSource, Confidence, ExternalRating, SourceKind
from comparison.rating_models import ScoreKind
from comparison.report_files import FileRefused, Problem, ReportFile, refuse
from comparison.rule605 import text_of

CATALOGUE = Path(__file__).parent / "data" / "brokers.json"
MOST_BYTES = 1024 * 1024
MOST_ROWS = 5000
COLUMNS = ("broker", "publisher", "kind", "value", "scale_min", "scale_max", "count", "as_of", "title", "url")
_NUMBER = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Imported:
    added: int
    changed: int
    unchanged: int


@transaction.atomic
def import_csv(file: ReportFile) -> Imported:
    """Scores with their date and document, one a row. Raises FileRefused with every mistake; nothing changes then."""
    brokers = {broker.key: broker for broker in ComparisonBroker.objects.all()}
    problems: list[Problem] = []
    found: dict[tuple[Any, ...], ExternalRating] = {}
    for line, row in _rows(file):
        try:
            rating = _of_row(row, brokers)
        except (ValueError, InvalidOperation) as error:
            problems.append(Problem(line, "", str(error)))
            continue
        except ValidationError as error:
            told = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
            problems.append(Problem(line, "", told))
            continue
        if _identity(rating) in found:
            problems.append(Problem(line, "", "the same publisher, broker and date were told before."))
        found[_identity(rating)] = rating
    refuse(f"{file.name} was not imported.", problems)
    return _store(found)


@transaction.atomic
def load_catalogue(path: Path = CATALOGUE) -> Imported:
    """The scores that come with the hub. One without a date is kept and shown as undated; new ones need a date."""
    brokers = {broker.key: broker for broker in ComparisonBroker.objects.all()}
    told = json.loads(path.read_text(), parse_float=str)["brokers"]
    found = [
        _of_catalogue(brokers[row["id"]], score)
        for row in told
        if row["id"] in brokers
        for score in row["ratings"]["external"]
    ]
    return _store({_identity(rating): rating for rating in found})


def _of_catalogue(broker: ComparisonBroker, score: Mapping[str, Any]) -> ExternalRating:
    is_votes = score["count"] is not None
    rating = ExternalRating(
        broker=broker,
        publisher=score["publisher"],
        kind=ScoreKind.VOTES if is_votes else ScoreKind.EDITORIAL,
        value=Decimal(score["value"]),
        scale_min=Decimal(1),
        scale_max=Decimal(score["scale"]),
        count=score["count"],
        as_of=score["as_of"] or "",
        confidence=Confidence.REPORTED,
        source=_source(score["title"], score["url"], SourceKind.SECONDARY, score["as_of"] or ""),
    )
    rating.clean_fields(exclude=["source"])
    return rating


def _rows(file: ReportFile) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text_of(file), newline=""), strict=True)
    try:
        if tuple(next(reader, [])) != COLUMNS:
            raise FileRefused(f"{file.name} needs these columns, in this order: {', '.join(COLUMNS)}.")
        for number, cells in enumerate(reader, start=1):
            if number > MOST_ROWS:
                raise FileRefused(f"{file.name} has more than {MOST_ROWS} rows.")
            if cells and len(cells) != len(COLUMNS):
                raise FileRefused(f"{file.name}, line {reader.line_num}: {len(cells)} cells instead of {len(COLUMNS)}.")
            if cells:
                yield reader.line_num, dict(zip(COLUMNS, map(str.strip, cells), strict=True))
    except csv.Error as error:
        raise FileRefused(f"{file.name} is not a CSV file: line {reader.line_num}, {error}.") from error


def _of_row(row: Mapping[str, str], brokers: Mapping[str, ComparisonBroker]) -> ExternalRating:
    """Raises ValueError or ValidationError, in words."""
    if row["broker"] not in brokers:
        raise ValueError(f"there is no broker {row['broker'][:40]!r}; known are: {', '.join(sorted(brokers))}.")
    if row["kind"] not in ScoreKind.values:
        raise ValueError("kind is votes or editorial.")
    numbers = {name: _decimal(name, row[name]) for name in ("value", "scale_min", "scale_max")}
    if not numbers["scale_min"] < numbers["scale_max"]:
        raise ValueError("scale_min is not below scale_max.")
    if not numbers["scale_min"] <= numbers["value"] <= numbers["scale_max"]:
        raise ValueError(f"the value {row['value']} is not within its scale.")
    if not row["title"]:
        raise ValueError("a score needs the title of the document it was read in.")
    rating = ExternalRating(
        broker=brokers[row["broker"]],
        publisher=row["publisher"],
        kind=row["kind"],
        count=_count(row["kind"], row["count"]),
        as_of=_day(row["as_of"]),
        confidence=Confidence.REPORTED,
        source=_source(row["title"], row["url"], SourceKind.ENTERED, row["as_of"]),
        **numbers,
    )
    rating.clean_fields(exclude=["source"])
    return rating


def _decimal(name: str, text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} {text[:20]!r} is not a number with at most 3 decimals.")
    return Decimal(text)


def _count(kind: str, text: str) -> int | None:
    if kind == ScoreKind.EDITORIAL:
        if text:
            raise ValueError("editors' scores are no votes: leave count empty.")
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("votes need a count.")
    return int(text)


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"a score needs its date as YYYY-MM-DD, not {text[:20]!r}.") from None
    if day > timezone.localdate():
        raise ValueError(f"{text} lies ahead.")
    return day.isoformat()


def _source(title: str, url: str, kind: str, as_of: str) -> ComparisonSource:
    digest = hashlib.sha256(f"{title} {url}".encode()).hexdigest()
    source = ComparisonSource(key=f"rating-{digest[:16]}", title=title, url=url, kind=kind, as_of=as_of)
    source.clean_fields()
    return source


def _identity(rating: ExternalRating) -> tuple[Any, ...]:
    return rating.broker_id, rating.publisher, rating.as_of


def _store(found: Mapping[tuple[Any, ...], ExternalRating]) -> Imported:
    known = {_identity(rating): rating for rating in ExternalRating.objects.all()}
    added = changed = 0
    for identity, rating in found.items():
        values = {"title": rating.source.title, "url": rating.source.url, "kind": rating.source.kind}
        source, _ = ComparisonSource.objects.get_or_create(
            key=rating.source.key, defaults=values | {"as_of": rating.source.as_of}
        )
        rating.source, before = source, known.get(identity)
        if before is not None and _said(before) == _said(rating):
            continue
        rating.pk = before.pk if before else None
        rating.save()
        added, changed = added + (before is None), changed + (before is not None)
    return Imported(added, changed, len(found) - added - changed)


def _said(rating: ExternalRating) -> dict[str, Any]:
    return {
        field.attname: getattr(rating, field.attname) for field in ExternalRating._meta.fields if field.name != "id"
    }
