"""Whatever Robinhood does not have, or has no longer: historical balances, for one."""

from typing import Any

from django.http import HttpRequest

from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.robinhood.side import ROBINHOOD


@operation(ROBINHOOD, "unknown_route")
def route(request: HttpRequest, exchange: Exchange, path: str = "") -> Any:
    raise Refusal(404, {"detail": "Not found."})
