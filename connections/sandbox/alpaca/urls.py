"""Alpaca's routes, below whatever prefix they are put. Nothing can be written: another method finds no route."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from connections.sandbox.alpaca.activities import activities
from connections.sandbox.alpaca.oauth import authorize, token
from connections.sandbox.alpaca.side import ALPACA, Row, refused
from connections.sandbox.alpaca.trading import account, positions
from connections.sandbox.gate import Exchange, Refusal, operation


@operation(ALPACA, "unknown_route")
def unknown_route(request: HttpRequest, exchange: Exchange) -> Row:
    raise Refusal(404, refused(404))


def _reading(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    def only_get(request: HttpRequest, **named: str) -> HttpResponse:
        return view(request, **named) if request.method == "GET" else unknown_route(request)

    return only_get


urlpatterns = [
    re_path(r"^oauth/authorize/?$", authorize),
    re_path(r"^oauth/token/?$", token),
    re_path(r"^v2/account/?$", _reading(account)),
    re_path(r"^v2/positions/?$", _reading(positions)),
    re_path(r"^v2/account/activities/?$", _reading(activities)),
    re_path(r"^v2/account/activities/(?P<only>[A-Za-z]+)/?$", _reading(activities)),
    re_path(r"^", unknown_route),
]
