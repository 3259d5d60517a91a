"""REST endpoints to take a run back and to apply it again."""

from typing import ClassVar, cast

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope, User
from sync import undoing
from sync.models import SyncRun
from sync.undoing import RunEffect

DRY_RUN = OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="Only count what would change.")


class EffectSerializer(serializers.Serializer[RunEffect]):
    """What changed, or would change, in the books."""

    rows = serializers.IntegerField(help_text="Rows the run told, in all their versions.")
    leaving = serializers.IntegerField(help_text="Rows that counted and count no longer.")
    returning = serializers.IntegerField(help_text="Rows that count again.")
    staying = serializers.IntegerField(help_text="Rows of the run that count all the same: others told them too.")
    edited = serializers.IntegerField(help_text="Rows with a note, tag, exclusion or parts of yours; these are kept.")
    parked = serializers.IntegerField(help_text="Rows without a rule that wait no longer, or wait again.")


def _run(request: Request, run_id: int) -> SyncRun:
    return get_object_or_404(SyncRun.objects.for_user(request.user).for_list(), pk=run_id)  # type: ignore[arg-type]


def _is_dry(request: Request) -> bool:
    return request.query_params.get("dry_run", "").lower() in {"1", "true", "yes"}


@extend_schema(tags=["sync"], parameters=[DRY_RUN], request=None, responses=EffectSerializer)
class RunUndo(APIView):
    required_scopes: ClassVar = {"POST": Scope.SYNC_WRITE}

    def post(self, request: Request, run_id: int) -> Response:
        """Take back what a finished run told; rows that other runs told as well stay. 409 when there is nothing."""
        run, user = _run(request, run_id), cast("User", request.user)
        effect = undoing.preview_undo(run) if _is_dry(request) else undoing.undo(run, actor=user)
        return Response(EffectSerializer(effect).data)


@extend_schema(tags=["sync"], parameters=[DRY_RUN], request=None, responses=EffectSerializer)
class RunReapply(APIView):
    required_scopes: ClassVar = {"POST": Scope.SYNC_WRITE}

    def post(self, request: Request, run_id: int) -> Response:
        """Bring back what a run told that was taken back. 409 when it was not."""
        run, user = _run(request, run_id), cast("User", request.user)
        effect = undoing.preview_reapply(run) if _is_dry(request) else undoing.reapply(run, actor=user)
        return Response(EffectSerializer(effect).data)


urlpatterns = [
    path("brokerage/sync/runs/<int:run_id>/undo", RunUndo.as_view(), name="sync-run-undo"),
    path("brokerage/sync/runs/<int:run_id>/reapply", RunReapply.as_view(), name="sync-run-reapply"),
]
