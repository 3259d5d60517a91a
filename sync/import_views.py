"""The way of a file into the books, page by page: upload, account, columns, rows, confirm. No JavaScript needed."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from sync import columns, drafts, rejects
from sync.forms import ColumnsForm, SetupForm, UploadForm, WordsForm
from sync.import_models import DraftState, ImportDraft
from sync.importers import FORMATS, reader
from sync.importers.mapping import MappingRefused
from sync.importers.reader import Source, likely_delimiter
from sync.mending import without_remarks
from sync.models import SyncRun
from sync.reading import MAPPED, choose


@login_required
@require_http_methods(["GET", "POST"])
def upload(request: HtmxRequest) -> HttpResponse:
    form = UploadForm(*_sent(request))
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            draft = drafts.begin(user=request.user, name=file.name, content=file.read())
            return redirect("sync:draft", draft_id=draft.pk)
        except HubError as error:
            form.add_error("file", str(error))
    context = {
        "form": form,
        "formats": sorted({format.label for format in FORMATS.values()}),
        "drafts": ImportDraft.objects.for_user(request.user).for_list(),
        "step": 1,
    }
    return TemplateResponse(request, "sync/import.html", context, status=422 if form.errors else 200)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def setup(request: HtmxRequest, draft_id: UUID) -> HttpResponse:
    """What kind of file it is, what it leaves open, and whose account it belongs to."""
    draft = own(request, draft_id)
    if draft.state == DraftState.CHECKING:
        return checking_page(draft, request)
    source = source_of(draft)
    found = drafts.candidates(source)
    likely = [format.key for format, _ in found]
    form = SetupForm(_sent(request)[0], draft=draft, likely=likely)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["format"] == MAPPED and not draft.mapping:
            return redirect("sync:columns", draft_id=draft.pk)
        drafts.say(draft, format=form.cleaned_data["format"], choices=form.choices, accounts=form.accounts)
        return redirect("sync:rows" if draft.state != DraftState.CHOOSING else "sync:draft", draft_id=draft.pk)
    context = {"draft": draft, "form": form, "found": found, "is_table": not source.is_markup, "step": 2}
    context["label"] = label_of(draft)
    return TemplateResponse(request, "sync/import_setup.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def map_columns(request: HtmxRequest, draft_id: UUID) -> HttpResponse:
    """Which of our fields each column of an unknown file is."""
    draft = own(request, draft_id)
    source = _table(draft)
    delimiter = likely_delimiter(source.beginning)
    head = source.head(delimiter)
    at = _header_row(request, len(head), columns.header_of(source, delimiter))
    header = [cell.strip() for cell in head[at]]
    form = ColumnsForm(_sent(request)[0], header=header, **_columns_so_far(draft, header))
    if request.method == "POST" and form.is_valid():
        return _take_columns(draft, form, header, source)
    shown = columns.samples(source, delimiter, at)
    context = {
        "draft": draft,
        "form": form,
        "columns": list(zip(form.columns(), shown, strict=True)),
        "options": [form[name] for name in ("date_order", "decimal", "currency", "amounts", "fees_on_top")],
        "rows": [(number, row) for number, row in enumerate(head[:10]) if any(row)],
        "header_row": at,
        "step": 2,
    }
    return TemplateResponse(request, "sync/import_columns.html", context, status=422 if form.errors else 200)


def _columns_so_far(draft: ImportDraft, header: list[str]) -> dict[str, Any]:
    """What was said about these columns before, else what they probably are."""
    said = draft.mapping or {}
    known = {column: field for field, named in said.get("columns", {}).items() for column in named}
    guesses = known if known.keys() & set(header) else columns.guess(header)
    initial = {name: said[name] for name in ("date_order", "decimal", "currency", "fees_on_top") if name in said}
    if "signed" in said:
        initial["amounts"] = "signed" if said["signed"] else "bare"
    return {"guesses": guesses, "initial": initial}


def _take_columns(draft: ImportDraft, form: ColumnsForm, header: list[str], source: Source) -> HttpResponse:
    mapping = form.mapping((draft.mapping or {}).get("words", {}))
    if not mapping["columns"].get("word"):
        return _finish_mapping(draft, {**mapping, "words": {}}, source, header)
    draft.mapping = mapping
    draft.save(update_fields=["mapping"])
    return redirect("sync:words", draft_id=draft.pk)


@login_required
@require_http_methods(["GET", "POST"])
def map_words(request: HtmxRequest, draft_id: UUID) -> HttpResponse:
    """What each word of the file's column of words means."""
    draft = own(request, draft_id)
    source = _table(draft)
    said: dict[str, Any] = draft.mapping or {}
    named = said.get("columns", {}).get("word")
    if not named:
        return redirect("sync:columns", draft_id=draft.pk)
    delimiter = likely_delimiter(source.beginning)
    words = columns.words_in(source, delimiter, named)
    meanings = {word: said["words"].get(word) or columns.guess_word(word) for word in words}
    form = WordsForm(_sent(request)[0], words=words, meanings=meanings)
    if request.method == "POST" and form.is_valid():
        mapping = {**said, "words": form.meanings}
        return _finish_mapping(draft, mapping, source, _header_with(source, delimiter, mapping))
    context = {"draft": draft, "form": form, "named": named, "step": 2}
    return TemplateResponse(request, "sync/import_words.html", context, status=422 if form.errors else 200)


def _header_with(source: Source, delimiter: str, mapping: dict[str, Any]) -> list[str]:
    """The row of the file that has all mapped columns."""
    wanted = {column for named in mapping["columns"].values() for column in named}
    return next((row for row in source.head(delimiter) if wanted <= {cell.strip() for cell in row}), sorted(wanted))


def _finish_mapping(draft: ImportDraft, mapping: dict[str, Any], source: Source, header: list[str]) -> HttpResponse:
    """Read the file by the mapping, and keep it for the next file with this header. Raises MappingRefused."""
    choose(source, MAPPED, mapping)
    columns.save_template(draft.user, draft.name, header, mapping)
    drafts.map_columns(draft, mapping)
    return redirect("sync:draft", draft_id=draft.pk)


@login_required
@never_cache
@require_GET
def checking(request: HtmxRequest, draft_id: UUID) -> HttpResponse:
    """What a page that waits for a check asks each second: the wait again, or the page it leads to."""
    draft = own(request, draft_id)
    if draft.state == DraftState.CHECKING and wants_partial(request):
        return TemplateResponse(request, "sync/_import_checking.html", {"draft": draft})
    place = reverse("sync:rows", args=[draft.pk])
    return HttpResponseClientRedirect(place) if wants_partial(request) else redirect(place)


@login_required
@require_POST
def confirm(request: HtmxRequest, draft_id: UUID) -> HttpResponse:
    runs = drafts.confirm(own(request, draft_id))
    if len(runs) == 1:
        return redirect("sync:run", run_id=runs[0].pk)
    messages.success(request, f"The file goes into {len(runs)} accounts, each by an import of its own.")
    return redirect("sync:list")


@login_required
@require_POST
def discard(request: HtmxRequest, draft_id: UUID) -> HttpResponse:
    own(request, draft_id).delete()
    messages.success(request, "The import is discarded. Nothing of it was booked.")
    return redirect("sync:import")


@login_required
@require_GET
def rejected(request: HtmxRequest, run_id: int) -> HttpResponseBase:
    """The rows of an import that were not booked, as a file to mend and upload again."""
    run = get_object_or_404(SyncRun.objects.for_user(request.user).select_related("file"), pk=run_id)
    if not run.is_import:
        raise Http404
    lines = rejects.rejected_lines(run)
    return StreamingHttpResponse(
        ["\ufeff", *lines],
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="rejected-rows-of-run-{run.pk}.csv"'},
    )


def _sent(request: HtmxRequest) -> tuple[QueryDict | None, Any]:
    """Fields and files of a form that was sent, be they empty; nothing when the page is only looked at."""
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)


def own(request: HtmxRequest, draft_id: UUID) -> ImportDraft:
    drafts_of = ImportDraft.objects.for_user(request.user).select_related("user").defer("content")
    return get_object_or_404(drafts_of, pk=draft_id)


def checking_page(draft: ImportDraft, request: HtmxRequest) -> HttpResponse:
    return TemplateResponse(request, "sync/import_checking.html", {"draft": draft, "step": 2})


def source_of(draft: ImportDraft) -> Source:
    return without_remarks(reader.read(bytes(draft.content), draft.name))[0]


def _table(draft: ImportDraft) -> Source:
    """Raises MappingRefused for a file without columns."""
    source = source_of(draft)
    if source.is_markup:
        raise MappingRefused("This file is no table, so it has no columns to name.")
    return source


def label_of(draft: ImportDraft) -> str:
    if draft.format == MAPPED:
        return "A table whose columns you named"
    return FORMATS[draft.format].label if draft.format in FORMATS else ""


def _header_row(request: HtmxRequest, most: int, guessed: int) -> int:
    asked = request.GET.get("header", "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 4 and int(asked) < most else guessed
