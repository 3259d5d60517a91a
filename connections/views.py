"""Pages to connect, renew and leave brokers."""

import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import get_text_list
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest
from connections import connection_manager
from connections.brokers import BROKERS, offered
from connections.brokers.base import BrokerError, KeysRefused
from connections.brokers.records import Broker
from connections.forms import ConnectForm, DisconnectForm, KeysForm, LabelForm, PastedAddressForm
from connections.models import Connection

NONCE_KEY = "sign_in_nonce"


def _own(request: HtmxRequest, connection_id: UUID) -> Connection:
    return get_object_or_404(Connection.objects.for_user(request.user).for_cards(), pk=connection_id)


@login_required
@require_GET
def connection_list(request: HtmxRequest) -> HttpResponse:
    context = {"connections": connection_manager.list_connections(request.user), "entries": BROKERS.values()}
    return TemplateResponse(request, "connections/connection_list.html", context)


@login_required
@require_GET
def connection_cards(request: HtmxRequest) -> HttpResponse:
    """The cards alone, fetched again every few seconds so that states change before the user's eyes."""
    context = {"connections": connection_manager.list_connections(request.user)}
    return TemplateResponse(request, "connections/_connection_cards.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def connection_new(request: HtmxRequest) -> HttpResponse:
    form = ConnectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        method = form.cleaned_data["method"]
        if BROKERS[method].fields:
            return _go(request, reverse("connections:keys_new", args=[method]))
        connection = connection_manager.create_connection(
            user=request.user, broker=BROKERS[method].broker, method=method
        )
        return _to_broker(request, connection)
    return TemplateResponse(request, "connections/connection_new.html", {"entries": offered(), "form": form})


@login_required
@require_POST
def sign_in(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    return _to_broker(request, _own(request, connection_id))


def _to_broker(request: HtmxRequest, connection: Connection) -> HttpResponse:
    """Send the browser to the broker's page: by htmx at once, otherwise by a link, as the form may not post there."""
    if not connection.is_file and connection_manager.entry_for(connection).fields:
        return _go(request, reverse("connections:keys", args=[connection.pk]))
    nonce = request.session.setdefault(NONCE_KEY, secrets.token_urlsafe(24))
    url = connection_manager.start_oauth(connection=connection, session_nonce=nonce)
    if request.htmx:
        return HttpResponseClientRedirect(url)
    entry = connection_manager.entry_for(connection)
    return TemplateResponse(
        request, "connections/to_broker.html", {"url": url, "entry": entry, "connection": connection}
    )


def _go(request: HtmxRequest, url: str) -> HttpResponse:
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def keys(request: HtmxRequest, method: str = "", connection_id: UUID | None = None) -> HttpResponse:
    """The form for a broker's keys: for a new connection by `method`, or anew for an old one."""
    connection = _own(request, connection_id) if connection_id else None
    entry = next(
        (entry for entry in BROKERS.values() if entry.method == (connection.method if connection else method)), None
    )
    if entry is None and connection is None:
        raise Http404
    if entry is None or not entry.fields:
        return redirect(
            reverse("connections:detail", args=[connection.pk]) if connection else reverse("connections:new")
        )
    form = KeysForm(entry, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            connected = connection_manager.connect_with_keys(
                user=request.user, method=entry.method, keys=form.cleaned_data, connection=connection
            )
        except KeysRefused as error:
            form.add_error(error.field or None, str(error))
        except HubError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{connected.label} is connected. Its history is being fetched now.")
            return redirect(reverse("connections:list") + f"#connection-{connected.pk}")
    return TemplateResponse(request, "connections/keys.html", {"form": form, "entry": entry, "connection": connection})


@login_required
@never_cache
@require_GET
def callback(request: HtmxRequest, broker: str) -> HttpResponse:
    """The way back from the broker. The code is exchanged at once: at Schwab it lives for half a minute."""
    return _finish(request, broker, dict(request.GET.items()))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def paste(request: HtmxRequest, broker: str) -> HttpResponse:
    """For an app registered with a callback nobody listens at (https://127.0.0.1): the user pastes the address."""
    form = PastedAddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        query = parse_qs(urlsplit(form.cleaned_data["address"]).query)
        return _finish(request, broker, {name: values[0] for name, values in query.items()})
    label = get_broker_label(broker)
    return TemplateResponse(request, "connections/paste.html", {"form": form, "broker_label": label, "broker": broker})


def get_broker_label(broker: str) -> str:
    return Broker(broker).label if broker in Broker.values else "your broker"


def _finish(request: HtmxRequest, broker: str, answer: dict[str, Any]) -> HttpResponse:
    try:
        connection = connection_manager.complete_oauth(
            user=request.user,
            broker=broker,
            answer=answer,
            session_nonce=request.session.get(NONCE_KEY, ""),
        )
    except HubError as error:
        context = {"error": error, "is_denied": error.code == "consent_denied", "entries": BROKERS.values()}
        return TemplateResponse(request, "connections/sign_in_failed.html", context, status=error.status)
    messages.success(request, f"{connection.label} is connected. Its history is being fetched now.")
    return redirect(reverse("connections:list") + f"#connection-{connection.pk}")


@login_required
@require_GET
def connection_detail(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    connection = _own(request, connection_id)
    context = {
        "connection": connection,
        "events": connection.events.select_related("actor")[:50],
        "label_form": LabelForm(initial={"label": connection.label}),
    }
    return TemplateResponse(request, "connections/connection_detail.html", context)


@login_required
@require_POST
def rename(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    connection = _own(request, connection_id)
    form = LabelForm(request.POST)
    if form.is_valid():
        connection_manager.rename(connection=connection, label=form.cleaned_data["label"], actor=request.user)
        messages.success(request, "The name is saved.")
    else:
        messages.error(request, "Please give the connection a name of 1 to 80 characters.")
    return redirect("connections:detail", connection_id=connection.pk)


@login_required
@require_POST
def refresh(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    connection = _own(request, connection_id)
    try:
        connection_manager.refresh_credentials(connection)
        messages.success(request, f"{connection.label}: access is renewed.")
    except BrokerError as error:
        messages.error(request, str(error))
    return redirect("connections:detail", connection_id=connection.pk)


def in_words(counts: dict[str, int]) -> str:
    """{"accounts": 1, "transactions": 1640} as "1 account and 1,640 transactions"; none of a thing is left out."""
    parts = [f"{count:,} {name if count != 1 else name.removesuffix('s')}" for name, count in counts.items() if count]
    return get_text_list(parts, "and") or "nothing yet"


@login_required
@require_http_methods(["GET", "POST"])
def disconnect(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    connection = _own(request, connection_id)
    form = DisconnectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        keep = form.cleaned_data["history"] == DisconnectForm.KEEP
        receipt = connection_manager.disconnect(connection=connection, actor=request.user, keep_history=keep)
        left = "" if connection.is_file else connection_manager.entry_for(connection).after_disconnect
        context = {"connection": connection, "receipt": receipt, "kept": keep, "left_to_do": left}
        return TemplateResponse(request, "connections/disconnected.html", context)
    held = in_words(connection_manager.disconnect_counts(connection))
    context = {"connection": connection, "form": form, "held": held}
    return TemplateResponse(request, "connections/disconnect.html", context)
