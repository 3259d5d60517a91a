"""How a request for runs is answered: 202, the runs, and where to follow the run when it is one."""

from collections.abc import Sequence

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from sync.models import SyncRun
from sync.serializers import StartedSerializer


def accepted(request: Request, runs: Sequence[SyncRun]) -> Response:
    headers = {}
    if len(runs) == 1:
        headers["Location"] = reverse("sync-run", kwargs={"run_id": runs[0].pk}, request=request)
    return Response(StartedSerializer({"runs": runs}).data, status=status.HTTP_202_ACCEPTED, headers=headers)
