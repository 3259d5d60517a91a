"""Pages on which a person types in what a broker gave them: keys, answers to a dialogue, keys for the history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from brokerhub.kernel.reauthentication import asks_again
from connections import connection_manager, offers
from connections.brokers import BROKERS, BrokerEntry
from connections.brokers.base import BrokerUnavailable, KeyField, RateLimited
from connections.brokers.records import AuthMethod
from connections.connection_manager import Asked
from connections.forms import KeysForm
from connections.models import Connection
from connections.own import own_connection

SALT = "connections.dialogue"


@login_required
@asks_again
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def keys_new(request: HtmxRequest, method: str) -> HttpResponse:
    """The form for the keys of a new connection, which comes to be when they are right."""
    entry = BROKERS.get(AuthMethod(method)) if method in AuthMethod.values else None
    if entry is None:
        raise Http404
    if not entry.fields or not entry.is_offered() or offers.waits_in_between(entry):
        return redirect("connections:new")
    return _keys(request, entry, None)


@login_required
@asks_again
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def keys(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    """The form for the keys of a connection that is there: to finish or to renew it."""
    connection = own_connection(request, connection_id)
    entry = None if connection.is_file else connection_manager.entry_for(connection)
    if entry is None or not entry.fields:
        return redirect("connections:detail", connection_id=connection.pk)
    if offers.kind_of(entry) is offers.Kind.DIALOGUE:
        return _dialogue(request, entry, connection)
    return _keys(request, entry, connection)


def _keys(request: HtmxRequest, entry: BrokerEntry, connection: Connection | None) -> HttpResponse:
    form = KeysForm(entry.fields, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            connected = connection_manager.connect_with_keys(
                user=request.user, method=entry.method, keys=form.cleaned_data, connection=connection
            )
        except HubError as error:
            form.refuse(error)
        else:
            return welcome(request, connected)
    shown = connection_manager.prepare_keys(connection=connection) if connection else ()
    context = {"form": form, "entry": entry, "connection": connection, "shown": shown}
    return TemplateResponse(request, "connections/keys.html", context)


def welcome(request: HtmxRequest, connection: Connection) -> HttpResponse:
    if connection.status.may_sync:
        messages.success(request, f"{connection.label} is connected. What it tells is being fetched now.")
    else:
        _say_that_history_waits(request, connection)
    url = reverse("connections:list") + f"#connection-{connection.pk}"
    return HttpResponseClientRedirect(url) if wants_partial(request) else redirect(url)


def _say_that_history_waits(request: HtmxRequest, connection: Connection) -> None:
    messages.warning(
        request,
        f"The keys are stored with {connection.label}. Now sign in there again: its transactions are fetched then.",
    )


@login_required
@asks_again
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def history_keys(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    """The form for the keys by which a connection's transactions are read, where its own way does not tell them."""
    connection = own_connection(request, connection_id)
    method = None if connection.is_file else connection_manager.entry_for(connection).history_by
    if method is None:
        return redirect("connections:detail", connection_id=connection.pk)
    entry = BROKERS[method]
    form = KeysForm(entry.fields, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            done = connection_manager.add_history(connection=connection, keys=form.cleaned_data, actor=request.user)
        except HubError as error:
            form.refuse(error)
        else:
            if done.status.may_sync:
                messages.success(request, f"{done.label}: its transactions are being fetched now.")
            else:
                _say_that_history_waits(request, done)
            return redirect("connections:detail", connection_id=connection.pk)
    context = {"form": form, "entry": entry, "connection": connection}
    return TemplateResponse(request, "connections/history_keys.html", context)


# --- Question and answer ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Posed:
    """A question as the page carries it: its words signed, what the hub keeps for it sealed."""

    text: str
    fields: tuple[KeyField, ...]
    poll_seconds: int | None
    sealed: str

    @classmethod
    def of(cls, asked: Asked) -> Self:
        question = asked.question
        return cls(question.text, question.fields, question.poll_seconds, asked.sealed)

    @classmethod
    def read(cls, data: Mapping[str, str]) -> "Posed | None":
        """The question that a form was sent for; None for the first step, or when the page was tampered with."""
        if not data.get("sealed"):
            return None
        try:
            said = signing.loads(data.get("question", ""), salt=SALT)
        except signing.BadSignature:
            return None
        fields = tuple(KeyField(**field) for field in said["fields"])
        return cls(said["text"], fields, said["poll_seconds"], data["sealed"])

    @property
    def signed(self) -> str:
        fields = [{name: getattr(field, name) for name in KeyField.__slots__} for field in self.fields]
        return signing.dumps({"text": self.text, "fields": fields, "poll_seconds": self.poll_seconds}, salt=SALT)


def _dialogue(request: HtmxRequest, entry: BrokerEntry, connection: Connection) -> HttpResponse:
    posed = Posed.read(request.POST)
    form = _form_for(entry, posed, request.POST or None)
    trouble = ""
    if request.method == "POST" and (form is None or form.is_valid()):
        try:
            outcome = connection_manager.converse(
                user=request.user,
                connection=connection,
                answer=form.cleaned_data if form else {},
                sealed=posed.sealed if posed else "",
            )
        except HubError as error:
            posed, form, trouble = _after_trouble(error, entry, posed, form)
        else:
            if isinstance(outcome, Connection):
                return welcome(request, outcome)
            posed = Posed.of(outcome)
            form = _form_for(entry, posed, None)
    context: dict[str, Any] = {"entry": entry, "connection": connection, "form": form, "posed": posed}
    name = "_dialogue.html" if wants_partial(request) else "dialogue.html"
    return TemplateResponse(request, f"connections/{name}", context | {"trouble": trouble})


def _form_for(entry: BrokerEntry, posed: Posed | None, data: Any) -> KeysForm | None:
    """The form for the first step or for a question; None when there is nothing to do but to wait."""
    fields = entry.fields if posed is None else posed.fields
    return KeysForm(fields, data) if fields else None


def _after_trouble(
    error: HubError, entry: BrokerEntry, posed: Posed | None, form: KeysForm | None
) -> tuple[Posed | None, KeysForm | None, str]:
    """What the page shows after an error: the same step again while it can succeed, otherwise the first one."""
    may_pass = isinstance(error, BrokerUnavailable) and not isinstance(error, RateLimited)
    if form is not None and getattr(error, "field", "") in form.fields:
        form.refuse(error)
        return posed, form, ""
    if posed is None or may_pass:
        return posed, form, str(error)
    return None, _form_for(entry, None, None), str(error)
