"""Rules for parked rows, for programs."""

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope
from connections.brokers.records import TransactionKind
from sync import word_rules
from sync.models import ParkedRow, WordRule


class WordRuleSerializer(serializers.ModelSerializer[WordRule]):
    class Meta:
        model = WordRule
        fields = ("id", "broker", "field", "word", "kind", "created_at")
        read_only_fields = fields


class NewRuleSerializer(serializers.Serializer[Any]):
    """Rows of the same broker with the same word in `field` are of `kind`, always."""

    row = serializers.PrimaryKeyRelatedField(queryset=ParkedRow.objects.none(), help_text="A parked row with the word.")
    field = serializers.CharField(max_length=60, help_text="The name in its `raw` under which the word stands.")
    kind = serializers.ChoiceField([kind.value for kind in word_rules.KINDS])

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        if "rows" in self.context:
            fields["row"].queryset = self.context["rows"]
        return fields


class AppliedSerializer(serializers.Serializer[Any]):
    rule = WordRuleSerializer()
    booked = serializers.IntegerField(help_text="Rows that waited and are in the books now.")
    left = serializers.ListField(child=serializers.CharField(), help_text="Why others with this word still wait.")


@extend_schema(tags=["sync"])
class RuleList(ListAPIView[WordRule]):
    """Your own rules for rows that the hub does not understand."""

    queryset = WordRule.objects.none()
    serializer_class = WordRuleSerializer
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ, "POST": Scope.SYNC_WRITE}
    ordering = ("-pk",)

    def get_queryset(self) -> Any:
        return WordRule.objects.for_user(self.request.user)  # type: ignore[arg-type]

    @extend_schema(request=NewRuleSerializer, responses={201: AppliedSerializer})
    def post(self, request: Request) -> Response:
        """Make a rule from one parked row, and book every row that waits for it, however old."""
        user: Any = request.user
        rows = ParkedRow.objects.for_user(user).select_related("account__connection", "run")
        wanted = NewRuleSerializer(data=request.data, context={"rows": rows})
        wanted.is_valid(raise_exception=True)
        chosen = wanted.validated_data
        kind = TransactionKind(chosen["kind"])
        rule, applied = word_rules.remember(user, chosen["row"], field=chosen["field"], kind=kind)
        made = {"rule": rule, "booked": applied.booked, "left": applied.left}
        return Response(AppliedSerializer(made).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["sync"])
class RuleDetail(APIView):
    required_scopes: ClassVar = {"DELETE": Scope.SYNC_WRITE}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, rule_id: int) -> Response:
        """Forget a rule. What it has booked stays."""
        user: Any = request.user
        get_object_or_404(WordRule.objects.for_user(user), pk=rule_id).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


urlpatterns = [
    path("brokerage/parked/rules", RuleList.as_view(), name="sync-rules"),
    path("brokerage/parked/rules/<int:rule_id>", RuleDetail.as_view(), name="sync-rule"),
]
