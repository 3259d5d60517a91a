"""The comparison for programs: matrices, simulation and recommendation in one answer; price lists with history."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q
from django.http import QueryDict
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from brokerhub.kernel.api import may
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.models import Scope
from comparison import answers, features, freshness, matching, matrix, recommendation, running, selection, stored
from comparison.catalogue_models import FeeRule
from comparison.matrix import Calculator
from comparison.models import CostSimulation
from comparison.selection import NotUnderstood
from comparison.stored import Catalogue


class UnknownBroker(HubError):
    """The text lists the brokers there are."""

    status = 404
    code = "not_found"


class UnknownPlan(UnknownBroker):
    """The text lists the plans there are."""


class PlanSerializer(serializers.Serializer[Any]):
    plan = serializers.CharField(help_text="broker:plan")
    title = serializers.CharField()
    broker = serializers.CharField()
    broker_name = serializers.CharField()
    is_integrated = serializers.BooleanField(help_text="Whether its accounts can be connected to the hub.")
    eligibility = serializers.CharField(allow_blank=True)
    this_hub_reads = serializers.ListField(
        child=serializers.CharField(), help_text="The ways in which this hub reads accounts there today."
    )


class MatrixRowSerializer(serializers.Serializer[Any]):
    """One row over the chosen plans: `cells` in their order, each with its value, badge and sources."""

    group = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF's own attribute of a field
    cells = serializers.ListField(child=serializers.DictField())


class FeeRowSerializer(MatrixRowSerializer):
    item = serializers.CharField()
    unit = serializers.CharField()


class FeatureRowSerializer(MatrixRowSerializer):
    feature = serializers.CharField()


class PlanCostSerializer(serializers.Serializer[Any]):
    """A year or a period at one plan, in USD. `is_partial`: something is unknown or not possible there."""

    plan = serializers.CharField()
    low = serializers.CharField()
    high = serializers.CharField()
    currency = serializers.CharField()
    is_partial = serializers.BooleanField()
    priced = serializers.IntegerField()
    not_possible = serializers.ListField(child=serializers.DictField())
    items = serializers.ListField(child=serializers.DictField())


class CostsSerializer(serializers.Serializer[Any]):
    basis = serializers.ChoiceField(["mine", "profile"])
    days = serializers.IntegerField()
    plans = PlanCostSerializer(many=True)


class RecommendationSerializer(serializers.Serializer[Any]):
    """Information, not advice. The points of a plan's reasons add up to its score."""

    is_clear = serializers.BooleanField()
    lead = serializers.CharField()
    ranked = serializers.ListField(child=serializers.DictField())
    unranked = serializers.ListField(child=serializers.DictField())
    excluded = serializers.ListField(child=serializers.DictField())
    flips = serializers.ListField(child=serializers.DictField(), help_text="At which weight another plan leads.")
    usage_flips = serializers.ListField(
        child=serializers.DictField(), help_text="From about how much more usage another plan leads."
    )
    first_in = serializers.IntegerField()
    variants = serializers.IntegerField()
    second_opinion = serializers.ListField(child=serializers.DictField())


class CompareSerializer(serializers.Serializer[Any]):
    catalogue_version = serializers.IntegerField()
    plans = PlanSerializer(many=True)
    fees = FeeRowSerializer(many=True)
    features = FeatureRowSerializer(many=True)
    simulation = CostsSerializer()
    recommendation = RecommendationSerializer()


class RuleSerializer(serializers.Serializer[Any]):
    """One price. `model` null: not known or not offered, see `reason`."""

    item = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF's own attribute of a field
    plan = serializers.CharField(allow_null=True, help_text="null: every plan that has none of its own.")
    model = serializers.CharField(allow_null=True)
    text = serializers.CharField()
    parameters = serializers.DictField()
    mode = serializers.CharField(allow_blank=True)
    condition = serializers.CharField(allow_blank=True)
    notes = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    valid_from = serializers.DateField(allow_null=True)
    valid_to = serializers.DateField(allow_null=True)
    as_of = serializers.CharField(allow_blank=True)
    confidence = serializers.CharField()
    stale = serializers.CharField(allow_blank=True, help_text="Why it is stale; empty: it is not.")
    currency = serializers.CharField()
    source = serializers.DictField(allow_null=True)  # type: ignore[assignment]  # DRF's own attribute of a field


class PriceListSerializer(serializers.Serializer[Any]):
    broker = serializers.CharField()
    name = serializers.CharField()
    as_of = serializers.DateField()
    plans = PlanSerializer(many=True)
    rules = RuleSerializer(many=True)
    regulatory = serializers.ListField(child=serializers.DictField())
    history = RuleSerializer(many=True)


class SimulationRequestSerializer(serializers.Serializer[Any]):
    accounts = serializers.ListField(child=serializers.IntegerField(), required=False, help_text="Empty: all.")
    since = serializers.DateField(required=False)
    until = serializers.DateField(required=False)
    rates = serializers.ChoiceField(["today", "day"], default="today")


class SimulationSerializer(serializers.ModelSerializer[Any]):
    class Meta:
        model = CostSimulation
        fields = ("id", "state", "done", "total", "error", "inputs", "result", "created_at", "finished_at")
        read_only_fields = fields


def text(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description)


def may_see_own(request: Request) -> None:
    """The own costs are part of the portfolio: a token needs that scope as well."""
    if not may(request, Scope.PORTFOLIO_READ):
        raise PermissionDenied(f"This token lacks the scope {Scope.PORTFOLIO_READ}.", code="scope_missing")


@extend_schema(tags=["comparison"])
class Compare(APIView):
    required_scopes: ClassVar = {"GET": Scope.COMPARE_READ}

    @extend_schema(
        parameters=[
            text("plans", "Plans as broker:plan, with commas; without it those of brokers that can be connected."),
            text("profile", "long_term, active_stocks, options, margin, international or developer."),
            OpenApiParameter("mine", OpenApiTypes.INT, description="1: the costs of your own transactions."),
            text("period", "With mine=1: a calendar year, or `year` for the last 365 days."),
            text("weights", "Such as cost:40,features:20; from 0 to 1000, together they count as 100."),
            text("needs", "Features a plan must have, with commas. Only a known no excludes."),
        ],
        responses=CompareSerializer,
    )
    def get(self, request: Request) -> Response:
        """Prices, features, the cost of a year and the recommendation for the same answers, at once."""
        user: Any = request.user
        query = _as_page(request.query_params)
        if query.get("mine") == "1":
            may_see_own(request)
        catalogue, today = stored.catalogue(), timezone.localdate()
        refs = _plans(catalogue, query)
        basis = matching.basis(user, query, catalogue, today)
        asked = matching.answers(query, catalogue, basis.profile, basis.days)
        known = matching.measured(today)
        found = recommendation.recommend(catalogue, asked, basis.costs, known, today)
        turns = matching.usage_turns(catalogue, basis, asked, found, known, today)
        body = {
            "catalogue_version": catalogue.version,
            "plans": [answers.plan(catalogue.plans[ref]) for ref in refs],
            "fees": answers.fee_matrix(matrix.fee_matrix(catalogue, refs, Calculator(), today), refs),
            "features": answers.feature_matrix(features.matrix(catalogue, refs, today), refs),
            "simulation": {
                "basis": "mine" if basis.is_own else "profile",
                "days": basis.days,
                "plans": [running.plan_json(basis.costs[ref]) for ref in refs],
            },
            "recommendation": recommendation.as_json(found) | {"usage_flips": [turn.as_json() for turn in turns]},
        }
        return Response(body)


def _as_page(given: QueryDict) -> QueryDict:
    """The API's names as the pages have them. Raises NotUnderstood."""
    query = given.copy()
    query.setlist("plan", given.getlist("plans"))
    query.setlist("need", given.getlist("needs"))
    if "profile" in given:
        query["preset"] = given.get("profile", "")
    for pair in filter(None, given.get("weights", "").split(",")):
        name, _, weight = pair.partition(":")
        if name not in recommendation.CRITERIA:
            raise NotUnderstood(f"weights: {name!r} is no criterion. Known: {', '.join(recommendation.CRITERIA)}.")
        query[f"weight_{name}"] = weight or "-"
    return query


def _plans(catalogue: Catalogue, query: QueryDict) -> list[str]:
    asked = [ref for value in query.getlist("plan") for ref in value.split(",") if ref and ref != "all"]
    if unknown := [ref for ref in asked if ref not in catalogue.plans]:
        raise UnknownPlan(f"There is no plan {unknown[0]!r}. Known: {', '.join(catalogue.plans)}.")
    return list(catalogue.plans) if query.getlist("plan") == ["all"] else selection.plans(catalogue, query)


@extend_schema(tags=["comparison"])
class Fees(APIView):
    required_scopes: ClassVar = {"GET": Scope.COMPARE_READ}

    @extend_schema(
        parameters=[
            OpenApiParameter("as_of", OpenApiTypes.DATE, description="The prices of this day; default: now."),
            text("plan", "Only this plan of the broker, such as pro_tiered."),
        ],
        responses=PriceListSerializer,
    )
    def get(self, request: Request, broker: str) -> Response:
        """A broker's whole price list with sources, the dated regulatory rates, and every price it replaced."""
        catalogue = stored.catalogue()
        if broker not in catalogue.brokers:
            raise UnknownBroker(f"There is no broker {broker!r}. Known: {', '.join(catalogue.brokers)}.")
        given = request.query_params.get("as_of", "")
        today = selection.day(given, "as_of") if given else timezone.localdate()
        plans = [plan for plan in catalogue.plans.values() if plan.broker == broker]
        only = request.query_params.get("plan", "")
        known = [plan.ref.partition(":")[2] for plan in plans]
        if only and only not in known:
            raise UnknownPlan(f"{catalogue.brokers[broker]} has no plan {only!r}. Known: {', '.join(known)}.")
        rules = FeeRule.objects.filter(broker__key=broker).select_related("broker", "plan", "source")
        if only:
            rules = rules.filter(Q(plan=None) | Q(plan__key=only))
        body = {
            "broker": broker,
            "name": catalogue.brokers[broker],
            "as_of": today.isoformat(),
            "plans": [answers.plan(plan) for plan in plans if not only or plan.ref.endswith(f":{only}")],
            "rules": [_rule(rule, catalogue) for rule in rules.on(today)],
            "regulatory": answers.regulatory(catalogue),
            "history": [_rule(rule, catalogue) for rule in rules.exclude(valid_to=None)],
        }
        return Response(body)


def _rule(rule: FeeRule, catalogue: Catalogue) -> dict[str, Any]:
    terms = stored.as_rule(rule)
    return answers.rule(rule, terms, freshness.rule_is_stale(terms, timezone.localdate(), catalogue.policy))


@extend_schema(tags=["comparison"])
class Simulations(APIView):
    required_scopes: ClassVar = {"POST": Scope.COMPARE_WRITE}

    @extend_schema(request=SimulationRequestSerializer, responses={202: SimulationSerializer})
    def post(self, request: Request) -> Response:
        """Price your own transactions at every plan, in the background. The same inputs over the same data give the
        same simulation."""
        may_see_own(request)
        user: Any = request.user
        asked = SimulationRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        query = QueryDict(mutable=True)
        query.setlist("account", [str(pk) for pk in given.get("accounts", [])])
        query["rates"] = given["rates"]
        for name in ("since", "until"):
            if given.get(name):
                query[name] = given[name].isoformat()
        one = running.request(user, selection.wish(user, query))
        place = reverse("simulation", kwargs={"simulation_id": one.pk}, request=request)
        return Response(SimulationSerializer(one).data, status=status.HTTP_202_ACCEPTED, headers={"Location": place})


@extend_schema(tags=["comparison"])
class OneSimulation(APIView):
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}

    @extend_schema(responses=SimulationSerializer)
    def get(self, request: Request, simulation_id: UUID) -> Response:
        """How far it is, and when it is done its result."""
        user: Any = request.user
        one = get_object_or_404(CostSimulation.objects.for_user(user), pk=simulation_id)
        return Response(SimulationSerializer(one).data)


urlpatterns = [
    path("brokerage/compare", Compare.as_view(), name="compare"),
    path("brokerage/fees/<slug:broker>", Fees.as_view(), name="fees"),
    path("compare/simulations", Simulations.as_view(), name="simulations"),
    path("compare/simulations/<uuid:simulation_id>", OneSimulation.as_view(), name="simulation"),
]
