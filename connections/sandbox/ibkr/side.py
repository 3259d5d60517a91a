"""Interactive Brokers as the gate and the control API see it: its errors, its headers, its tokens, its switches."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse

from connections.sandbox.book import Account
from connections.sandbox.gate import HTML_PAGE
from connections.sandbox.ibkr.authority import Authority
from connections.sandbox.ibkr.flex_tokens import FlexDesk
from connections.sandbox.ibkr.pacing import Pacing
from connections.sandbox.ibkr.registration import standard_callbacks, standard_consumers
from connections.sandbox.ibkr.signing import Malformed, parameters
from connections.sandbox.world import WORLD, RateLimit

JSON = "application/json; charset=utf-8"
ERRORS = {
    401: "not authenticated",
    403: "Forbidden",
    404: "Resource not found",
    410: "This resource is gone",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
ERROR_NUMBERS = {"invalid consumer": 39687, "LST failed": 118871}  # others get one that follows from the text


@dataclass(slots=True)
class Switches:
    """What a test may set otherwise; see docs/sandbox.md."""

    strict_query: bool = False  # only the documented form of signing query parameters
    refuse_replays: bool = True
    competing: bool = False  # the person is active on another platform
    page_size: int = 100  # positions
    flex_delay: float = 2.0  # seconds until a statement is made
    flex_restricted: bool = False  # the Flex token is bound to another address
    flex_active: bool = True  # the person has switched the service on


class InteractiveBrokers:
    """One broker. Implements `world.BrokerSide`."""

    name = "ibkr"

    def __init__(self) -> None:
        self.operations: set[str] = set()
        self.authority = Authority(WORLD.clock)
        self.pacing = Pacing()
        self.limit: RateLimit = self.pacing
        self.callbacks = standard_callbacks()
        self.consumers = standard_consumers()
        self.flex = FlexDesk(WORLD.clock)
        self.switches = Switches()

    def reset(self) -> None:
        """All but the consumers and their keys, which are registered for good."""
        self.callbacks = standard_callbacks()
        self.authority.forget()
        self.limit.reset()
        self.flex.forget()
        self.switches = Switches()

    def external_id(self, account: Account) -> str:
        return account.number

    def expire_access(self, login: str) -> int:
        return self.authority.expire_access(login)

    def revoke(self, login: str) -> int:
        return self.authority.revoke(login)

    def expire_presented(self, request: HttpRequest) -> None:
        if grant := self.authority.granted(self._presented(request)):
            self.authority.end_session(grant)

    def revoke_presented(self, request: HttpRequest) -> None:
        if grant := self.authority.granted(self._presented(request)):
            self.authority.revoke(grant.login, grant.consumer)

    def presented_by(self, request: HttpRequest) -> str | None:
        if grant := self.authority.granted(self._presented(request)):
            return grant.login
        return self.flex.owner(request.GET.get("t", ""))

    def _presented(self, request: HttpRequest) -> str:
        try:
            return parameters(request.headers.get("Authorization", "")).get("oauth_token", "")
        except Malformed:
            return ""

    def encode(self, payload: Any, status: int = 200) -> HttpResponse:
        if isinstance(payload, str):  # a page from the network in front of the API
            return HttpResponse(payload, status=status)
        body = json.dumps(payload, default=number, separators=(",", ":"))
        return HttpResponse(body, status=status, content_type=JSON)

    def refuse(self, status: int, operation: str) -> HttpResponse:
        """At the edge (403) and on pages for people it is HTML; elsewhere the body with `statusCode`."""
        if status == 403 or operation == "authorize" or operation.startswith("flex"):
            title = ERRORS.get(status, "Error")
            return HttpResponse(HTML_PAGE.format(title=title, text=""), status=status)
        return self.encode(error(status), status)

    def maintenance(self, operation: str, text: str) -> HttpResponse:
        """The Web API's 503 has its usual body; what it says there is told nowhere. Pages and Flex answer with HTML."""
        if operation == "authorize" or operation.startswith("flex"):
            return HttpResponse(HTML_PAGE.format(title="Scheduled maintenance", text=text), status=503)
        return self.encode(error(503, text), 503)

    def route_missing(self, operation: str) -> HttpResponse:
        return HttpResponse(HTML_PAGE.format(title="404 Not Found", text=""), status=404)

    def dress(self, response: HttpResponse, correlation_id: str) -> None:
        response["X-Correlation-ID"] = correlation_id
        response["Cache-Control"] = "no-store, no-cache"
        response["Pragma"] = "no-cache"
        response["Strict-Transport-Security"] = "max-age=31536000"


IBKR = InteractiveBrokers()
WORLD.add(IBKR)


def error(status: int, text: str | None = None) -> dict[str, Any]:
    return {"error": text or ERRORS.get(status, "Bad Request"), "statusCode": status}


def auth_error(reason: str) -> dict[str, Any]:
    """`id: 39687, error: invalid consumer`; the number tells the place in the broker's code."""
    known = next((number for start, number in ERROR_NUMBERS.items() if reason.startswith(start)), None)
    return error(401, f"id: {known or 100_000 + sum(reason.encode()) * 7}, error: {reason}")


def number(value: Any) -> float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no place in the Web API's JSON")
    return float(value) + 0.0  # turns -0.0 into 0.0
