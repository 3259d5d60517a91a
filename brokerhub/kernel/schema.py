"""How the API describes itself: the token scheme, the one error shape, and the scope each operation needs."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema as BaseAutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter
from rest_framework.permissions import AllowAny

from brokerhub.kernel.error_codes import BY_STATUS, Status
from brokerhub.kernel.idempotency import HEADER


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


class ClockTime(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """A time of day has no zone, which `format: time` (RFC 3339) would demand."""

    target_class = "rest_framework.serializers.TimeField"

    def map_serializer_field(self, auto_schema: BaseAutoSchema, direction: Direction) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$", "example": "07:30:00"}


IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]{1,128}$"},
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
        return [*super().get_override_parameters(), *([IDEMPOTENCY_KEY] if self.method == "POST" else [])]

    def _scope(self) -> str | None:
        scope = getattr(self.view, "required_scopes", {}).get(self.method)
        return str(scope) if scope else None

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if direction != "response":
            return bodies
        for body in bodies.values():
            body["headers"] = body.get("headers", {}) | _headers(
                *ALWAYS, *([REPLAYED] if self.method == "POST" else [])
            )
        errors = {
            str(status): {"$ref": f"#/components/responses/{BY_STATUS[status].name}"} for status in self._errors()
        }
        return bodies | errors

    def _errors(self) -> list[int]:
        """The statuses of errors that can happen to this operation, so that a reader need not rule any out."""
        is_open = any(isinstance(permission, AllowAny) for permission in self.view.get_permissions())
        has_body = self.method in {"POST", "PUT", "PATCH"}
        names_something = "{" in self.path or has_body or bool(self._get_parameters())
        changes = self.method != "GET"
        happens = {
            401: not is_open,
            403: not is_open,
            404: names_something,
            409: changes,
            413: has_body,
            415: has_body,
            422: self.method == "POST",
            502: changes,
        }
        return [status for status in BY_STATUS if happens.get(status, status != 405)]


# --- What all operations share ----------------------------------------------------------------------------------------
REPLAYED = "Idempotency-Replayed"
HEADERS = {
    "X-Request-ID": ("string", "The id of this request in the hub's log: your own, or a new one."),
    "RateLimit-Limit": ("integer", "Requests a minute that this person has."),
    "RateLimit-Remaining": ("integer", "Requests that are left of them."),
    "RateLimit-Reset": ("integer", "Seconds until the budget is renewed."),
    "Retry-After": ("integer", "Seconds to wait before the same request has a chance."),
    "Location": ("string", "Where to follow what was begun, when that is one thing."),
    REPLAYED: ("string", "`true` when the request was done before, and this is the answer it had then."),
}
ALWAYS = ("X-Request-ID", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


DETAIL = {
    "detail": _text("A sentence for people, about this very case. It may change."),
    "attr": _text("The field it is about; null when about the whole request.", nullable=True),
}


def _code_schema(answer: Status) -> dict[str, Any]:
    """The codes of a status, each with its suggested action and its message for people."""
    lines = [
        f"* `{entry.code}`: {entry.means} suggested_action: {entry.do} display_message: {entry.say or 'the detail'}"
        for entry in answer.codes
    ]
    return {"type": "string", "enum": [entry.code for entry in answer.codes], "description": "\n".join(lines)}


def _error_schema(answer: Status) -> dict[str, Any]:
    """The one shape, with the codes of one status."""
    properties = {
        "code": {"$ref": f"#/components/schemas/{answer.name}Code"},
        **DETAIL,
        "display_message": _text("What a program may show to the person who uses it."),
        "suggested_action": _text("What the program, or its maker, can do about it."),
        "type": _text("The kind of error as in RFC 9457: where its code is described.", format="uri-reference"),
        "documentation_url": _text("The same place as a whole address.", format="uri"),
        "request_id": _text("Also in the header `X-Request-ID`; name it when you ask for help."),
        "errors": {
            "type": "array",
            "description": "Everything that is wrong; the first of them stands at the top, too.",
            "items": {"$ref": f"#/components/schemas/{answer.name}Detail"},
        },
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def describe_errors(result: dict[str, Any], generator: Any, **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: what the operations' answers refer to, made from the table of codes."""
    components = result["components"]
    for status, answer in BY_STATUS.items():
        code = {"$ref": f"#/components/schemas/{answer.name}Code"}
        detail = {"type": "object", "properties": {"code": code, **DETAIL}, "required": ["code", *DETAIL]}
        components["schemas"] |= {
            f"{answer.name}Code": _code_schema(answer),
            f"{answer.name}Detail": detail,
            f"{answer.name}Error": _error_schema(answer),
        }
        waits = ["Retry-After"] if status in {429, 503} else []
        components.setdefault("responses", {})[answer.name] = {
            "description": answer.means,
            "headers": _headers(*ALWAYS, *waits),
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer.name}Error"}}},
        }
    components["schemas"] = dict(sorted(components["schemas"].items()))
    components["headers"] = {
        name: {"schema": {"type": kind}, "description": description, "required": name == "X-Request-ID"}
        for name, (kind, description) in HEADERS.items()
    }
    return result
