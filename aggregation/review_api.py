"""REST endpoints of possible duplicates, and what may be written about a transaction."""

from typing import Any, ClassVar, cast

from django.shortcuts import get_object_or_404
from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation import edits, review
from aggregation.edits import Part
from aggregation.filters import own_accounts
from aggregation.models import BookStatus, PossibleDuplicate, Transaction
from aggregation.review_models import Decision, PossibleDuplicateQuerySet
from aggregation.serializers import TransactionSerializer
from brokerhub.kernel.models import Scope, User


class PairSerializer(serializers.Serializer[PossibleDuplicate]):
    """Two transactions that may be one, or one that may be the sum of several. All count until it is decided."""

    id = serializers.IntegerField()
    first = TransactionSerializer()
    second = TransactionSerializer()
    reasons = serializers.ListField(child=serializers.ChoiceField(list(review.REASONS.items())))
    decision = serializers.ChoiceField(Decision.choices)
    kept = serializers.IntegerField(source="kept_id", allow_null=True, help_text="When merged: the row that counts.")
    whole = serializers.IntegerField(
        source="whole_id", allow_null=True, help_text="The id of the row that `several` may add up to; else null."
    )
    several = TransactionSerializer(
        many=True, help_text="The rows beside the `whole`, one of them `first` or `second`."
    )
    decided_at = serializers.DateTimeField(allow_null=True)


class PairFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    account = filters.ModelChoiceFilter(queryset=own_accounts)
    decision = filters.ChoiceFilter(choices=Decision.choices, method="decided")

    def decided(self, pairs: PossibleDuplicateQuerySet, name: str, value: str) -> PossibleDuplicateQuerySet:
        return pairs.waiting() if value == Decision.OPEN else pairs.filter(decision=value)


@extend_schema(tags=["portfolio"])
class PairList(ListAPIView[PossibleDuplicate]):
    """Possible duplicates in your accounts, newest first; `decision=open` are those that wait for you."""

    queryset = PossibleDuplicate.objects.none()
    serializer_class = PairSerializer
    filterset_class = PairFilter
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}
    ordering = ("-pk",)

    def get_queryset(self) -> PossibleDuplicateQuerySet:
        return _own_pairs(self.request)


def _own_pairs(request: Request) -> PossibleDuplicateQuerySet:
    return PossibleDuplicate.objects.for_user(cast("User", request.user)).questions().for_list()


class MergeSerializer(serializers.Serializer[Any]):
    keep = serializers.IntegerField(
        required=False,
        allow_null=True,
        help_text="The row that counts, or one of the `several` for all of them; without it the broker's, or else the "
        "finer or older ones.",
    )


class _Decide(APIView):
    required_scopes: ClassVar = {"POST": Scope.SYNC_WRITE}

    def decided(self, request: Request, pair_id: int) -> Response:
        return Response(PairSerializer(get_object_or_404(_own_pairs(request), pk=pair_id)).data)


@extend_schema(tags=["portfolio"], request=MergeSerializer, responses=PairSerializer)
class PairMerge(_Decide):
    def post(self, request: Request, pair_id: int) -> Response:
        """They are the same: count them once. The other legs of the event, the units bought for a dividend, are merged
        as well. 409 when a row does not count any more, a leg has no counterpart, or it was decided before."""
        wish = MergeSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        pair = get_object_or_404(_own_pairs(request), pk=pair_id)
        keep = wish.validated_data.get("keep")
        rows = {row.pk: row for row in pair.rows}
        if keep is not None and keep not in rows:
            raise serializers.ValidationError({"keep": ["keep is the id of one of the rows."]}, code="invalid")
        review.merge(pair, user=cast("User", request.user), keep=rows.get(keep))
        return self.decided(request, pair_id)


@extend_schema(tags=["portfolio"], request=None, responses=PairSerializer)
class PairKeep(_Decide):
    def post(self, request: Request, pair_id: int) -> Response:
        """They are different: all count, and the question is closed."""
        pair = get_object_or_404(_own_pairs(request), pk=pair_id)
        review.keep_both(pair, user=cast("User", request.user))
        return self.decided(request, pair_id)


@extend_schema(tags=["portfolio"], request=None, responses=PairSerializer)
class PairReopen(_Decide):
    def post(self, request: Request, pair_id: int) -> Response:
        """Undo the decision: all rows count, and the question waits again."""
        pair = get_object_or_404(_own_pairs(request), pk=pair_id)
        review.reopen(pair, user=cast("User", request.user))
        return self.decided(request, pair_id)


class NewPartSerializer(serializers.Serializer[Part]):
    net_amount = serializers.DecimalField(28, 10)
    quantity = serializers.DecimalField(38, 18, required=False, allow_null=True, default=None)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class TransactionEditSerializer(serializers.Serializer[Transaction]):
    """What may be written about a transaction. What the broker said cannot be changed."""

    note = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=50)
    excluded = serializers.BooleanField(required=False, help_text="True leaves it out, also after the next sync.")
    parts = NewPartSerializer(
        many=True, required=False, help_text="Splits it: the parts count in its place. An empty list joins them again."
    )

    def apply(self, row: Transaction, user: User) -> None:
        """Raises NotAllowed for what the row's state forbids."""
        wanted = self.validated_data
        if "note" in wanted or "tags" in wanted:
            edits.annotate(row, user=user, note=wanted.get("note"), tags=wanted.get("tags"))
        if "excluded" in wanted and wanted["excluded"] != (row.status == BookStatus.EXCLUDED):
            (edits.exclude if wanted["excluded"] else edits.bring_back)(row, user=user)
        if wanted.get("parts"):
            edits.split(row, [Part(**part) for part in wanted["parts"]], user=user)
        elif "parts" in wanted:
            edits.join(row, user=user)


urlpatterns = [
    path("brokerage/duplicates", PairList.as_view(), name="duplicate-list"),
    path("brokerage/duplicates/<int:pair_id>/merge", PairMerge.as_view(), name="duplicate-merge"),
    path("brokerage/duplicates/<int:pair_id>/keep", PairKeep.as_view(), name="duplicate-keep"),
    path("brokerage/duplicates/<int:pair_id>/undo", PairReopen.as_view(), name="duplicate-undo"),
]
