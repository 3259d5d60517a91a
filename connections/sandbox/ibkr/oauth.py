"""OAuth 1.0a's three calls and the pages between the first two."""

import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare

from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.ibkr.authority import Refused, RequestToken
from connections.sandbox.ibkr.doors import edge, rsa_signed, signed_header
from connections.sandbox.ibkr.side import IBKR, auth_error, error
from connections.sandbox.ibkr.signing import token_signature
from connections.sandbox.world import WORLD

PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
HEX = re.compile(r"[0-9a-fA-F]{1,1024}")
BRAND = "Interactive Brokers"


def post_only(request: HttpRequest) -> None:
    if request.method != "POST":
        raise Refusal(405, error(405, "Method Not Allowed"), {"Allow": "POST"})


@operation(IBKR, "request_token")
def request_token(request: HttpRequest, exchange: Exchange) -> Any:
    edge(request, exchange)
    post_only(request)
    header, consumer = rsa_signed(request, exchange)
    if consumer.is_first_party:
        raise Refusal(401, auth_error("first party consumers have no request token"))
    if header.get("oauth_callback") != "oob":
        raise Refusal(401, auth_error("invalid oauth_callback"))
    return {"oauth_token": IBKR.authority.begin(consumer)}


@operation(IBKR, "access_token")
def access_token(request: HttpRequest, exchange: Exchange) -> Any:
    edge(request, exchange)
    post_only(request)
    header, consumer = rsa_signed(request, exchange)
    try:
        grant = IBKR.authority.exchange(header.get("oauth_token", ""), header.get("oauth_verifier", ""), consumer)
    except Refused as refusal:
        raise Refusal(401, auth_error(str(refusal))) from refusal
    exchange.call.login = grant.login
    return {"is_paper": False, "oauth_token": grant.token, "oauth_token_secret": grant.encrypted_secret()}


@operation(IBKR, "live_session_token")
def live_session_token(request: HttpRequest, exchange: Exchange) -> Any:
    edge(request, exchange)
    post_only(request)
    header, consumer = signed_header(request)
    grant = IBKR.authority.granted(header.get("oauth_token", ""))
    if grant is None or grant.consumer is not consumer:
        raise Refusal(401, auth_error(f"LST failed, error: No access secret key found for {consumer.key}"))
    rsa_signed(request, exchange, prepend=grant.secret.hex())
    challenge = header.get("diffie_hellman_challenge", "")
    try:
        response, session = IBKR.authority.open_session(grant, int(challenge, 16) if HEX.fullmatch(challenge) else 0)
    except Refused as refusal:
        raise Refusal(401, auth_error("LST failed, error: invalid diffie_hellman_challenge")) from refusal
    return {
        "diffie_hellman_response": f"{response:x}",
        "live_session_token_signature": token_signature(session.token, consumer.key),
        "live_session_token_expiration": int(session.expires_at.timestamp() * 1000),
    }


# The consent pages, at www.interactivebrokers.com


@operation(IBKR, "authorize")
def authorize(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """One address, three steps: sign in, tick accounts, go back to the app. The request token is the ticket."""
    if request.method == "POST":
        step = _consent if request.POST.get("step") == "consent" else _check_password
        return step(request, exchange)
    token = request.GET.get("oauth_token", "")
    asked = IBKR.authority.request(token)
    if asked is None or asked.verifier:
        return _problem(request, "This request is unknown, used or too old. Go back to the app and start again.", 401)
    wanted = request.GET.get("redirect_uri")
    if wanted is not None and wanted not in IBKR.callbacks:
        return _problem(request, "The callback address is not one the app was registered with.", 401)
    asked.redirect_uri = wanted or IBKR.callbacks[-1]
    return _page(request, "sandbox/sign_in.html", {"ticket": token})


def _check_password(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    ticket, login = request.POST.get("ticket", ""), request.POST.get("login", "")
    asked = IBKR.authority.request(ticket)
    if asked is None or asked.verifier:
        return _lost(request)
    person = WORLD.people.get(login)
    is_right = person is not None and constant_time_compare(person.password, request.POST.get("password", ""))
    if person is None or not is_right or not person.at(IBKR.name):
        context = {"ticket": ticket, "login": login, "error": "Username and password do not match."}
        return _page(request, "sandbox/sign_in.html", context, status=401)
    asked.login = exchange.call.login = person.login
    return _consent_page(request, ticket, asked)


def _consent(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    ticket = request.POST.get("ticket", "")
    asked = IBKR.authority.request(ticket)
    if asked is None or asked.login is None or asked.verifier:
        return _lost(request)
    exchange.call.login = asked.login
    if request.POST.get("decision") != "allow":
        IBKR.authority.deny(ticket)
        return _back(asked, {"oauth_token": ticket, "oauth_problem": "user_refused"})
    own = {account.number for account in _accounts_of(asked)}
    ticked = frozenset(request.POST.getlist("account")) & own
    if not ticked:
        return _consent_page(request, ticket, asked, error="Tick at least one account, or cancel.", status=400)
    return _back(asked, {"oauth_token": ticket, "oauth_verifier": IBKR.authority.allow(ticket, ticked)})


def _consent_page(
    request: HttpRequest, ticket: str, asked: RequestToken, *, error: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "ticket": ticket,
        "accounts": _accounts_of(asked),
        "person": WORLD.people.get(asked.login or ""),
        "error": error,
        "host": urlsplit(asked.redirect_uri).netloc,
    }
    return _page(request, "sandbox/ibkr_consent.html", context, status=status)


def _accounts_of(asked: RequestToken) -> list[Any]:
    person = WORLD.people.get(asked.login or "")
    return person.at(IBKR.name) if person else []


def _back(asked: RequestToken, query: dict[str, str]) -> HttpResponse:
    response = HttpResponse(status=302)
    response["Location"] = f"{asked.redirect_uri}?{urlencode(query)}"
    return response


def _lost(request: HttpRequest) -> HttpResponse:
    return _problem(request, "This sign-in is over. Go back to the app and start again.", 400)


def _problem(request: HttpRequest, problem: str, status: int) -> HttpResponse:
    return _page(request, "sandbox/problem.html", {"problem": problem}, status=status)


def _page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    response = render(request, template, {"brand": BRAND, **context}, status=status)
    response["Content-Security-Policy"] = PAGE_POLICY
    return response
