"""The REST API as a whole: its addresses, and the one place where an error becomes an answer."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as ModelValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, UnreadablePostError
from django.shortcuts import render
from django.urls import include, path, re_path, reverse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from drf_standardized_errors.formatter import flatten_errors
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework import exceptions
from rest_framework.fields import get_error_detail
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel import outages
from brokerhub.kernel.error_codes import BY_STATUS, entry_for
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.idempotency import Answered
from brokerhub.middleware import request_id_of
from brokerhub.uploads import TOO_LARGE

NOT_FOUND = "There is nothing at this address, or it belongs to somebody else."
SERVER_ERROR = "Something went wrong on our side. It has been logged; name the request_id when you ask for help."
HTTPS_REQUIRED = "Call the API with https. A token that was sent without it should be revoked."


# What authentication and permissions may raise, which come before the budgets.
BEFORE_BUDGETS = (
    exceptions.NotAuthenticated,
    exceptions.AuthenticationFailed,
    exceptions.PermissionDenied,
    exceptions.ValidationError,
    exceptions.ParseError,
    HubError,
    Answered,
)


def error_body(request: HttpRequest, status: int, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """The one error shape: the first error at the top, all of them in `errors`, and what the table of codes says."""
    entries = [entry_for(status, error["code"]) for error in errors]
    errors = [{**error, "code": entry.code} for error, entry in zip(errors, entries, strict=True)]
    first, entry = errors[0], entries[0]
    page = f"{reverse('api-errors')}#{status}-{entry.code}"
    return {
        **first,
        "display_message": entry.say or first["detail"],
        "suggested_action": entry.do,
        "type": page,
        "documentation_url": f"{settings.BASE_URL}{page}",
        "request_id": request_id_of(request),
        "errors": errors,
    }


def error_answer(request: HttpRequest, *, status: int, code: str, detail: str) -> JsonResponse:
    """The same shape for errors that Django meets outside of any API view."""
    return JsonResponse(error_body(request, status, [{"code": code, "detail": detail, "attr": None}]), status=status)


def tls_only(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Pages are redirected to https. A program is refused: it would go on sending its token in the clear, unnoticed."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if settings.SECURE_SSL_REDIRECT and request.path.startswith("/api/v1/") and not request.is_secure():
            return error_answer(request, status=403, code="https_required", detail=HTTPS_REQUIRED)
        return get_response(request)

    return middleware


def api_exception(*, status: int, code: str, detail: str, wait: int | None = None) -> exceptions.APIException:
    error = exceptions.APIException(detail, code)
    error.status_code = status
    error.wait = wait  # type: ignore[attr-defined]  # becomes Retry-After, as with DRF's own Throttled
    return error


def _from_hub(error: HubError) -> exceptions.APIException:
    retry_at = getattr(error, "retry_at", None)
    wait = max(1, round((retry_at - datetime.now(UTC)).total_seconds())) if retry_at else None
    return api_exception(status=error.status, code=error.code, detail=str(error), wait=wait)


def _from_throttle(error: exceptions.Throttled) -> exceptions.Throttled:
    seconds = int(getattr(error, "wait", None) or 1)
    error.detail = exceptions.ErrorDetail(f"Too many requests. Try again in {seconds} s.", "throttled")
    return error


def known(error: Exception) -> Exception:
    """`error` as the API exception that says what happened; bugs stay what they are."""
    if outage := outages.told(error):
        return api_exception(status=503, code="service_unavailable", detail=outage[0], wait=outage[1])
    match error:
        case HubError():
            return _from_hub(error)
        case exceptions.Throttled():
            return _from_throttle(error)
        case Http404() | exceptions.NotFound():
            return exceptions.NotFound(NOT_FOUND)
        case PermissionDenied():
            return exceptions.PermissionDenied()
        case ModelValidationError():
            return exceptions.ValidationError(get_error_detail(error))
        case RequestDataTooBig():
            return api_exception(status=413, code="too_large", detail=TOO_LARGE)
        case SuspiciousOperation() | UnreadablePostError():
            return exceptions.ParseError("The request cannot be read.")
    return error


class HubExceptionHandler(ExceptionHandler):
    def convert_known_exceptions(self, exc: Exception) -> Exception:
        return known(exc)

    def convert_unhandled_exceptions(self, exc: Exception) -> exceptions.APIException:
        if isinstance(exc, exceptions.APIException):
            return exc
        return exceptions.APIException(SERVER_ERROR)

    def format_exception(self, exc: exceptions.APIException) -> dict[str, Any]:
        errors = [{"code": e.code, "detail": e.detail, "attr": e.attr} for e in flatten_errors(exc.detail)]
        request = self.context["request"]
        assert request is not None
        return error_body(request._request, exc.status_code, errors)


def exception_handler(exc: Exception, context: Any) -> Response | None:
    """Every exception of an API view, ours, Django's or unforeseen, in the one shape."""
    exc = _charge(exc, context["view"], context["request"])
    if isinstance(exc, Answered):
        headers = {"Idempotency-Replayed": "true"} | ({"Location": exc.location} if exc.location else {})
        return Response(exc.body, status=exc.status, headers=headers)
    return HubExceptionHandler(exc, context).run()


def _charge(exc: Exception, view: APIView, request: Request) -> Exception:
    """Count who is turned away, too: DRF looks at budgets only after permissions, so guesses would be free."""
    if not isinstance(exc, BEFORE_BUDGETS) or hasattr(request._request, "rate_limit"):
        return exc
    try:
        view.check_throttles(request)
    except exceptions.Throttled as throttled:
        return throttled
    return exc


@extend_schema(exclude=True)
class Nowhere(APIView):
    """Every address under /api/ that is none, so that programs get JSON and the same budget as elsewhere."""

    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise exceptions.NotFound


class Schema(SpectacularAPIView):
    permission_classes = (AllowAny,)
    authentication_classes = ()


class Docs(SpectacularSwaggerSplitView):
    permission_classes = (AllowAny,)
    authentication_classes = ()
    url_name = "api-schema"
    template_name = "api/docs.html"


@require_safe
def error_page(request: HttpRequest) -> HttpResponse:
    """Every code of the table, for whoever followed an error's `documentation_url`."""
    return render(request, "api/errors.html", {"statuses": BY_STATUS})


urlpatterns = [
    path("errors", error_page, name="api-errors"),
    path("schema", Schema.as_view(), name="api-schema"),
    path("docs", Docs.as_view(), name="api-docs"),
    path("v1/", include("aggregation.api")),
    path("v1/", include("aggregation.history.api")),
    path("v1/", include("aggregation.reconciliation.api")),
    path("v1/", include("aggregation.reconciliation.statement_views")),
    path("v1/", include("aggregation.review_api")),
    path("v1/", include("aggregation.lots.api")),
    path("v1/", include("aggregation.lots.picks_api")),
    path("v1/", include("aggregation.corporate_actions.api")),
    path("v1/", include("aggregation.positions.identity_api")),
    path("v1/", include("comparison.api")),
    path("v1/", include("comparison.quality_api")),
    path("v1/", include("comparison.rating_api")),
    path("v1/", include("connections.api")),
    path("v1/", include("health.api")),
    path("v1/", include("sync.api")),
    path("v1/", include("sync.undo_api")),
    path("v1/", include("brokerhub.webhooks.api")),
    re_path(r"^.*$", Nowhere.as_view()),
]
