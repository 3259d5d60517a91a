"""Ratings of one broker for programs: what customers think, scores of others apart, and one's own."""

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope
from comparison import ratings
from comparison.models import BrokerRating, ComparisonBroker, ExternalRating
from comparison.quality_api import Number
from comparison.rating_models import LONGEST_TEXT, RatingState, ScoreKind
from comparison.rating_rules import ENOUGH_TO_SHOW, Standing

NEWEST = 50


def _aspect() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=5, allow_null=True, default=None)


class OpinionSerializer(serializers.Serializer[Any]):
    """1 (worst) to 5. Sent again, it takes the place of your earlier one."""

    overall = serializers.IntegerField(min_value=1, max_value=5)
    fees = _aspect()
    platform = _aspect()
    support = _aspect()
    reliability = _aspect()
    sync = _aspect()
    text = serializers.CharField(
        max_length=LONGEST_TEXT, allow_blank=True, default="", help_text="Plain text without links or account numbers."
    )
    shows_name = serializers.BooleanField(default=False)


class NewRatingSerializer(OpinionSerializer):
    is_independent = serializers.BooleanField(help_text="You neither work for the broker nor were paid: must be true.")

    def validate_is_independent(self, value: bool) -> bool:
        if not value:
            raise serializers.ValidationError("Who works for a broker may not rate it.")
        return value


class OwnRatingSerializer(OpinionSerializer):
    """Your own. Only published ones count."""

    state = serializers.ChoiceField(RatingState.choices)
    reason = serializers.CharField(help_text="Why it is not published; empty otherwise.")
    written_at = serializers.DateTimeField()


class ReviewSerializer(serializers.Serializer[Any]):
    """A published rating with a text."""

    id = serializers.IntegerField()
    overall = serializers.IntegerField()
    text = serializers.CharField()
    author = serializers.CharField()
    is_verified = serializers.BooleanField(help_text="Connected now, or within the last 180 days.")
    written_at = serializers.DateTimeField()


class StandingSerializer(serializers.Serializer[Any]):
    """Below `least` ratings only their number is told; the other figures are null then."""

    count = serializers.IntegerField()
    least = serializers.IntegerField()
    average = Number(help_text="Bayesian: counts 20 average ratings along.")
    mean = Number()
    histogram = serializers.DictField(child=serializers.IntegerField(), help_text="Stars: number of ratings.")
    aspects = serializers.DictField(child=Number(), help_text="Plain means of those rated by enough.")


class ScoreSerializer(serializers.Serializer[Any]):
    """What somebody else published, as published; never part of the average."""

    publisher = serializers.CharField()
    kind = serializers.ChoiceField(ScoreKind.choices)
    value = Number()
    scale_min = Number()
    scale_max = Number()
    of_five = Number(help_text="On a scale of 1 to 5.")
    count = serializers.IntegerField(allow_null=True)
    as_of = serializers.CharField(allow_null=True, help_text="null: undated.")
    source_title = serializers.CharField()
    source_url = serializers.CharField(allow_null=True)


class RatingsSerializer(serializers.Serializer[Any]):
    broker = serializers.CharField()
    name = serializers.CharField()
    standing = StandingSerializer()
    external = ScoreSerializer(many=True)
    mine = OwnRatingSerializer(allow_null=True)
    may_rate = serializers.BooleanField()
    why_not = serializers.CharField(help_text="What to do before you may rate; empty when you may.")
    reviews = ReviewSerializer(many=True, help_text=f"The newest {NEWEST} with a text.")


class ReportSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300)


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "count": standing.count,
        "least": ENOUGH_TO_SHOW,
        "average": None if standing.average is None else round(standing.average, 2),
        "mean": None if standing.mean is None else round(standing.mean, 2),
        "histogram": {str(stars): count for stars, count in standing.histogram.items()},
        "aspects": {name: round(mean, 2) for name, mean in standing.aspects.items()},
    }


def _score(score: ExternalRating) -> dict[str, Any]:
    return {
        "publisher": score.publisher,
        "kind": score.kind,
        "value": score.value,
        "scale_min": score.scale_min,
        "scale_max": score.scale_max,
        "of_five": round(score.of_five, 2),
        "count": score.count,
        "as_of": score.as_of or None,
        "source_title": score.source.title,
        "source_url": score.source.url or None,
    }


def _ratings(user: Any, broker: ComparisonBroker) -> dict[str, Any]:
    published = BrokerRating.objects.published().filter(broker=broker).exclude(text="")
    why_not = ratings.why_not(user, broker)
    return {
        "broker": broker.key,
        "name": broker.name,
        "standing": _standing(ratings.standing(broker)),
        "external": [_score(score) for score in broker.external_ratings.select_related("source")],
        "mine": BrokerRating.objects.for_user(user).filter(broker=broker).first(),
        "may_rate": not why_not,
        "why_not": why_not,
        "reviews": published.with_verified().select_related("user")[:NEWEST],
    }


@extend_schema(tags=["comparison"])
class BrokerRatings(APIView):
    required_scopes: ClassVar = {
        "GET": Scope.COMPARE_READ,
        "POST": Scope.COMPARE_WRITE,
        "DELETE": Scope.COMPARE_WRITE,
    }

    @extend_schema(operation_id="broker_ratings_retrieve", responses=RatingsSerializer)
    def get(self, request: Request, broker: str) -> Response:
        """What customers and others think of a broker. An unknown broker is answered with the known ones."""
        about = ratings.broker_by_key(broker)
        return Response(RatingsSerializer(_ratings(request.user, about)).data)

    @extend_schema(
        operation_id="broker_ratings_create",
        request=NewRatingSerializer,
        responses={200: OwnRatingSerializer, 201: OwnRatingSerializer},
    )
    def post(self, request: Request, broker: str) -> Response:
        """Rate a broker you are a customer of; 200 when it replaces your earlier rating. It is checked first."""
        about = ratings.broker_by_key(broker)
        said = NewRatingSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        opinion = {name: value for name, value in said.validated_data.items() if name != "is_independent"}
        user: Any = request.user
        rating, is_new = ratings.submit(user, about, ratings.Opinion(**opinion))
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(OwnRatingSerializer(rating).data, status=code)

    @extend_schema(operation_id="broker_ratings_destroy", responses={204: None})
    def delete(self, request: Request, broker: str) -> Response:
        """Withdraw your rating; its text is erased."""
        user: Any = request.user
        ratings.withdraw(user, ratings.broker_by_key(broker))
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["comparison"])
class RatingReports(APIView):
    required_scopes: ClassVar = {"POST": Scope.COMPARE_WRITE}

    @extend_schema(operation_id="broker_ratings_report", request=ReportSerializer, responses={204: None})
    def post(self, request: Request, broker: str, rating_id: int) -> Response:
        """Report a published rating that breaks the rules. Another opinion is no reason."""
        about = ratings.broker_by_key(broker)
        user: Any = request.user
        rating = get_object_or_404(BrokerRating.objects.visible_to(user).filter(broker=about), pk=rating_id)
        said = ReportSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        ratings.report(user, rating, said.validated_data["reason"])
        return Response(status=status.HTTP_204_NO_CONTENT)


urlpatterns = [
    path("brokers/<slug:broker>/ratings", BrokerRatings.as_view(), name="broker-ratings"),
    path("brokers/<slug:broker>/ratings/<int:rating_id>/report", RatingReports.as_view(), name="rating-report"),
]
