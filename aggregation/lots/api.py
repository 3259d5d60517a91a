"""REST endpoints of lots, realised gains and income. The same reports as the pages."""

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.lots.asking import Asked, AskingForm
from aggregation.lots.events import ZERO
from aggregation.lots.gains import GainsReport, Sum
from aggregation.lots.income import IncomeReport, Line, What, payments
from aggregation.lots.pages import OffsetPages, page_parameters
from aggregation.lots.service import Gain, OpenLot, lots_of
from aggregation.lots.words import Method, Term, Why
from aggregation.serializers import (
    AccountRefSerializer,
    Amount,
    InstrumentRefSerializer,
    account_ref,
    instrument_ref,
    plain,
)
from brokerhub.kernel.models import Scope
from connections.brokers.records import Broker

READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}
ACCOUNT = OpenApiParameter("account", int, description="Of this account only.")
BROKER = OpenApiParameter("broker", str, enum=Broker.values, description="Of accounts at this broker only.")
METHOD = OpenApiParameter(
    "method", str, enum=Method.values, description="Which lots a sale consumes first; `fifo` when left out."
)
YEAR = OpenApiParameter("year", int, description="Of this calendar year only.")
CURRENCY = OpenApiParameter("currency", str, description="Of the sums, e.g. `EUR`; your own when left out.")


class ClosedLotSerializer(serializers.Serializer[Any]):
    """A lot, or part of one, that was sold, bought back, or ended."""

    sale_id = serializers.IntegerField(help_text="The transaction that closed it.")
    lot_id = serializers.IntegerField(allow_null=True, help_text="The transaction that opened it, null when none did.")
    account = AccountRefSerializer()
    instrument = InstrumentRefSerializer()
    quantity = Amount(help_text="Negative for a short sale; 0 for cash that came for units that stayed.")
    opened_on = serializers.DateField(allow_null=True)
    closed_on = serializers.DateField()
    term = serializers.ChoiceField(choices=Term.choices, help_text="Long: held for more than one year.")
    proceeds = Amount(allow_null=True)
    basis = Amount(allow_null=True, help_text="What buying cost, fees inside; null is unknown, never 0.")
    gain = Amount(allow_null=True)
    currency = serializers.CharField()
    unknown_because = serializers.ChoiceField(choices=[*Why.values], allow_blank=True)


class GainSumSerializer(serializers.Serializer[Any]):
    """Known gains only; what is unknown is counted, and in no sum."""

    currency = serializers.CharField()
    proceeds = Amount()
    basis = Amount()
    gain = Amount()
    short_term = Amount()
    long_term = Amount()
    lots = serializers.IntegerField()
    unknown_lots = serializers.IntegerField()
    missing_rates = serializers.ListField(child=serializers.CharField(), help_text="Sentences; empty when none is.")


class AccountGainSerializer(serializers.Serializer[Any]):
    account = AccountRefSerializer()
    sum = GainSumSerializer()


class YearGainSerializer(serializers.Serializer[Any]):
    year = serializers.IntegerField()
    sum = GainSumSerializer()


class GainsSerializer(serializers.Serializer[Any]):
    method = serializers.ChoiceField(choices=Method.choices)
    total = GainSumSerializer()
    per_account = AccountGainSerializer(many=True, help_text="Each in its account's own currency.")
    per_year = YearGainSerializer(many=True, help_text="Over all years, in the currency asked for.")
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ClosedLotSerializer(many=True, help_text="Newest first.")


class OpenLotSerializer(serializers.Serializer[Any]):
    """Units acquired together and still held."""

    lot_id = serializers.IntegerField(allow_null=True, help_text="The transaction that opened it, null when none did.")
    account = AccountRefSerializer()
    instrument = InstrumentRefSerializer()
    quantity = Amount(help_text="Negative for a short lot.")
    opened_on = serializers.DateField(allow_null=True)
    basis = Amount(allow_null=True, help_text="Signed cost of the lot in all; negative for a short one. Null: unknown.")
    basis_per_unit = Amount(allow_null=True, help_text="Cost of one unit, in the unit prices are quoted in.")
    currency = serializers.CharField()
    unknown_because = serializers.ChoiceField(choices=[*Why.values], allow_blank=True)


class LotsSerializer(serializers.Serializer[Any]):
    method = serializers.ChoiceField(choices=Method.choices)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = OpenLotSerializer(many=True, help_text="By symbol and account, oldest first.")


class IncomeLineSerializer(serializers.Serializer[Any]):
    """Signed amounts; taxes, fees and interest paid are negative. `net` is without capital returned."""

    currency = serializers.CharField()
    dividends = Amount()
    interest = Amount()
    interest_paid = Amount()
    tax = Amount()
    capital_returned = Amount()
    net = Amount()
    missing_rates = serializers.ListField(child=serializers.CharField())


class MonthIncomeSerializer(serializers.Serializer[Any]):
    month = serializers.CharField(help_text="Year and month: 2026-03.")
    sum = IncomeLineSerializer()


class InstrumentIncomeSerializer(serializers.Serializer[Any]):
    instrument = InstrumentRefSerializer(allow_null=True, help_text="Null: interest on cash.")
    sum = IncomeLineSerializer()


class AccountIncomeSerializer(serializers.Serializer[Any]):
    account = AccountRefSerializer()
    sum = IncomeLineSerializer()


class IncomeSerializer(serializers.Serializer[Any]):
    total = IncomeLineSerializer()
    per_month = MonthIncomeSerializer(many=True, help_text="Oldest first, without holes.")
    per_instrument = InstrumentIncomeSerializer(many=True)
    per_account = AccountIncomeSerializer(many=True)


def _asked(request: Request) -> Asked:
    """Raises ValidationError naming the field that cannot be understood."""
    user: Any = request.user
    form = AskingForm(request.query_params, user)
    if not form.is_valid():
        raise ValidationError({name: [str(error) for error in errors] for name, errors in form.errors.items()})
    return form.asked()


@extend_schema(tags=["portfolio"])
class LotList(APIView):
    required_scopes: ClassVar = READ

    @extend_schema(parameters=[ACCOUNT, BROKER, METHOD, *page_parameters()], responses=LotsSerializer)
    def get(self, request: Request) -> Response:
        """Open lots: what you hold, purchase by purchase, with what it cost."""
        asked, user = _asked(request), request.user
        lots = lots_of(user, method=asked.method, accounts=asked.accounts)  # type: ignore[arg-type]
        pages = OffsetPages(request)
        return Response({"method": asked.method.value, **pages.cut(lots.open, _open_lot)})


@extend_schema(tags=["portfolio"])
class GainList(APIView):
    required_scopes: ClassVar = READ

    @extend_schema(parameters=[ACCOUNT, BROKER, METHOD, YEAR, CURRENCY, *page_parameters()], responses=GainsSerializer)
    def get(self, request: Request) -> Response:
        """Realised gains by lot, with their sums by account and year. A calculation from your rows, not tax advice."""
        asked, user = _asked(request), request.user
        report = GainsReport(lots_of(user, method=asked.method, accounts=asked.accounts), asked)  # type: ignore[arg-type]
        pages = OffsetPages(request)
        return Response(
            {
                "method": asked.method.value,
                "total": _gain_sum(report.total),
                "per_account": [
                    {"account": account_ref(account), "sum": _gain_sum(sum_)} for account, sum_ in report.per_account
                ],
                "per_year": [{"year": year, "sum": _gain_sum(sum_)} for year, sum_ in report.per_year],
                **pages.cut(report.closed, _closed_lot),
            }
        )


@extend_schema(tags=["portfolio"])
class IncomeView(APIView):
    required_scopes: ClassVar = READ

    @extend_schema(parameters=[ACCOUNT, BROKER, YEAR, CURRENCY], responses=IncomeSerializer)
    def get(self, request: Request) -> Response:
        """Dividends, interest and what was kept back of them, by month, instrument and account."""
        asked = _asked(request)
        report = IncomeReport(asked, payments(asked.accounts))
        return Response(
            {
                "total": _income_line(report.total),
                "per_month": [
                    {"month": f"{month:%Y-%m}", "sum": _income_line(line)} for month, line in report.per_month
                ],
                "per_instrument": [
                    {"instrument": instrument_ref(instrument) if instrument else None, "sum": _income_line(line)}
                    for instrument, line in report.per_instrument
                ],
                "per_account": [
                    {"account": account_ref(account), "sum": _income_line(line)} for account, line in report.per_account
                ],
            }
        )


def _open_lot(each: OpenLot) -> dict[str, Any]:
    lot = each.lot
    return {
        "lot_id": lot.key or None,
        "account": account_ref(each.account),
        "instrument": instrument_ref(each.instrument),
        "quantity": plain(lot.quantity),
        "opened_on": lot.opened_on,
        "basis": plain(lot.cost),
        "basis_per_unit": plain(each.per_unit),
        "currency": lot.currency,
        "unknown_because": lot.why.value,
    }


def _closed_lot(each: Gain) -> dict[str, Any]:
    closed = each.closed
    return {
        "sale_id": closed.key,
        "lot_id": closed.lot or None,
        "account": account_ref(each.account),
        "instrument": instrument_ref(each.instrument),
        "quantity": plain(closed.quantity),
        "opened_on": closed.opened_on,
        "closed_on": closed.closed_on,
        "term": closed.term.value,
        "proceeds": plain(closed.proceeds),
        "basis": plain(closed.basis),
        "gain": plain(closed.gain),
        "currency": closed.currency,
        "unknown_because": closed.why.value,
    }


def _gain_sum(total: Sum) -> dict[str, Any]:
    return {
        "currency": total.currency,
        "proceeds": plain(round(total.proceeds, 10)),
        "basis": plain(round(total.basis, 10)),
        "gain": plain(round(total.gain, 10)),
        "short_term": plain(round(total.short, 10)),
        "long_term": plain(round(total.long, 10)),
        "lots": total.count,
        "unknown_lots": total.unknown,
        "missing_rates": list(total.gaps.values()),
    }


def _income_line(line: Line) -> dict[str, Any]:
    amounts = {what.value: plain(round(line.amounts.get(what, ZERO), 10)) for what in What}
    return {
        "currency": line.currency,
        **amounts,
        "net": plain(round(line.net, 10)),
        "missing_rates": list(line.gaps.values()),
    }


urlpatterns = [
    path("brokers/lots", LotList.as_view(), name="lot-list"),
    path("brokers/gains", GainList.as_view(), name="gain-list"),
    path("brokers/income", IncomeView.as_view(), name="income"),
]
