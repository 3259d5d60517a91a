"""The only way into the admin: the hub's own sign-in, by a member of staff who has a second factor."""

from typing import Any
from urllib.parse import urlencode

from allauth.account.decorators import secure_admin_login
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

WHY = "Administration needs two-factor sign-in. Set it up here, then open the administration again."


def guard(site: AdminSite) -> None:
    """Django's own forms for signing in and for changing a password know neither second factors nor limits on guessing,
    so no request reaches them."""
    site.has_permission = has_permission  # type: ignore[method-assign]
    site.login = sign_in  # type: ignore[method-assign]
    site.password_change = change_password  # type: ignore[method-assign,assignment]


def has_permission(request: HttpRequest) -> bool:
    """Where a person has a second factor, each of their sessions has passed it: allauth asks for it at the sign-in, and
    setting one up ends every other session."""
    user = request.user
    return bool(user.is_active and user.is_staff and is_mfa_enabled(user))


def sign_in(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    answer: HttpResponse = secure_admin_login(_signed_in)(request)
    return answer


def _signed_in(request: HttpRequest) -> HttpResponse:
    if has_permission(request):
        return redirect("admin:index")
    messages.info(request, WHY)
    return redirect(f"{reverse('mfa_activate_totp')}?{urlencode({REDIRECT_FIELD_NAME: reverse('admin:index')})}")


def change_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    return redirect("account_change_password")
