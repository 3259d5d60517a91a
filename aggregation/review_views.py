"""Pages on which a person decides: possible duplicates side by side, and what to make of a row."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aggregation import edits, review
from aggregation.filters import TransactionFilter, newest_first, position_asked
from aggregation.forms import EditForm, PartForms
from aggregation.models import BookStatus, PossibleDuplicate, Transaction
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest

PAGE_SIZE = 25
FACTS = {
    "Trade date": "traded_on",
    "Settlement date": "settled_on",
    "Kind": "kind",
    "Instrument": "instrument_id",
    "Quantity": "quantity",
    "Price": "price",
    "Fees": "fees",
    "Amount": "net_amount",
    "Description": "description",
}


@login_required
@never_cache
@require_GET
def queue(request: HtmxRequest) -> HttpResponse:
    """The questions that wait, newest first; with `?show=decided` those that were answered."""
    is_decided = request.GET.get("show") == "decided"
    own = PossibleDuplicate.objects.for_user(request.user).for_list()
    asked = own.decided() if is_decided else own.waiting()
    before = request.GET.get("before", "")
    if before and not _is_place(before):
        raise Http404("no such place in the list")
    found = list((asked.filter(pk__lt=int(before)) if before else asked)[: PAGE_SIZE + 1])
    context = {
        "pairs": [_in_words(pair) for pair in found[:PAGE_SIZE]],
        "older": found[PAGE_SIZE - 1].pk if len(found) > PAGE_SIZE else None,
        "before": before,
        "is_decided": is_decided,
        "waiting": asked.count() if before or len(found) > PAGE_SIZE else len(found),
        "last": None if is_decided else own.decided_by(request.user).first(),
    }
    return TemplateResponse(request, "aggregation/review.html", context)


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _in_words(pair: PossibleDuplicate) -> dict[str, Any]:
    different = {name for name in review.differing(pair) if _is_said(pair.first, name) and _is_said(pair.second, name)}
    return {
        "pair": pair,
        "reasons": review.in_words(pair),
        "different": {label for label, name in FACTS.items() if name in different},
        "together": review.together(pair),
        "choices": _choices(pair),
        "verdict": review.verdict(pair),
    }


def _choices(pair: PossibleDuplicate) -> list[dict[str, Any]]:
    """Which row can count: {pk, label, is_preferred} each. Of several rows the first stands for all of them."""
    preferred = review.preferred(pair)
    if pair.one is None:
        rows = [(row, f"{row.told_by}, {row.traded_on:%-d %b %Y}") for row in pair.rows]
    else:
        first = pair.several[0]
        preferred = pair.one if preferred == pair.one else first
        several = f"The {len(pair.several)} rows, {first.told_by}"
        rows = [(first, several), (pair.one, f"The one row, {pair.one.told_by}")]
    return [{"pk": row.pk, "label": label, "is_preferred": row == preferred} for row, label in rows]


def _is_said(row: Transaction, name: str) -> bool:
    """What one of two does not say is no difference between them."""
    return getattr(row, name) not in (None, "")


@login_required
@require_POST
def decide(request: HtmxRequest, pair_id: int) -> HttpResponse:
    own = PossibleDuplicate.objects.for_user(request.user).questions().for_list()
    pair = get_object_or_404(own, pk=pair_id)
    wish = request.POST.get("do", "")
    keep = {str(row.pk): row for row in pair.rows}.get(request.POST.get("keep", ""))
    try:
        if wish == "merge":
            review.merge(pair, user=request.user, keep=keep)
            messages.success(request, "The event counts once from now on.")
        elif wish == "keep":
            review.keep_both(pair, user=request.user)
            messages.success(request, "All of them count. You will not be asked about them again.")
        else:
            review.reopen(pair, user=request.user)
            messages.success(request, "The decision is undone. The question waits again.")
    except HubError as error:
        messages.warning(request, str(error))
    return redirect(_next_place(request, pair, is_undo=wish not in ("merge", "keep")))


def _next_place(request: HtmxRequest, pair: PossibleDuplicate, *, is_undo: bool) -> str:
    """The page to go on with: at the question after `pair`, or at `pair` itself when its decision was undone."""
    waiting = PossibleDuplicate.objects.for_user(request.user).waiting()
    before = request.POST.get("before", "")
    before = before if _is_place(before) else ""
    if is_undo:
        goal: int | None = pair.pk
        before = str(pair.pk + 1) if waiting.filter(pk__gt=pair.pk).count() >= PAGE_SIZE else ""
    else:
        goal = waiting.filter(pk__lt=pair.pk).order_by("-pk").values_list("pk", flat=True).first()
    query = f"?before={before}" if before else ""
    return reverse("aggregation:review") + query + (f"#pair-{goal}" if goal else "")


@login_required
@never_cache
@require_GET
def excluded(request: HtmxRequest) -> HttpResponse:
    """Rows the person left out, newest first, each with the way back."""
    asked = TransactionFilter({"status": BookStatus.EXCLUDED}, Transaction.objects.all(), request=request)
    rows = newest_first(request.user, asked).after(position_asked(request))[: PAGE_SIZE + 1]
    last = rows[PAGE_SIZE - 1] if len(rows) > PAGE_SIZE else None
    context = {
        "transactions": rows[:PAGE_SIZE],
        "older": f"{last.traded_on}_{last.pk}" if last else "",
        "is_first": not request.GET.get("after"),
    }
    return TemplateResponse(request, "aggregation/excluded.html", context)


def _own(request: HtmxRequest, transaction_id: int) -> Transaction:
    own = Transaction.objects.for_user(request.user).select_related("instrument", "account__connection")
    return get_object_or_404(own, pk=transaction_id)


@login_required
@require_POST
def annotate(request: HtmxRequest, transaction_id: int) -> HttpResponse:
    row, form = _own(request, transaction_id), EditForm(request.POST)
    if form.is_valid():
        edits.annotate(row, user=request.user, note=form.cleaned_data["note"], tags=form.cleaned_data["tags"])
        messages.success(request, "Saved.")
    else:
        messages.warning(request, "The note or the tags are too long. Nothing was saved.")
    return redirect("aggregation:transaction", transaction_id=row.pk)


DEEDS = {
    "exclude": (edits.exclude, "The row is left out, and stays out after the next sync."),
    "bring_back": (edits.bring_back, "The row counts again."),
    "join": (edits.join, "The row counts whole again."),
}


@login_required
@require_POST
def change(request: HtmxRequest, transaction_id: int) -> HttpResponse:
    """Exclude, bring back, or join what was split."""
    row = _own(request, transaction_id)
    if request.POST.get("do") not in DEEDS:
        raise Http404("no such change")
    deed, words = DEEDS[request.POST["do"]]
    try:
        deed(row, user=request.user)
        messages.success(request, words)
    except HubError as error:
        messages.warning(request, str(error))
    if "list" in request.POST:
        return redirect("aggregation:excluded")
    return redirect("aggregation:transaction", transaction_id=row.pk)


@login_required
@require_http_methods(["GET", "POST"])
def split(request: HtmxRequest, transaction_id: int) -> HttpResponse:
    row = _own(request, transaction_id)
    forms = PartForms(request.POST or None, form_kwargs={"row": row})
    error = ""
    if request.method == "POST" and forms.is_valid():
        parts = [part for form in forms if (part := form.part()) is not None]
        try:
            edits.split(row, parts, user=request.user)
            messages.success(request, "The parts count in place of the row.")
            return redirect("aggregation:transaction", transaction_id=row.pk)
        except HubError as refused:
            error = str(refused)
    context = {"transaction": row, "forms": forms, "error": error}
    status = 422 if error or any(forms.errors) else 200
    return TemplateResponse(request, "aggregation/split.html", context, status=status)
