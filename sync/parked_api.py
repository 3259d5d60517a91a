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
from sync import file_words, rereading, word_rules
from sync.importers import FORMATS
from sync.importers.reading import MAX_WORD
from sync.models import ParkedRow, WordRule
from sync.run_answers import accepted
from sync.serializers import StartedSerializer


class WordRuleSerializer(serializers.ModelSerializer[WordRule]):
    class Meta:
        model = WordRule
        fields = ("id", "broker", "institution", "field", "word", "kind", "created_at")
        read_only_fields = fields


class NewRuleSerializer(serializers.Serializer[Any]):
    """Either from a parked row of a feed: rows of the same broker with the same word in `field` are of `kind`, always.
    Or for files: rows with `word` in files of the house of `format`, and in its broker's feed."""

    row = serializers.PrimaryKeyRelatedField(
        queryset=ParkedRow.objects.none(), required=False, help_text="A parked row of a feed, with the word."
    )
    field = serializers.CharField(
        max_length=60, required=False, help_text="The name in its `raw` under which the word stands."
    )
    format = serializers.ChoiceField(
        sorted((format.key, format.label) for format in FORMATS.values()),
        required=False,
        help_text="A format of the files, as a dry run names it.",
    )
    word = serializers.CharField(
        max_length=MAX_WORD, required=False, help_text="As a row calls itself: `word` of a row of a dry run."
    )
    kind = serializers.ChoiceField(
        [(kind.value, kind.label) for kind in file_words.KINDS],
        help_text=f"For a row of a feed one of {', '.join(kind.value for kind in word_rules.KINDS)}.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = attrs.keys() - {"kind"}
        if given not in ({"row", "field"}, {"format", "word"}):
            raise serializers.ValidationError("Give row and field, or format and word.", code="required")
        return attrs

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        if "rows" in self.context:
            fields["row"].queryset = self.context["rows"]
        return fields


class ForgetQuerySerializer(serializers.Serializer[Any]):
    put_back = serializers.BooleanField(default=False, help_text="Take back what was read again for the rule's sake.")


class AppliedSerializer(serializers.Serializer[Any]):
    rule = WordRuleSerializer()
    booked = serializers.IntegerField(help_text="Rows that waited and are in the books now.")
    left = serializers.ListField(child=serializers.CharField(), help_text="Why others with this word still wait.")
    earlier = serializers.IntegerField(
        help_text="Rows of files booked before as `other` with this word. POST to `reread` of the rule corrects them."
    )


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
        """Make a rule for a word, and book every row of a feed that waits for it, however old."""
        user: Any = request.user
        rows = ParkedRow.objects.for_user(user).select_related("account__connection", "run")
        wanted = NewRuleSerializer(data=request.data, context={"rows": rows})
        wanted.is_valid(raise_exception=True)
        chosen = wanted.validated_data
        kind = TransactionKind(chosen["kind"])
        if "word" in chosen:
            rule, applied = file_words.remember(user, FORMATS[chosen["format"]], chosen["word"], kind)
        else:
            rule, applied = word_rules.remember(user, chosen["row"], field=chosen["field"], kind=kind)
        earlier = rereading.counts_of_earlier(user, [rule])[rule.pk]
        made = {"rule": rule, "booked": applied.booked, "left": applied.left, "earlier": earlier}
        return Response(AppliedSerializer(made).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["sync"])
class RuleDetail(APIView):
    required_scopes: ClassVar = {"DELETE": Scope.SYNC_WRITE}

    @extend_schema(parameters=[ForgetQuerySerializer], responses={204: None})
    def delete(self, request: Request, rule_id: int) -> Response:
        """Forget a rule. What it has booked stays, but with `put_back` what `reread` corrected is as it was before."""
        user: Any = request.user
        rule = get_object_or_404(WordRule.objects.for_user(user), pk=rule_id)
        asked = ForgetQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        if asked.validated_data["put_back"]:
            rereading.put_back(rule, actor=user)
        rule.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["sync"])
class RuleReread(APIView):
    required_scopes: ClassVar = {"POST": Scope.SYNC_WRITE}

    @extend_schema(request=None, responses={202: StartedSerializer})
    def post(self, request: Request, rule_id: int) -> Response:
        """Read files again whose rows were booked as `other` before the rule was made. Each is a run of its own, and
        what it corrects comes back when the run is undone."""
        user: Any = request.user
        runs = rereading.reread(get_object_or_404(WordRule.objects.for_user(user), pk=rule_id))
        return accepted(request, runs)


urlpatterns = [
    path("brokerage/parked/rules", RuleList.as_view(), name="sync-rules"),
    path("brokerage/parked/rules/<int:rule_id>", RuleDetail.as_view(), name="sync-rule"),
    path("brokerage/parked/rules/<int:rule_id>/reread", RuleReread.as_view(), name="sync-rule-reread"),
]
