"""Switches in the header and on pages. Plain POSTs, so that they work without JavaScript; most are kept in cookies."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from aggregation.rates import choice
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import User
from brokerhub.kernel.preferences import AMOUNTS_COOKIE, HIDDEN, THEME_COOKIE, Theme

YEAR = 365 * 24 * 3600


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    chosen = request.POST.get("theme", "")
    if chosen not in set(Theme):
        return HttpResponseBadRequest("The theme is auto, light or dark.")
    return _remembered(request, THEME_COOKIE, chosen)


@require_POST
def amounts(request: HttpRequest) -> HttpResponse:
    chosen = request.POST.get("amounts", "")
    if chosen not in {HIDDEN, "shown"}:
        return HttpResponseBadRequest("Amounts are hidden or shown.")
    return _remembered(request, AMOUNTS_COOKIE, chosen)


@login_required
@require_POST
def currency(request: HtmxRequest) -> HttpResponse:
    """In which currency totals are shown, on every device: kept with the person, unlike the others."""
    chosen = request.POST.get("currency", "")
    if chosen not in dict(choice.choices(request.user)):
        return HttpResponseBadRequest("There are no rates for this currency.")
    User.objects.filter(pk=request.user.pk).update(currency=chosen)
    return _back(request)


def _back(request: HttpRequest) -> HttpResponseRedirect:
    """To the page the switch stood on."""
    target = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return redirect(target if ours else "overview")


def _remembered(request: HttpRequest, cookie: str, value: str) -> HttpResponse:
    response = _back(request)
    response.set_cookie(cookie, value, max_age=YEAR, secure=request.is_secure(), httponly=True, samesite="Lax")
    return response
