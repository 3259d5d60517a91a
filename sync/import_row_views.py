"""The preview of an import: every row with what would become of it, mended, left out and taken in."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aggregation.models import Source as Teller
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from connections.brokers.records import TransactionKind
from sync import drafts, file_words, rereading
from sync.forms import WordForm
from sync.import_models import DraftRow, DraftState, ImportDraft, RowState
from sync.import_views import checking_page, label_of, own, source_of
from sync.importers.base import Format
from sync.importers.reader import Source
from sync.importers.tabular import TabularFormat
from sync.mending import cells_of, delimiter_of
from sync.models import WordRule
from sync.reading import MAPPED, format_of
from sync.word_rules import Applied

PAGE_SIZE = 50
LEFT_OUT = "left_out"
FILTERS = {"": "All", **dict(RowState.choices), LEFT_OUT: "Left out"}
KINDS = dict(TransactionKind.choices)
SOURCES = {Teller.API.value: "from the broker", Teller.CSV.value: "from a file", Teller.MANUAL.value: "by hand"}
AMOUNTS = ("quantity", "net_amount")


@login_required
@never_cache
@require_GET
def rows(request: HtmxRequest, draft_id: UUID) -> HttpResponse:
    """Every row of the file with what would become of it."""
    draft = own(request, draft_id)
    if draft.state == DraftState.CHECKING:
        return checking_page(draft, request)
    if draft.state == DraftState.CHOOSING:
        return redirect("sync:draft", draft_id=draft.pk)
    state = request.GET.get("state", "")
    if state not in FILTERS:
        raise Http404
    page = Paginator(draft.rows.filter(_with_state(state)), PAGE_SIZE).get_page(request.GET.get("page"))
    counts = drafts.count_rows(draft)
    context = {
        "draft": draft,
        "page": page,
        "rows": [_shown(row) for row in page],
        "state": state,
        "filters": _filters(counts, state),
        "counts": counts,
        "new": counts["valid"] + counts["warning"] + counts["possible"],
        "can_mend": not draft.found["is_markup"],
        "kinds": file_words.KINDS,
        "words": _words(draft),
        "accounts": _account_names(draft),
        "several": len(draft.accounts) > 1,
        "label": label_of(draft),
        "step": 3,
    }
    return TemplateResponse(request, "sync/import_rows.html", context)


def _words(draft: ImportDraft) -> dict[str, Any]:
    """How a row's unknown word is named here, and the rows booked before that a rule of the person would correct."""
    format = format_of(draft)
    is_mapped = draft.format == MAPPED
    rules = [] if is_mapped else list(file_words.rules_of(draft.user, format))
    counts = rereading.counts_of_earlier(draft.user, rules) if rules else {}
    return {
        "is_mapped": is_mapped,
        "is_prose": _is_prose(format),
        "house": format.institution,
        "earlier": [(rule, counts[rule.pk]) for rule in rules if counts[rule.pk]],
    }


def _is_prose(format: Format) -> bool:
    return isinstance(format, TabularFormat) and format.by_prefix


@login_required
@require_POST
def say_word(request: HtmxRequest, draft_id: UUID, line: int) -> HttpResponse:
    """Say once what the word of a row means: for this file at once, for later ones, and for the broker's feed."""
    draft = own(request, draft_id)
    shown = get_object_or_404(draft.rows.exclude(word=""), line=line)
    if draft.format == MAPPED or draft.state != DraftState.READY:
        return redirect("sync:draft", draft_id=draft.pk)
    format = format_of(draft)
    form = WordForm(request.POST, said=shown.word, is_prose=_is_prose(format))
    if form.is_valid():
        kind = TransactionKind(form.cleaned_data["kind"])
        rule, applied = file_words.remember(draft.user, format, form.cleaned_data["word"], kind)
        messages.success(request, _said(rule, applied))
        drafts.request_check(draft)
    else:
        messages.error(request, f"{next(iter(form.errors.values()))[0]}")
    return redirect(f"{reverse('sync:rows', args=[draft.pk])}?{request.GET.urlencode()}#line-{line}")


def _said(rule: WordRule, applied: Applied) -> str:
    text = f"“{rule.word}” is always treated as “{TransactionKind(rule.kind).label}” from now on."
    waited = f" {applied.booked} row{'' if applied.booked == 1 else 's'} of the broker that waited for it booked."
    return text + waited if applied.booked else text


def _with_state(state: str) -> Q:
    if state == LEFT_OUT:
        return Q(is_left_out=True)
    return Q(state=state, is_left_out=False) if state else Q()


def _filters(counts: dict[str, int], state: str) -> list[dict[str, Any]]:
    total = sum(counts.values())
    return [
        {"key": key, "label": label, "count": counts[key] if key else total, "current": key == state}
        for key, label in FILTERS.items()
        if not key or counts[key] or key == state
    ]


def _shown(row: DraftRow) -> dict[str, Any]:
    """A row with its first record in words, the amounts of all, and the rows of the books it resembles."""
    legs = [_with_amounts(leg) for leg in row.records]
    return {
        "row": row,
        "first": legs[0] if legs else None,
        "all": legs,
        "resembles": [_with_amounts(other) for other in row.resembles],
    }


def _with_amounts(told: dict[str, Any]) -> dict[str, Any]:
    """Amounts as numbers, days as dates, kind and source in words."""
    amounts = {name: None if told[name] is None else Decimal(told[name]) for name in AMOUNTS}
    words = {"what": KINDS.get(told["kind"], told["kind"]), "from": SOURCES.get(told.get("source", ""), "")}
    return {**told, **amounts, **words, "on": date.fromisoformat(told["date"])}


@login_required
@require_http_methods(["GET", "POST"])
def row(request: HtmxRequest, draft_id: UUID, line: int) -> HttpResponse:
    """One row cell by cell, to be mended."""
    draft = own(request, draft_id)
    shown = get_object_or_404(draft.rows, line=line)
    source = source_of(draft)
    format = format_of(draft)
    delimiter = "" if source.is_markup else delimiter_of(format, source, draft.said)
    original = cells_of(source, line, delimiter) if delimiter else None
    if original is None:
        raise Http404
    names = _names(source, format, delimiter, len(original))
    now = dict(enumerate(original + [""] * (len(names) - len(original)))) | draft.mended.get(line, {})
    if request.method == "POST":
        drafts.mend(draft, line, {at: request.POST.get(f"cell_{at}", text) for at, text in now.items()}, original)
        return redirect(f"{reverse('sync:rows', args=[draft.pk])}?{request.GET.urlencode()}#line-{line}")
    cells = [{"at": at, "name": names[at], "text": now[at], "mended": at in draft.mended.get(line, {})} for at in now]
    context = {"draft": draft, "it": _shown(shown), "cells": cells, "back": request.GET.urlencode(), "step": 3}
    name = "_import_row_edit.html" if wants_partial(request) else "import_row.html"
    return TemplateResponse(request, f"sync/{name}", context)


def _names(source: Source, format: Any, delimiter: str, width: int) -> list[str]:
    """What the cells of a row are called: by the header where the file is one table, else by their number."""
    at = format.header_row(source, delimiter) if isinstance(format, TabularFormat) else None
    header = [] if at is None else [cell.strip() for cell in source.head(delimiter)[at]]
    while header and not header[-1]:
        header.pop()
    return [
        header[number] if number < len(header) and header[number] else f"Cell {number + 1}"
        for number in range(max(width, len(header)))
    ]


@login_required
@require_POST
def choose_rows(request: HtmxRequest, draft_id: UUID) -> HttpResponse:
    """Leave rows out or take them in: those ticked, or all with the state that is shown."""
    draft = own(request, draft_id)
    state = request.POST.get("state", "")
    if draft.state != DraftState.READY or state not in FILTERS:
        return redirect("sync:draft", draft_id=draft.pk)
    lines = [int(line) for line in request.POST.getlist("line") if line.isascii() and line.isdigit() and len(line) < 10]
    wanted = _with_state(state) if "all" in request.POST else Q(line__in=lines)
    is_left_out = request.POST.get("do") == "leave_out"
    count = drafts.leave_out(draft, wanted, is_left_out=is_left_out)
    done = "left out" if is_left_out else "taken in"
    messages.success(request, f"{count} row{'' if count == 1 else 's'} {done}.")
    shown = state if draft.rows.filter(_with_state(state)).exists() else ""
    return redirect(f"{reverse('sync:rows', args=[draft.pk])}?state={shown}")


def _account_names(draft: ImportDraft) -> list[tuple[str, str]]:
    """(name in the file, where its rows go in words)."""
    known = {account.pk: str(account) for account in drafts.accounts_of(draft)}
    return [
        (hint, known.get(place.get(drafts.KNOWN), "") or f"{place.get(drafts.NEW, '')} (new)")
        for hint, place in draft.accounts.items()
    ]
