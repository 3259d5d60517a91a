"""REST endpoints of the daily history and of returns. The same lines as on the page."""

from datetime import date
from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.account_aggregator import counted_accounts
from aggregation.history import service
from aggregation.history.lines import LinePoint
from aggregation.history.returns import Performance, Undefined
from aggregation.history.service import Asked, History, Range
from aggregation.models import PointBasis
from aggregation.serializers import AccountRefSerializer, Amount, account_ref, plain
from brokerhub.kernel.models import Scope, User
from connections.brokers.records import Broker
from connections.models import Account

READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}


@extend_schema_field({"type": "integer"})
class OwnAccount(serializers.PrimaryKeyRelatedField[Account]):
    """Any account of the person, also one that is left out of the totals."""

    def get_queryset(self) -> Any:
        request = self.context.get("request")
        own = Account.objects.for_user(request.user) if request else Account.objects.none()
        return own.select_related("connection").defer("connection__sealed_credentials")


class AskedSerializer(serializers.Serializer[Any]):
    """What can be asked of the history, on the page as in the API."""

    currency = serializers.RegexField(r"^[A-Z]{3}$", required=False, help_text="Yours when it is not given.")
    account = OwnAccount(required=False, help_text="One account instead of all that count.")
    broker = serializers.ChoiceField(choices=Broker.choices, required=False)
    range = serializers.ChoiceField(
        choices=[(each.value, each.label) for each in Range], required=False, help_text="Up to the last day there is."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        days = {
            "from": serializers.DateField(required=False, help_text="Counts from the evening of this day."),
            "to": serializers.DateField(required=False),
        }
        return {**super().get_fields(), **days}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "range" in attrs and ("from" in attrs or "to" in attrs):
            raise serializers.ValidationError({"range": "Give a range, or days from and to, not both."})
        if attrs.get("from", date.min) > attrs.get("to", date.max):
            raise serializers.ValidationError({"from": "This day is after the last one."})
        return attrs

    def history(self, user: User, *, currency: str = "") -> History:
        """Of the validated question. A range ends today, in the person's time zone."""
        asked = self.validated_data
        first, last = asked.get("from"), asked.get("to")
        if "range" in asked:
            first = Range(asked["range"]).first(service.today_of(user))
        if "account" in asked:
            accounts = [asked["account"]]
        else:
            found = counted_accounts(user).select_related("connection").defer("connection__sealed_credentials")
            if "broker" in asked:
                found = found.filter(connection__broker=asked["broker"])
            accounts = list(found.order_by("pk"))
        into = currency or asked.get("currency") or user.currency
        return service.history(accounts, Asked(currency=into, first=first, last=last))


class GroupedSerializer(AskedSerializer):
    group_by = serializers.ChoiceField(
        choices=[("account", "Account"), ("class", "Asset class")],
        required=False,
        help_text="Also tell each day's parts.",
    )


class DailyValueSerializer(serializers.Serializer[Any]):
    on = serializers.DateField()
    value = Amount(allow_null=True, help_text="At the end of the day; null when it is not known of every account.")
    contributed = Amount(allow_null=True, help_text="All that was ever paid in, less what was taken out.")
    flow = Amount(allow_null=True, help_text="Paid in on this day, less what was taken out.")
    basis = serializers.ChoiceField(choices=PointBasis.choices, help_text="How it is known: the worst of its parts.")
    at_older_prices = Amount(help_text="How much of it is valued by a trade or an older price.")
    unknown_accounts = serializers.ListField(child=serializers.IntegerField())
    parts = serializers.DictField(
        child=Amount(allow_null=True), required=False, help_text="By account id, or by asset class; with `group_by`."
    )


class HistorySerializer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    points = DailyValueSerializer(many=True)


class StepSerializer(serializers.Serializer[Any]):
    start = Amount()
    paid_in = Amount()
    taken_out = Amount()
    joined = Amount(help_text="Held by accounts whose history begins in this time.")
    end = Amount()
    gain = Amount()
    growth = Amount(help_text="1.05 is 5 % more.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"from": serializers.DateField(), "to": serializers.DateField(), **super().get_fields()}


class PaymentSerializer(serializers.Serializer[Any]):
    on = serializers.DateField()
    amount = Amount(help_text="Negative: paid in. The last is the value at the end.")


class UndefinedSerializer(serializers.Serializer[Any]):
    code = serializers.ChoiceField(choices=[(each.value, each.sentence) for each in Undefined])
    reason = serializers.CharField()


class PerformanceSerializer(serializers.Serializer[Any]):
    """Returns are fractions: 0.05 is 5 %. A return that is null has its reason beside it."""

    start = Amount(allow_null=True)
    end = Amount(allow_null=True)
    paid_in = Amount(allow_null=True)
    taken_out = Amount(allow_null=True)
    joined = Amount(allow_null=True, help_text="Held by accounts whose history begins in this time.")
    gain = Amount(allow_null=True)
    time_weighted = Amount(allow_null=True, help_text="Of the whole time.")
    time_weighted_yearly = Amount(allow_null=True, help_text="A year; only of a time of a year or more.")
    time_weighted_undefined = UndefinedSerializer(allow_null=True)
    money_weighted = Amount(allow_null=True, help_text="Internal rate of return (XIRR), a year.")
    money_weighted_period = Amount(allow_null=True, help_text="The same for the whole time.")
    money_weighted_undefined = UndefinedSerializer(allow_null=True)
    bridged_days = serializers.IntegerField(help_text="Days on which an account was not known.")
    steps = StepSerializer(many=True, help_text="By month: how the time-weighted return comes about.")
    payments = PaymentSerializer(many=True, help_text="How the money-weighted return comes about.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        days = {"from": serializers.DateField(allow_null=True), "to": serializers.DateField(allow_null=True)}
        return {**days, **super().get_fields()}


class AccountPerformanceSerializer(PerformanceSerializer):
    account = AccountRefSerializer()


class BrokerPerformanceSerializer(PerformanceSerializer):
    broker = serializers.ChoiceField(choices=Broker.choices)


class PerformancesSerializer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    total = PerformanceSerializer()
    brokers = BrokerPerformanceSerializer(many=True)
    accounts = AccountPerformanceSerializer(many=True)


def daily_value(point: LinePoint, group_by: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {
        "on": point.on.isoformat(),
        "value": plain(point.value),
        "contributed": plain(point.contributed),
        "flow": plain(point.flow),
        "basis": point.basis.value,
        "at_older_prices": plain(point.at_older_prices),
        "unknown_accounts": list(point.unknown),
    }
    if group_by == "account":
        row["parts"] = {str(account): plain(value) for account, value in point.by_account.items()}
    elif group_by == "class":
        row["parts"] = {name: plain(value) for name, value in sorted(point.by_class.items())}
    return row


def performance(found: Performance) -> dict[str, Any]:
    amounts = ("start", "end", "paid_in", "taken_out", "joined", "gain", "time_weighted", "time_weighted_yearly")
    return {
        "from": found.first and found.first.isoformat(),
        "to": found.last and found.last.isoformat(),
        **{name: plain(getattr(found, name)) for name in amounts},
        "time_weighted_undefined": _undefined(found.time_weighted_undefined),
        "money_weighted": plain(found.money_weighted),
        "money_weighted_period": plain(found.money_weighted_period),
        "money_weighted_undefined": _undefined(found.money_weighted_undefined),
        "bridged_days": found.bridged,
        "steps": [
            {
                "from": step.first.isoformat(),
                "to": step.last.isoformat(),
                **{name: plain(getattr(step, name)) for name in ("start", "paid_in", "taken_out", "joined", "end")},
                "gain": plain(step.gain),
                "growth": plain(step.growth),
            }
            for step in found.steps
        ],
        "payments": [{"on": each.on.isoformat(), "amount": plain(each.amount)} for each in found.payments],
    }


def _undefined(why: Undefined | None) -> dict[str, str] | None:
    return None if why is None else {"code": why.value, "reason": why.sentence}


@extend_schema(tags=["portfolio"])
class BalanceHistory(APIView):
    """The value of your accounts at the end of each day, and how each day is known."""

    required_scopes: ClassVar = READ

    @extend_schema(parameters=[GroupedSerializer], responses=HistorySerializer)
    def get(self, request: Request) -> Response:
        asked = GroupedSerializer(data=request.query_params, context={"request": request})
        asked.is_valid(raise_exception=True)
        found = asked.history(request.user)  # type: ignore[arg-type]
        group_by = asked.validated_data.get("group_by", "")
        points = [daily_value(point, group_by) for point in found.points]
        return Response({"currency": found.asked.currency, "points": points})


@extend_schema(tags=["portfolio"])
class PerformanceView(APIView):
    """Time-weighted and money-weighted return of all, by broker and by account, and how each was worked out."""

    required_scopes: ClassVar = READ

    @extend_schema(parameters=[AskedSerializer], responses=PerformancesSerializer)
    def get(self, request: Request) -> Response:
        asked = AskedSerializer(data=request.query_params, context={"request": request})
        asked.is_valid(raise_exception=True)
        found = asked.history(request.user)  # type: ignore[arg-type]
        answer = {
            "currency": found.asked.currency,
            "total": performance(found.total),
            "brokers": [{"broker": broker.value, **performance(each)} for broker, each in found.by_broker],
            "accounts": [{"account": account_ref(account), **performance(each)} for account, each in found.by_account],
        }
        return Response(answer)


urlpatterns = [
    path("brokers/balances/history", BalanceHistory.as_view(), name="balance-history"),
    path("brokers/performance", PerformanceView.as_view(), name="performance"),
]
