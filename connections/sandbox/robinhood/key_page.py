"""The page on which a person turns an app's public key into an API key (robinhood.com/account/crypto)."""

from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from connections.sandbox.gate import Exchange, operation
from connections.sandbox.robinhood.keys import BadKey
from connections.sandbox.robinhood.oauth import page
from connections.sandbox.robinhood.side import ROBINHOOD
from connections.sandbox.world import WORLD


@operation(ROBINHOOD, "crypto_keys")
def crypto_keys(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    if request.method != "POST":
        return page(request, "robinhood_keys", {})
    login, public_key = request.POST.get("login", ""), request.POST.get("public_key", "").strip()
    person = WORLD.people.get(login)
    if person is None or not constant_time_compare(person.password, request.POST.get("password", "")):
        return _again(request, "Login and password do not match.", status=401)
    exchange.call.login = person.login
    try:
        key = ROBINHOOD.keys.register(person.login, public_key)
    except BadKey as problem:
        return _again(request, str(problem), status=400)
    return page(request, "robinhood_keys", {"api_key": key.id})


def _again(request: HttpRequest, error: str, *, status: int) -> HttpResponse:
    typed = {"login": request.POST.get("login", ""), "public_key": request.POST.get("public_key", "")}
    return page(request, "robinhood_keys", {"error": error, **typed}, status=status)
