"""Official sign-in: discovery, registration, consent pages; and the one token endpoint of all of Robinhood."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare

from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.robinhood.login import Form, by_password, form_of, tokens
from connections.sandbox.robinhood.side import ROBINHOOD, accounts_of
from connections.sandbox.robinhood.vault import ACCESS_LIFETIMES, AGENTIC, Grant, Refused, SignIn
from connections.sandbox.robinhood.wire import address
from connections.sandbox.world import WORLD

PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
RESOURCE = "/mcp/trading"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
INVALID_GRANT = {"error": "invalid_grant"}


def resource(request: HttpRequest) -> str:
    return address(request, "agent", RESOURCE)


# Discovery and registration


@operation(ROBINHOOD, "discovery")
def protected_resource(request: HttpRequest, exchange: Exchange) -> Any:
    """RFC 9728."""
    return {
        "resource": resource(request),
        "authorization_servers": [resource(request)],
        "scopes_supported": ["internal"],
        "bearer_methods_supported": ["header"],
    }


@operation(ROBINHOOD, "discovery")
def authorization_server(request: HttpRequest, exchange: Exchange) -> Any:
    """RFC 8414."""
    return {
        "issuer": resource(request),
        "authorization_endpoint": address(request, "www", "/oauth"),
        "token_endpoint": address(request, "api", "/oauth2/token/"),
        "registration_endpoint": address(request, "agent", "/oauth/trading/register"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["internal"],
    }


@operation(ROBINHOOD, "register")
def register(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """RFC 7591, open to everyone: public clients that come back over https or to loopback."""
    if request.method != "POST":
        raise Refusal(405, {"error": "invalid_request"}, {"Allow": "POST"})
    body = _registration(request)
    client = ROBINHOOD.vault.register(str(body.get("client_name", "")), body["redirect_uris"])
    answer = {
        "client_id": client.id,
        "client_id_issued_at": int(WORLD.clock.now().timestamp()),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",  # nosec B105  # a word of the protocol
        "scope": "internal",
    }
    return ROBINHOOD.encode(answer, 201)


def _registration(request: HttpRequest) -> dict[str, Any]:
    """Raises Refusal in the words of RFC 7591, section 3.2.2."""
    body = _json_of(request)
    uris = body.get("redirect_uris")
    if not isinstance(uris, list) or not uris or not all(isinstance(uri, str) and _may_return_to(uri) for uri in uris):
        raise Refusal(400, {"error": "invalid_redirect_uri"})
    if body.get("token_endpoint_auth_method", "none") != "none":
        raise Refusal(400, {"error": "invalid_client_metadata", "error_description": "Clients are public here."})
    return body


def _json_of(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise Refusal(400, {"error": "invalid_client_metadata"}) from error
    return body if isinstance(body, dict) else {}


def _may_return_to(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "https" or (parts.scheme == "http" and (parts.hostname or "") in LOOPBACK)


# Consent


@operation(ROBINHOOD, "authorize")
def authorize(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """One address, three steps: sign in, agree, go back to the app."""
    if request.method == "POST":
        step = _consent if request.POST.get("step") == "consent" else _check_password
        return step(request, exchange)
    if problem := _problem(request):
        return page(request, "problem", {"problem": problem}, status=400)
    sign_in = SignIn(
        client_id=request.GET["client_id"],
        redirect_uri=request.GET["redirect_uri"],
        state=request.GET.get("state"),
        challenge=request.GET["code_challenge"],
    )
    return page(request, "sign_in", {"ticket": ROBINHOOD.vault.begin(sign_in)})


def _problem(request: HttpRequest) -> str | None:
    """Why the app cannot be let in, for the page."""
    query, client = request.GET, ROBINHOOD.vault.clients.get(request.GET.get("client_id", ""))
    if client is None:
        return "No app with this client id is registered here."
    if query.get("redirect_uri") not in [*client.redirect_uris, *ROBINHOOD.callbacks]:
        return "The callback address is not one the app was registered with. It is compared letter by letter."
    if query.get("response_type") != "code":
        return "The only response type is code."
    if not query.get("code_challenge") or query.get("code_challenge_method") != "S256":
        return "A code challenge is needed, with the method S256."
    if query.get("scope") != "internal":
        return "The scope must be internal, and be named."
    if query.get("resource") not in (None, resource(request)):
        return "The resource is not one that is served here."
    return None


def _check_password(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    ticket, login = request.POST.get("ticket", ""), request.POST.get("login", "")
    sign_in = ROBINHOOD.vault.sign_in(ticket)
    if sign_in is None:
        return _lost(request)
    person = WORLD.people.get(login)
    if person is None or not constant_time_compare(person.password, request.POST.get("password", "")):
        context: dict[str, Any] = {"ticket": ticket, "login": login, "error": "Login and password do not match."}
        return page(request, "sign_in", context, status=401)
    sign_in.login = exchange.call.login = person.login
    context = {
        "ticket": ticket,
        "accounts": accounts_of(person.login),
        "person": person,
        "host": urlsplit(sign_in.redirect_uri).netloc,
    }
    return page(request, "robinhood_consent", context)


def _consent(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    ticket = request.POST.get("ticket", "")
    sign_in = ROBINHOOD.vault.sign_in(ticket)
    if sign_in is None or sign_in.login is None:
        return _lost(request)
    exchange.call.login = sign_in.login
    if request.POST.get("decision") != "allow":
        ROBINHOOD.vault.end(ticket)
        return _back(sign_in, error="access_denied")
    return _back(sign_in, code=ROBINHOOD.vault.allow(ticket))


def _back(sign_in: SignIn, **answer: str) -> HttpResponse:
    if sign_in.state is not None:
        answer["state"] = sign_in.state
    joint = "&" if urlsplit(sign_in.redirect_uri).query else "?"
    response = HttpResponse(status=302)
    response["Location"] = f"{sign_in.redirect_uri}{joint}{urlencode(answer, quote_via=quote)}"
    return response


def _lost(request: HttpRequest) -> HttpResponse:
    problem = "This sign-in is over. Go back to the app and start again."
    return page(request, "problem", {"problem": problem}, status=400)


def page(request: HttpRequest, name: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    names = {"brand": "Robinhood", **context}
    response = render(request, f"sandbox/{name}.html", names, status=status)
    response["Content-Security-Policy"] = PAGE_POLICY
    return response


# Tokens


@operation(ROBINHOOD, "token")
def token(request: HttpRequest, exchange: Exchange) -> Any:
    if request.method != "POST":
        raise Refusal(405, {"detail": f'Method "{request.method}" not allowed.'}, {"Allow": "POST"})
    form = form_of(request)
    grant_type = form.get("grant_type", "")
    exchange.call.query = {"grant_type": grant_type}
    if grant_type == "password":
        return by_password(request, exchange, form)
    if grant_type == "refresh_token":
        return _for_refresh(request, exchange, form)
    if grant_type == "authorization_code":
        return _for_code(request, exchange, form)
    raise Refusal(400, {"error": "unsupported_grant_type"})


def _for_code(request: HttpRequest, exchange: Exchange, form: Form) -> dict[str, Any]:
    if form.get("resource", resource(request)) != resource(request):
        raise Refusal(400, {"error": "invalid_target"})
    try:
        grant = ROBINHOOD.vault.redeem(
            form.get("code", ""),
            client_id=form.get("client_id", ""),
            redirect_uri=form.get("redirect_uri", ""),
            verifier=form.get("code_verifier", ""),
        )
    except Refused as refusal:
        raise Refusal(400, INVALID_GRANT) from refusal
    exchange.call.login = grant.login
    return {**_agentic(grant), "refresh_token": grant.refresh_token}


def _for_refresh(request: HttpRequest, exchange: Exchange, form: Form) -> dict[str, Any]:
    """A private pair turns over whole. An official one stays untold, unless a fault rotates it."""
    client_id = form.get("client_id", "")
    try:
        grant = ROBINHOOD.vault.find(
            form.get("refresh_token", ""), client_id=client_id, device=form.get("device_token")
        )
    except Refused as refusal:
        status = 400 if client_id in ROBINHOOD.vault.clients else 401
        raise Refusal(status, INVALID_GRANT) from refusal
    exchange.call.login = grant.login
    if grant.kind != AGENTIC:
        ROBINHOOD.vault.rotate(grant, exchange.grace or timedelta(0))
        return tokens(grant, form)
    if exchange.grace is not None:
        ROBINHOOD.vault.rotate(grant, exchange.grace)
        return {**_agentic(grant), "refresh_token": grant.refresh_token}
    return _agentic(grant)


def _agentic(grant: Grant) -> dict[str, Any]:
    seconds = int(ACCESS_LIFETIMES[AGENTIC].total_seconds())
    access = ROBINHOOD.vault.issue(grant)
    return {"access_token": access, "expires_in": seconds, "token_type": "Bearer", "scope": "internal"}  # nosec B105  # a word of the protocol


@operation(ROBINHOOD, "revoke")
def revoke(request: HttpRequest, exchange: Exchange) -> Any:
    """Either token ends both. A token nobody knows is answered the same way (RFC 7009)."""
    if request.method != "POST":
        raise Refusal(405, {"detail": f'Method "{request.method}" not allowed.'}, {"Allow": "POST"})
    form = form_of(request)
    exchange.call.login = ROBINHOOD.vault.owner(form.get("token", ""))
    ROBINHOOD.vault.revoke_token(form.get("token", ""), form.get("client_id", ""))
    return {}
