"""The monthly statement of an account: as a page, as a file, by API."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_GET
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation import exports
from aggregation.ledger import market_date
from aggregation.reconciliation.identity import Statement
from aggregation.reconciliation.statements import COLUMNS, PARTS, MonthStatement, exported, first_month, of_month
from aggregation.serializers import Amount, plain
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import Scope, User
from connections.models import Account


def _account(user: User, account_id: int) -> Account:
    own = Account.objects.for_user(user).select_related("connection")
    return get_object_or_404(own, pk=account_id)


def _month(text: str, account: Account) -> date:
    """`2026-10` as its first day; without, the current month. Raises Http404."""
    today = market_date(account, timezone.now())
    if not text:
        return today.replace(day=1)
    try:
        month = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise Http404("no such month") from error
    if month > today or month.year < 1970:
        raise Http404("no such month")
    return month


@login_required
@require_GET
def statement(request: HtmxRequest, account_id: int) -> HttpResponse:
    account = _account(request.user, account_id)
    month = _month(request.GET.get("month", ""), account)
    oldest, following = first_month(account), (month + timedelta(days=32)).replace(day=1)
    context = {
        "account": account,
        "made": of_month(account, month),
        "month": month,
        "earlier": month - timedelta(days=1) if oldest and oldest < month else None,
        "later": following if following <= market_date(account, timezone.now()) else None,
    }
    return TemplateResponse(request, "aggregation/statement.html", context)


@login_required
@require_GET
def export(request: HtmxRequest, account_id: int, suffix: str) -> HttpResponseBase:
    account = _account(request.user, account_id)
    made = of_month(account, _month(request.GET.get("month", ""), account))
    return exports.as_file(exported(made), COLUMNS, name=f"statement-{made.first:%Y-%m}", suffix=suffix)


class PartsSerializer(serializers.Serializer[Any]):
    """start + external + exchanged + income + price_gain + fx_gain + unvalued - fees - taxes = end, to the cent."""

    currency = serializers.CharField()
    start = Amount()
    external = Amount()
    exchanged = Amount(help_text="With other currencies of the account; part of fx_gain in `whole`.")
    income = Amount()
    price_gain = Amount()
    fx_gain = Amount()
    unvalued = Amount(help_text="Paid for, or received from, positions that are not valued.")
    fees = Amount(help_text="Positive when paid.")
    taxes = Amount(help_text="Positive when paid.")
    end = Amount()
    apart = Amount(help_text="By how much the parts miss the end; 0 when the books add up.")
    reported = Amount(
        allow_null=True,
        help_text="The broker's own figure of the last day; null when it told none, or a position is left out.",
    )


class StatementSerializer(serializers.Serializer[MonthStatement]):
    account = serializers.IntegerField()
    first = serializers.DateField()
    last = serializers.DateField()
    currencies = PartsSerializer(many=True)
    whole = PartsSerializer(allow_null=True, help_text="All currencies in the account's own.")
    unvalued = serializers.ListField(
        child=serializers.CharField(), help_text="Positions without a known price, left out of worth and gains."
    )
    gaps = serializers.ListField(child=serializers.CharField(), help_text="What else is not known, such as a rate.")

    def to_representation(self, instance: MonthStatement) -> dict[str, Any]:
        return {
            "account": instance.account.pk,
            "first": instance.first.isoformat(),
            "last": instance.last.isoformat(),
            "currencies": [_parts(each, instance.reported(each)) for each in instance.currencies],
            "whole": None if instance.whole is None else _parts(instance.whole, instance.reported(instance.whole)),
            "unvalued": instance.unvalued,
            "gaps": instance.gaps,
        }


def _parts(found: Statement, reported: Decimal | None) -> dict[str, str | None]:
    amounts = {name: plain(getattr(found, name)) for name in (*PARTS, "apart")}
    return {"currency": found.currency, **amounts, "reported": plain(reported)}


@extend_schema(
    tags=["reconciliation"],
    responses=StatementSerializer,
    parameters=[OpenApiParameter("month", str, description="Such as 2026-10; without it the current one.")],
)
class StatementDetail(APIView):
    """The account's month: what it was worth, what came and went, what it earned, gained and paid."""

    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}

    def get(self, request: Request, account_id: int) -> Response:
        account = _account(cast("User", request.user), account_id)
        made = of_month(account, _month(request.query_params.get("month", ""), account))
        return Response(StatementSerializer(made).data)


urlpatterns = [
    path("brokers/reconciliation/statements/<int:account_id>", StatementDetail.as_view(), name="statement-detail"),
]
