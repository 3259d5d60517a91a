"""Pages of the portfolio: what an account holds, and every transaction with where it came from."""

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET

from aggregation import exports
from aggregation.filters import TransactionFilter, newest_first, own_tags, position_asked
from aggregation.forms import EditForm
from aggregation.models import BookStatus, Delivery, PossibleDuplicate, Transaction, UserEdit
from aggregation.serializers import shown_raw
from brokerhub.kernel.htmx import HtmxRequest, wants_partial

ROWS_A_LOAD = 100


@login_required
@require_GET
def transactions(request: HtmxRequest) -> HttpResponse:
    asked = TransactionFilter(request.GET, Transaction.objects.all(), request=request)
    rows: list[Transaction] = []
    if asked.is_valid():
        rows = newest_first(request.user, asked).after(position_asked(request))[: ROWS_A_LOAD + 1]
    query = request.GET.copy()
    query.pop("after", None)
    last = rows[ROWS_A_LOAD - 1] if len(rows) > ROWS_A_LOAD else None
    context: dict[str, Any] = {
        "filter": asked,
        "filtered": any(value for name, value in request.GET.items() if name in asked.filters),
        "transactions": rows[:ROWS_A_LOAD],
        "after": f"{last.traded_on}_{last.pk}" if last else None,
        "query": query.urlencode(),
    }
    if wants_partial(request):
        return TemplateResponse(request, "aggregation/_transaction_rows.html", context)
    context |= {
        "place": "told-twice" if request.GET.get("status") == BookStatus.DUPLICATE else "all",
        "questions": PossibleDuplicate.objects.for_user(request.user).waiting().count(),
        "tags": own_tags(request.user),
    }
    return TemplateResponse(request, "aggregation/transactions.html", context)


@login_required
@require_GET
def transaction(request: HtmxRequest, transaction_id: int) -> HttpResponse:
    """One row with its run, what the source sent, and its other versions."""
    own = Transaction.objects.for_user(request.user).select_related("instrument", "account__connection")
    row = get_object_or_404(own, pk=transaction_id)
    same = Q(superseded_by=row) | Q(pk=row.superseded_by_id)
    if row.external_id:
        same |= Q(source=row.source, external_id=row.external_id)
    versions = own.filter(same, account=row.account).exclude(pk=row.pk).order_by("-pk")
    edit = UserEdit.objects.filter(transaction=row).first()
    written = {"note": edit.note, "tags": ", ".join(edit.tags)} if edit else None
    context = {
        "transaction": row,
        "edit_form": EditForm(initial=written),
        "parts": row.parts.exclude(status=BookStatus.SUPERSEDED).order_by("pk"),
        "versions": versions.defer("raw"),
        "told_last": Delivery.last_telling(row),
        "raw": json.dumps(shown_raw(row), indent=2, ensure_ascii=False),
    }
    return TemplateResponse(request, "aggregation/transaction.html", context)


@login_required
@require_GET
def export_transactions(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    """All rows of the same filters as on the page."""
    own = Transaction.objects.for_user(request.user)
    asked = TransactionFilter(request.GET, own, request=request)
    found = asked.qs if asked.is_valid() else own.none()
    rows = exports.transactions(found)
    return exports.as_file(rows, exports.TRANSACTION_COLUMNS, name="transactions", suffix=suffix)
