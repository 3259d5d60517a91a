"""What every request passes through: its id, its person's time zone, and errors told in words."""

import zoneinfo
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render, resolve_url
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django_htmx.http import HttpResponseClientRedirect

from brokerhub.kernel import trace, writes
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import wants_partial
from brokerhub.kernel.idempotency import keep_answer

type_get_response = Callable[[HttpRequest], HttpResponseBase]
PROBES = {"/healthz", "/livez", "/readyz"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def request_id_of(request: HttpRequest) -> str:
    """The id under which this request is logged, as `request_id_header` settled it."""
    return str(request.META["HTTP_X_REQUEST_ID"])


def request_id_header(get_response: type_get_response) -> type_get_response:
    """`X-Request-ID` on every answer: the caller's own when it is a short safe word, else the trace id of its
    `traceparent` (W3C Trace Context), else a new one.

    It stands before django-structlog's middleware, which takes the id from the request's header into each log line.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request_id = trace.chosen(request.META.get("HTTP_X_REQUEST_ID", ""), request.META.get("HTTP_TRACEPARENT", ""))
        request.META["HTTP_X_REQUEST_ID"] = request_id
        response = get_response(request)
        response["X-Request-ID"] = request_id
        return response

    return middleware


def probed_by_any_name(get_response: type_get_response) -> type_get_response:
    """A load balancer asks an address of its network, which is none of ALLOWED_HOSTS; what answers it names no host."""
    own = urlsplit(settings.BASE_URL).netloc

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info in PROBES:
            request.META["HTTP_HOST"] = own
            request.META.pop("HTTP_X_FORWARDED_HOST", None)
        return get_response(request)

    return middleware


def refuse_nul(get_response: type_get_response) -> type_get_response:
    """A NUL in an address is no letter of any name of ours, and PostgreSQL raises when it meets one in a filter."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info or "%00" in request.META["QUERY_STRING"]:
            raise BadRequest("The address holds a NUL character.")
        return get_response(request)

    return middleware


def known_methods_only(get_response: type_get_response) -> type_get_response:
    """TRACE and the like reach no view: one that only looks for POST would take them for GET."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return get_response(request) if request.method in METHODS else HttpResponseNotAllowed(METHODS)

    return middleware


def idempotency(get_response: type_get_response) -> type_get_response:
    """Keeps the answer to a request with an `Idempotency-Key`, for when it is sent again."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        keep_answer(request, response)
        return response

    return middleware


def note_writes(get_response: type_get_response) -> type_get_response:
    """What an operator finds by its request id afterwards."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        writes.note(request, response)
        return response

    return middleware


def keep_private(get_response: type_get_response) -> type_get_response:
    """No cache on the way, and no Back button after signing out, shows what was a person's own."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if "Cache-Control" not in response:
            patch_cache_control(response, private=True, no_store=True)
        return response

    return middleware


def rate_limit_headers(get_response: type_get_response) -> type_get_response:
    """`RateLimit-Limit`, `-Remaining` and `-Reset` (seconds) of the budget that this request was counted in."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        state = getattr(request, "rate_limit", None)
        if state is not None:
            for name, value in zip(("Limit", "Remaining", "Reset"), state, strict=True):
                response[f"RateLimit-{name}"] = str(value)
        return response

    return middleware


def user_timezone(get_response: type_get_response) -> type_get_response:
    """Pages show clock times in the person's own zone; the API stays in UTC."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        user = getattr(request, "user", None)
        if request.path.startswith("/api/") or user is None or not user.is_authenticated:
            return get_response(request)
        with timezone.override(_zone(user.timezone)):
            return get_response(request)

    return middleware


def _zone(name: str) -> zoneinfo.ZoneInfo:
    """A zone that the time zone database has since dropped must not close the whole hub to its user."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


def sign_in_on_a_whole_page(get_response: type_get_response) -> type_get_response:
    """A fragment asked for after the session has ended takes the whole page to the sign-in, not just its own place."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        target = urlsplit(response.get("Location", ""))
        if not wants_partial(request) or target.path != resolve_url(settings.LOGIN_URL):
            return response
        here = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(f"{target.path}?{urlencode({REDIRECT_FIELD_NAME: here})}")

    return middleware


class HubErrorMiddleware:
    """A `HubError` out of a page's view is told in its own words."""

    def __init__(self, get_response: type_get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, HubError):
            return None
        return error_page(request, exception.status, str(exception))


def error_page(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """An error as a page in the hub's frame; for htmx as a message above the page it came from."""
    context = {
        "status": status,
        "title": HTTPStatus(status).phrase.capitalize(),
        "sentence": sentence,
        "request_id": request_id_of(request),
    }
    if not takes_message(request):
        return render(request, "error.html", context, status=status)
    return error_message(sentence, status)


def takes_message(request: HttpRequest) -> bool:
    """Did htmx ask for a fragment? False for what was refused before htmx's own middleware."""
    return hasattr(request, "htmx") and wants_partial(request)


def error_message(sentence: str, status: int) -> HttpResponse:
    """The sentence for the page's messages area (static/js/messages.js lets it in); needs no request."""
    response = HttpResponse(render_to_string("_error.html", {"sentence": sentence}), status=status)
    response["HX-Retarget"] = "#messages"
    response["HX-Reswap"] = "innerHTML"
    return response
