"""REST endpoints by which a program names the lots that go with a sale (specific identification)."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.lots import choosing
from aggregation.lots.choosing import Choosable
from aggregation.models import LotPick, Transaction
from aggregation.serializers import Amount, moment, plain
from brokerhub.kernel.models import Scope, User

READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}
MOST = 1000  # lots of one sale


class LotPickSerializer(serializers.Serializer[LotPick]):
    """`quantity` units of the lot that the transaction `lot_id` opened go with the sale `sale_id`."""

    id = serializers.IntegerField()
    account = serializers.IntegerField()
    sale_id = serializers.IntegerField()
    lot_id = serializers.IntegerField()
    quantity = Amount()
    picked_at = serializers.DateTimeField()

    def to_representation(self, instance: LotPick) -> dict[str, Any]:
        return {
            "id": instance.pk,
            "account": instance.account_id,
            "sale_id": instance.sale_id,
            "lot_id": instance.lot_id,
            "quantity": plain(instance.quantity),
            "picked_at": moment(instance.picked_at),
        }


class ChoosableLotSerializer(serializers.Serializer[Any]):
    """A lot that was there right before the sale."""

    lot_id = serializers.IntegerField(allow_null=True, help_text="The transaction that opened it, null when none did.")
    opened_on = serializers.DateField(allow_null=True)
    quantity = Amount(help_text="What was left of it.")
    basis = Amount(allow_null=True, help_text="What that had cost; null is unknown, never 0.")
    picked = Amount(allow_null=True, help_text="What you named of it; null: nothing.")
    taken = Amount(help_text="What the sale takes of it as things are: what you named, the rest first in, first out.")

    def to_representation(self, instance: Choosable) -> dict[str, Any]:
        return {
            "lot_id": instance.key or None,
            "opened_on": instance.opened_on.isoformat() if instance.opened_on else None,
            "quantity": plain(instance.quantity),
            "basis": plain(instance.cost),
            "picked": plain(instance.picked),
            "taken": plain(instance.taken),
        }


class PickedSerializer(serializers.Serializer[Any]):
    lot_id = serializers.IntegerField(min_value=1)
    quantity = serializers.DecimalField(38, 18, min_value=0)


class PicksSerializer(serializers.Serializer[Any]):
    picks = PickedSerializer(many=True, help_text="All of them; an empty list takes them back.")

    def validate_picks(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(value) > MOST:
            raise serializers.ValidationError(f"Name up to {MOST} lots.")
        if len({each["lot_id"] for each in value}) != len(value):
            raise serializers.ValidationError("Name each lot once.")
        return value


@extend_schema(tags=["portfolio"])
class LotPickList(ListAPIView[LotPick]):
    """The lots you named for your sales."""

    queryset = LotPick.objects.none()
    serializer_class = LotPickSerializer
    required_scopes: ClassVar = READ
    ordering = ("pk",)

    def get_queryset(self) -> QuerySet[LotPick]:
        return LotPick.objects.for_user(cast("User", self.request.user))


class SaleLots(APIView):
    required_scopes: ClassVar = {**READ, "PUT": Scope.SYNC_WRITE}

    @extend_schema(tags=["portfolio"], responses=ChoosableLotSerializer(many=True))
    def get(self, request: Request, transaction_id: int) -> Response:
        """The lots there were when this was sold, oldest first; none when it is no sale of lots."""
        lots = choosing.choice(self._sale(request, transaction_id))
        return Response(ChoosableLotSerializer(lots, many=True).data)

    @extend_schema(tags=["portfolio"], request=PicksSerializer, responses=ChoosableLotSerializer(many=True))
    def put(self, request: Request, transaction_id: int) -> Response:
        """Name the lots that go with it, in place of those named before. What you do not name goes first in, first out.

        409 for more units than a lot had, or than were sold. The method `specific` of gains and lots uses them.
        """
        sale, wish = self._sale(request, transaction_id), PicksSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        wanted = {each["lot_id"]: each["quantity"] for each in wish.validated_data["picks"] if each["quantity"]}
        choosing.pick(sale, wanted, choosing.choice(sale))
        return self.get(request, transaction_id)

    def _sale(self, request: Request, transaction_id: int) -> Transaction:
        own = Transaction.objects.for_user(cast("User", request.user)).select_related("account__connection")
        return get_object_or_404(own, pk=transaction_id)


urlpatterns = [
    path("brokers/lots/picks", LotPickList.as_view(), name="lot-pick-list"),
    path("brokers/gains/<int:transaction_id>/lots", SaleLots.as_view(), name="sale-lots"),
]
