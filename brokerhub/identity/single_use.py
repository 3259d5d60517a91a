"""Codes and refresh tokens are good once, over all processes; one that comes again was stolen or copied.

RFC 6749, 4.1.2 and RFC 9700, 4.14.2: then all that came out of it ends. Redis remembers digests for as long as a
refresh token lives. Should it forget, a second use is refused all the same: the first took the code or token away.
"""

import hashlib
from time import time

import structlog
from allauth.idp.oidc.models import Token
from django.conf import settings
from django.core.cache import cache

from brokerhub.identity import access
from brokerhub.identity.models import AppAccess

log = structlog.get_logger(__name__)

LEEWAY = 30  # seconds in which two processes of an app may send one refresh token: refused, but no theft


def is_first(value: str, *, issued: str) -> bool:
    """Note that `value` has been exchanged for the access token `issued`. False when another process was faster."""
    row = Token.objects.by_value(issued).get()
    spent = {"user": row.user_id, "client": row.client_id, "at": time()}
    return bool(cache.add(_key(value), spent, timeout=settings.IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN))


def end_what_came_of(value: str, *, leeway: int) -> None:
    """A spent code or refresh token was sent again: end the app's access, unless that is as good as the same moment."""
    spent = cache.get(_key(value))
    if spent is None or time() - spent["at"] < leeway:
        return
    for granted in AppAccess.objects.filter(user_id=spent["user"], client_id=spent["client"]):
        log.warning("app_access_ended_on_replay", client=spent["client"], user_id=spent["user"])
        access.end(granted, by=granted.user, why="Ended, as a spent code or refresh token was sent again.")


def _key(value: str) -> str:
    return "oauth-spent:" + hashlib.sha256(value.encode()).hexdigest()
