"""What operators may do to a row: asked for with a reason where it ends something, and always written down.

An act is one entry of a model's `acts`. It becomes an action of the list and a button on the row's own page. Each row
it was done to gets a line in Django's log, with who, when, why and the request id.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from brokerhub.kernel.desk_models import note_acts
from brokerhub.kernel.errors import HubError

MOST_AT_ONCE = 200  # rows: what is done to more is no work for a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """`do(row, actor=...)` does it, and raises HubError with a sentence where it cannot be done."""

    name: str
    label: str
    done: str  # after the row's name: "is paused"
    do: Callable[..., Any]
    permission: str  # "app.codename"
    warning: str = ""  # what it ends; with one, a page asks first and wants a reason
    form: "type[ActForm] | None" = None  # what else must be said, for `do` by its names
    tells_why: bool = False  # `do` gets `why` too


class ActForm(forms.Form):
    """The page that asks. A form of an act's own adds fields."""

    why = forms.CharField(
        label="Why?",
        max_length=300,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For the log; other operators read it, the owner does not.",
    )

    def __init__(self, rows: Sequence[models.Model], data: Any = None) -> None:
        super().__init__(data)
        self.rows = rows


def perform(admin: Any, request: HttpRequest, chosen: "models.QuerySet[Any]", act: Act) -> HttpResponse | None:
    """Ask where the act wants to be asked, else do it; None goes back to the list."""
    rows = list(chosen[: MOST_AT_ONCE + 1])
    if len(rows) > MOST_AT_ONCE:
        admin.message_user(request, f"Choose at most {MOST_AT_ONCE} rows at once.", messages.ERROR)
        return None
    if not (act.warning or act.form):
        _do(admin, request, rows, act, {})
        return _back(admin, request, rows)
    is_answer = "confirmed" in request.POST
    form = (act.form or ActForm)(rows, request.POST if is_answer else None)
    if is_answer and form.is_valid():
        _do(admin, request, rows, act, form.cleaned_data)
        return _back(admin, request, rows)
    context = {
        **admin.admin_site.each_context(request),
        "title": act.label,
        "opts": admin.opts,
        "act": act,
        "rows": rows,
        "form": form,
        "media": admin.media + form.media,
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/act.html", context)


def _back(admin: Any, request: HttpRequest, rows: Sequence[Any]) -> HttpResponse | None:
    """To the row's own page where its button was pressed, unless the row is gone; None for the list."""
    if "from_row" not in request.POST or len(rows) != 1 or rows[0].pk is None:
        return None
    return redirect(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_change", rows[0].pk)


def _do(admin: Any, request: HttpRequest, rows: Sequence[Any], act: Act, said: dict[str, Any]) -> None:
    """One that refuses does not stop the others; each is told, and only what was done is in the log."""
    why = said.get("why", "")
    extra = {name: value for name, value in said.items() if name != "why" or act.tells_why}
    for row in rows:
        entry = _line(by=request.user, about=row, did=act.label, why=why)  # before: afterwards it may be gone
        try:
            act.do(row, actor=request.user, **extra)
        except HubError as error:
            admin.message_user(request, f"{entry.object_repr}: {error}", messages.WARNING)
        else:
            entry.save()
            note_acts([entry], why)
            admin.message_user(request, f"{entry.object_repr} {act.done}.", messages.SUCCESS)


def _line(*, by: Any, about: models.Model, did: str, why: str) -> LogEntry:
    """Unsaved."""
    return LogEntry(
        user=by,
        content_type=ContentType.objects.get_for_model(about),
        object_id=str(about.pk),
        object_repr=str(about)[:200],
        action_flag=CHANGE,
        change_message=f"{did}. Why: {why}" if why else did,
    )
