"""When connections are synced by themselves, for programs."""

from typing import Any, ClassVar
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope
from connections.models import Connection
from sync import scheduling
from sync.models import Rhythm
from sync.serializers import ScheduleSerializer


@extend_schema(tags=["sync"])
class ConnectionSchedule(APIView):
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ, "PUT": Scope.SYNC_WRITE}

    @extend_schema(responses=ScheduleSerializer)
    def get(self, request: Request, connection_id: UUID) -> Response:
        """When the connection is synced by itself, and its next turn."""
        return Response(ScheduleSerializer(scheduling.schedule_of(_own(request, connection_id))).data)

    @extend_schema(request=ScheduleSerializer, responses=ScheduleSerializer)
    def put(self, request: Request, connection_id: UUID) -> Response:
        """`daily_at` is on the clock of your own time zone."""
        connection = _own(request, connection_id)
        wanted = ScheduleSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        chosen = wanted.validated_data
        schedule = scheduling.set_schedule(
            connection,
            rhythm=Rhythm(chosen["rhythm"]),
            every_hours=chosen.get("every_hours"),
            daily_at=chosen.get("daily_at"),
        )
        return Response(ScheduleSerializer(schedule).data)


def _own(request: Request, connection_id: UUID) -> Connection:
    user: Any = request.user
    return get_object_or_404(Connection.objects.for_user(user).open(), pk=connection_id)


urlpatterns = [
    path("brokerage/sync/schedules/<uuid:connection_id>", ConnectionSchedule.as_view(), name="sync-schedule"),
]
