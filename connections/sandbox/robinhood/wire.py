"""Robinhood's way to write ids, numbers, times, addresses and pages."""

import base64
import binascii
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest

from connections.sandbox.clock import NEW_YORK
from connections.sandbox.gate import Refusal
from connections.sandbox.hosts import BY_HOST

NAMESPACE = uuid.UUID("5ca1ab1e-0b00-5eed-9000-000000000900")
DOLLAR_ID = "1072fc76-1862-41ab-82c2-485837590762"
PREFIX = "/robinhood/"
REAL_HOSTS = {prefix.removeprefix(PREFIX): host for host, prefix in BY_HOST.items() if prefix.startswith(PREFIX)}
PAGE_SIZE, MOST_PER_PAGE = 100, 500


def uid(*parts: object) -> str:
    """An id Robinhood would have given; the same parts get the same one."""
    return str(uuid.uuid5(NAMESPACE, ":".join(map(str, parts))))


def number(value: Decimal, places: int = 4) -> str:
    return f"{value + 0:.{places}f}"


def money(value: Decimal) -> dict[str, str]:
    return {"amount": number(value, 2), "currency_code": "USD", "currency_id": DOLLAR_ID}


def instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def eastern(moment: datetime) -> str:
    """As the crypto host writes it: New York's offset."""
    return moment.astimezone(NEW_YORK).isoformat(timespec="microseconds")


def day(value: date) -> str:
    return value.isoformat()


def place(request: HttpRequest) -> tuple[str, str]:
    """Host label and path within it, however the request came in: `("api", "/orders/")`."""
    label, _, path = request.path_info.removeprefix(PREFIX).partition("/")
    return label, f"/{path}"


def address(request: HttpRequest, label: str, path: str) -> str:
    """An absolute address in the way the caller reached us: by real host name, or below the sandbox's prefix."""
    host = request.get_host()
    if host.split(":")[0] in BY_HOST:
        return f"https://{REAL_HOSTS[label]}{path}"
    return f"{request.scheme}://{host}{PREFIX}{label}{path}"


def api(request: HttpRequest, path: str) -> str:
    return address(request, "api", path)


def page(request: HttpRequest, rows: Sequence[Any], *, size: int = PAGE_SIZE) -> dict[str, Any]:
    """One page of `rows`; `next` leads on and is to be followed letter by letter. Raises Refusal for a bad cursor."""
    size = _page_size(request, size)
    start = _start(request)
    label, path = place(request)

    def link(offset: int) -> str:
        query = [(name, value) for name, values in request.GET.lists() for value in values if name != "cursor"]
        cursor = base64.b64encode(f"p={offset}".encode()).decode()
        return f"{address(request, label, path)}?{urlencode([('cursor', cursor), *query])}"

    following = link(start + size) if start + size < len(rows) else None
    previous = link(max(start - size, 0)) if start else None
    return {"next": following, "previous": previous, "results": list(rows[start : start + size])}


def _page_size(request: HttpRequest, standard: int) -> int:
    asked = request.GET.get("page_size") or request.GET.get("limit") or ""
    return min(max(int(asked), 1), MOST_PER_PAGE) if asked.isdecimal() else standard


def _start(request: HttpRequest) -> int:
    cursor = request.GET.get("cursor")
    if not cursor:
        return 0
    try:
        return max(int(base64.b64decode(cursor, validate=True).decode().removeprefix("p=")), 0)
    except (binascii.Error, ValueError) as error:
        raise Refusal(404, {"detail": "Invalid cursor"}) from error


def since(request: HttpRequest, *names: str) -> datetime | None:
    """The earliest of the named filters such as `updated_at[gte]`; a value that is no time filters nothing."""
    for name in names:
        for spelled in (f"{name}[gte]", f"{name}__gte"):
            try:
                moment = datetime.fromisoformat(request.GET.get(spelled, ""))
            except ValueError:
                continue
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def asked_for(request: HttpRequest, *names: str) -> set[str] | None:
    """Values of a comma list; None when nothing is named, so that nothing is left out."""
    values = {value for name in names for value in request.GET.get(name, "").split(",") if value}
    return values or None
