"""The consent pages and the token endpoint."""

import secrets
import uuid
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare

from connections.sandbox.alpaca.side import ALPACA, CLIENT_ID, CLIENT_SECRET, Row, SignIn, refused
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.world import WORLD

CODE_LIFETIME = timedelta(minutes=10)
SCOPES = {"account:write", "trading", "data"}
PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


@operation(ALPACA, "authorize")
def authorize(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """One address, three steps: sign in, agree, go back to the app."""
    if request.method == "POST":
        return _consent(request, exchange) if request.POST.get("step") == "consent" else _password(request, exchange)
    query = request.GET
    scope = query.get("scope", "")
    if query.get("client_id") != CLIENT_ID:
        return _problem(request, "No app with this client id is registered here.")
    if query.get("redirect_uri") not in ALPACA.callbacks:
        return _problem(request, "The callback address is not one the app was registered with.")
    if query.get("response_type") != "code":
        return _problem(request, "The only response type is code.")
    if not set(scope.split()) <= SCOPES or query.get("env", "live") not in ("live", "paper"):
        return _problem(request, "The app asks for something that does not exist here.")
    ticket = secrets.token_urlsafe(24)
    ALPACA.sign_ins[ticket] = SignIn(query["redirect_uri"], query.get("state"), scope)
    return _page(request, "sign_in", {"ticket": ticket})


def _password(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    ticket, login = request.POST.get("ticket", ""), request.POST.get("login", "")
    sign_in, person = ALPACA.sign_ins.get(ticket), WORLD.people.get(login)
    if sign_in is None:
        return _problem(request, "This sign-in is over. Go back to the app and start again.")
    if person is None or not constant_time_compare(person.password, request.POST.get("password", "")):
        again = {"ticket": ticket, "login": login, "error": "Login and password do not match."}
        return _page(request, "sign_in", again, status=401)
    if not person.at(ALPACA.name):
        return _problem(request, f"{person.first_name} has no account here.")
    sign_in.login = exchange.call.login = person.login
    open_ones = [account for account in person.at(ALPACA.name) if not account.is_closed]
    context: Row = {"ticket": ticket, "person": person, "accounts": open_ones, "scope": sign_in.scope}
    return _page(request, "alpaca_consent", {**context, "host": urlsplit(sign_in.redirect_uri).netloc})


def _consent(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    sign_in = ALPACA.sign_ins.pop(request.POST.get("ticket", ""), None)
    if sign_in is None or not sign_in.login:
        return _problem(request, "This sign-in is over. Go back to the app and start again.")
    exchange.call.login = sign_in.login
    answer = {"error": "access_denied"}
    chosen = WORLD.people.account(request.POST.get("account", ""))
    owner = WORLD.people.owner_of(request.POST.get("account", ""))
    if request.POST.get("decision") == "allow":
        if chosen is None or chosen.broker != ALPACA.name or owner is None or owner.login != sign_in.login:
            return _problem(request, "This account is not one of yours here.")
        sign_in.number = chosen.number
        code = str(uuid.uuid4())
        sign_in.allowed_at = WORLD.clock.now()
        ALPACA.codes[code] = sign_in
        answer = {"code": code}
    if sign_in.state is not None:
        answer["state"] = sign_in.state
    response = HttpResponse(status=302)
    response["Location"] = f"{sign_in.redirect_uri}?{urlencode(answer)}"
    return response


def _problem(request: HttpRequest, problem: str) -> HttpResponse:
    return _page(request, "problem", {"problem": problem}, status=400)


def _page(request: HttpRequest, name: str, context: Row, *, status: int = 200) -> HttpResponse:
    response = render(request, f"sandbox/{name}.html", {"brand": "Alpaca", **context}, status=status)
    response["Content-Security-Policy"] = PAGE_POLICY
    return response


@operation(ALPACA, "token")
def token(request: HttpRequest, exchange: Exchange) -> Row:
    """A code once, for the address it was sent to, by the app that knows its secret; in the form, not in a header."""
    form = request.POST
    exchange.call.query = {"grant_type": form.get("grant_type", "")}
    if request.method != "POST":
        raise Refusal(405, refused(405, "method not allowed"), {"Allow": "POST"})
    given = f"{form.get('client_id', '')}:{form.get('client_secret', '')}"
    if not constant_time_compare(given, f"{CLIENT_ID}:{CLIENT_SECRET}"):
        raise Refusal(401, refused(401, "invalid_client"))
    if form.get("grant_type") != "authorization_code":
        raise Refusal(400, refused(400, "unsupported_grant_type"))
    sign_in = ALPACA.codes.pop(form.get("code", ""), None)
    if sign_in is None or sign_in.allowed_at is None or WORLD.clock.now() > sign_in.allowed_at + CODE_LIFETIME:
        raise Refusal(401, refused(401, "invalid_grant"))
    if form.get("redirect_uri") != sign_in.redirect_uri:
        raise Refusal(401, refused(401, "invalid_grant"))
    exchange.call.login = sign_in.login
    access = str(uuid.uuid4())
    ALPACA.tokens[access] = sign_in.number
    return {"access_token": access, "token_type": "bearer", "scope": sign_in.scope}  # nosec B105  # a word of the protocol
