"""The sign-in and consent pages, and the token endpoint."""

import base64
import binascii
import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare

from connections.sandbox.faults import FaultKind
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.schwab.authority import (
    ACCESS_LIFETIME,
    CLIENT_ACCESS_LIFETIME,
    CodeRefused,
    Grant,
    RefreshRefused,
    SignIn,
)
from connections.sandbox.schwab.registration import APP_SECRET, APPS
from connections.sandbox.schwab.side import SCHWAB
from connections.sandbox.world import WORLD

PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
REFRESH_REFUSALS = {  # the forms Schwab has used over time
    "2026": ("Refresh token is invalid, expired or revoked", "invalid_grant"),
    "2024": (
        "Exception while authenticating refresh token [tokenDigest=sandbox=, "
        "Exception=Failed refresh token authentication [tokenDigest=sandbox=]]",
        "refresh_token_authentication_error",
    ),
}


@operation(SCHWAB, "authorize")
def authorize(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """One address, three steps: sign in, tick accounts, go back to the app."""
    if request.method == "POST":
        step = _consent if request.POST.get("step") == "consent" else _check_password
        return step(request, exchange)
    problem = _problem(request.GET)
    if problem:
        return _page(request, "problem", {"problem": problem}, status=401)
    sign_in = SignIn(
        app_key=request.GET["client_id"],
        redirect_uri=request.GET["redirect_uri"],
        state=request.GET.get("state"),
        challenge=request.GET.get("code_challenge"),
    )
    return _page(request, "sign_in", {"ticket": SCHWAB.authority.begin(sign_in)})


def _problem(query: Any) -> str | None:
    """Why the app cannot be let in, for the page; the broker itself would loop back to its login."""
    if query.get("client_id") not in APPS:
        return "No app with this app key is registered here."
    if query.get("redirect_uri") not in SCHWAB.callbacks:
        return "The callback address is not one the app was registered with. It is compared letter by letter."
    if query.get("response_type", "code") != "code":
        return "The only response type is code."
    if query.get("code_challenge") and query.get("code_challenge_method") != "S256":
        return "The only challenge method is S256."
    return None


def _check_password(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    ticket, login = request.POST.get("ticket", ""), request.POST.get("login", "")
    sign_in = SCHWAB.authority.sign_in(ticket)
    if sign_in is None:
        return _lost(request)
    person = WORLD.people.get(login)
    if person is None or not constant_time_compare(person.password, request.POST.get("password", "")):
        context = {"ticket": ticket, "login": login, "error": "Login ID and password do not match."}
        return _page(request, "sign_in", context, status=401)
    sign_in.login = exchange.call.login = person.login
    return _consent_page(request, ticket, sign_in)


def _consent(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    ticket = request.POST.get("ticket", "")
    sign_in = SCHWAB.authority.sign_in(ticket)
    if sign_in is None or sign_in.login is None:
        return _lost(request)
    exchange.call.login = sign_in.login
    if request.POST.get("decision") != "allow":
        SCHWAB.authority.deny(ticket)
        return _back(sign_in, "error=access_denied")
    own = {account.number for account in _accounts_of(sign_in)}
    ticked = frozenset(request.POST.getlist("account")) & own
    if not ticked:
        return _consent_page(request, ticket, sign_in, error="Tick at least one account, or cancel.", status=400)
    code = SCHWAB.authority.allow(ticket, ticked)
    return _back(sign_in, f"code={quote(code, safe='')}&session={uuid.uuid4()}")


def _consent_page(
    request: HttpRequest, ticket: str, sign_in: SignIn, *, error: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "ticket": ticket,
        "accounts": _accounts_of(sign_in),
        "person": WORLD.people.get(sign_in.login or ""),
        "error": error,
        "host": urlsplit(sign_in.redirect_uri).netloc,
    }
    return _page(request, "consent", context, status=status)


def _accounts_of(sign_in: SignIn) -> list[Any]:
    person = WORLD.people.get(sign_in.login or "")
    return [account for account in person.at(SCHWAB.name) if not account.is_closed] if person else []


def _back(sign_in: SignIn, query: str) -> HttpResponse:
    """To the app. A callback without a path gets the slash a browser would add; the state comes last."""
    slash = "" if urlsplit(sign_in.redirect_uri).path else "/"
    state = f"&state={quote(sign_in.state, safe='')}" if sign_in.state is not None else ""
    response = HttpResponse(status=302)
    response["Location"] = f"{sign_in.redirect_uri}{slash}?{query}{state}"
    return response


def _lost(request: HttpRequest) -> HttpResponse:
    problem = "This sign-in is over. Go back to the app and start again."
    return _page(request, "problem", {"problem": problem}, status=400)


def _page(request: HttpRequest, name: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    response = render(request, f"sandbox/{name}.html", context, status=status)
    response["Content-Security-Policy"] = PAGE_POLICY
    return response


def stylesheet(request: HttpRequest) -> HttpResponse:
    css = (Path(__file__).parent.parent / "static" / "sandbox.css").read_bytes()
    return HttpResponse(css, content_type="text/css", headers={"Cache-Control": "no-cache"})


# Token endpoint


@operation(SCHWAB, "token")
def token(request: HttpRequest, exchange: Exchange) -> Any:
    if request.method != "POST":
        raise Refusal(405, {"error": "invalid_request", "error_description": "POST only"}, {"Allow": "POST"})
    app_key = _app(request)
    SCHWAB.spend(app_key)
    grant_type = request.POST.get("grant_type", "")
    exchange.call.query = {"grant_type": grant_type}
    if grant_type == "authorization_code":
        return _for_code(request, exchange, app_key)
    if grant_type == "refresh_token":
        return _for_refresh(request, exchange, app_key)
    if grant_type == "client_credentials":
        return _token_body(SCHWAB.authority.client_access(app_key), int(CLIENT_ACCESS_LIFETIME.total_seconds()))
    raise Refusal(400, {"error": "unsupported_grant_type", "error_description": "Unsupported grant_type"})


def _app(request: HttpRequest) -> str:
    """The app key of the Basic header. Raises Refusal when key or secret are wrong."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    app_key, _, secret = pair.partition(":")
    if scheme.lower() != "basic" or not constant_time_compare(secret, APPS.get(app_key) or "no such app"):
        raise Refusal(401, {"error": "invalid_client", "error_description": "Unauthorized"})
    return app_key


def _for_code(request: HttpRequest, exchange: Exchange, app_key: str) -> dict[str, Any]:
    try:
        grant, access = SCHWAB.authority.redeem(
            request.POST.get("code", ""),
            app_key=app_key,
            redirect_uri=request.POST.get("redirect_uri", ""),
            verifier=request.POST.get("code_verifier"),
        )
    except CodeRefused as refusal:
        raise Refusal(400, _wrapped(f"Bad authorization code: {refusal.reason}", "invalid_request")) from refusal
    exchange.call.login = grant.login
    return _token_body(access, int(ACCESS_LIFETIME.total_seconds()), grant)


def _for_refresh(request: HttpRequest, exchange: Exchange, app_key: str) -> dict[str, Any]:
    presented = request.POST.get("refresh_token", "")
    if not presented:
        raise Refusal(400, {"error": "invalid_grant", "error_description": "Invalid refresh token: null"})
    try:
        grant, access = SCHWAB.authority.refresh(presented, app_key=app_key, grace=exchange.grace)
    except RefreshRefused as refusal:
        raise Refusal(400, _refresh_refusal(exchange)) from refusal
    return _token_body(access, int(ACCESS_LIFETIME.total_seconds()), grant)


def _refresh_refusal(exchange: Exchange) -> dict[str, str]:
    """The latest form, unless a `revoked_token` fault asks for an older one (param `form`: 2026, 2024, oldest)."""
    form = next((f.params.get("form") for f in exchange.faults if f.kind is FaultKind.REVOKED_TOKEN), None)
    if form == "oldest":
        return {"error": "invalid_client", "error_description": "refresh token invalid"}
    return _wrapped(*REFRESH_REFUSALS.get(str(form), REFRESH_REFUSALS["2026"]))


def _wrapped(description: str, error: str) -> dict[str, str]:
    """Schwab puts a second document inside the description, without escaping its quotes."""
    inner = f'{{"error_description":"{description}","error":"{error}"}}'
    return {"error": "unsupported_token_type", "error_description": f'400 Bad Request: "{inner}"'}


def _token_body(access: str, seconds: int, grant: Grant | None = None) -> dict[str, Any]:
    """In Schwab's order of keys. An app's own token comes without refresh and id token."""
    body: dict[str, Any] = {"expires_in": seconds, "token_type": "Bearer", "scope": "api"}  # nosec B105  # a word of the protocol
    if grant:
        body["refresh_token"] = grant.refresh_token
    body["access_token"] = access
    if grant:
        body["id_token"] = _id_token(grant)
    return body


def _id_token(grant: Grant) -> str:
    """A JWT signed with HS256, as Schwab's is; no client needs to read it."""
    now = int(WORLD.clock.now().timestamp())
    claims = {
        "sub": hashlib.sha256(grant.login.encode()).hexdigest(),
        "aud": grant.app_key,
        "iss": "urn://api.schwabapi.com",
        "iat": now,
        "exp": now + 3600,
        "jti": str(uuid.uuid4()),
    }
    signed = f"{_part({'typ': 'JWT', 'alg': 'HS256'})}.{_part(claims)}"
    signature = hmac.digest(APP_SECRET.encode(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")
