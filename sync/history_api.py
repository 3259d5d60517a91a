"""The log of a run, for programs."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView

from brokerhub.kernel.models import Scope
from sync.models import RunEntry, SyncRun


class RunEntrySerializer(serializers.ModelSerializer[RunEntry]):
    class Meta:
        model = RunEntry
        fields = ("id", "at", "text")
        read_only_fields = fields


@extend_schema(tags=["sync"])
class RunLog(ListAPIView[RunEntry]):
    """What a run did, waited for and met, newest first; empty for logs not kept."""

    queryset = RunEntry.objects.none()
    serializer_class = RunEntrySerializer
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}
    ordering = ("-pk",)

    def get_queryset(self) -> QuerySet[RunEntry]:
        if "run_id" not in self.kwargs:  # while the API is being described
            return RunEntry.objects.none()
        user: Any = self.request.user
        return RunEntry.objects.filter(run=get_object_or_404(SyncRun.objects.for_user(user), pk=self.kwargs["run_id"]))


urlpatterns = [path("brokerage/sync/runs/<int:run_id>/log", RunLog.as_view(), name="sync-run-log")]
