"""Settings > Export: take everything away as one file, or read such a file into an empty account."""

import zipfile
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler, TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from brokerhub.archive import reading, readings, writing
from brokerhub.archive.models import ExportReading
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from brokerhub.kernel.reauthentication import asks_again
from brokerhub.uploads import LimitedUpload


class WholeExport(LimitedUpload):
    most = reading.MOST_ZIPPED
    too_large = "This export is larger than 100 MB, which is the most the hub reads."


class ReadForm(forms.Form):
    file = forms.FileField(
        label="Export of a hub", help_text="The zip as it was downloaded.", widget=forms.FileInput({"accept": ".zip"})
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if not zipfile.is_zipfile(file):
            raise forms.ValidationError("This is no zip file. Choose the file that a hub made under Export.")
        file.seek(0)
        return file


def _shown(request: HtmxRequest, form: ReadForm, status: int = 200) -> HttpResponse:
    under_way = ExportReading.objects.for_user(request.user).waiting().first()
    context = {"form": form, "is_empty": reading.is_empty(request.user), "under_way": under_way}
    return render(request, "settings/export.html", context, status=status)


@login_required
@asks_again
@require_safe
def export(request: HtmxRequest) -> HttpResponse:
    return _shown(request, ReadForm())


@login_required
@asks_again
@require_POST
def download(request: HtmxRequest) -> HttpResponseBase:
    """Streamed while it is read from the database, as it was when it began."""
    name = f"broker-hub-{timezone.localdate():%Y-%m-%d}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(writing.write(request.user), content_type="application/zip", headers=headers)


@csrf_exempt  # until the upload's own limit stands; then `_restore` checks the token
@require_POST
def restore(request: HttpRequest) -> HttpResponseBase:
    request.upload_handlers = [
        WholeExport(request),
        MemoryFileUploadHandler(request),
        TemporaryFileUploadHandler(request),
    ]
    try:
        return _restore(cast(HtmxRequest, request))
    except RequestDataTooBig as refusal:
        messages.error(request, str(refusal))
        return redirect("export")


@csrf_protect
@login_required
@asks_again
def _restore(request: HtmxRequest) -> HttpResponse:
    form = ReadForm(request.POST, request.FILES)
    if not form.is_valid():
        return _shown(request, form, status=422)
    file = form.cleaned_data["file"]
    try:
        made = readings.begin(request.user, name=file.name, file=file, size=file.size)
    except HubError as refusal:
        form.add_error("file", str(refusal))
        return _shown(request, form, status=422)
    return redirect("export-reading", reading_id=made.pk)


@login_required
@require_safe
def progress(request: HtmxRequest, reading_id: UUID) -> HttpResponse:
    """How far the reading of an export is; a part of the page when it asks again by itself."""
    one = get_object_or_404(ExportReading.objects.for_user(request.user), pk=reading_id)
    context = {"reading": one, "progress": readings.progress(one)}
    name = "_export_reading.html" if wants_partial(request) else "export_reading.html"
    return render(request, f"settings/{name}", context)
