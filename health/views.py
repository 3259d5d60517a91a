"""The health board, and the fragments other pages ask for: the widget and a broker's badge. No user's data in them."""

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import Http404, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET

from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from connections.brokers.records import Broker
from health import health_monitor
from health.health_monitor import BROKERS, KEPT, Window


@login_required
@require_GET
def board(request: HtmxRequest) -> HttpResponse:
    window = _window(request)
    name = "_board.html" if wants_partial(request) else "board.html"
    context = {"window": window, "windows": Window, "brokers": health_monitor.board(window)}
    return TemplateResponse(request, f"health/{name}", context)


@login_required
@require_GET
def widget(request: HtmxRequest) -> HttpResponse:
    """The same for everybody, so it is rendered once every few seconds and kept."""
    html = cache.get_or_set("health:widget", _render_widget, timeout=KEPT)
    return HttpResponse(html)


def _render_widget() -> str:
    brokers = health_monitor.board()
    return render_to_string("health/_widget.html", {"brokers": brokers, "as_of": brokers[0].as_of})


@login_required
@require_GET
def badge(request: HtmxRequest, broker: str) -> HttpResponse:
    if broker not in BROKERS:
        raise Http404
    health = health_monitor.broker_health(Broker(broker))
    return TemplateResponse(request, "health/_badge.html", {"health": health})


def _window(request: HtmxRequest) -> Window:
    """The window asked for; an hour for an address that names none, or none that we know."""
    asked = request.GET.get("window", "")
    return Window(asked) if asked in Window.values else Window.HOUR
