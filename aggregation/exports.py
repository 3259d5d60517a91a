"""Tables as files: CSV that a spreadsheet cannot take for formulas, and JSON. Streamed, so that size is no matter."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone

from aggregation.models import TransactionQuerySet
from aggregation.serializers import plain

Row = Mapping[str, Any]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # Excel takes the wide ones too
TRANSACTION_COLUMNS = (
    "id",
    "account",
    "broker",
    "traded_on",
    "settled_on",
    "kind",
    "symbol",
    "quantity",
    "price",
    "gross_amount",
    "fees",
    "taxes",
    "net_amount",
    "currency",
    "description",
    "status",
    "source",
    "note",
    "tags",
)


def safe_cell(text: str) -> str:
    """With an apostrophe in front when a spreadsheet would calculate it. Numbers stay numbers. Source: OWASP."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite() and text == text.strip()
    except InvalidOperation:
        return False


def transactions(found: TransactionQuerySet) -> Iterator[Row]:
    """Newest first; read from the database a few thousand at a time."""
    names = {
        "broker": "account__connection__broker",
        "symbol": "instrument__symbol",
        "note": "edit__note",
        "tags": "edit__tags",
    }
    wanted = [names.get(column, column) for column in TRANSACTION_COLUMNS if column != "account"]
    rows = found.order_by("-traded_on", "-pk").values_list(*wanted, "account__name", "account__mask")
    for *values, name, mask in rows.iterator(chunk_size=2000):
        others = iter(values)
        account = f"{name} ...{mask}" if mask else name
        yield {column: account if column == "account" else _json_value(next(others)) for column in TRANSACTION_COLUMNS}


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, list):
        return ", ".join(value)
    return value.isoformat() if isinstance(value, date) else value


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def _csv(rows: Iterable[Row], columns: tuple[str, ...]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff"  # Excel takes a file without it for Latin-1
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow(["" if row[name] is None else safe_cell(str(row[name])) for name in columns])


def _json(rows: Iterable[Row]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows):
        yield (",\n" if number else "\n") + json.dumps(row, ensure_ascii=False)
    yield "\n]\n"


def as_file(rows: Iterable[Row], columns: tuple[str, ...], *, name: str, suffix: str) -> HttpResponseBase:
    """`suffix` is csv or json."""
    content = _csv(rows, columns) if suffix == "csv" else _json(rows)
    kind = "text/csv; charset=utf-8" if suffix == "csv" else "application/json"
    filename = f"{name}-{timezone.localdate():%Y-%m-%d}.{suffix}"
    headers = {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(content, content_type=kind, headers=headers)
