"""Asking once more who it is, before what would hurt most in the wrong hands: a session left open, or stolen.

Signing in counts, and so does what django-allauth asks for on its own pages (the password, or a second factor), for
ACCOUNT_REAUTHENTICATION_TIMEOUT seconds. Programs with a token are not asked: making the token was.
"""

from collections.abc import Callable
from functools import wraps
from time import time
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode, urlsplit

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from brokerhub.kernel.htmx import HtmxRequest

if TYPE_CHECKING:
    from rest_framework.views import APIView

SIGNED_IN_AT = "signed_in_at"  # in the session, seconds since 1970
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


@receiver(user_logged_in)
def note_sign_in(request: HttpRequest, **_: Any) -> None:
    """allauth keeps a record of signing in, too, but not of signing up."""
    request.session[SIGNED_IN_AT] = time()


def is_recent(request: HttpRequest) -> bool:
    """Whether this session's person has proved lately who they are. Somebody without a password cannot be asked."""
    records = get_authentication_records(request, request.user)
    proofs = [record["at"] for record in records if record.get("reauthenticated")]
    proofs.append(request.session.get(SIGNED_IN_AT, 0))
    if time() - max(proofs) < app_settings.REAUTHENTICATION_TIMEOUT:
        return True
    return not get_adapter().get_reauthentication_methods(request.user)


def asks_again(view: View) -> View:
    """For a page, inside `login_required`: whoever has not proved lately who they are is asked first.

    What they were sending is dropped rather than kept in the session, as it may hold a secret; afterwards they are
    back on the page with the form.
    """

    @wraps(view)
    def asked(request: HtmxRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs) if is_recent(request) else confirm(request)

    asked.asks_again = True  # type: ignore[attr-defined]  # a test lists these views
    return cast(View, asked)


def confirm(request: HtmxRequest) -> HttpResponse:
    """To allauth's page that asks, and from there back to where the person is."""
    ask = get_adapter().get_reauthentication_methods(request.user)[0]["url"]
    url = f"{ask}?{urlencode({REDIRECT_FIELD_NAME: _way_back(request)})}"
    return HttpResponseClientRedirect(url) if request.htmx else HttpResponseRedirect(url)


def _way_back(request: HtmxRequest) -> str:
    if request.htmx:
        return request.htmx.current_url_abs_path or reverse("overview")
    if request.method in {"GET", "HEAD"}:
        return request.get_full_path()
    referer = request.META.get("HTTP_REFERER", "")
    if not url_has_allowed_host_and_scheme(referer, allowed_hosts={request.get_host()}):
        return reverse("overview")
    page = urlsplit(referer)
    return f"{page.path}?{page.query}" if page.query else page.path


class AskedAgain(BasePermission):
    """The same for the API: a view names in `asks_again` the methods that a browser's session may use only lately
    after proving who it is. Tokens are let through."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        asked = request.method in getattr(view, "asks_again", ())
        if not asked or request.auth is not None or is_recent(request._request):
            return True
        raise PermissionDenied(
            "Confirm first that it is you: sign in again, or open /accounts/reauthenticate/ in this browser.",
            code="reauthentication_required",
        )
