"""REST endpoints on what counts as one instrument: what was put together, and what a person says of it."""

from typing import Any, ClassVar, cast

from django.db import models
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.models import Instrument, InstrumentChoice
from aggregation.positions import choices
from aggregation.serializers import AccountRefSerializer, InstrumentRefSerializer, account_ref, instrument_ref, moment
from brokerhub.kernel.models import Scope, User
from connections.models import Account

READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}


class Decision(models.TextChoices):
    SAME = "same", "The two are one"
    DIFFERENT = "different", "The two are two"
    ACCOUNT = "account", "What one account holds of it is something else"


class GroupSerializer(serializers.Serializer[Any]):
    instruments = InstrumentRefSerializer(many=True)
    why = serializers.CharField()


class IdentitySerializer(serializers.Serializer[Any]):
    joined = GroupSerializer(many=True, help_text="What counts as one instrument.")
    alike = serializers.ListField(
        child=InstrumentRefSerializer(many=True), help_text="Pairs that only look alike: say what they are."
    )


class ChoiceSerializer(serializers.Serializer[InstrumentChoice]):
    """One decision. It holds for your portfolio alone, after every sync, until it is taken back."""

    id = serializers.IntegerField()
    decision = serializers.ChoiceField(Decision.choices)
    instrument = InstrumentRefSerializer()
    other = InstrumentRefSerializer(allow_null=True)
    account = AccountRefSerializer(allow_null=True)
    decided_at = serializers.DateTimeField()

    def to_representation(self, instance: InstrumentChoice) -> dict[str, Any]:
        decision = Decision.SAME if instance.is_same else Decision.DIFFERENT
        return {
            "id": instance.pk,
            "decision": (Decision.ACCOUNT if instance.account else decision).value,
            "instrument": instrument_ref(instance.instrument),
            "other": instrument_ref(instance.other) if instance.other else None,
            "account": account_ref(instance.account) if instance.account else None,
            "decided_at": moment(instance.decided_at),
        }


class NewChoiceSerializer(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(Decision.choices)
    instrument = serializers.IntegerField()
    other = serializers.IntegerField(required=False, help_text="Of `same` and `different`.")
    account = serializers.IntegerField(required=False, help_text="Of `account`.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        needed = "account" if attrs["decision"] == Decision.ACCOUNT else "other"
        if needed not in attrs:
            raise serializers.ValidationError({needed: ["This is needed."]}, code="required")
        return attrs

    def decide(self, user: User) -> InstrumentChoice:
        """Raises NotAllowed for what cannot be, Http404 for what is not theirs."""
        given, known = self.validated_data, choices.known_to(user)
        instrument: Instrument = get_object_or_404(known, pk=given["instrument"])
        if given["decision"] == Decision.ACCOUNT:
            account = get_object_or_404(Account.objects.for_user(user), pk=given["account"])
            return choices.take_account_out(user, instrument, account)
        other = get_object_or_404(known, pk=given["other"])
        decide = choices.merge if given["decision"] == Decision.SAME else choices.keep_apart
        return decide(user, instrument, other)


@extend_schema(tags=["portfolio"], responses=IdentitySerializer)
class InstrumentIdentity(APIView):
    required_scopes: ClassVar = READ

    def get(self, request: Request) -> Response:
        """Which of the instruments you hold or held count as one, and why; and which only look alike."""
        user = cast("User", request.user)
        things = choices.things_among(user, choices.instruments_of(user))
        groups = [[things.rows[pk] for pk in sorted(group)] for group in things.joined()]
        return Response(
            {
                "joined": [
                    {"instruments": [instrument_ref(row) for row in rows], "why": choices.why(rows)} for rows in groups
                ],
                "alike": [[instrument_ref(things.rows[pk]) for pk in pair] for pair in things.alike()],
            }
        )


@extend_schema(tags=["portfolio"])
class ChoiceList(ListAPIView[InstrumentChoice]):
    """What you decided: two instruments are one or two, or what one account holds is something else."""

    queryset = InstrumentChoice.objects.none()
    serializer_class = ChoiceSerializer
    required_scopes: ClassVar = {**READ, "POST": Scope.SYNC_WRITE}
    ordering = ("-decided_at", "-pk")

    def get_queryset(self) -> QuerySet[InstrumentChoice]:
        return choices.decided(cast("User", self.request.user))

    @extend_schema(request=NewChoiceSerializer, responses={201: ChoiceSerializer})
    def post(self, request: Request) -> Response:
        """Decide. 409 where two cannot be added: another currency, kind or unit."""
        wish = NewChoiceSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        made = wish.decide(cast("User", request.user))
        return Response(ChoiceSerializer(self.get_queryset().get(pk=made.pk)).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["portfolio"])
class ChoiceDetail(APIView):
    required_scopes: ClassVar = {"DELETE": Scope.SYNC_WRITE}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, choice_id: int) -> Response:
        """Take a decision back: what the identifiers prove holds again."""
        choices.undo(get_object_or_404(choices.decided(cast("User", request.user)), pk=choice_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


urlpatterns = [
    path("brokers/instruments", InstrumentIdentity.as_view(), name="instrument-identity"),
    path("brokers/instruments/choices", ChoiceList.as_view(), name="instrument-choice-list"),
    path("brokers/instruments/choices/<int:choice_id>", ChoiceDetail.as_view(), name="instrument-choice"),
]
