"""Pages of a list that is worked out anew each time, and so has no keys a database could cut it by."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

Item = TypeVar("Item")
MOST, USUAL = 500, 100


def page_parameters() -> list[OpenApiParameter]:
    return [
        OpenApiParameter("limit", int, description=f"Results a page, 1 to {MOST}; {USUAL} when left out."),
        OpenApiParameter("offset", int, description="How many to pass over: taken from `next` or `previous`."),
    ]


class OffsetPages:
    """`?limit=` and `?offset=`. Raises ValidationError for what is no such number."""

    def __init__(self, request: Request) -> None:
        self.address = request.build_absolute_uri()
        self.limit = _number(request, "limit", USUAL, least=1, most=MOST)
        self.offset = _number(request, "offset", 0, least=0, most=10_000_000)

    def cut(self, items: Sequence[Item], written: Callable[[Item], Any]) -> dict[str, Any]:
        """The part of an answer that holds the page and the ways on and back."""
        end = self.offset + self.limit
        return {
            "next": self._at(end) if end < len(items) else None,
            "previous": self._at(max(self.offset - self.limit, 0)) if self.offset else None,
            "results": [written(item) for item in items[self.offset : end]],
        }

    def _at(self, offset: int) -> str:
        address = replace_query_param(self.address, "limit", self.limit)
        return str(replace_query_param(address, "offset", offset))


def _number(request: Request, name: str, usual: int, *, least: int, most: int) -> int:
    asked = request.query_params.get(name)
    if asked is None:
        return usual
    if not (asked.isascii() and asked.isdigit() and len(asked) < 9 and least <= int(asked) <= most):
        raise ValidationError({name: [f"{name} is a number from {least} to {most}."]}, code="invalid")
    return int(asked)
