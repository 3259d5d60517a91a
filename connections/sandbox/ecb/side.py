"""The European Central Bank as the gate and the control API see it: public files, no tokens, nobody signs in."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from connections.sandbox.book import Account
from connections.sandbox.gate import html
from connections.sandbox.world import WORLD, RateLimit

CALLS_PER_MINUTE = 600
PHRASES = {403: "Forbidden", 404: "Page not found", 410: "Gone", 429: "Too many requests", 503: "Unavailable"}


class CentralBank:
    """Implements `world.BrokerSide`; what is about people and tokens there has nothing to do here."""

    name = "ecb"

    def __init__(self) -> None:
        self.operations: set[str] = set()
        self.callbacks: list[str] = []
        self.limit = RateLimit(CALLS_PER_MINUTE)

    def reset(self) -> None:
        self.limit.reset()

    def external_id(self, account: Account) -> str:
        raise LookupError("the central bank keeps no accounts")

    def expire_access(self, login: str) -> int:
        return 0

    def revoke(self, login: str) -> int:
        return 0

    def expire_presented(self, request: HttpRequest) -> None:
        """There is no token to end."""

    def revoke_presented(self, request: HttpRequest) -> None:
        """There is no token to end."""

    def presented_by(self, request: HttpRequest) -> str | None:
        return None

    def encode(self, payload: Any, status: int = 200) -> HttpResponse:
        return HttpResponse(payload, status=status, content_type="text/xml")

    def refuse(self, status: int, operation: str) -> HttpResponse:
        phrase = PHRASES.get(status, "Internal server error")
        return html(phrase, "The page you asked for is not available.", status)

    def route_missing(self, operation: str) -> HttpResponse:
        return self.refuse(404, operation)

    def dress(self, response: HttpResponse, correlation_id: str) -> None:
        response["Cache-Control"] = "max-age=60"


ECB = CentralBank()
WORLD.add(ECB)
