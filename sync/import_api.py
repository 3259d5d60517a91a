"""Imports for programs: try a file, import it, fetch the rows that were not booked."""

from typing import Any, ClassVar

from django.conf import settings
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope, User
from sync import sync_service
from sync.checking import check_rows, counts_of
from sync.import_serializers import ANSWERS, DryRunSerializer, ImportQuerySerializer, ImportSerializer
from sync.imports import (
    house_of,
    importable_accounts,
    known_account,
    refuse_forgotten_accounts,
    refuse_what_needs_an_answer,
    refuse_wrong_accounts,
    request_imports,
)
from sync.models import ImportFile, SyncRun
from sync.reading import FileRead, read
from sync.rejects import rejected_lines
from sync.serializers import RunSerializer, StartedSerializer

ACCEPTED = PolymorphicProxySerializer(
    component_name="ImportAccepted",
    serializers=[RunSerializer, StartedSerializer],
    resource_type_field_name=None,
)


@extend_schema(tags=["sync"])
class Import(APIView):
    parser_classes = (MultiPartParser,)
    required_scopes: ClassVar = {"POST": Scope.SYNC_WRITE}

    @extend_schema(
        parameters=[ImportQuerySerializer],
        request={"multipart/form-data": ImportSerializer},
        responses={200: DryRunSerializer, 202: OpenApiResponse(ACCEPTED, "A run; with `accounts` a list of runs.")},
    )
    def post(self, request: Request) -> Response:
        """Import a broker's export, or with `dry_run=1` say what would become of each row.

        Its rows go into the same books as a sync; known rows are recognised. Nothing is written by a dry run.
        """
        user: Any = request.user
        asked = ImportQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        is_dry_run = asked.validated_data["dry_run"]
        wanted = ImportSerializer(
            data=request.data, context={"accounts": importable_accounts(user), "is_dry_run": is_dry_run}
        )
        wanted.is_valid(raise_exception=True)
        if is_dry_run:
            return Response(_tried(user, wanted, asked.validated_data))
        if wanted.validated_data["accounts"] is not None:
            return self._import_several(user, wanted)
        run = _imported(user, wanted)
        place = reverse("sync-run", kwargs={"run_id": run.pk}, request=request)
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED, headers={"Location": place})

    def _import_several(self, user: User, wanted: ImportSerializer) -> Response:
        """Raises FileNotRead when the file names an account that `accounts` leaves out."""
        file = _file(wanted)
        read_file = read(file, user)
        file.format = read_file.format.key
        places = wanted.validated_data["accounts"]
        refuse_what_needs_an_answer(read_file.parsed, list(places))
        refuse_forgotten_accounts(read_file.parsed, places)
        runs = request_imports(user=user, file=file, places=places)
        return Response(StartedSerializer({"runs": runs}).data, status=status.HTTP_202_ACCEPTED)


def _file(wanted: ImportSerializer) -> ImportFile:
    """The upload with what was said about it; not saved."""
    values = wanted.validated_data
    content = values["file"].read()
    return ImportFile(
        name=values["file"].name,
        content=content,
        size=len(content),
        format=values["format"],
        mapping=values["mapping"],
        choices={name: values[name] for name in ANSWERS if values[name]},
    )


def _imported(user: User, wanted: ImportSerializer) -> SyncRun:
    """All rows into one account. What a small file leaves open is refused at once, not by its run."""
    values, file = wanted.validated_data, _file(wanted)
    said: dict[str, Any] = {"user": user, "name": file.name, "content": file.content, "format": file.format}
    said |= {"choices": wanted.choices, "mapping": file.mapping}
    if file.size <= settings.IMPORT_CHECK_AT_ONCE_BYTES:
        refuse_what_needs_an_answer(read(file, user).parsed)
    if values["account"] is not None:
        return sync_service.request_import(account=values["account"], **said)
    return sync_service.request_import_into_new(account_name=values["account_name"], **said)


def _tried(user: User, wanted: ImportSerializer, page: dict[str, Any]) -> Any:
    """What a dry run answers. Raises HubError."""
    read_file = read(_file(wanted), user)
    values = wanted.validated_data
    if values["accounts"] is not None:
        refuse_forgotten_accounts(read_file.parsed, values["accounts"])
    elif values["account"] is not None or values["account_name"]:
        refuse_wrong_accounts(read_file.parsed.accounts, None)
    house = house_of(read_file.format)
    places = {hint: known_account(user, place, house) for hint, place in _places(wanted, read_file).items()}
    rows = list(check_rows(read_file.parsed, places))
    first, last = page["offset"], page["offset"] + page["limit"]
    return DryRunSerializer(
        {
            "format": read_file.format.key,
            "reason": read_file.match.reason,
            "accounts": [hint for hint in read_file.parsed.accounts if hint],
            "questions": read_file.parsed.questions,
            "warnings": read_file.parsed.warnings,
            "counts": counts_of(rows),
            "rows": rows[first:last],
            "skipped": read_file.parsed.skipped[first:last],
        }
    ).data


def _places(wanted: ImportSerializer, read_file: FileRead) -> dict[str, Any]:
    """Where the rows of each account of the file go; nowhere yet when that was not said."""
    values = wanted.validated_data
    if values["accounts"] is not None:
        return dict(values["accounts"])
    one = {"account": values["account"].pk} if values["account"] is not None else {"new": values["account_name"]}
    return dict.fromkeys(read_file.parsed.accounts, one)


class CsvRenderer(JSONRenderer):
    """Lets a caller ask for CSV; an error is JSON all the same."""

    media_type = "text/csv"


@extend_schema(tags=["sync"])
class Rejected(APIView):
    renderer_classes = (JSONRenderer, CsvRenderer)
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, run_id: int) -> StreamingHttpResponse:
        """The rows of an import that were not booked, with the reason. Mended, the file can be imported again."""
        runs = SyncRun.objects.for_user(request.user).select_related("file")  # type: ignore[arg-type]
        run = get_object_or_404(runs, pk=run_id)
        if not run.is_import:
            raise NotFound
        headers = {"Content-Disposition": f'attachment; filename="rejected-rows-of-run-{run.pk}.csv"'}
        return StreamingHttpResponse(rejected_lines(run), content_type="text/csv; charset=utf-8", headers=headers)
