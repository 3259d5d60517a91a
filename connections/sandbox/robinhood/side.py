"""Robinhood as the gate and the control API see it: its errors, its headers, its tokens and keys."""

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from connections.sandbox.book import Account
from connections.sandbox.gate import HTML_PAGE, Refusal
from connections.sandbox.robinhood.devices import Desk
from connections.sandbox.robinhood.keys import KeyRing
from connections.sandbox.robinhood.vault import PRIVATE, Vault
from connections.sandbox.world import WORLD, RateLimit

CALLS_PER_MINUTE = 300
RETRY_AFTER = 30
NO_BEARER = {"detail": "Authentication credentials were not provided."}
BAD_BEARER = {"detail": "Invalid token."}
DETAILS = {
    401: "Invalid token.",
    403: "You do not have permission to perform this action.",
    404: "Not found.",
    405: "Method not allowed.",
    410: "Gone.",
    429: f"Request was throttled. Expected available in {RETRY_AFTER} seconds.",
}
BAD_REQUEST, TOO_MANY, SERVER_ERROR = 400, 429, 500
CRYPTO_API = "crypto_api"  # operations of the official crypto API begin so
MCP = "mcp"


class Robinhood:
    """One broker. Implements `world.BrokerSide`."""

    name = "robinhood"

    def __init__(self) -> None:
        self.operations: set[str] = set()
        self.vault = Vault(WORLD.clock)
        self.keys = KeyRing()
        self.desk = Desk(WORLD.clock)
        self.limit = RateLimit(CALLS_PER_MINUTE)
        self.callbacks: list[str] = []  # good for every client, beside those it registered
        self.on_reset: list[Callable[[], None]] = []

    def reset(self) -> None:
        self.callbacks.clear()
        self.vault.forget()
        self.keys.forget()
        self.desk.forget()
        self.limit.reset()
        for forget in self.on_reset:
            forget()

    def external_id(self, account: Account) -> str:
        return account.number

    def expire_access(self, login: str) -> int:
        return self.vault.expire_access(login)

    def revoke(self, login: str) -> int:
        """Refresh tokens and API keys alike."""
        return self.vault.revoke(login) + self.keys.disable(login)

    def expire_presented(self, request: HttpRequest) -> None:
        self.vault.end_token(bearer(request))

    def revoke_presented(self, request: HttpRequest) -> None:
        if login := self.presented_by(request):
            self.revoke(login)
            self.vault.expire_access(login)

    def presented_by(self, request: HttpRequest) -> str | None:
        if key := self.keys.get(request.headers.get("x-api-key", "")):
            return key.login
        return self.vault.owner(bearer(request) or request.POST.get("refresh_token", ""))

    def encode(self, payload: Any, status: int = 200) -> HttpResponse:
        """Numbers of money and size are text here, so nothing but counts is ever a number."""
        return HttpResponse(json.dumps(payload, separators=(",", ":")), status=status, content_type="application/json")

    def refuse(self, status: int, operation: str) -> HttpResponse:
        """The private API's 5xx is a page; the crypto API has a shape of its own; the MCP server speaks plainly."""
        if operation.startswith(CRYPTO_API):
            return self.encode(crypto_errors(status, DETAILS.get(status, "Server error.")), status)
        if status >= SERVER_ERROR:
            return HttpResponse(HTML_PAGE.format(title="Robinhood", text="Something went wrong."), status=status)
        if operation.startswith(MCP) and status == 401:
            return HttpResponse("authentication required", status=401, content_type="text/plain")
        if operation == "token" and status == 401:
            return self.encode({"error": "invalid_grant"}, 401)
        response = self.encode({"detail": DETAILS.get(status, "Bad request.")}, status)
        if status == TOO_MANY:
            response["Retry-After"] = str(RETRY_AFTER)
        return response

    def maintenance(self, operation: str, text: str) -> HttpResponse:
        """The crypto API has a shape of its own; everything else may be HTML at any time."""
        if operation.startswith(CRYPTO_API):
            return self.encode(crypto_errors(503, text), 503)
        return HttpResponse(HTML_PAGE.format(title="Robinhood", text=text), status=503)

    def route_missing(self, operation: str) -> HttpResponse:
        return HttpResponse(HTML_PAGE.format(title="Not Found", text="404"), status=404)

    def dress(self, response: HttpResponse, correlation_id: str) -> None:
        response["x-robinhood-api-version"] = "0.0.0"
        response["x-request-id"] = correlation_id
        response["Cache-Control"] = "no-store"

    def spend(self, credential: str) -> None:
        """Count a call against the credential's budget. Raises Refusal."""
        if not self.limit.allows(credential, WORLD.clock.now()):
            raise Refusal(TOO_MANY, {"detail": DETAILS[TOO_MANY]}, {"Retry-After": str(RETRY_AFTER)})


ROBINHOOD = Robinhood()
WORLD.add(ROBINHOOD)


def bearer(request: HttpRequest) -> str:
    """The token of the Authorization header; empty without one. The old scheme `Token` is dead."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def caller(request: HttpRequest, *methods: str) -> str:
    """Login behind a living token of the private API, the call counted. Raises Refusal: 401, 405, 429."""
    token = bearer(request)
    if not token:
        raise Refusal(401, NO_BEARER)
    access = ROBINHOOD.vault.access(token, PRIVATE)
    if access is None:
        raise Refusal(401, BAD_BEARER)
    ROBINHOOD.spend(access.grant.login)
    allowed = methods or ("GET",)
    if request.method not in allowed:
        raise Refusal(405, {"detail": f'Method "{request.method}" not allowed.'}, {"Allow": ", ".join(allowed)})
    return access.grant.login


def accounts_of(login: str) -> list[Account]:
    person = WORLD.people.get(login)
    return person.at(ROBINHOOD.name) if person else []


def crypto_errors(status: int, detail: str, attr: str | None = None) -> dict[str, Any]:
    """The crypto API's error shape."""
    kinds = {4: "validation_error" if status == BAD_REQUEST else "client_error", 5: "server_error"}
    return {"type": kinds[status // 100], "errors": [{"detail": detail, "attr": attr}]}
