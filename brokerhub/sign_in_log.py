"""A line in the log for each sign-in, good or bad, and for each change of how somebody signs in. Who, from where and by
what; never what was typed, which may be a password in the wrong field."""

from typing import Any

import structlog
from allauth.account import signals as account
from allauth.account.adapter import get_adapter
from allauth.mfa import signals as mfa
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import PermissionDenied
from django.dispatch import Signal
from django.http import HttpRequest

log = structlog.get_logger(__name__)

EVENTS: dict[str, Signal] = {
    "signed_in": user_logged_in,
    "signed_out": user_logged_out,
    "sign_in_failed": user_login_failed,
    "signed_up": account.user_signed_up,
    "password_changed": account.password_changed,
    "password_reset": account.password_reset,
    "email_changed": account.email_changed,
    "second_factor_refused": mfa.authentication_failed,
    "second_factor_added": mfa.authenticator_added,
    "second_factor_removed": mfa.authenticator_removed,
    "recovery_codes_made": mfa.authenticator_reset,
}


class _Writer:
    def __init__(self, event: str) -> None:
        self.event = event

    def __call__(self, sender: Any, request: HttpRequest | None = None, **said: Any) -> None:
        user, factor = said.get("user"), said.get("authenticator")
        log.info(
            self.event,
            user_id=user.pk if user else None,
            ip=_address(request) if request else None,
            factor=factor.type if factor else None,
        )


def _address(request: HttpRequest) -> str | None:
    """Of the caller, as the trusted proxies say; None when they say nothing."""
    try:
        return str(get_adapter().get_client_ip(request))
    except PermissionDenied:
        return None


def connect() -> None:
    for event, signal in EVENTS.items():
        signal.connect(_Writer(event), weak=False, dispatch_uid=f"sign_in_log.{event}")
