"""The first page: what there is, what changed today, what needs a hand. Composed of what the apps say, no sums here."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import User
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
    title: str
    text: str
    url: str
    action: str


@login_required
@require_safe
def overview(request: HtmxRequest) -> HttpResponse:
    connections = list(connection_manager.list_connections(request.user))
    if not connections:
        return render(request, "overview_empty.html")
    runs = list(SyncRun.objects.for_user(request.user).select_related("connection")[:RECENT_RUNS])
    return render(
        request,
        "overview.html",
        {"connections": connections, "matters": list(matters(request.user, connections)), "runs": runs},
    )


def matters(user: User, connections: list[Connection]) -> Iterator[Matter]:
    """What needs attention: connections first, then syncs that failed for another reason, then rows without a rule."""
    troubled = [connection for connection in connections if _in_trouble(connection)]
    for connection in troubled:
        yield _about_connection(connection)
    for run in _last_runs(user):
        if run.state == RunState.FAILED and run.connection not in troubled:
            yield _about_run(run)
    parked = ParkedRow.objects.filter(account__connection__user=user).count()
    if parked:
        yield Matter(
            tone="warn",
            title="1 row waits for you" if parked == 1 else f"{parked} rows wait for you",
            text="No rule understands them yet. They are kept as they came and count nowhere until then.",
            url=reverse("sync:list"),
            action="Look at them",
        )


def _in_trouble(connection: Connection) -> bool:
    return connection.status.needs_user or connection.status in TROUBLED


def _about_connection(connection: Connection) -> Matter:
    reason = connection.reason
    return Matter(
        tone=connection.status.tone,
        title=f"{connection.label}: {connection.status.label}",
        text=reason.text,
        url=reverse("connections:detail", args=[connection.pk]),
        action=reason.action or "See details",
    )


def _about_run(run: SyncRun) -> Matter:
    return Matter(
        tone="bad",
        title=f"{run.connection.label}: the last sync failed",
        text=run.error,
        url=reverse("sync:run", args=[run.pk]),
        action="See details",
    )


def _last_runs(user: User) -> Iterator[SyncRun]:
    """The newest run of each connection."""
    newest_first = SyncRun.objects.for_user(user).order_by("connection_id", "-created_at", "-pk")
    yield from newest_first.distinct("connection_id").select_related("connection")
