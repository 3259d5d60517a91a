"""REST endpoints of syncs and imports. The same service functions and querysets as the pages."""

from decimal import Decimal
from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope, User
from connections.models import Account, Connection
from sync import feed_api, history_api, parked_api, schedule_api, sync_service, waiting
from sync.history import RunFilter
from sync.import_api import Import, Rejected
from sync.models import Mode, ParkedRow, ParkedRowQuerySet, SyncRun, SyncRunQuerySet, Trigger
from sync.run_answers import accepted
from sync.serializers import (
    ParkedRowSerializer,
    RunSerializer,
    StartedSerializer,
    StartSerializer,
    SyncStatusSerializer,
)


def _runs(request: Request) -> SyncRunQuerySet:
    return SyncRun.objects.for_user(request.user).for_list()  # type: ignore[arg-type]


@extend_schema(tags=["sync"])
class Sync(APIView):
    required_scopes: ClassVar = {"POST": Scope.SYNC_WRITE}

    @extend_schema(request=StartSerializer, responses={202: StartedSerializer})
    def post(self, request: Request) -> Response:
        """Sync one connection, one of its accounts, or all. What is syncing already answers with its open run, widened
        to what is asked for here."""
        user: Any = request.user
        wanted = StartSerializer(data=request.data, context={"accounts": Account.objects.for_user(user)})
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        what: dict[str, Any] = {
            "user": user,
            "trigger": Trigger.MANUAL,
            "mode": Mode(asked["mode"]) if asked["mode"] else None,
            "days": (asked["from_on"], asked["to_on"]) if asked["from_on"] else None,
        }
        account = asked["account"]
        if asked["connection"] is None and account is None:
            runs = sync_service.request_all(**what)
        else:
            own = Connection.objects.for_user(user)
            connection = get_object_or_404(own, pk=asked["connection"] or account.connection_id)
            runs = [sync_service.request_sync(connection=connection, account=account, **what)]
        return accepted(request, runs)


@extend_schema(tags=["sync"])
class SyncStatus(APIView):
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}

    @extend_schema(
        parameters=[
            OpenApiParameter("run", {"type": "integer", "minimum": 0}, description="Only this run and its connection."),
            OpenApiParameter(
                "wait",
                {"type": "integer", "minimum": 0},
                description=f"Seconds, up to {waiting.LONGEST}: answer as soon as something changes, else then.",
            ),
            OpenApiParameter(
                "version", OpenApiTypes.STR, description="Of your last answer; `wait` waits for another one."
            ),
        ],
        responses=SyncStatusSerializer,
    )
    def get(self, request: Request) -> Response:
        """Where each connection stands: its open run with progress and wait, else its last run.

        With `wait` and `version` it is a long poll: give the version of the last answer, and nothing is missed. A hub
        with many who wait answers at once, with what there is.
        """
        asked = request.query_params
        run_id = _number("run", asked["run"]) if "run" in asked else None
        seconds = min(_number("wait", asked.get("wait", "0")), waiting.LONGEST)
        if run_id is not None:
            get_object_or_404(_runs(request), pk=run_id)
        user: Any = request.user
        return Response(waiting.until_changed(lambda: _status(user, run_id), asked.get("version"), seconds))


def _status(user: User, run_id: int | None) -> dict[str, Any]:
    connections = Connection.objects.for_user(user).order_by("created_at", "pk")
    if run_id is not None:
        found = {run.connection_id: run for run in SyncRun.objects.for_user(user).for_list().filter(pk=run_id)}
        connections = connections.filter(pk__in=found)
    else:
        found = {run.connection_id: run for run in SyncRun.objects.for_user(user).latest_per_connection()}
        connections = connections.by_api()
    rows: list[dict[str, Any]] = [
        {
            "pk": connection.pk,
            "label": connection.label,
            "state": connection.state,
            "last_success_at": connection.last_success_at,
            "run": found.get(connection.pk),
        }
        for connection in connections
    ]
    version = waiting.version_of((row["state"], row["run"] and waiting.facts(row["run"])) for row in rows)
    syncing = any(run.is_open for run in found.values())
    return dict(SyncStatusSerializer({"version": version, "syncing": syncing, "connections": rows}).data)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValidationError({name: [f"{name} is a whole number."]}, code="invalid")
    return int(text)


@extend_schema(tags=["sync"])
class RunList(ListAPIView[SyncRun]):
    """Your runs, newest first."""

    queryset = SyncRun.objects.none()
    serializer_class = RunSerializer
    filterset_class = RunFilter
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}
    ordering = ("-pk",)

    def get_queryset(self) -> SyncRunQuerySet:
        return _runs(self.request)


@extend_schema(tags=["sync"])
class RunDetail(APIView):
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}

    @extend_schema(responses=RunSerializer)
    def get(self, request: Request, run_id: int) -> Response:
        """One run with its parts, counts and warnings."""
        return Response(RunSerializer(get_object_or_404(_runs(request), pk=run_id)).data)


@extend_schema(tags=["sync"])
class RunCancel(APIView):
    required_scopes: ClassVar = {"POST": Scope.SYNC_WRITE}

    @extend_schema(request=None, responses=RunSerializer)
    def post(self, request: Request, run_id: int) -> Response:
        """End an open run at once; what it has booked stays. 409 when it is over already."""
        run = get_object_or_404(_runs(request), pk=run_id)
        sync_service.cancel(run)
        return Response(RunSerializer(run).data)


class ParkedFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    account = filters.NumberFilter(field_name="account_id")
    run = filters.NumberFilter(method="by_run", help_text="Rows this run told, also those told before.")
    waiting = filters.BooleanFilter(method="by_waiting", help_text="True: not booked, nor their runs taken back.")
    resolved = filters.BooleanFilter(field_name="resolved_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = ParkedRow
        fields = ("account", "run", "waiting", "resolved")

    def by_run(self, rows: ParkedRowQuerySet, _name: str, run: Decimal) -> ParkedRowQuerySet:
        return rows.filter(told_by__contains=[int(run)]) if 0 < run < 2**63 else rows.none()

    def by_waiting(self, rows: ParkedRowQuerySet, _name: str, is_wanted: bool) -> ParkedRowQuerySet:
        return rows.waiting() if is_wanted else rows.exclude(resolved_at=None, is_aside=False)


@extend_schema(tags=["sync"])
class ParkedList(ListAPIView[ParkedRow]):
    """Rows your brokers sent that no rule understood, newest first; `waiting=true` are those that wait now."""

    queryset = ParkedRow.objects.none()
    serializer_class = ParkedRowSerializer
    filterset_class = ParkedFilter
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}
    ordering = ("-pk",)

    def get_queryset(self) -> ParkedRowQuerySet:
        return ParkedRow.objects.for_user(self.request.user)  # type: ignore[arg-type]


urlpatterns = [
    path("brokerage/sync", Sync.as_view(), name="sync-start"),
    path("brokerage/sync/status", SyncStatus.as_view(), name="sync-status"),
    path("brokerage/sync/runs", RunList.as_view(), name="sync-runs"),
    path("brokerage/sync/runs/<int:run_id>", RunDetail.as_view(), name="sync-run"),
    path("brokerage/sync/runs/<int:run_id>/cancel", RunCancel.as_view(), name="sync-run-cancel"),
    path("brokerage/import", Import.as_view(), name="sync-import"),
    path("brokerage/sync/runs/<int:run_id>/rejected", Rejected.as_view(), name="sync-run-rejected"),
    path("brokerage/parked", ParkedList.as_view(), name="sync-parked"),
    *feed_api.urlpatterns,
    *history_api.urlpatterns,
    *parked_api.urlpatterns,
    *schedule_api.urlpatterns,
]
