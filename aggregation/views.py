"""Pages of the portfolio: what is held, in which account, and every transaction with where it came from."""

import json
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET

from aggregation import account_aggregator, charts, exports
from aggregation.account_aggregator import Holding, Lot, Portfolio
from aggregation.filters import TransactionFilter, newest_first, own_tags, position_asked
from aggregation.forms import EditForm
from aggregation.models import BookStatus, Delivery, PossibleDuplicate, Transaction, UserEdit
from aggregation.rates import choice, totals
from aggregation.serializers import shown_raw
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from connections.brokers.records import AssetClass

ROWS_A_LOAD = 100
GROUPS = {"": "All", "class": "Asset class", "account": "Account"}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the portfolio table, in its section: a holding over all accounts, or one account's lot of it."""

    section: str
    holding: Holding
    lot: Lot | None = None


def _lines(portfolio: Portfolio, group: str) -> list[Line]:
    if group == "account":
        lots = [Line(str(lot.account), holding, lot) for holding in portfolio.holdings for lot in holding.lots]
        return sorted(lots, key=lambda line: (line.section, line.lot.account.pk if line.lot else 0))
    if group == "class":
        labels = [*AssetClass.labels]
        lines = [Line(AssetClass(held.instrument.asset_class).label, held) for held in portfolio.holdings]
        return sorted(lines, key=lambda line: labels.index(line.section))
    return [Line("", holding) for holding in portfolio.holdings]


@login_required
@require_GET
def portfolio(request: HtmxRequest) -> HttpResponse:
    whole = account_aggregator.portfolio(request.user)
    asked = request.GET.get("group", "")
    group = asked if asked in GROUPS else ""
    start = request.GET.get("from", "")
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 0
    lines = _lines(whole, group)
    context: dict[str, Any] = {
        "portfolio": whole,
        "group": group,
        "lines": lines[first : first + ROWS_A_LOAD],
        "next_from": first + ROWS_A_LOAD if len(lines) > first + ROWS_A_LOAD else None,
    }
    if wants_partial(request):
        return TemplateResponse(request, "aggregation/_portfolio_rows.html", context)
    parts = whole.allocation
    figures = [
        (total.currency, charts.allocation([part for part in parts if part.currency == total.currency]).to_dict())
        for total in whole.totals
    ]
    context |= {
        "groups": GROUPS.items(),
        "allocation": parts,
        "figures": figures,
        "whole": totals.total(whole, choice.chosen(request)),
        "currencies": choice.choices(request.user),
    }
    return TemplateResponse(request, "aggregation/portfolio.html", context)


@login_required
@require_GET
def holding(request: HtmxRequest, instrument_id: int, currency: str) -> HttpResponse:
    """One holding with the accounts that have it: a page, or with htmx the table's row opened (or closed again)."""
    whole = account_aggregator.portfolio(request.user)
    key = (instrument_id, currency)
    found = next((held for held in whole.holdings if (held.instrument.pk, held.currency) == key), None)
    if found is None:
        raise Http404("nothing held of this instrument")
    context = {"line": Line("", found), "holding": found, "open": "closed" not in request.GET}
    name = "_holding.html" if wants_partial(request) else "holding.html"
    return TemplateResponse(request, f"aggregation/{name}", context)


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
def export_positions(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    rows = exports.positions(account_aggregator.portfolio(request.user))
    return exports.as_file(rows, exports.POSITION_COLUMNS, name="positions", suffix=suffix)


@login_required
@require_GET
def export_transactions(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    """All rows of the same filters as on the page."""
    own = Transaction.objects.for_user(request.user)
    asked = TransactionFilter(request.GET, own, request=request)
    found = asked.qs if asked.is_valid() else own.none()
    rows = exports.transactions(found)
    return exports.as_file(rows, exports.TRANSACTION_COLUMNS, name="transactions", suffix=suffix)
