"""The health board and a page per broker; the fragments other pages ask for: widget and badge; alerts' choices."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from brokerhub.kernel.hints import hints
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from connections.brokers.records import Broker
from connections.models import Connection
from health import alerts, banners, charts, details, health_monitor, own, rates, statuspage
from health.forms import AlertForm, PeriodForm
from health.health_monitor import BROKERS, KEPT, Window
from health.templatetags.health import WIDGET, operation_words
from health.uptime import Uptime

WIDGET_KEPT = 300  # seconds for which a page shows the last reading before it has a newer one


def for_all_if_public(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """No login needed where the hub has a public status page. Nothing of any user is shown there."""
    private = login_required(view)

    @wraps(view)
    def either(request: HtmxRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return (view if settings.HEALTH_PUBLIC else private)(request, *args, **kwargs)

    return either


@for_all_if_public
@require_GET
def board(request: HtmxRequest) -> HttpResponse:
    window = _window(request)
    name = "_board.html" if wants_partial(request) else "board.html"
    context = {"window": window, "windows": Window, "brokers": health_monitor.board(window)}
    _keep_in_step(request)
    return TemplateResponse(request, f"health/{name}", context)


@for_all_if_public
@require_GET
def broker_page(request: HtmxRequest, broker: str) -> HttpResponse:
    chosen, window = _broker(broker), _window(request)
    health = health_monitor.broker_health(chosen, window)
    _keep_in_step(request)
    period = PeriodForm(request.GET if {"from", "to"} & request.GET.keys() else None)
    mine = _mine(request, chosen)
    series = {operation_words(operation): points for operation, points in details.series(chosen, window).items()}
    context = {
        "health": health,
        "window": window,
        "windows": Window,
        "history": details.history(chosen),
        "period": period,
        "chosen": _uptime(chosen, period),
        "latency_figure": charts.latency(series, health.measured_from, health.as_of) if series else None,
        "error_figure": charts.errors(series, health.measured_from, health.as_of) if series else None,
        "incidents": details.incidents(chosen),
        "planned": details.windows(chosen),
        "answers": [own.is_it_me(each, health.status) for each in mine],
        "own_budgets": rates.of_connections(mine, health.as_of),
    }
    return TemplateResponse(request, "health/broker.html", context)


def _keep_in_step(request: HtmxRequest) -> None:
    """The widget beside the page says what the page says, not what it said some seconds ago."""
    if not wants_partial(request) and request.user.is_authenticated:
        render_widget()


def _uptime(broker: Broker, period: PeriodForm) -> Uptime | None:
    """Of the time that was chosen; None without one that makes sense."""
    if not period.is_bound or not period.is_valid():
        return None
    return details.uptime_between(broker, period.cleaned_data["since"], period.cleaned_data["until"])


def _mine(request: HtmxRequest, broker: Broker) -> list[Connection]:
    if not request.user.is_authenticated:
        return []
    return list(Connection.objects.for_user(request.user).by_api().open().filter(broker=broker).order_by("label"))


@login_required
@require_GET
def widget(request: HtmxRequest) -> HttpResponse:
    """The same for everybody, so it is rendered once every few seconds and kept."""
    html = hints.get_or_set("health:widget", render_widget, timeout=KEPT)
    return HttpResponse(html)


def render_widget() -> str:
    brokers = health_monitor.board()
    html = render_to_string("health/_widget.html", {"brokers": brokers, "as_of": brokers[0].as_of})
    hints.set(WIDGET, html, timeout=WIDGET_KEPT)  # pages show it at once, and without JavaScript
    return html


@login_required
@require_GET
def badge(request: HtmxRequest, broker: str) -> HttpResponse:
    health = health_monitor.broker_health(_broker(broker))
    return TemplateResponse(request, "health/_badge.html", {"health": health})


@for_all_if_public
@require_GET
def badge_image(request: HtmxRequest, broker: str) -> HttpResponse:
    """For a page of one's own: the broker's name and its state, as an image."""
    health = health_monitor.broker_health(_broker(broker))
    name, word = health.broker.label, health.status.label
    widths = {"left": 7 * len(name) + 12, "right": 7 * len(word) + 12}
    context = {"health": health, **widths, "width": sum(widths.values()), "middle": widths["left"]}
    answer = TemplateResponse(request, "health/badge.svg", context, content_type="image/svg+xml")
    answer["Cache-Control"] = "max-age=60"
    return answer


@for_all_if_public
@require_GET
def status_page_document(request: HtmxRequest, document: str) -> HttpResponse:
    """For tools that read status pages: they look for these below the address of the page. It is told to all alike."""
    found = statuspage.document(document)
    if found is None:
        raise Http404
    return JsonResponse(found, headers={"Cache-Control": "max-age=10"})


@login_required
@require_http_methods(["GET", "POST"])
def alert_choices(request: HtmxRequest) -> HttpResponseBase:
    """What the person wants to be told of planned maintenance."""
    assert request.user.is_authenticated
    form = AlertForm(request.POST or None, instance=alerts.choice_of(request.user))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved. This is what you will be told from now on.")
        return redirect("health:alerts")
    return TemplateResponse(request, "health/alerts.html", {"form": form})


@login_required
@require_POST
def put_banner_away(request: HtmxRequest) -> HttpResponse:
    """Each moment of maintenance is told until the person has put it away: once."""
    assert request.user.is_authenticated
    banners.put_away(request.user, request.POST.get("banner", ""), timezone.now())
    if request.htmx:
        return HttpResponse()  # takes the banner's place
    target = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return redirect(target if ours else "overview")


def _broker(broker: str) -> Broker:
    if broker not in BROKERS:
        raise Http404
    return Broker(broker)


def _window(request: HtmxRequest) -> Window:
    """The window asked for; an hour for an address that names none, or none that we know."""
    asked = request.GET.get("window", "")
    return Window(asked) if asked in Window.values else Window.HOUR
