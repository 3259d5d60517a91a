"""Pages to connect, renew and leave brokers."""

import secrets
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import get_text_list
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.reauthentication import asks_again, confirm, is_recent
from connections import account_list, audit, cards, connection_manager, offers, revocation
from connections.brokers import BROKERS
from connections.brokers.deliveries import files
from connections.brokers.records import Broker
from connections.forms import ConnectForm, DisconnectForm, HistoryFilter, LabelForm, PastedAddressForm
from connections.key_pages import welcome
from connections.models import Connection
from connections.own import own_connection
from connections.revocation import Revocation
from connections.states import ConnectionState

NONCE_KEY = "sign_in_nonce"


@login_required
@require_GET
def connection_list(request: HtmxRequest) -> HttpResponse:
    """What works, what needs the person, and what waits until when."""
    context = _cards(request, seen=cards.fingerprint(request.user))
    return TemplateResponse(request, "connections/connection_list.html", context)


@login_required
@require_GET
def connection_cards(request: HtmxRequest) -> HttpResponse:
    """The cards alone, asked for every few seconds; nothing to send while they are as the page `seen` last shows."""
    seen = cards.fingerprint(request.user)
    if request.GET.get("seen") == seen:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    context = _cards(request, seen=seen) | {"is_fragment": True}
    return TemplateResponse(request, "connections/_connection_cards.html", context)


def _cards(request: HtmxRequest, *, seen: str) -> dict[str, Any]:
    """`seen` is taken before: what changes between it and the cards is shown by the next answer."""
    connections = connection_manager.list_connections(request.user)
    sections = list(cards.sections(connections))
    return {"seen": seen, "sections": sections, "unfinished": revocation.unfinished(request.user)}


@login_required
@asks_again
@require_http_methods(["GET", "POST"])
def connection_new(request: HtmxRequest) -> HttpResponse:
    form = ConnectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        entry = BROKERS[form.cleaned_data["method"]]
        if entry.fields and not offers.waits_in_between(entry):
            return _go(request, reverse("connections:keys_new", args=[entry.method]))
        connection = connection_manager.create_connection(user=request.user, broker=entry.broker, method=entry.method)
        return _to_broker(request, connection)
    context = {"choices": list(offers.choices(request.user)), "files": files(), "form": form}
    return TemplateResponse(request, "connections/connection_new.html", context)


@login_required
@require_POST
def sign_in(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    """Also renews what is connected, which gives nobody anything new, so that it takes one click."""
    connection = own_connection(request, connection_id)
    is_new = connection.status in {ConnectionState.PENDING_AUTH, ConnectionState.DISCONNECTED}
    if is_new and not is_recent(request):
        return confirm(request)
    return _to_broker(request, connection)


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
        context = {"error": error, "is_denied": error.code == "consent_denied"}
        return TemplateResponse(request, "connections/sign_in_failed.html", context, status=error.status)
    return welcome(request, connection)


@login_required
@require_GET
def connection_detail(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    connection = own_connection(request, connection_id)
    context = {
        "seen": cards.fingerprint(request.user),
        "card": cards.card_of(connection),
        "connection": connection,
        "left_out": [account for account in connection.offered_accounts.all() if account.declined_at],
        "label_form": LabelForm(initial={"label": connection.label}),
    }
    return TemplateResponse(request, "connections/connection_detail.html", context | _history(request, connection))


@login_required
@require_GET
def connection_state(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    """The part of a connection's page that changes by itself; nothing to send while it is as `seen`."""
    seen = cards.fingerprint(request.user)
    connection = own_connection(request, connection_id)
    if request.GET.get("seen") == seen:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    context = {"seen": seen, "card": cards.card_of(connection), "connection": connection}
    return TemplateResponse(request, "connections/_detail_live.html", context)


def _history(request: HtmxRequest, connection: Connection) -> dict[str, Any]:
    form = HistoryFilter(request.GET, audit.kinds(connection))
    wish = form.cleaned_data if form.is_valid() else {}
    events = audit.narrowed(connection, by=wish.get("who", ""), action=wish.get("what", ""))
    newest, older = audit.page(events, before=wish.get("before"))
    kept = {name: wish[name] for name in ("who", "what") if wish.get(name)}
    return {
        "filter": form,
        "is_narrowed": bool(kept or wish.get("before")),
        "happened": [audit.Happened(event, connection) for event in newest],
        "older": urlencode(kept | {"before": older}) if older else "",
    }


@login_required
@require_POST
def offered_account(request: HtmxRequest, connection_id: UUID, offered_id: int) -> HttpResponse:
    """Add an account that the broker lists and the hub does not read yet, or leave it out from now on."""
    connection = own_connection(request, connection_id)
    offered = get_object_or_404(connection.offered_accounts, pk=offered_id)
    if request.POST.get("add") == "no":
        account_list.decline_offered(offered, actor=request.user)
        messages.success(request, f"{offered} is left out. You can add it later on the connection's page.")
    else:
        account = account_list.add_offered(offered, actor=request.user)
        messages.success(request, f"{account} is added. Its history is being fetched now.")
    return redirect("connections:detail", connection_id=connection.pk)


@login_required
@require_POST
def rename(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    connection = own_connection(request, connection_id)
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
    connection = own_connection(request, connection_id)
    try:
        connection_manager.renew_now(connection)
        messages.success(request, f"{connection.label}: access is renewed.")
    except HubError as error:
        messages.error(request, str(error))
    return redirect("connections:detail", connection_id=connection.pk)


def in_words(counts: dict[str, int]) -> str:
    """{"accounts": 1, "transactions": 1640} as "1 account and 1,640 transactions"; none of a thing is left out."""
    parts = [f"{count:,} {name if count != 1 else name.removesuffix('s')}" for name, count in counts.items() if count]
    return get_text_list(parts, "and") or "nothing yet"


@login_required
@asks_again
@require_http_methods(["GET", "POST"])
def disconnect(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    """Asks with the counts of what is there, and answers with a receipt. What is gone already can still be erased."""
    connection = own_connection(request, connection_id)
    is_gone = connection.status is ConnectionState.DISCONNECTED
    form = DisconnectForm(request.POST or None, only_erase=is_gone)
    left = connection_manager.left_to_do(connection)
    context: dict[str, Any] = {"connection": connection, "left_to_do": left, "is_gone": is_gone}
    if request.method == "POST" and form.is_valid():
        keep = form.cleaned_data["history"] == DisconnectForm.KEEP
        receipt = connection_manager.disconnect(connection=connection, actor=request.user, keep_history=keep)
        context |= {"receipt": receipt, "kept": keep}
        return TemplateResponse(request, "connections/disconnected.html", context)
    context |= {"form": form, "held": in_words(connection_manager.disconnect_counts(connection))}
    return TemplateResponse(request, "connections/disconnect.html", context)


@login_required
@require_POST
def revocation_again(request: HtmxRequest, revocation_id: UUID) -> HttpResponse:
    """Try at once to end access that its broker did not take back so far."""
    owed = get_object_or_404(revocation.unfinished(request.user), pk=revocation_id)
    outcome = revocation.try_again(owed)
    tell = messages.success if outcome is Revocation.DONE else messages.warning
    tell(
        request,
        f"Access of {owed.label} at {owed.get_broker_display()}: {outcome.words[0].lower()}{outcome.words[1:]}.",
    )
    return redirect("connections:list")


@login_required
@require_POST
def revocation_dismiss(request: HtmxRequest, revocation_id: UUID) -> HttpResponse:
    """The person has ended it at the broker, after the hub had given up."""
    revocation.dismiss(get_object_or_404(revocation.unfinished(request.user), pk=revocation_id))
    return redirect("connections:list")
