"""Cursor pages that stay where they were when rows are added: the cursor holds the last row's keys, never an offset."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError
from django.core.exceptions import ValidationError as FieldValueError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

if TYPE_CHECKING:  # rest_framework.views itself imports the classes that the settings name
    from rest_framework.views import APIView


def _is_plain(value: Any) -> bool:
    """A number, or text that PostgreSQL can hold."""
    return isinstance(value, int) or (isinstance(value, str) and "\0" not in value)


def flipped(ordering: Sequence[str]) -> tuple[str, ...]:
    return tuple(name[1:] if name.startswith("-") else f"-{name}" for name in ordering)


def beyond(ordering: Sequence[str], position: Sequence[Any]) -> Q:
    """Rows that come after `position` in `ordering`: (a > x) or (a = x and b > y) or ..."""
    found, equal = Q(), Q()
    for name, value in zip(ordering, position, strict=True):
        field = name.lstrip("-")
        operator = "lt" if name.startswith("-") else "gt"
        found |= equal & Q(**{f"{field}__{operator}": value})
        equal &= Q(**{field: value})
    # Says nothing new, but lets an index begin at the position instead of reading all that lies before it.
    first = ordering[0]
    return Q(**{f"{first.lstrip('-')}__{'lte' if first.startswith('-') else 'gte'}": position[0]}) & found


class CursorPages(CursorPagination):
    """`?limit=` (1 to 500) and `?cursor=`, answered by `{"results": [...], "next": URL or null, "previous": ...}`.

    The order is the view's `ordering`: columns that are never null, the last one unique. A row added or removed
    elsewhere moves no other row to another page, because pages are cut by value (DRF's own cursor counts rows that
    share the first column, so an insert among them would repeat or skip one).
    """

    page_size_query_param = "limit"
    page_size_query_description = "Results a page, 1 to 500."
    cursor_query_description = "Where to go on: taken from `next` or `previous` of the answer before."
    max_page_size = 500
    ordering = ("-pk",)

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: "APIView | None" = None
    ) -> list[Any]:
        if isinstance(queryset, Sequence):  # anything else filters, orders and is sliced by the database
            raise TypeError("Cursor pages are cut by the database; a list needs pagination_class = None.")
        self.base_url = request.build_absolute_uri()
        size = self.get_page_size(request)
        ordering: tuple[str, ...] = tuple(getattr(view, "ordering", None) or self.ordering)
        position, backwards = self._read_cursor(request, len(ordering))
        direction = flipped(ordering) if backwards else ordering
        try:
            found = queryset if position is None else queryset.filter(beyond(direction, position))
            rows = list(found.order_by(*direction)[: size + 1])
        except (ValueError, TypeError, FieldValueError) as error:
            if position is None or isinstance(error, FieldError):
                raise
            raise self._invalid_cursor() from error
        more, rows = len(rows) > size, rows[:size]
        if backwards:
            rows.reverse()
        has_next, has_previous = (position is not None, more) if backwards else (more, position is not None)
        self.next_url = self._link(rows[-1], ordering, backwards=False) if rows and has_next else None
        self.previous_url = self._link(rows[0], ordering, backwards=True) if rows and has_previous else None
        return rows

    def get_page_size(self, request: Request) -> int:
        asked = request.query_params.get("limit")
        if asked is None:
            return int(self.page_size or 100)
        if not (asked.isascii() and asked.isdigit() and len(asked) < 5 and 1 <= int(asked) <= self.max_page_size):
            raise ValidationError({"limit": [f"limit is a number from 1 to {self.max_page_size}."]}, code="invalid")
        return int(asked)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        properties = {
            "results": schema,
            "next": {**link, "description": "The page after this one; null on the last."},
            "previous": {**link, "description": "The page before this one; null on the first."},
        }
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        size = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        described = {
            self.page_size_query_param: (size, self.page_size_query_description),
            self.cursor_query_param: ({"type": "string"}, self.cursor_query_description),
        }
        return [
            {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
            for name, (schema, description) in described.items()
        ]

    def get_next_link(self) -> str | None:
        return self.next_url

    def get_previous_link(self) -> str | None:
        return self.previous_url

    def _read_cursor(self, request: Request, columns: int) -> tuple[list[Any] | None, bool]:
        encoded = request.query_params.get(self.cursor_query_param)
        if not encoded:
            return None, False
        try:
            position, backwards = json.loads(base64.urlsafe_b64decode(encoded.encode("ascii")))
        except (binascii.Error, UnicodeError, ValueError, TypeError, RecursionError) as error:
            raise self._invalid_cursor() from error
        if (
            not isinstance(position, list)
            or not all(map(_is_plain, position))
            or len(position) != columns
            or not isinstance(backwards, bool)
        ):
            raise self._invalid_cursor()
        return position, backwards

    @staticmethod
    def _invalid_cursor() -> ValidationError:
        return ValidationError({"cursor": ["This cursor is not one of ours; start without one."]}, code="invalid")

    def _link(self, row: Model | dict[str, Any], ordering: Sequence[str], *, backwards: bool) -> str:
        position = [_value(row, name.lstrip("-")) for name in ordering]
        text = json.dumps([position, backwards], cls=_ExactEncoder, separators=(",", ":"))
        encoded = base64.urlsafe_b64encode(text.encode()).decode("ascii")
        return replace_query_param(str(self.base_url), self.cursor_query_param, encoded)


class _ExactEncoder(DjangoJSONEncoder):
    """Django's encoder cuts times to milliseconds; a cursor must name the very row."""

    def default(self, value: Any) -> Any:
        return value.isoformat() if hasattr(value, "isoformat") else super().default(value)


def _value(row: Model | dict[str, Any], path: str) -> Any:
    """The value of a column, also over relations (`account__name`)."""
    for part in path.split("__"):
        row = row[part] if isinstance(row, dict) else getattr(row, part)
    return row
