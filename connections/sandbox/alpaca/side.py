"""Alpaca as the gate and the control API see it: its errors, its headers, its tokens. And how it writes things down."""

import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse

from connections.sandbox.book import Account
from connections.sandbox.gate import Refusal
from connections.sandbox.market import AssetClass, Instrument
from connections.sandbox.world import WORLD, RateLimit

CLIENT_ID, CLIENT_SECRET = "sandbox0alpaca0client000000000001", "sandboxalpacasecret01"
STANDARD_CALLBACKS = "http://127.0.0.1:8000/connections/callback/alpaca"
CALLS_PER_MINUTE, WINDOW = 200, 60
NAMES = uuid.UUID("6b0c1c02-5f0e-4a7e-8d6c-1f4a6e0b9a11")  # ids that follow from what they name
REFUSALS = {
    401: (40110000, "request is not authorized"),
    403: (40310000, "forbidden"),
    404: (40410000, "endpoint not found"),
    429: (42910000, "rate limit exceeded"),
}
CLASSES = {AssetClass.OPTION: "us_option", AssetClass.CRYPTO: "crypto"}
Row = dict[str, Any]


@dataclass(slots=True)
class SignIn:
    """A consent under way; with a code, one that waits for its exchange."""

    redirect_uri: str
    state: str | None
    scope: str
    login: str = ""
    number: str = ""  # of the one account it is about
    allowed_at: datetime | None = None


class Alpaca:
    """One broker. Implements `world.BrokerSide`. Callers hold the world's lock."""

    name = "alpaca"

    def __init__(self) -> None:
        self.operations: set[str] = set()
        self.limit = RateLimit(CALLS_PER_MINUTE)
        self.reset()

    def reset(self) -> None:
        listed = os.environ.get("SANDBOX_ALPACA_CALLBACKS") or STANDARD_CALLBACKS
        self.callbacks = [callback.strip() for callback in listed.split(",") if callback.strip()]
        self.sign_ins: dict[str, SignIn] = {}  # by ticket
        self.codes: dict[str, SignIn] = {}
        self.tokens: dict[str, str] = {}  # token -> number of the account it opens; none has an end
        self.limit.reset()

    def external_id(self, account: Account) -> str:
        return str(uuid.uuid5(NAMES, account.number))

    def expire_access(self, login: str) -> int:
        return 0  # a token has no end

    def revoke(self, login: str) -> int:
        mine = [token for token in self.tokens if self._owner_of(token) == login]
        for token in mine:
            del self.tokens[token]
        return len(mine)

    def expire_presented(self, request: HttpRequest) -> None:
        """A token has no end: there is nothing to do."""

    def revoke_presented(self, request: HttpRequest) -> None:
        self.tokens.pop(bearer(request), None)

    def presented_by(self, request: HttpRequest) -> str | None:
        return self._owner_of(bearer(request))

    def _owner_of(self, token: str) -> str | None:
        person = WORLD.people.owner_of(self.tokens.get(token, ""))
        return person.login if person else None

    def encode(self, payload: Any, status: int = 200) -> HttpResponse:
        body = json.dumps(payload, separators=(",", ":"))
        return HttpResponse(body, status=status, content_type="application/json; charset=UTF-8")

    def refuse(self, status: int, operation: str) -> HttpResponse:
        return self.encode(refused(status), status)

    def route_missing(self, operation: str) -> HttpResponse:
        return self.encode(refused(404), 404)

    def dress(self, response: HttpResponse, correlation_id: str) -> None:
        response["X-Request-ID"] = correlation_id.replace("-", "")
        if self.limit.per_minute is not None:
            response["X-RateLimit-Limit"] = str(self.limit.per_minute)

    def account_of(self, request: HttpRequest) -> Account:
        """The account the presented token opens, one call poorer. Raises Refusal."""
        account = WORLD.people.account(self.tokens.get(bearer(request), ""))
        if account is None:
            raise Refusal(401, refused(401))
        now = WORLD.clock.now()
        if not self.limit.allows(account.number, now):
            headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(now.timestamp()) + WINDOW)}
            raise Refusal(429, refused(429), headers)
        return account


ALPACA = Alpaca()
WORLD.add(ALPACA)


def refused(status: int, message: str = "", code: int = 0) -> Row:
    usual, words = REFUSALS.get(status, (status * 100_000 + 10_000, "internal server error occurred"))
    return {"code": code or usual, "message": message or words}


def bearer(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def symbol_of(instrument: Instrument, *, position: bool = False) -> str:
    """Options without the padding; coins as a pair, whose stroke executions have and positions have not."""
    if instrument.asset_class is AssetClass.CRYPTO:
        return f"{instrument.symbol}USD" if position else f"{instrument.symbol}/USD"
    return instrument.symbol.replace(" ", "")


def text(amount: Decimal) -> str:
    return f"{amount.normalize() + 0:f}"


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
