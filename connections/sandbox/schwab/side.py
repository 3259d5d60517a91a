"""Schwab as the gate and the control API see it: its errors, its headers, its tokens."""

import hashlib
import json
import uuid
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse

from connections.sandbox.book import Account
from connections.sandbox.gate import HTML_PAGE, Refusal
from connections.sandbox.schwab.authority import Authority
from connections.sandbox.schwab.registration import APP_KEY, standard_callbacks
from connections.sandbox.world import WORLD, RateLimit

CALLS_PER_MINUTE = 120
RETRY_AFTER = 30
JSON = "application/json;charset=UTF-8"
MARKET_DATA = ("quotes", "markets", "pricehistory")
TITLES = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 410: "Gone", 429: "Too Many Requests",
          500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip
DETAILS = {401: "Client not authorized", 429: "Rate Limit Exceeded"}


class Schwab:
    """One broker. Implements `world.BrokerSide`."""

    name = "schwab"

    def __init__(self) -> None:
        self.operations: set[str] = set()
        self.authority = Authority(WORLD.clock)
        self.limit = RateLimit(CALLS_PER_MINUTE)
        self.callbacks = standard_callbacks()  # compared letter by letter, case included

    def reset(self) -> None:
        self.callbacks = standard_callbacks()
        self.authority.forget()
        self.limit.reset()

    def external_id(self, account: Account) -> str:
        """The hash the API knows the account by: the same for ever per app and account, unless it was renumbered."""
        return hash_of(APP_KEY, account)

    def expire_access(self, login: str) -> int:
        return self.authority.expire_access(login)

    def revoke(self, login: str) -> int:
        return self.authority.revoke(login)

    def expire_presented(self, request: HttpRequest) -> None:
        self.authority.expire_token(bearer(request))

    def revoke_presented(self, request: HttpRequest) -> None:
        """At the token endpoint the refresh token dies; elsewhere the whole authorization does."""
        if login := self.presented_by(request):
            self.authority.revoke(login)
            self.authority.expire_access(login)

    def presented_by(self, request: HttpRequest) -> str | None:
        return self.authority.owner(bearer(request) or request.POST.get("refresh_token", ""))

    def encode(self, payload: Any, status: int = 200) -> HttpResponse:
        body = json.dumps(payload, default=exact_number, separators=(",", ":"))
        return HttpResponse(body, status=status, content_type=JSON)

    def refuse(self, status: int, operation: str) -> HttpResponse:
        """Schwab's own body for the status; at the edge (403) and in an outage (5xx at sign-in) it is HTML."""
        if status == 403:
            return HttpResponse(HTML_PAGE.format(title="Access Denied", text="Reference #18.2d3c1502"), status=403)
        if status >= 500 and operation == "authorize":
            return HttpResponse(HTML_PAGE.format(title=TITLES[status], text=""), status=status)
        if status == 401 and operation == "token":
            return self.encode({"error": "invalid_client", "error_description": "Unauthorized"}, 401)
        response = self.encode(errors(status), status)
        if status == 429:
            response["Retry-After"] = str(RETRY_AFTER)
        return response

    def route_missing(self, operation: str) -> HttpResponse:
        """As reported of the outage of 2024-10-12: plain text, no JSON."""
        service = "marketdata" if operation in MARKET_DATA else "traderapi-accounts"
        text = f"404 Not Found: Requested route ('{service}.apigx-origin.schwab.com') does not exist."
        return HttpResponse(text, status=404, content_type="text/plain")

    def dress(self, response: HttpResponse, correlation_id: str) -> None:
        response["Schwab-Client-CorrelId"] = correlation_id
        response["Schwab-Resource-Version"] = "1"
        response["F5IP"] = "127.0.0.1"
        response["Cache-Control"] = "no-store"
        response["Pragma"] = "no-cache"
        response["Expires"] = "-1"
        response["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        response["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE, OPTIONS"
        response["Access-Control-Allow-Headers"] = "authorization, origin, accept, content-type"
        response["Access-Control-Max-Age"] = "3628800"

    def spend(self, app_key: str) -> None:
        """Count a call against the app's budget. Raises Refusal."""
        if not self.limit.allows(app_key, WORLD.clock.now()):
            raise Refusal(429, errors(429), {"Retry-After": str(RETRY_AFTER)})


SCHWAB = Schwab()
WORLD.add(SCHWAB)


def hash_of(app_key: str, account: Account) -> str:
    suffix = f"/{account.renumbered}" if account.renumbered else ""
    return account_hash(app_key, account.number + suffix)


def account_hash(app_key: str, number: str) -> str:
    return hashlib.sha256(f"{app_key}:{number}".encode()).hexdigest().upper()


def bearer(request: HttpRequest) -> str:
    """The token of the Authorization header; empty without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def errors(
    status: int, detail: str | None = None, *, parameter: str | None = None, text: bool = False
) -> dict[str, Any]:
    """The `errors` shape. Market data writes its status as `text`; `detail` may be missing."""
    error: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "status": str(status) if text else status,
        "title": TITLES.get(status, "Bad Request"),
    }
    if detail := detail or DETAILS.get(status):
        error["detail"] = detail
    if parameter:
        error["source"] = {"parameter": parameter}
    return {"errors": [error]}


def exact_number(value: Any) -> float:
    """A Decimal as the JSON number that reads back as the same Decimal. Raises ValueError when there is none."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no place in Schwab's JSON")
    number = float(value) + 0.0  # turns -0.0 into 0.0
    if Decimal(repr(number)) != value:
        raise ValueError(f"{value} cannot be printed exactly")
    return number
