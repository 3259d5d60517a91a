"""The REST frame every app's API stands on: who asks, what their token may do, how often, and in which pages."""

from datetime import timedelta
from functools import lru_cache
from math import ceil
from time import time
from typing import TYPE_CHECKING, Any, ClassVar

import limits
import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from brokerhub.kernel.models import ApiToken, Scope, User
from brokerhub.kernel.paging import CursorPages
from brokerhub.kernel.tokens import count_use
from brokerhub.kernel.windows import drop_outdated

if TYPE_CHECKING:  # rest_framework.views itself imports the classes that the settings name, so these
    from rest_framework.views import APIView

__all__ = ["AnonymousBudget", "CursorPages", "HasScope", "ScopedTokenAuthentication", "Session", "UserBudget"]

log = structlog.get_logger(__name__)

LAST_USED_EVERY = timedelta(minutes=1)


class ScopedTokenAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no type hints
    """`Authorization: Token hub_...`. The token is looked up by its digest; expired ones are kept for their owner."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        digest = hash_token(token.decode("latin-1"))  # the one decoding of a header that cannot fail
        found = ApiToken.objects.select_related("user").filter(digest=digest).first()
        if found is None:
            raise AuthenticationFailed("This token is not known. It may have been revoked.", code="token_invalid")
        if found.expiry is not None and found.expiry <= timezone.now():
            raise AuthenticationFailed("This token has expired. Use a new one.", code="token_expired")
        if not found.user.is_active:
            raise AuthenticationFailed("This account is switched off.", code="user_inactive")
        self._note_use(found)
        count_use(found)
        return found.user, found

    @staticmethod
    def _note_use(token: ApiToken) -> None:
        """One guarded UPDATE at most a minute, whatever the number of requests and processes."""
        now = timezone.now()
        stale = now - LAST_USED_EVERY
        if token.last_used_at is None or token.last_used_at < stale:
            unused = Q(last_used_at=None) | Q(last_used_at__lt=stale)
            ApiToken.objects.filter(unused, pk=token.pk).update(last_used_at=now)


class Session(SessionAuthentication):
    """The browser's session. A stranger gets 401, because the token scheme stands first and has a challenge."""

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except PermissionDenied as refusal:
            raise PermissionDenied(str(refusal.detail), code="csrf_failed") from refusal


def may(request: Request, scope: Scope) -> bool:
    """Whether the request's token, a program's own or an app's, has the scope; the browser's session has every one."""
    token: Any = request.auth
    return token is None or scope in token.scopes


class HasScope(BasePermission):
    """A token, a program's own or an app's, needs the scope its view names; the browser's session has every scope.

    A view without a scope for a method it answers is a mistake of ours: it raises ImproperlyConfigured for everybody,
    so that no test can pass over it.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        scope = self.scope_for(request, view)
        if scope is None or may(request, scope):
            return True
        raise PermissionDenied(f"This token lacks the scope {scope}.", code="scope_missing")

    @staticmethod
    def scope_for(request: Request, view: "APIView") -> Scope | None:
        """None for OPTIONS, and for a method that the view does not have (it will answer 405)."""
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method == "OPTIONS" or not hasattr(view, method.lower()):
            return None
        scopes: dict[str, str] = getattr(view, "required_scopes", {})
        if method not in scopes:
            raise ImproperlyConfigured(f"{type(view).__name__}.required_scopes names no scope for {method}.")
        return Scope(scopes[method])


# --- Budgets: how many requests a minute ------------------------------------------------------------------------------
@lru_cache(maxsize=4)
def _limiter(url: str) -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(storage_from_string(url))


class Budget(BaseThrottle):
    """Requests a window, counted in Redis over all processes. Leaves `(limit, remaining, reset)` on the request for
    the `RateLimit-*` headers of the answer; reset is in whole seconds from now.

    With Redis away nothing is counted and everybody is served: a token is too long to be guessed, and sign-ins with a
    password are counted elsewhere, and wait.
    """

    scope: ClassVar[str]
    wait_seconds: int | None = None

    def identity(self, request: Request, view: "APIView") -> str | None:
        """Who is counted; None when this budget is not for them."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: "APIView") -> bool:
        who = self.identity(request, view)
        if who is None:
            return True
        limiter = _limiter(settings.RATE_LIMIT_STORAGE_URL)
        budget = limits.parse(str(api_settings.DEFAULT_THROTTLE_RATES[self.scope]))
        try:
            allowed = limiter.hit(budget, "api", self.scope, who)
            if not allowed and drop_outdated(limiter, budget, "api", self.scope, who):
                return self.allow_request(request, view)
            state = limiter.get_window_stats(budget, "api", self.scope, who)
        except (RedisError, StorageError) as error:
            log.warning("request_not_counted", scope=self.scope, error=type(error).__name__)
            return True
        reset = max(1, ceil(state.reset_time - time()))
        request._request.rate_limit = (budget.amount, max(0, state.remaining), reset)  # type: ignore[attr-defined]
        self.wait_seconds = None if allowed else reset
        return allowed

    def wait(self) -> float | None:
        return self.wait_seconds


class UserBudget(Budget):
    """One budget a person, whichever of their tokens or browsers asks."""

    scope = "user"

    def identity(self, request: Request, view: "APIView") -> str | None:
        return str(request.user.pk) if request.user.is_authenticated else None


class AnonymousBudget(Budget):
    """One budget an address, for whoever is not signed in."""

    scope = "anonymous"

    def identity(self, request: Request, view: "APIView") -> str | None:
        return None if request.user.is_authenticated else self.get_ident(request)
