"""REST endpoints of corporate actions entered by hand. The same form and the same service as the pages."""

from decimal import Decimal
from typing import Any, ClassVar, cast

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.corporate_actions import applying
from aggregation.corporate_actions.applying import Effect
from aggregation.corporate_actions.effects import Move
from aggregation.corporate_actions.forms import CorporateActionForm
from aggregation.corporate_actions.models import ActionKind, CorporateAction
from aggregation.serializers import (
    AccountRefSerializer,
    Amount,
    InstrumentRefSerializer,
    account_ref,
    instrument_ref,
    moment,
    plain,
)
from brokerhub.kernel.models import Scope, User
from connections.brokers.records import TransactionKind

READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}
WRITE: dict[str, str] = {"POST": Scope.SYNC_WRITE}
HUNDRED = Decimal(100)


class AppliedActionSerializer(serializers.Serializer[Any]):
    account = AccountRefSerializer()
    booked = serializers.ListField(
        child=serializers.IntegerField(), help_text="Transactions booked for it; none where the broker tells it itself."
    )


class CorporateActionSerializer(serializers.Serializer[CorporateAction]):
    """`new` units were received for every `old` held at the start of `on`. Null: not known, or none."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(ActionKind.choices)
    instrument = InstrumentRefSerializer()
    received = InstrumentRefSerializer(allow_null=True)
    on = serializers.DateField()
    new = Amount(allow_null=True)
    old = Amount()
    cost_share = Amount(allow_null=True, help_text="Part of the cost that goes along, 0 to 1.")
    cash_per_unit = Amount(allow_null=True)
    value_per_unit = Amount(allow_null=True)
    fraction_price = Amount(allow_null=True, help_text="Cash in lieu, for one whole unit received.")
    currency = serializers.CharField()
    accounts = AppliedActionSerializer(many=True)
    entered_at = serializers.DateTimeField()
    undone_at = serializers.DateTimeField(allow_null=True, help_text="When it was taken back.")

    def to_representation(self, instance: CorporateAction) -> dict[str, Any]:
        amounts = ("new", "old", "cost_share", "cash_per_unit", "value_per_unit", "fraction_price")
        return {
            "id": instance.pk,
            "kind": instance.kind,
            "instrument": instrument_ref(instance.instrument),
            "received": instrument_ref(instance.received) if instance.received else None,
            "on": instance.on.isoformat(),
            **{name: plain(getattr(instance, name)) for name in amounts},
            "currency": instance.currency,
            "accounts": [
                {"account": account_ref(applied.account), "booked": applied.booked}
                for applied in instance.applied.all()
            ],
            "entered_at": moment(instance.entered_at),
            "undone_at": moment(instance.undone_at),
        }


class NewActionSerializer(serializers.Serializer[Any]):
    """Which fields a kind needs is said where one is missing."""

    kind = serializers.ChoiceField(ActionKind.choices)
    instrument = serializers.IntegerField(help_text="The id of what you held on the evening before.")
    on = serializers.DateField(help_text="The first day on which it holds, the ex-date; not in the future.")
    new = serializers.DecimalField(24, 10, required=False, allow_null=True)
    old = serializers.DecimalField(24, 10, required=False, allow_null=True, help_text="1 when left out.")
    received_symbol = serializers.CharField(required=False, allow_blank=True, max_length=15)
    cost_share = serializers.DecimalField(
        11, 10, required=False, allow_null=True, min_value=0, max_value=1, help_text="Of a spin-off: 0 to 1."
    )
    cash_per_unit = serializers.DecimalField(24, 10, required=False, allow_null=True)
    value_per_unit = serializers.DecimalField(24, 10, required=False, allow_null=True)
    fraction_price = serializers.DecimalField(24, 10, required=False, allow_null=True)

    def action(self, user: User) -> CorporateAction:
        """Unsaved. Raises ValidationError for what the page's own form refuses."""
        given = {name: value for name, value in self.validated_data.items() if value is not None}
        if "cost_share" in given:
            given["cost_share"] *= HUNDRED  # the form asks people for percent
        told = {name: plain(value) if isinstance(value, Decimal) else str(value) for name, value in given.items()}
        form = CorporateActionForm(told, user=user)
        if not form.is_valid():
            wrong = {name: [str(each) for each in said] for name, said in form.errors.items()}
            raise serializers.ValidationError(wrong, code="invalid")
        return form.action()


class MoveSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(TransactionKind.choices)
    symbol = serializers.CharField()
    units = Amount(help_text="Signed.")
    cash = Amount(help_text="Signed.")


class ActionEffectSerializer(serializers.Serializer[Any]):
    """What it does in one account. `told`: the broker tells it itself, and nothing is booked there."""

    account = AccountRefSerializer()
    units = Amount(help_text="Held on the evening before.")
    moves = MoveSerializer(many=True)
    told = serializers.BooleanField()

    def to_representation(self, instance: Effect) -> dict[str, Any]:
        return {
            "account": account_ref(instance.account),
            "units": plain(instance.units),
            "moves": [_move(move) for move in instance.moves],
            "told": instance.told,
        }


def _move(move: Move) -> dict[str, Any]:
    words = {"kind": move.kind.value, "symbol": move.instrument.symbol}
    return {**words, "units": plain(move.units), "cash": plain(move.cash)}


def _own(request: Request) -> QuerySet[CorporateAction]:
    own = CorporateAction.objects.for_user(cast("User", request.user)).select_related("instrument", "received")
    return own.prefetch_related("applied__account__connection")


def _wish(request: Request) -> CorporateAction:
    wish = NewActionSerializer(data=request.data)
    wish.is_valid(raise_exception=True)
    return wish.action(cast("User", request.user))


@extend_schema(tags=["portfolio"])
class CorporateActionList(ListAPIView[CorporateAction]):
    """Splits, spin-offs, mergers and new symbols that you entered by hand, those taken back included."""

    queryset = CorporateAction.objects.none()
    serializer_class = CorporateActionSerializer
    required_scopes: ClassVar = READ | WRITE
    ordering = ("-on", "-pk")

    def get_queryset(self) -> QuerySet[CorporateAction]:
        return _own(self.request)

    @extend_schema(request=NewActionSerializer, responses={201: CorporateActionSerializer})
    def post(self, request: Request) -> Response:
        """Enter one, and book it in each account that held the instrument and whose broker does not tell it.

        409 when none of your accounts held it, or when you have entered it already.
        """
        with transaction.atomic():
            action = _wish(request)
            applying.apply(action)
        kept = CorporateActionSerializer(_own(request).get(pk=action.pk)).data
        return Response(kept, status=status.HTTP_201_CREATED)


@extend_schema(tags=["portfolio"], request=NewActionSerializer, responses=ActionEffectSerializer(many=True))
class CorporateActionPreview(APIView):
    required_scopes: ClassVar = WRITE

    def post(self, request: Request) -> Response:
        """What entering it would do in each account. Nothing is kept."""
        with transaction.atomic():
            effects = applying.preview(_wish(request))
            transaction.set_rollback(True)  # not even an instrument that was not known before
        return Response(ActionEffectSerializer(effects, many=True).data)


@extend_schema(tags=["portfolio"], request=None, responses=CorporateActionSerializer)
class CorporateActionTakeBack(APIView):
    required_scopes: ClassVar = WRITE

    def post(self, request: Request, action_id: int) -> Response:
        """The rows booked for it no longer count; they are kept. Twice changes nothing."""
        applying.take_back(get_object_or_404(_own(request), pk=action_id))
        return Response(CorporateActionSerializer(get_object_or_404(_own(request), pk=action_id)).data)


BASE = "brokers/corporate-actions"
urlpatterns = [
    path(BASE, CorporateActionList.as_view(), name="corporate-action-list"),
    path(f"{BASE}/preview", CorporateActionPreview.as_view(), name="corporate-action-preview"),
    path(f"{BASE}/<int:action_id>/undo", CorporateActionTakeBack.as_view(), name="corporate-action-undo"),
]
