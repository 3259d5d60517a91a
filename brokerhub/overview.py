"""The first page: what there is, what changed today, what needs a hand. Composed of what the apps say, no sums here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from aggregation import charts
from aggregation.account_aggregator import Portfolio, portfolio
from aggregation.history import figures, service
from aggregation.history.service import Asked as AskedHistory
from aggregation.history.service import Range
from aggregation.positions import reading as positions
from aggregation.positions.table import Asked
from aggregation.rates import choice, totals
from aggregation.reconciliation import standing as reconciliation
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import User
from brokerhub.webhooks.models import Endpoint
from connections import connection_manager
from connections.models import Connection
from connections.states import ConnectionState
from sync.models import ParkedRow, RunState, SyncRun

RECENT_RUNS = 5
TROUBLED = frozenset({ConnectionState.ERROR, ConnectionState.DEGRADED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """One thing that waits for the person: what it is, why, and where to see to it."""

    tone: str
    state: str
    subject: str
    text: str
    url: str
    action: str


@login_required
@require_safe
def overview(request: HtmxRequest) -> HttpResponse:
    connections = list(connection_manager.list_connections(request.user))
    if not connections:
        return render(request, "overview/empty.html")
    held = portfolio(request.user)
    whole, accounts = totals.total_and_parts(held, choice.chosen(request))
    context = {
        "matters": list(matters(request.user, connections)),
        "portfolio": held,
        "whole": whole,
        "accounts": accounts,
        "currencies": choice.choices(request.user),
        "runs": SyncRun.objects.for_user(request.user).select_related("connection")[:RECENT_RUNS],
        "history": _history(held, request.user, whole.currency),
        "allocation": _allocation(held, whole.currency),
    }
    return render(request, "overview.html", context)


def _history(held: Portfolio, user: User, currency: str) -> Any:
    """The last year; one known day alone is no history."""
    first = Range.YEAR.first(service.today_of(user))
    accounts = [summary.account for summary in held.accounts]
    found = service.history(accounts, AskedHistory(currency=currency, first=first))
    return _plain(figures.value(found.points, currency, found.joined)) if found.is_drawable else None


def _allocation(held: Portfolio, currency: str) -> Any:
    """By asset class, as on the page of the portfolio."""
    figure = charts.allocation(positions.held(held, currency).table(Asked(group="class")).sections)
    return figure and _plain(figure)


def _plain(figure: go.Figure) -> Any:
    return json.loads(figure.to_json())


def matters(user: User, connections: list[Connection]) -> Iterator[Matter]:
    """What needs attention: connections first, failed syncs, differences, webhooks, rows without a rule."""
    troubled = [connection for connection in connections if _in_trouble(connection)]
    for connection in troubled:
        yield _about_connection(connection)
    for run in _last_runs(user):
        if run.state == RunState.FAILED and run.connection not in troubled:
            yield _about_run(run)
    apart = reconciliation.alarms(user)
    if apart:
        yield Matter(
            tone="warn",
            state="Does not agree",
            subject="1 difference" if apart == 1 else f"{apart} differences",
            text="What your brokers report is not what your transactions add up to. The causes are named.",
            url=reverse("aggregation:reconcile"),
            action="See why",
        )
    for endpoint in Endpoint.objects.for_user(user).switched_off():
        yield _about_webhook(endpoint)
    parked = ParkedRow.objects.for_user(user).waiting().count()
    if parked:
        yield Matter(
            tone="warn",
            state="Waiting for you",
            subject="1 row" if parked == 1 else f"{parked} rows",
            text="No rule understands them yet. They are kept as they came and count nowhere until then.",
            url=reverse("sync:parked"),
            action="Look at them",
        )


def _in_trouble(connection: Connection) -> bool:
    return connection.status.needs_user or connection.status in TROUBLED


def _about_connection(connection: Connection) -> Matter:
    reason = connection.reason
    return Matter(
        tone=connection.status.tone,
        state=connection.status.label,
        subject=connection.label,
        text=reason.text,
        url=reverse("connections:detail", args=[connection.pk]),
        action=reason.action or "See details",
    )


def _about_run(run: SyncRun) -> Matter:
    return Matter(
        tone="bad",
        state="Sync failed",
        subject=run.connection.label,
        text=run.error,
        url=reverse("sync:run", args=[run.pk]),
        action="See details",
    )


def _about_webhook(endpoint: Endpoint) -> Matter:
    return Matter(
        tone="bad",
        state="Switched off",
        subject=str(endpoint),
        text=f"{endpoint.get_off_reason_display()} Your program is told nothing any more.",
        url=reverse("webhooks:detail", args=[endpoint.pk]),
        action="See the webhook",
    )


def _last_runs(user: User) -> Iterator[SyncRun]:
    """The newest run of each connection."""
    newest_first = SyncRun.objects.for_user(user).order_by("connection_id", "-created_at", "-pk")
    yield from newest_first.distinct("connection_id").select_related("connection")
