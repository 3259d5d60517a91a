"""How long a sign-in lasts. The server decides, by two limits, whatever a browser keeps; why: docs/security.md."""

import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from allauth.account.signals import authentication_step_completed
from allauth.mfa.signals import authenticator_added
from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponseBase

from brokerhub.kernel.models import User

log = structlog.get_logger(__name__)

STARTED, SEEN = "started_at", "seen_at"  # seconds since 1970, in the session
WRITTEN_EVERY = 300  # seconds: how exact the idle limit is; each request would else write its session


def limit_sessions(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], Any]:
    """Ends a sign-in that is too old or was idle for too long, and has the browser forget what it kept of it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or SESSION_KEY not in request.session:
            return get_response(request)
        over = _limit_passed(request.session)
        if over:
            log.info("session_expired", limit=over)
            logout(request)
        elif _is_by_the_person(request):
            _note(request.session)
        response = get_response(request)
        if SESSION_KEY not in request.session:
            response["Clear-Site-Data"] = '"cache"'
        return response

    return middleware


def _limit_passed(session: MutableMapping[str, Any]) -> str | None:
    """Which limit has passed: "age" or "idle"; None while the sign-in is good."""
    now = time.time()
    if now - session.get(STARTED, now) > settings.SESSION_COOKIE_AGE:
        return "age"
    return "idle" if now - session.get(SEEN, now) > settings.SESSION_IDLE.total_seconds() else None


def _is_by_the_person(request: HttpRequest) -> bool:
    """Not what an open page asks for by itself every few seconds: else an unattended screen would never be idle."""
    return request.method not in {"GET", "HEAD"} or "HX-Request" not in request.headers


def _note(session: MutableMapping[str, Any]) -> None:
    now = int(time.time())
    session.setdefault(STARTED, now)  # a session from before there were limits
    if now - session.get(SEEN, 0) >= WRITTEN_EVERY:
        session[SEEN] = now


def connect() -> None:
    """Called at the start, as a sign-in may come before the first request."""
    user_logged_in.connect(begin)
    authenticator_added.connect(leave_only_this_session)
    authentication_step_completed.connect(renew)


def begin(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    request.session[STARTED] = request.session[SEEN] = int(time.time())


def renew(sender: Any, request: HttpRequest, reauthenticated: bool = False, **kwargs: Any) -> None:
    """Who has just proved once more who they are goes on under a new key: one that was stolen before opens nothing."""
    if reauthenticated:
        request.session.cycle_key()
        UserSession.objects.create_from_request(request)


def leave_only_this_session(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Other sign-ins of this person have not passed the second factor that there is from now on."""
    others = UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key)
    get_adapter().end_sessions(others)
