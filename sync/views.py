"""Pages to watch syncs, look into one, and import files. Each works without JavaScript by reloading it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import trigger_client_event

from aggregation.handover import handover
from aggregation.models import Transaction
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from brokerhub.kernel.models import User
from connections.models import Account, Connection
from sync import rereading, sync_service, undoing
from sync.history import RunPageFilter
from sync.history_pages import KeepForm
from sync.models import ImportFile, ParkedRow, SyncRun, Trigger, WordRule
from sync.parking import shown
from sync.progress import in_words

PAGE_SIZE = 25
LOG_SIZE, MOST_MISSING = 200, 100
FINISHED = "sync-finished"  # the event that tells a page to fetch again what a finished run may have changed


@login_required
@never_cache
@require_GET
def run_list(request: HtmxRequest) -> HttpResponse:
    """What is under way, which follows itself, and below it the runs that are over."""
    asked = RunPageFilter(request.GET, SyncRun.objects.for_user(request.user).over().for_list(), request=request)
    runs, older = _page(asked.qs if asked.is_valid() else asked.queryset.none(), request)
    query = request.GET.copy()
    query.pop("before", None)
    context: dict[str, Any] = {
        "runs": [in_words(run) for run in runs],
        "older": older,
        "filter": asked,
        "filtered": any(value for name, value in request.GET.items() if name in asked.filters),
        "query": query.urlencode(),
    }
    if wants_partial(request):
        return TemplateResponse(request, "sync/_run_rows.html", context)
    context |= _progress_of(request.user, None)
    context["parked"] = ParkedRow.objects.for_user(request.user).waiting().count()
    context["connections"] = (
        Connection.objects.for_user(request.user)
        .by_api()
        .open()
        .select_related("schedule")
        .order_by("label", "created_at")
    )
    context["keep_form"] = KeepForm.of(request.user)
    return TemplateResponse(request, "sync/run_list.html", context)


@login_required
@never_cache
@require_GET
def progress(request: HtmxRequest) -> HttpResponse:
    """The open runs as they stand, of all connections or of one. It carries its own trigger to be fetched again while
    something is under way; without it polling ends. When fewer are open than the page shows (`shown`), an event tells
    it that there is news."""
    asked = _uuid(request.GET.get("connection", ""))
    connection = get_object_or_404(Connection.objects.for_user(request.user), pk=asked) if asked else None
    context = _progress_of(request.user, connection)
    response = TemplateResponse(request, "sync/_progress.html", context)
    shown = request.GET.get("shown", "")
    if not context["working"] or (shown.isdecimal() and len(context["working"]) < int(shown[:6])):
        trigger_client_event(response, FINISHED)
    return response


def _progress_of(user: User, connection: Connection | None) -> dict[str, Any]:
    runs = SyncRun.objects.for_user(user).open().select_related("connection", "file").defer("file__content")
    if connection is not None:
        runs = runs.filter(connection=connection)
    working = [in_words(run) for run in runs.order_by("connection__created_at", "pk")]
    return {
        "working": working,
        "connection": connection,
        "can_sync": Connection.objects.for_user(user).syncable().exists(),
    }


@login_required
@require_POST
def start(request: HtmxRequest) -> HttpResponse:
    """Sync one connection, or all of them."""
    if request.POST.get("connection"):
        asked = _uuid(request.POST["connection"])
        connection = get_object_or_404(Connection.objects.for_user(request.user), pk=asked)
        sync_service.request_sync(user=request.user, connection=connection, trigger=Trigger.MANUAL)
    elif not sync_service.request_all(user=request.user, trigger=Trigger.MANUAL):
        messages.warning(request, "None of your connections can sync now. Connect a broker, or sign in again.")
    return redirect("sync:list")


@login_required
@never_cache
@require_GET
def run_detail(request: HtmxRequest, run_id: int) -> HttpResponse:
    run = _own_run(request, run_id)
    context = {
        "it": in_words(run, Account.objects.filter(connection=run.connection_id)),
        "run": run,
        "standing": undoing.standing(run),
        "handover": handover(run.file.account) if run.is_import and not run.is_open else None,
        "parked": [(row, shown(row)) for row in ParkedRow.objects.of_run(run).select_related("account")[:PAGE_SIZE]],
        "missing": Transaction.objects.for_user(request.user).filter(pk__in=run.missing[:MOST_MISSING]),
        "log": run.entries.order_by("-pk")[:LOG_SIZE],
    }
    name = "_run.html" if wants_partial(request) else "run_detail.html"
    return TemplateResponse(request, f"sync/{name}", context)


@login_required
@require_POST
def cancel(request: HtmxRequest, run_id: int) -> HttpResponse:
    try:
        sync_service.cancel(_own_run(request, run_id))
        messages.success(request, "The run is cancelled. What it had fetched until then is kept.")
    except NotAllowed as error:  # it came to its end while the person reached for the button
        messages.warning(request, str(error))
    return redirect("sync:run", run_id=run_id)


@login_required
@require_GET
def parked_list(request: HtmxRequest) -> HttpResponse:
    rows, older = _page(ParkedRow.objects.for_user(request.user).waiting().for_list(), request)
    has_reread = Exists(ImportFile.objects.filter(rule=OuterRef("pk")))
    rules = WordRule.objects.for_user(request.user).annotate(has_reread=has_reread)
    earlier = rereading.counts_of_earlier(request.user, rules) if rules else {}
    context = {
        "rows": [(row, shown(row)) for row in rows],
        "older": older,
        "rules": [(rule, earlier[rule.pk]) for rule in rules],
    }
    return TemplateResponse(request, "sync/parked_list.html", context)


def _own_run(request: HtmxRequest, run_id: int) -> SyncRun:
    return get_object_or_404(SyncRun.objects.for_user(request.user).for_list(), pk=run_id)


def _page(queryset: Any, request: HtmxRequest) -> tuple[list[Any], int | None]:
    """The rows after `?before=` (newest first), and where the next page begins; None on the last."""
    before = request.GET.get("before", "")
    if before:
        if not (before.isascii() and before.isdigit() and len(before) < 19):
            raise Http404
        queryset = queryset.filter(pk__lt=int(before))
    rows = list(queryset[: PAGE_SIZE + 1])
    more = len(rows) > PAGE_SIZE
    return rows[:PAGE_SIZE], rows[PAGE_SIZE - 1].pk if more else None


def _uuid(text: str) -> UUID | None:
    """Raises Http404 for a text that is no id."""
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise Http404 from error
