"""Pages of realised gains and income: what was asked for, the figures, and the same rows as files."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from aggregation import exports
from aggregation.lots import charts, choosing, files
from aggregation.lots.asking import Asked, AskingForm
from aggregation.lots.gains import GainsReport
from aggregation.lots.income import IncomeReport, payments
from aggregation.lots.service import lots_of
from aggregation.lots.words import Method
from aggregation.models import Instrument, Transaction
from aggregation.positions.choices import same_as
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.htmx import HtmxRequest, wants_partial

ROWS_A_LOAD = 100


def _asked(request: HtmxRequest) -> tuple[AskingForm, Asked]:
    """What cannot be understood is said in the form, and all is shown."""
    form = AskingForm(request.GET, request.user)
    if form.is_valid():
        return form, form.asked()
    return form, Asked(form.own, request.user.currency, Method.FIFO, None)


def _gains(request: HtmxRequest) -> tuple[AskingForm, GainsReport]:
    form, asked = _asked(request)
    return form, GainsReport(lots_of(request.user, method=asked.method, accounts=asked.accounts), asked)


def _income(request: HtmxRequest) -> tuple[AskingForm, IncomeReport]:
    form, asked = _asked(request)
    return form, IncomeReport(asked, payments(asked.accounts))


def _common(request: HtmxRequest, form: AskingForm, asked: Asked) -> dict[str, Any]:
    """Addresses with and without the year keep everything else that was asked for."""
    query = request.GET.copy()
    query.pop("from", None)
    without_year = query.copy()
    without_year.pop("year", None)
    filtered = any(request.GET.get(name) for name in ("account", "broker", "currency"))
    return {
        "form": form, "asked": asked, "query": query.urlencode(), "other_query": without_year.urlencode(),
        "filtered": filtered,
    }  # fmt: skip


@login_required
@require_GET
def gains(request: HtmxRequest) -> HttpResponse:
    form, report = _gains(request)
    start = request.GET.get("from", "")
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 0
    context = _common(request, form, report.asked) | {
        "report": report,
        "picking": report.asked.method is Method.SPECIFIC,
        "rows": report.known[first : first + ROWS_A_LOAD],
        "next_from": first + ROWS_A_LOAD if len(report.known) > first + ROWS_A_LOAD else None,
    }
    name = "_gain_rows.html" if wants_partial(request) else "gains.html"
    return TemplateResponse(request, f"aggregation/{name}", context)


@login_required
@require_GET
def income(request: HtmxRequest) -> HttpResponse:
    form, report = _income(request)
    figure = charts.income(report.per_month, report.asked.currency) if len(report.per_month) > 1 else None
    context = _common(request, form, report.asked) | {
        "report": report,
        "figure": figure.to_dict() if figure else None,
    }
    return TemplateResponse(request, "aggregation/income.html", context)


@login_required
@require_GET
def instrument_lots(request: HtmxRequest, instrument_id: int) -> HttpResponse:
    """The open lots of one instrument: a page, or with htmx a part of the instrument's own page."""
    _, asked = _asked(request)
    lots = lots_of(request.user, method=asked.method, accounts=asked.accounts)
    instrument = get_object_or_404(Instrument, pk=instrument_id)
    same = same_as(request.user, instrument)
    if not lots.has(same):
        raise Http404("no lot of this instrument")
    context = {
        "asked": asked,
        "instrument": instrument,
        "methods": Method.choices,
        "lots": [each for each in lots.open if each.instrument.pk in same],
    }
    name = "_open_lots.html" if wants_partial(request) else "open_lots.html"
    return TemplateResponse(request, f"aggregation/{name}", context)


@login_required
@require_http_methods(["GET", "POST"])
def pick_lots(request: HtmxRequest, transaction_id: int) -> HttpResponse:
    """The lots there were when this was sold, and how many units of each go with it."""
    own = Transaction.objects.for_user(request.user).select_related("instrument", "account__connection")
    sale = get_object_or_404(own, pk=transaction_id)
    lots = choosing.choice(sale)
    given = {name.removeprefix("lot-"): str(text) for name, text in request.POST.items() if name.startswith("lot-")}
    error = ""
    if request.method == "POST":
        try:
            choosing.pick(sale, choosing.understood(given), lots)
        except NotAllowed as refusal:
            error = str(refusal)
        else:
            messages.success(request, "Your choice of lots is kept.")
            return redirect(f"{reverse('aggregation:gains')}?method={Method.SPECIFIC.value}")
    context = {"sale": sale, "lots": lots, "given": given, "error": error}
    return TemplateResponse(request, "aggregation/pick_lots.html", context, status=400 if error else 200)


@login_required
@require_GET
def export_gains(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    _, report = _gains(request)
    return exports.as_file(files.gains(report), files.GAIN_COLUMNS, name="gains", suffix=suffix)


@login_required
@require_GET
def export_income(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    _, report = _income(request)
    return exports.as_file(files.income(report), files.INCOME_COLUMNS, name="income", suffix=suffix)


@login_required
@require_GET
def export_lots(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    _, asked = _asked(request)
    lots = lots_of(request.user, method=asked.method, accounts=asked.accounts)
    return exports.as_file(files.open_lots(lots), files.LOT_COLUMNS, name="lots", suffix=suffix)
