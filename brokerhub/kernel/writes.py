"""What changed something lately, by request id: for the operator whom somebody tells an id from an answer or a page.

Kept a day in Redis, which may forget it: the log and what was stored carry the id as well.
"""

from dataclasses import asdict, dataclass
from typing import Any

import structlog
from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from redis.exceptions import RedisError

from brokerhub.kernel import trace

log = structlog.get_logger(__name__)

KEPT = 24 * 3600
MOST = 20  # of one id: a caller may give the same one to many requests
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that was to change something. The route is the pattern: addresses may hold secrets."""

    method: str
    route: str
    status: int
    user_id: int
    is_keyed: bool  # carried an Idempotency-Key
    is_replay: bool  # was answered before, and not done again
    at: str  # ISO 8601, UTC


def note(request: HttpRequest, response: HttpResponseBase) -> None:
    """Of a person who is known. Redis being away fails no request."""
    user = getattr(request, "user", None)
    if request.method in SAFE_METHODS or user is None or not user.is_authenticated:
        return
    match = request.resolver_match
    write = Write(
        method=str(request.method),
        route=f"/{match.route}" if match else "",
        status=response.status_code,
        user_id=user.pk,
        is_keyed="Idempotency-Key" in request.headers,
        is_replay=response.get("Idempotency-Replayed") == "true",
        at=timezone.now().isoformat(timespec="seconds"),
    )
    name = _name(trace.current() or request.META["HTTP_X_REQUEST_ID"])
    try:
        kept: list[dict[str, Any]] = cache.get(name, [])
        cache.set(name, [*kept, asdict(write)][-MOST:], KEPT)
    except RedisError:
        log.warning("write_not_noted", route=write.route)


def of_request(request_id: str) -> list[Write]:
    """The oldest first; empty when there was none, or it was more than a day ago."""
    return [Write(**kept) for kept in cache.get(_name(request_id), [])]


def _name(request_id: str) -> str:
    return f"writes:{request_id}"
