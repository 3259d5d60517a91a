"""How the API describes itself: the token scheme, the one error shape, and the scope each operation needs."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema as BaseAutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import Direction, OpenApiParameter
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from brokerhub.kernel.idempotency import HEADER


class ErrorDetail(serializers.Serializer[Any]):
    """One thing that is wrong with a request."""

    code = serializers.CharField(help_text="Stable word to match on.")
    detail = serializers.CharField(help_text="A sentence for people.")
    attr = serializers.CharField(allow_null=True, help_text="The field it is about; null when about the whole request.")


class Error(ErrorDetail):
    """Every answer that is not a success. The first of `errors` stands at the top level, too."""

    request_id = serializers.CharField(help_text="Also in the header `X-Request-ID`; name it when you ask for help.")
    errors = ErrorDetail(many=True)  # type: ignore[assignment]  # hides a property of the serializer class itself


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "brokerhub.kernel.api.ScopedTokenAuthentication"
    name = "token"
    priority = 1

    def get_security_definition(self, auto_schema: BaseAutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Authorization: Token hub_...`: a token with the scopes the operation names.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "brokerhub.kernel.api.Session"
    name = "session"

    def get_security_definition(self, auto_schema: BaseAutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "The browser's own session."}


ERRORS = {
    "400": "The request is not understood; `errors` lists each field.",
    "401": "No valid token or session.",
    "403": "The token lacks the scope, or the browser's session has to confirm who it is first.",
    "404": "It does not exist, or belongs to somebody else.",
    "409": "Its state forbids this now.",
    "422": "The Idempotency-Key was used for another request.",
    "429": "Too many requests; wait for `Retry-After` seconds.",
    "503": "The broker, or a part of the hub, cannot be reached now; try again later.",
}

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="A word of your own for this request, new for each. Sent again, it is answered again, not done again.",
)


class AutoSchema(BaseAutoSchema):
    """drf-spectacular's schema with our error answers, and the scope at the end of each description."""

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's signature
        scope = self._scope()
        text = super().get_description() or ""
        return f"{text}\n\nScope: `{scope}`".strip() if scope else text

    def get_override_parameters(self) -> list[Any]:
        takes_key = self.method == "POST" and not getattr(self.view, "carries_passwords", False)
        return [*super().get_override_parameters(), *([IDEMPOTENCY_KEY] if takes_key else [])]

    def _scope(self) -> str | None:
        scope = getattr(self.view, "required_scopes", {}).get(self.method)
        return str(scope) if scope else None

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if direction == "response":
            for status in self._error_statuses():
                body = self._get_response_for_code(Error, status)  # type: ignore[no-untyped-call]
                bodies.setdefault(status, {**body, "description": ERRORS[status]})
        return bodies

    def _error_statuses(self) -> list[str]:
        """The errors that can happen to this operation, so that a reader need not rule any out."""
        is_open = any(isinstance(permission, AllowAny) for permission in self.view.get_permissions())
        has_input = self.method in {"POST", "PUT", "PATCH"} or bool(self._get_parameters())
        changes = self.method != "GET"
        happens = {
            "400": has_input,
            "401": not is_open,
            "403": not is_open,
            "404": "{" in self.path,
            "409": changes,
            "422": self.method == "POST" and not getattr(self.view, "carries_passwords", False),
            "429": True,
            "503": True,
        }
        return [status for status, can in happens.items() if can]
