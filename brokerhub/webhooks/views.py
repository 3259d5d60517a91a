"""The settings page for webhooks: endpoints, their secrets, and the log of what was delivered to them."""

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from brokerhub.kernel.reauthentication import asks_again
from brokerhub.webhooks import endpoints, signing
from brokerhub.webhooks.event_types import EventType, by_subject
from brokerhub.webhooks.forms import EndpointForm, NewEndpointForm, RotateForm
from brokerhub.webhooks.models import Delivery, DeliveryState, Endpoint

PAGE = 25


def _own(request: HtmxRequest, endpoint_id: UUID) -> Endpoint:
    return get_object_or_404(Endpoint.objects.for_user(request.user), pk=endpoint_id)


def _own_delivery(request: HtmxRequest, endpoint_id: UUID, delivery_id: int) -> Delivery:
    mine = Delivery.objects.for_user(request.user).select_related("event", "endpoint")
    return get_object_or_404(mine, endpoint=endpoint_id, pk=delivery_id)


@login_required
@require_safe
def endpoint_list(request: HtmxRequest) -> HttpResponse:
    mine = Endpoint.objects.for_user(request.user)
    return TemplateResponse(request, "webhooks/list.html", {"endpoints": mine, "event_types": list(by_subject())})


@login_required
@asks_again
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HtmxRequest) -> HttpResponse:
    """The secret stands in the answer to the form and nowhere else: not in the session, a message or an address."""
    form = NewEndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wish = form.cleaned_data
        try:
            endpoint, secret = endpoints.create(
                user=request.user, url=wish["url"], events=wish["events"], description=wish["description"]
            )
        except HubError as error:
            form.refuse(error)
        else:
            return TemplateResponse(request, "webhooks/secret.html", {"endpoint": endpoint, "secret": secret})
    return TemplateResponse(request, "webhooks/new.html", {"form": form})


@login_required
@require_safe
def detail(request: HtmxRequest, endpoint_id: UUID) -> HttpResponse:
    """The endpoint and its log; htmx gets the log alone, while something in it is on its way."""
    endpoint = _own(request, endpoint_id)
    context = {"endpoint": endpoint, "types": len(EventType), **_log(request, endpoint)}
    name = "_log.html" if wants_partial(request) else "detail.html"
    return TemplateResponse(request, f"webhooks/{name}", context)


def _log(request: HtmxRequest, endpoint: Endpoint) -> dict[str, Any]:
    """Newest first; `?state=failed` narrows it, `?before=` is the next page."""
    state, before = request.GET.get("state", ""), request.GET.get("before", "")
    deliveries = endpoint.deliveries.select_related("event").order_by("-pk")
    if state in DeliveryState.values:
        deliveries = deliveries.filter(state=state)
    if before.isascii() and before.isdigit() and len(before) < 19:
        deliveries = deliveries.filter(pk__lt=int(before))
    found = list(deliveries[: PAGE + 1])
    shown = found[:PAGE]
    return {
        "deliveries": shown,
        "state": state if state in DeliveryState.values else "",
        "states": DeliveryState,
        "older": shown[-1].pk if len(found) > PAGE else None,
        "is_first_page": not before,
        "is_under_way": any(each.is_under_way for each in shown),
    }


@login_required
@asks_again
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HtmxRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _own(request, endpoint_id)
    form = EndpointForm.of(endpoint, request.POST or None)
    if request.method == "POST" and form.is_valid():
        wish = form.cleaned_data
        endpoints.change(endpoint, url=wish["url"], events=wish["events"], description=wish["description"])
        messages.success(request, "Saved.")
        return redirect("webhooks:detail", endpoint.pk)
    return TemplateResponse(request, "webhooks/edit.html", {"form": form, "endpoint": endpoint})


@login_required
@require_POST
def switch(request: HtmxRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _own(request, endpoint_id)
    on = request.POST.get("on") == "1"
    endpoints.change(endpoint, is_on=on)
    said = "It is on: your program is told of what happens from now on." if on else "It is off: nothing is sent there."
    messages.success(request, said)
    return redirect("webhooks:detail", endpoint.pk)


@login_required
@asks_again
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rotate(request: HtmxRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _own(request, endpoint_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        secret = endpoints.rotate(endpoint, overlap_hours=form.cleaned_data["overlap"])
        return TemplateResponse(request, "webhooks/secret.html", {"endpoint": endpoint, "secret": secret})
    return TemplateResponse(request, "webhooks/rotate.html", {"form": form, "endpoint": endpoint})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HtmxRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _own(request, endpoint_id)
    if request.method == "POST":
        endpoints.remove(endpoint)
        messages.success(request, "The webhook is removed. Nothing is sent there any more.")
        return redirect("webhooks:list")
    return TemplateResponse(request, "webhooks/remove.html", {"endpoint": endpoint})


@login_required
@require_POST
def test(request: HtmxRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _own(request, endpoint_id)
    endpoints.test(endpoint)
    messages.success(request, "A test is on its way. The log below shows what comes back.")
    return redirect("webhooks:detail", endpoint.pk)


@login_required
@require_safe
def delivery(request: HtmxRequest, endpoint_id: UUID, delivery_id: int) -> HttpResponse:
    """What was sent, and what came back."""
    found = _own_delivery(request, endpoint_id, delivery_id)
    body = json.dumps(signing.content(found.event), indent=2, ensure_ascii=False)
    return TemplateResponse(request, "webhooks/delivery.html", {"delivery": found, "body": body})


@login_required
@require_POST
def resend(request: HtmxRequest, endpoint_id: UUID, delivery_id: int) -> HttpResponse:
    found = _own_delivery(request, endpoint_id, delivery_id)
    try:
        endpoints.resend(found)
    except HubError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "It is on its way again, with the same id.")
    return redirect("webhooks:detail", found.endpoint_id)
