"""Pages of the hub itself: is it alive, is it ready, and what to say when a request fails."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from django.core.cache import cache
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from brokerhub.api import NOT_FOUND, SERVER_ERROR, error_answer
from brokerhub.kernel import outages
from brokerhub.kernel.tasks import HEARTBEAT_KEY
from brokerhub.middleware import error_message, error_page, request_id_of, takes_message
from brokerhub.uploads import TOO_LARGE

FAILED = "Something went wrong on our side. It has been logged; try again in a moment."
logger = structlog.get_logger(__name__)
HEARTBEAT_MAX_AGE = timedelta(seconds=60)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers. Asks nothing else, so that a lost database does not get the web server restarted."""
    return JsonResponse({"status": "ok"})


def _database_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _redis_answers() -> bool:
    cache.get(HEARTBEAT_KEY)
    return True


def _worker_beats() -> bool:
    """A worker has done the heartbeat task lately: beat, broker and worker all do their part."""
    beat: str | None = cache.get(HEARTBEAT_KEY)
    return beat is not None and datetime.now(UTC) - datetime.fromisoformat(beat) < HEARTBEAT_MAX_AGE


PARTS: dict[str, Callable[[], bool]] = {
    "database": _database_answers,
    "redis": _redis_answers,
    "worker": _worker_beats,
}


def _works(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (DatabaseError, RedisError) as error:
        logger.warning("readiness_check_failed", part=name, error=type(error).__name__)
        return False


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part works, else 503; says which, never why (that is in the log)."""
    parts = {name: "ok" if _works(name, check) else "failed" for name, check in PARTS.items()}
    ready = set(parts.values()) == {"ok"}
    return JsonResponse({"status": "ok" if ready else "failed", **parts}, status=200 if ready else 503)


# --- Errors that no view has answered ---------------------------------------------------------------------------------
def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _failure(request: HttpRequest, status: int, code: str, sentence: str) -> HttpResponse:
    if _is_api(request):
        return error_answer(request, status=status, code=code, detail=sentence)
    return error_page(request, status, sentence)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return _failure(request, 413, "too_large", TOO_LARGE)
    return _failure(request, 400, "invalid_request", "We could not read this request. Go back and try again.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _failure(request, 403, "permission_denied", "Your account may not open this page.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _failure(request, 404, "not_found", NOT_FOUND)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    sentence = "This form is out of date, perhaps because you signed in again meanwhile. Go back, reload and try again."
    return _failure(request, 403, "csrf_failed", sentence)


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without the request's context: whatever has just failed may be what a page's frame needs.

    Django calls it while the error is being handled. One of a server that is away is no mistake of ours: 503.
    """
    error = sys.exception()
    outage = outages.told(error) if error else None
    if outage is None:
        return _failed(request, 500, "error", SERVER_ERROR, FAILED)
    sentence, seconds = outage
    response = _failed(request, 503, "service_unavailable", sentence, sentence)
    response["Retry-After"] = str(seconds)
    return response


def _failed(request: HttpRequest, status: int, code: str, detail: str, sentence: str) -> HttpResponse:
    """`detail` is for programs, `sentence` for people."""
    if _is_api(request):
        return error_answer(request, status=status, code=code, detail=detail)
    if takes_message(request):
        return error_message(sentence, status)
    context = {"request_id": request_id_of(request), "sentence": sentence, "is_outage": status == 503}
    return HttpResponse(render_to_string("500.html", context), status=status)
