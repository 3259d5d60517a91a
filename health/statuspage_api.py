"""Broker health in the shape of a status page, over the API."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope
from health import details, health_monitor, statuspage

COMPONENT_STATES = sorted(set(statuspage.COMPONENT.values()))
INCIDENT_STATES = [("investigating", "investigating"), ("resolved", "resolved")]
INDICATORS = ["none", "minor", "major", "critical", "maintenance"]


class PageSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    url = serializers.CharField()
    time_zone = serializers.CharField()
    updated_at = serializers.DateTimeField()


class IndicatorSerializer(serializers.Serializer[Any]):
    indicator = serializers.ChoiceField(INDICATORS)
    description = serializers.CharField()


class NamedSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class ComponentSerializer(NamedSerializer):
    status = serializers.ChoiceField(COMPONENT_STATES)
    known = serializers.BooleanField(help_text="False when nothing was measured lately: the status is no finding then.")
    description = serializers.CharField(help_text="The state in a sentence for people.")
    position = serializers.IntegerField()
    group = serializers.BooleanField()
    group_id = serializers.CharField(allow_null=True)
    only_show_if_degraded = serializers.BooleanField()
    showcase = serializers.BooleanField()
    page_id = serializers.CharField()
    created_at = serializers.DateTimeField(allow_null=True, help_text="The day of its first call; null without any.")
    updated_at = serializers.DateTimeField()


class IncidentLineSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    incident_id = serializers.CharField()
    status = serializers.ChoiceField(INCIDENT_STATES)
    body = serializers.CharField()
    created_at = serializers.DateTimeField()
    display_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class IncidentSerializer(NamedSerializer):
    status = serializers.ChoiceField(INCIDENT_STATES)
    impact = serializers.ChoiceField(["none", "minor", "major", "critical"])
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(help_text="The first failure.")
    monitoring_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField()
    page_id = serializers.CharField()
    shortlink = serializers.CharField()
    components = NamedSerializer(many=True)
    incident_updates = IncidentLineSerializer(many=True, help_text="The newest first.")


class ScheduledSerializer(NamedSerializer):
    status = serializers.ChoiceField(["scheduled", "in_progress"])
    impact = serializers.CharField()
    scheduled_for = serializers.DateTimeField()
    scheduled_until = serializers.DateTimeField()
    monitoring_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True, help_text="null: the hub does not know.")
    updated_at = serializers.DateTimeField(allow_null=True)
    page_id = serializers.CharField()
    shortlink = serializers.CharField()
    pauses_syncs = serializers.BooleanField(help_text="Whether syncs wait for its end.")
    components = NamedSerializer(many=True)
    incident_updates = IncidentLineSerializer(many=True, help_text="None: of plans the hub knows no timeline.")


class SummarySerializer(serializers.Serializer[Any]):
    page = PageSerializer()
    status = IndicatorSerializer()
    components = ComponentSerializer(many=True)
    incidents = IncidentSerializer(many=True, help_text="Those that are open.")
    scheduled_maintenances = ScheduledSerializer(many=True)


class ComponentsSerializer(serializers.Serializer[Any]):
    page = PageSerializer()
    components = ComponentSerializer(many=True)


class IncidentsSerializer(serializers.Serializer[Any]):
    page = PageSerializer()
    incidents = IncidentSerializer(many=True)


class UpcomingSerializer(serializers.Serializer[Any]):
    page = PageSerializer()
    scheduled_maintenances = ScheduledSerializer(many=True)


class StatusPageView(APIView):
    required_scopes: ClassVar = {"GET": Scope.HEALTH_READ}


class SummaryView(StatusPageView):
    @extend_schema(tags=["health"], operation_id="broker_health_summary", responses=SummarySerializer, filters=False)
    def get(self, request: Request) -> Response:
        """All brokers, open incidents and planned maintenance, in the shape of a status page."""
        return Response(SummarySerializer(statuspage.summary()).data)


class ComponentsView(StatusPageView):
    @extend_schema(
        tags=["health"], operation_id="broker_health_components", responses=ComponentsSerializer, filters=False
    )
    def get(self, request: Request) -> Response:
        """Each broker's state, in the shape of a status page."""
        components = statuspage.components(health_monitor.board())
        page = statuspage.page(timezone.now())
        return Response(ComponentsSerializer({"page": page, "components": components}).data)


class IncidentsView(StatusPageView):
    @extend_schema(
        tags=["health"], operation_id="broker_health_incidents", responses=IncidentsSerializer, filters=False
    )
    def get(self, request: Request) -> Response:
        """The newest incidents with their timelines, open ones and resolved ones."""
        incidents = [statuspage.incident(each) for each in details.incidents()]
        return Response(IncidentsSerializer({"page": statuspage.page(timezone.now()), "incidents": incidents}).data)


class UpcomingView(StatusPageView):
    @extend_schema(
        tags=["health"], operation_id="broker_health_maintenances", responses=UpcomingSerializer, filters=False
    )
    def get(self, request: Request) -> Response:
        """Planned maintenance that is on or comes within two weeks."""
        now = timezone.now()
        listed = {"page": statuspage.page(now), "scheduled_maintenances": statuspage.planned(now)}
        return Response(UpcomingSerializer(listed).data)
