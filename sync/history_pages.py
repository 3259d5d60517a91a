"""The history of runs as files, what a run was sent, and how long logs are kept."""

import json
from collections.abc import Iterator
from typing import Any, Self

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from aggregation import exports
from aggregation.models import Transaction
from aggregation.redaction import masked
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import User
from sync import history
from sync.models import HistorySetting, ParkedRow, SyncRun


class KeepForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = HistorySetting
        fields = ("keep_days",)
        labels = {"keep_days": "Days"}
        help_texts = {"keep_days": "7 to 3650. Empty: for ever."}

    @classmethod
    def of(cls, user: User, data: Any = None) -> Self:
        return cls(data, instance=HistorySetting.objects.filter(user=user).first())


@login_required
@require_GET
def export(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    """The runs of the same filters as on the page."""
    if suffix not in ("csv", "json"):
        raise Http404
    own = SyncRun.objects.for_user(request.user).over()
    asked = history.RunPageFilter(request.GET, own, request=request)
    found = asked.qs if asked.is_valid() else own.none()
    return exports.as_file(history.rows(found), history.COLUMNS, name="sync-runs", suffix=suffix)


@login_required
@require_GET
def payloads(request: HtmxRequest, run_id: int) -> StreamingHttpResponse:
    """What the run was sent, row by row, account numbers masked."""
    run = get_object_or_404(SyncRun.objects.for_user(request.user), pk=run_id)
    response = StreamingHttpResponse(_payloads(run), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="run-{run.pk}.json"'
    return response


def _payloads(run: SyncRun) -> Iterator[str]:
    booked = Transaction.objects.filter(run=run).order_by("pk").values_list("pk", "raw").iterator(chunk_size=1000)
    parked = ParkedRow.objects.of_run(run).order_by("pk").values_list("pk", "raw").iterator(chunk_size=1000)
    before = "["
    for name, rows in (("transaction", booked), ("parked_row", parked)):
        for pk, raw in rows:
            yield before + json.dumps({name: pk, "raw": masked(raw)})
            before = ",\n"
    yield "]" if before != "[" else "[]"


@login_required
@require_POST
def keep(request: HtmxRequest) -> HttpResponse:
    """Set how long logs are kept."""
    form = KeepForm.of(request.user, request.POST)
    if form.is_valid():
        setting = history.keep_for(request.user, form.cleaned_data["keep_days"])
        messages.success(request, f"Logs are kept {'for ' if setting.keep_days else ''}{setting}.")
    else:
        messages.error(request, "Choose between 7 and 3650 days, or leave it empty to keep logs for ever.")
    return redirect("sync:list")
