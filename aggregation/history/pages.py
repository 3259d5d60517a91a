"""The page of the history: one chart, the returns with how they were worked out, and every number as a table."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from aggregation import exports
from aggregation.account_aggregator import counted_accounts
from aggregation.history import figures, service
from aggregation.history.api import AskedSerializer, daily_value
from aggregation.history.lines import LinePoint
from aggregation.history.returns import Performance
from aggregation.history.service import History, Range
from aggregation.rates import choice
from brokerhub.kernel.htmx import HtmxRequest
from connections.brokers.records import AssetClass
from connections.models import Account

CHARTS = {"": "Value", "account": "By account", "class": "By asset class", "return": "Return"}
DAYS_A_PAGE = 92
CHANGES_SHOWN = 12
COLUMNS = ("on", "value", "contributed", "flow", "currency", "basis", "at_older_prices")
CLASSES = {**dict(AssetClass.choices), figures.CASH: "Cash", figures.OTHER: "Not itemised"}
LEAST_POINTS = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of returns."""

    name: str
    found: Performance
    url: str = ""


@login_required
@require_GET
def history(request: HtmxRequest) -> HttpResponse:
    found, asked = _asked(request)
    chart = request.GET.get("chart", "")
    chart = chart if chart in CHARTS else ""
    points = found.points
    known = [point for point in points if point.value is not None]
    as_table = request.GET.get("view") == "table"
    context: dict[str, Any] = {
        "history": found,
        "currency": found.asked.currency,
        "currencies": choice.choices(request.user),
        "accounts": _own_accounts(request),
        "asked": asked,
        "ranges": [(each, each.label) for each in Range],
        "charts": CHARTS.items(),
        "chart": chart,
        "figure": None if as_table or not found.is_drawable else _figure(found, chart),
        "as_table": as_table,
        "query": _query(request),
        "latest": known[-1] if known else None,
        "unknown": len(points) - len(known),
        "total": found.total,
        "rows": [*_rows(found)],
        "changes": service.changes(request.user, found.accounts, limit=CHANGES_SHOWN),
        "unexplained": _unexplained(found),
        **(_table(points, request.GET.get("before", "")) if as_table else {}),
    }
    return TemplateResponse(request, "aggregation/history.html", context)


@login_required
@require_GET
def export(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    """Every day of the same question as on the page."""
    found, _ = _asked(request)
    rows = ({**daily_value(point), "currency": found.asked.currency} for point in found.points)
    return exports.as_file(rows, COLUMNS, name="history", suffix=suffix)


def _asked(request: HtmxRequest) -> tuple[History, dict[str, str]]:
    """What the address asks for; what it asks wrongly is left out, and a year is shown when no time is asked for."""
    names = ("account", "broker", "range", "from", "to")
    given = {name: value for name in names if (value := request.GET.get(name, "").strip())}
    asked = AskedSerializer(data=given, context={"request": request})
    if not asked.is_valid():
        given = {name: value for name, value in given.items() if name not in asked.errors}
        asked = AskedSerializer(data=given, context={"request": request})
        if not asked.is_valid():
            given = {}
            asked = AskedSerializer(data=given, context={"request": request})
            asked.is_valid(raise_exception=True)
    if not {"range", "from", "to"} & given.keys():
        given["range"] = Range.YEAR.value
        asked = AskedSerializer(data=given, context={"request": request})
        asked.is_valid(raise_exception=True)
    return asked.history(request.user, currency=choice.chosen(request)), given


def _query(request: HtmxRequest) -> str:
    """The address's question without the place in the table."""
    query = request.GET.copy()
    query.pop("before", None)
    return query.urlencode()


def _own_accounts(request: HtmxRequest) -> list[Account]:
    return list(counted_accounts(request.user).select_related("connection").order_by("connection__created_at", "pk"))


def _figure(found: History, chart: str) -> Any:
    points, currency = found.points, found.asked.currency
    if chart == "return":
        return figures.growth(found.total.curve, points[-1].on).to_dict() if found.total.curve else None
    if chart == "account":
        parts = {str(account.pk): str(account) for account in found.accounts}
        return figures.stacked(points, currency, parts, by_account=True).to_dict()
    if chart == "class":
        return figures.stacked(points, currency, CLASSES, by_account=False).to_dict()
    return figures.value(points, currency, found.joined).to_dict()


def _rows(found: History) -> list[Row]:
    by_account = found.by_account
    if len(by_account) < LEAST_POINTS:
        return []
    rows = [Row("All accounts", found.total)]
    if len(brokers := found.by_broker) > 1:
        rows += [Row(broker.label, each) for broker, each in brokers]
    rows += [Row(str(account), each, reverse("aggregation:account", args=[account.pk])) for account, each in by_account]
    return rows


def _table(points: list[LinePoint], before: str) -> dict[str, Any]:
    """The newest days first, `DAYS_A_PAGE` at a time, older than the day `before`."""
    try:
        end = date.fromisoformat(before)
    except ValueError:
        end = date.max
    older = [point for point in points if point.on < end]
    shown = older[::-1][:DAYS_A_PAGE]
    return {"days": shown, "next_before": shown[-1].on if len(older) > len(shown) else None}


def _unexplained(found: History) -> list[tuple[Account, str, Decimal]]:
    """Cash that is taken to have been there from the beginning."""
    kept = service.unexplained(found.accounts)
    accounts = {account.pk: account for account in found.accounts}
    return [
        (accounts[pk], currency, Decimal(amount)) for pk, money in kept.items() for currency, amount in money.items()
    ]
