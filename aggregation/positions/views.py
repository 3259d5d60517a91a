"""The portfolio's first page: the unified table, a holding opened, and both as files."""

import re
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from aggregation import account_aggregator, charts, exports
from aggregation.account_aggregator import Portfolio
from aggregation.positions import files, reading
from aggregation.positions.asking import PositionFilter, address
from aggregation.positions.entries import Row
from aggregation.positions.reading import Held
from aggregation.positions.table import GROUP_LABELS, Asked, Section, Table
from aggregation.rates import choice, totals
from brokerhub.kernel.htmx import HtmxRequest, wants_partial

ROWS_A_LOAD = 100
OPENER = re.compile(r"[\w.-]{1,80}")  # the id of the link that asks, so that it keeps the focus
CHARTED = "class"  # what the charts show while the table is not grouped
# column, its head, whether it is a number and so is best seen largest first
COLUMNS = (
    ("name", "Instrument", False),
    ("quantity", "Quantity", True),
    ("cost", "Average cost", True),
    ("price", "Price", True),
    ("value", "Value", True),
    ("day", "Day", True),
    ("gain", "Gain", True),
    ("weight", "Weight", True),
)


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column: where a click leads, and how the table is ordered by it now."""

    name: str
    label: str
    is_number: bool
    url: str
    order: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row on the page: where it opens, and when it is open the parts of its accounts."""

    row: Row
    id: str
    url: str
    parts: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """As much of a section as one load shows."""

    section: Section
    lines: list[Line]
    is_start: bool


def _columns(request: HttpRequest, sort: str) -> list[Column]:
    found = []
    for name, label, is_number in COLUMNS:
        order = {name: "ascending", f"-{name}": "descending"}.get(sort, "")
        first, second = (f"-{name}", name) if is_number else (name, f"-{name}")
        url = address(request.GET, sort=second if sort == first else first)
        found.append(Column(name, label, is_number, url, order))
    return found


def _slices(request: HttpRequest, table: Table, asked: Asked, first: int) -> list[Slice]:
    """The rows from number `first` on, one load of them."""
    found, start = [], 0
    for section in table.sections:
        rows = section.rows[max(first - start, 0) : max(first + ROWS_A_LOAD - start, 0)]
        if rows:
            # Opened in its place, a row shows the accounts of its group.
            within = {asked.group: section.key} if asked.group in ("account", "broker") else {}
            lines = [_line(request, row, section.key, within) for row in rows]
            found.append(Slice(section, lines, is_start=start >= first))
        start += len(section.rows)
    return found


def _line(request: HttpRequest, row: Row, place: str, within: dict[str, str]) -> Line:
    found = row.instrument
    if found is None:
        url, name = reverse("aggregation:cash-holding", args=[row.currency]), "cash"
    else:
        url, name = reverse("aggregation:holding", args=[found.pk, row.currency]), f"holding-{found.pk}"
    query = address(request.GET, **within, **({"apart": row.account_id} if row.account_id else {}))
    return Line(row, "-".join(filter(None, [name, row.currency, place, str(row.account_id or "")])), url + query)


def _start(request: HttpRequest) -> int:
    start = request.GET.get("from", "")
    return int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 0


def _held(request: HtmxRequest) -> tuple[Portfolio, Held]:
    whole = account_aggregator.portfolio(request.user)
    return whole, reading.held(whole, choice.chosen(request))


@login_required
@require_GET
def portfolio(request: HtmxRequest) -> HttpResponse:
    whole, held = _held(request)
    form = PositionFilter(request, held.currencies)
    asked = form.asked()
    table = held.table(asked or Asked(account=0))
    first = _start(request)
    last = first + ROWS_A_LOAD
    context: dict[str, Any] = {
        "portfolio": whole,
        "table": table,
        "asked": asked or Asked(),
        "slices": _slices(request, table, asked or Asked(), first),
        "query": address(request.GET),
        "next_url": address(request.GET, **{"from": last}) if len(table.rows) > last else "",
    }
    if wants_partial(request):
        return TemplateResponse(request, "aggregation/_portfolio_rows.html", context)
    context |= {
        "form": form,
        "narrowed": bool(form.errors) or form.narrows,
        "columns": _columns(request, context["asked"].sort),
        "groups": [(value, label, address(request.GET, group=value)) for value, label in GROUP_LABELS.items()],
        "whole": totals.total(whole, held.currency),
        "currencies": choice.choices(request.user),
        **_charts(held, asked or Asked()),
    }
    return TemplateResponse(request, "aggregation/portfolio.html", context)


def _charts(held: Held, asked: Asked) -> dict[str, Any]:
    """Drawn of everything held, by what the table is grouped by; the numbers in `parts` are those of the charts."""
    by = asked.group or CHARTED
    sections = held.table(Asked(group=by)).sections
    allocation = charts.allocation(sections)
    return {
        "charted_by": GROUP_LABELS[by].lower(),
        "parts": sections,
        "allocation": allocation and allocation.to_dict(),
        "treemap": allocation and charts.treemap(sections).to_dict(),
    }


@login_required
@require_GET
def holding(request: HtmxRequest, instrument_id: int, currency: str) -> HttpResponse:
    """One holding with the accounts that have it: a page, or with htmx the table's row opened (or closed again)."""
    _, held = _held(request)
    apart = request.GET.get("apart", "")
    account_id = int(apart) if apart.isascii() and apart.isdigit() and len(apart) < 19 else 0
    if instrument_id not in held.things.rows:
        raise Http404("nothing held of this instrument")
    thing = held.things.of(instrument_id, account_id)
    return _opened(request, held, lambda row: row.parts[0].thing == thing and row.currency == currency)


@login_required
@require_GET
def cash(request: HtmxRequest, currency: str) -> HttpResponse:
    """One currency's cash with the accounts that have it."""
    return _opened(request, _held(request)[1], lambda row: row.is_cash and row.currency == currency)


def _opened(request: HtmxRequest, held: Held, is_meant: Any) -> HttpResponse:
    """The row with the accounts it is narrowed to, as the table it stands in is."""
    asked = PositionFilter(request, held.currencies).asked() or Asked()
    narrowed = Asked(account=asked.account, broker=asked.broker)
    row = next((row for row in held.table(narrowed).rows if is_meant(row)), None)
    if row is None:
        raise Http404("nothing held of this")
    trigger = request.htmx.trigger or ""
    line = Line(
        row,
        id=trigger if OPENER.fullmatch(trigger) else "opener",
        url=request.path + address(request.GET, apart=request.GET.get("apart", "")),
        parts=() if "closed" in request.GET else held.parts(row),
    )
    context = {"line": line, "table": held, "back": reverse("aggregation:portfolio") + address(request.GET)}
    name = "_holding.html" if wants_partial(request) else "holding.html"
    return TemplateResponse(request, f"aggregation/{name}", context)


@login_required
@require_GET
def export(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    """The rows of the same filters as on the page, one for each account and instrument."""
    _, held = _held(request)
    asked = PositionFilter(request, held.currencies).asked()
    table = held.table(asked or Asked(account=0))
    return exports.as_file(files.rows(table), files.COLUMNS, name="positions", suffix=suffix)
