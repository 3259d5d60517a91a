"""The header's switches, kept in cookies. Plain POSTs, so that they work without JavaScript and for anybody."""

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

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


def _remembered(request: HttpRequest, cookie: str, value: str) -> HttpResponse:
    target = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    response = redirect(target if ours else "overview")
    response.set_cookie(cookie, value, max_age=YEAR, secure=request.is_secure(), httponly=True, samesite="Lax")
    return response
