"""REST endpoints of the comparison: what does not agree, why, and what puts it right."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.account_aggregator import counted_accounts
from aggregation.filters import own_accounts
from aggregation.models import Break, Correction, Reconciliation, Transaction, TransferLink
from aggregation.reconciliation import fixes, transfers
from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.finding.search import Action
from aggregation.reconciliation.models import BreakState, LinkState
from aggregation.serializers import AccountRefSerializer, Amount, InstrumentRefSerializer, account_ref, moment, plain
from brokerhub.kernel.models import Scope, User
from connections.brokers.records import Broker, TransactionKind

READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}
WRITE: dict[str, str] = {"POST": Scope.SYNC_WRITE}


class PlannedRowSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(TransactionKind.choices)
    on = serializers.DateField()
    currency = serializers.CharField()
    net = Amount()
    instrument = serializers.IntegerField(allow_null=True)
    quantity = Amount(allow_null=True)
    price = Amount(allow_null=True, help_text="Cost of one unit; null when nobody knows it.")
    subtype = serializers.CharField()
    text = serializers.CharField()


class FixSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField([(str(action), str(action)) for action in Action])
    label = serializers.CharField()  # type: ignore[assignment]  # hides a property of the class itself
    book = PlannedRowSerializer(many=True, help_text="Rows it books by hand.")
    rows = serializers.ListField(child=serializers.IntegerField(), help_text="Transactions it changes.")
    days = serializers.ListField(
        child=serializers.DateField(), allow_null=True, help_text="First and last day it reads again."
    )


class FindingSerializer(serializers.Serializer[Any]):
    """A cause, and how much of the difference it explains."""

    cause = serializers.ChoiceField(Cause.choices)
    amount = Amount()
    text = serializers.CharField()
    evidence = serializers.ListField(child=serializers.IntegerField(), help_text="Transactions it rests on.")
    fixes = FixSerializer(many=True)


class BreakSerializer(serializers.Serializer[Break]):
    """A place where broker and books differ: units of an instrument, or the cash of `currency`."""

    id = serializers.IntegerField()
    account = AccountRefSerializer()
    instrument = InstrumentRefSerializer(allow_null=True, help_text="Null for cash.")
    currency = serializers.CharField()
    reported = Amount(allow_null=True, help_text="What the broker says; null when it does not name it.")
    derived = Amount(help_text="What the transactions come to.")
    difference = Amount()
    cause = serializers.ChoiceField(Cause.choices)
    advice = serializers.CharField()
    explained = Amount(help_text="As much of the difference as the first cause explains.")
    findings = FindingSerializer(many=True)
    state = serializers.ChoiceField(BreakState.choices)
    is_alarm = serializers.BooleanField(help_text="Whether it waits for a person.")
    fingerprint = serializers.CharField(help_text="Send it with a fix, so that a changed break is not fixed unseen.")
    came_back = serializers.BooleanField()
    ignored_why = serializers.CharField()
    agreed_on = serializers.DateField(allow_null=True)
    found_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField()

    def to_representation(self, instance: Break) -> dict[str, Any]:
        thing = instance.instrument
        return {
            "id": instance.pk,
            "account": account_ref(instance.account),
            "instrument": InstrumentRefSerializer(thing).data if thing else None,
            "currency": instance.currency,
            "reported": plain(instance.reported),
            "derived": plain(instance.derived),
            "difference": plain(instance.difference),
            "cause": instance.cause,
            "advice": instance.why.advice,
            "explained": plain(instance.explained),
            "findings": instance.findings,
            "state": instance.state,
            "is_alarm": instance.state == BreakState.OPEN and not instance.why.is_quiet,
            "fingerprint": instance.fingerprint,
            "came_back": instance.came_back,
            "ignored_why": instance.ignored_why,
            "agreed_on": instance.agreed_on.isoformat() if instance.agreed_on else None,
            "found_at": moment(instance.found_at),
            "seen_at": moment(instance.seen_at),
        }


class BreakFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    account = filters.ModelChoiceFilter(queryset=own_accounts)
    broker = filters.ChoiceFilter(field_name="account__connection__broker", choices=Broker.choices)
    cause = filters.ChoiceFilter(choices=Cause.choices)
    state = filters.ChoiceFilter(choices=BreakState.choices)


def _own(request: Request) -> Any:
    return Break.objects.for_user(cast("User", request.user)).for_list()


@extend_schema(tags=["reconciliation"])
class BreakList(ListAPIView[Break]):
    """What your brokers report and your transactions do not add up to, with cause and fixes.

    Without `state` those that do not agree now, ignored ones included; an empty list is good news. When each account
    was compared is told by `/brokers/reconciliation/accounts`.
    """

    queryset = Break.objects.none()
    serializer_class = BreakSerializer
    filterset_class = BreakFilter
    required_scopes: ClassVar = READ
    ordering = ("pk",)

    def get_queryset(self) -> QuerySet[Break]:
        found = _own(self.request)
        if not self.request.query_params.get("account"):
            found = found.filter(account__in=counted_accounts(self.request.user))  # type: ignore[arg-type]
        return cast("QuerySet[Break]", found if self.request.query_params.get("state") else found.live())


class AccountStandingSerializer(serializers.Serializer[Reconciliation]):
    """Null times: never. A broker that has told no figures yet, or an account kept by file, is never compared."""

    account = AccountRefSerializer()
    compared_at = serializers.DateTimeField(allow_null=True)
    reported_at = serializers.DateTimeField(allow_null=True, help_text="When the broker said what was compared.")
    items = serializers.IntegerField(help_text="Positions and amounts of cash that were compared.")
    is_due = serializers.BooleanField(help_text="Something has changed since.")
    alarms = serializers.IntegerField()

    def to_representation(self, instance: Reconciliation) -> dict[str, Any]:
        return {
            "account": account_ref(instance.account),
            "compared_at": moment(instance.compared_at),
            "reported_at": moment(instance.reported_at),
            "items": instance.items,
            "is_due": instance.due_at is not None,
            "alarms": sum(1 for row in instance.account.breaks.all() if row.state == "open" and not row.why.is_quiet),
        }


@extend_schema(tags=["reconciliation"])
class AccountStandingList(ListAPIView[Reconciliation]):
    """When each account was compared with its broker, and how many differences wait for you."""

    queryset = Reconciliation.objects.none()
    serializer_class = AccountStandingSerializer
    required_scopes: ClassVar = READ
    ordering = ("pk",)

    def get_queryset(self) -> QuerySet[Reconciliation]:
        counted = counted_accounts(self.request.user)  # type: ignore[arg-type]
        rows = Reconciliation.objects.filter(account__in=counted).select_related("account__connection")
        return rows.prefetch_related("account__breaks")


class ApplySerializer(serializers.Serializer[Any]):
    finding = serializers.IntegerField(min_value=0, default=0, help_text="Its place in `findings`.")
    fix = serializers.IntegerField(min_value=0, default=0, help_text="Its place in the finding's `fixes`.")
    fingerprint = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)
    cost = serializers.DecimalField(
        28, 10, required=False, allow_null=True, default=None, min_value=0,
        help_text="What one unit of an opening position had cost, if you know it.",
    )  # fmt: skip


class IgnoreSerializer(serializers.Serializer[Any]):
    why = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)
    fingerprint = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)


class _Write(APIView):
    required_scopes: ClassVar = WRITE

    def found(self, request: Request, break_id: int) -> Break:
        return cast("Break", get_object_or_404(_own(request), pk=break_id))

    def answer(self, request: Request, break_id: int) -> Response:
        return Response(BreakSerializer(self.found(request, break_id)).data)


@extend_schema(tags=["reconciliation"], responses=BreakSerializer)
class BreakFix(_Write):
    @extend_schema(request=ApplySerializer)
    def post(self, request: Request, break_id: int) -> Response:
        """Carry out one of its fixes and compare again. 409 when it agrees by now, has changed since `fingerprint`, or
        a row's state forbids it. What was done is a correction, which can be taken back."""
        found, wish = self.found(request, break_id), ApplySerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        fixes.apply(found, user=cast("User", request.user), **wish.validated_data)
        return self.answer(request, break_id)


@extend_schema(tags=["reconciliation"], responses=BreakSerializer)
class BreakIgnore(_Write):
    @extend_schema(request=IgnoreSerializer)
    def post(self, request: Request, break_id: int) -> Response:
        """Set it aside until its figures change."""
        found, wish = self.found(request, break_id), IgnoreSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        fixes.ignore(found, user=cast("User", request.user), **wish.validated_data)
        return self.answer(request, break_id)


@extend_schema(tags=["reconciliation"], request=None, responses=BreakSerializer)
class BreakHeed(_Write):
    def post(self, request: Request, break_id: int) -> Response:
        """See to an ignored one again."""
        fixes.heed([self.found(request, break_id)])
        return self.answer(request, break_id)


class CorrectionSerializer(serializers.ModelSerializer[Correction]):
    """What a person did about a difference: transactions booked by hand, left out or brought back."""

    class Meta:
        model = Correction
        fields = ("id", "account", "cause", "action", "label", "about", "booked", "changed", "done_at", "undone_at")
        read_only_fields = fields


@extend_schema(tags=["reconciliation"])
class CorrectionList(ListAPIView[Correction]):
    """Your corrections, newest first, those taken back included."""

    queryset = Correction.objects.none()
    serializer_class = CorrectionSerializer
    required_scopes: ClassVar = READ
    ordering = ("-pk",)

    def get_queryset(self) -> QuerySet[Correction]:
        return Correction.objects.for_user(cast("User", self.request.user)).for_list()


@extend_schema(tags=["reconciliation"], request=None, responses=CorrectionSerializer)
class CorrectionUndo(APIView):
    required_scopes: ClassVar = WRITE

    def post(self, request: Request, correction_id: int) -> Response:
        """Take it back: what it booked no longer counts. 409 when that was done before."""
        own = Correction.objects.for_user(cast("User", request.user)).select_related("account")
        fixes.undo(get_object_or_404(own, pk=correction_id), user=cast("User", request.user))
        return Response(CorrectionSerializer(get_object_or_404(own, pk=correction_id)).data)


class TransferLinkSerializer(serializers.ModelSerializer[TransferLink]):
    """Two transactions that are the sides of one transfer, of cash or in kind: units keep what they had cost."""

    state = serializers.ChoiceField(LinkState.choices)

    class Meta:
        model = TransferLink
        fields = ("id", "outgoing", "incoming", "state", "created_at")
        read_only_fields = fields


class PossibleTransferSerializer(serializers.Serializer[Any]):
    outgoing = serializers.IntegerField(help_text="The transaction by which it left.")
    incoming = serializers.IntegerField(help_text="The one by which it may have arrived.")


class TransferWishSerializer(PossibleTransferSerializer):
    together = serializers.BooleanField(help_text="True: one transfer. False: they are two.")


@extend_schema(tags=["reconciliation"])
class TransferLinkList(ListAPIView[TransferLink]):
    """Transfers between your accounts whose two sides were found."""

    queryset = TransferLink.objects.none()
    serializer_class = TransferLinkSerializer
    required_scopes: ClassVar = READ | WRITE
    ordering = ("pk",)

    def get_queryset(self) -> QuerySet[TransferLink]:
        return TransferLink.objects.for_user(cast("User", self.request.user)).joined()

    @extend_schema(request=TransferWishSerializer, responses=TransferLinkSerializer)
    def post(self, request: Request) -> Response:
        """Say that two transactions are one transfer, or that they are two. 409 for what cannot be one."""
        user, wish = cast("User", request.user), TransferWishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        own = Transaction.objects.for_user(user).in_books()
        sides = {name: get_object_or_404(own, pk=wish.validated_data[name]) for name in ("outgoing", "incoming")}
        decide = transfers.confirm if wish.validated_data["together"] else transfers.part
        return Response(TransferLinkSerializer(decide(user=user, **sides)).data)


@extend_schema(tags=["reconciliation"], responses=PossibleTransferSerializer(many=True))
class PossibleTransferList(APIView):
    required_scopes: ClassVar = READ

    def get(self, request: Request) -> Response:
        """Pairs that may be one transfer and that only you can tell: several fit, or the sum is a round one."""
        pairs = transfers.undecided(cast("User", request.user))
        return Response([{"outgoing": left.pk, "incoming": came.pk} for left, came in pairs])


BASE = "brokers/reconciliation"
urlpatterns = [
    path(BASE, BreakList.as_view(), name="break-list"),
    path(f"{BASE}/accounts", AccountStandingList.as_view(), name="reconciliation-accounts"),
    path(f"{BASE}/corrections", CorrectionList.as_view(), name="correction-list"),
    path(f"{BASE}/corrections/<int:correction_id>/undo", CorrectionUndo.as_view(), name="correction-undo"),
    path(f"{BASE}/transfers/possible", PossibleTransferList.as_view(), name="possible-transfer-list"),
    path(f"{BASE}/transfers", TransferLinkList.as_view(), name="transfer-link-list"),
    path(f"{BASE}/<int:break_id>/fix", BreakFix.as_view(), name="break-fix"),
    path(f"{BASE}/<int:break_id>/ignore", BreakIgnore.as_view(), name="break-ignore"),
    path(f"{BASE}/<int:break_id>/heed", BreakHeed.as_view(), name="break-heed"),
]
