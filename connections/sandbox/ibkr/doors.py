"""What every call to the Web API passes before it is answered: the edge, the pacing, the signature, the session."""

from typing import Any
from urllib.parse import parse_qsl

from django.http import HttpRequest

from connections.sandbox.faults import FaultKind
from connections.sandbox.gate import HTML_PAGE, Exchange, Refusal
from connections.sandbox.hosts import BY_HOST
from connections.sandbox.ibkr import signing
from connections.sandbox.ibkr.authority import Grant
from connections.sandbox.ibkr.registration import Consumer
from connections.sandbox.ibkr.side import IBKR, auth_error, error
from connections.sandbox.world import WORLD

API_HOST = "api.ibkr.com"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
FORM = "application/x-www-form-urlencoded"
ORDERED_ERRORS: dict[str, tuple[int, Any]] = {  # what the fault `broker_error` may ask of the Web API
    "invalid_consumer": (401, auth_error("invalid consumer")),
    "lst_failed": (401, auth_error("LST failed, error: ")),
    "no_bridge": (400, error(400, "Bad Request: no bridge")),
    "accounts_first": (400, error(400, "Bad Request: Please query /accounts first")),
    "empty_response": (200, {"diffie_hellman_response": "", "live_session_token_signature": ""}),  # nosec B105  # of the session
    "hidden": (200, {"error": "Server is busy, please retry"}),  # an error that looks like success
}


def edge(request: HttpRequest, exchange: Exchange) -> None:
    """Raises Refusal: a page with 403 without a User-Agent, 411 without a length, 429 for too many calls."""
    ordered(exchange)
    if not request.headers.get("User-Agent"):
        raise Refusal(403, HTML_PAGE.format(title="Access Denied", text="Reference #18.6f3c1502"))
    if request.method == "POST" and not request.META.get("CONTENT_LENGTH"):
        raise Refusal(411, error(411, "Length Required"))
    if not IBKR.limit.allows(request.META.get("REMOTE_ADDR", ""), WORLD.clock.now()):
        raise Refusal(429, error(429))


def ordered(exchange: Exchange) -> None:
    """Raises the refusal a fault asks for by the broker's own name."""
    for fault in exchange.faults:
        if fault.kind is FaultKind.BROKER_ERROR and (found := ORDERED_ERRORS.get(str(fault.params.get("code")))):
            raise Refusal(*found)


def signed_header(request: HttpRequest) -> tuple[dict[str, str], Consumer]:
    """The OAuth parameters and who sends them. Raises Refusal for none, an unknown consumer or a foreign realm."""
    try:
        header = signing.parameters(request.headers.get("Authorization", ""))
    except signing.Malformed as problem:
        raise Refusal(401, error(401)) from problem
    consumer = IBKR.consumers.get(header.get("oauth_consumer_key", ""))
    if consumer is None:
        raise Refusal(401, auth_error("invalid consumer"))
    if header.get("realm") != consumer.realm:
        raise Refusal(401, auth_error("invalid realm"))
    return header, consumer


def texts(request: HttpRequest, header: dict[str, str], *, prepend: str = "") -> list[str]:
    """Every text the signature may be of: for each address the sandbox is known by, each accepted form."""
    is_form = (request.content_type or "").lower() == FORM
    body = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True) if is_form else []
    query = parse_qsl(raw_query := request.META.get("QUERY_STRING", ""), keep_blank_values=True)
    return [
        prepend + text
        for url in addresses(request)
        for text in signing.candidates(
            request.method or "", url, header, body, query, raw_query, strict=IBKR.switches.strict_query
        )
    ]


def addresses(request: HttpRequest) -> list[str]:
    """The API's own address and the sandbox's; the Host header chooses among the broker's names only."""
    named = request.META.get("HTTP_HOST", "").split(":")[0].lower()
    host = named if BY_HOST.get(named) == "/ibkr" else API_HOST
    port = request.META.get("SERVER_PORT", "")
    return [
        f"https://{host}{request.path.removeprefix('/ibkr')}",
        *(f"http://{loopback}:{port}{request.path}" for loopback in LOOPBACK),
    ]


def rsa_signed(request: HttpRequest, exchange: Exchange, *, prepend: str = "") -> tuple[dict[str, str], Consumer]:
    """Header and consumer of a call signed with the consumer's own key. Raises Refusal."""
    header, consumer = signed_header(request)
    if header.get("oauth_signature_method") != "RSA-SHA256":
        raise Refusal(401, auth_error("invalid signature method"))
    key, signature = consumer.signing.public, header.get("oauth_signature", "")
    if not any(signing.is_signed_by(key, signature, text) for text in texts(request, header, prepend=prepend)):
        raise Refusal(401, auth_error("invalid signature"))
    check_freshness(header, consumer)
    return header, consumer


def check_freshness(header: dict[str, str], consumer: Consumer) -> None:
    nonce, timestamp = header.get("oauth_nonce", ""), header.get("oauth_timestamp", "")
    once = IBKR.switches.refuse_replays
    if not IBKR.authority.is_fresh(consumer.key, nonce, timestamp, once=once):
        raise Refusal(401, auth_error("invalid nonce or timestamp"))


def session(request: HttpRequest, exchange: Exchange, *methods: str) -> Grant:
    """Whose call it is, with a live session behind it. Raises Refusal, also when it comes before its time."""
    edge(request, exchange)
    header, consumer = signed_header(request)
    grant = IBKR.authority.granted(header.get("oauth_token", ""))
    live = IBKR.authority.live(grant) if grant and grant.consumer is consumer else None
    if grant is None or live is None or header.get("oauth_signature_method") != "HMAC-SHA256":
        raise Refusal(401, error(401))
    signature = header.get("oauth_signature", "")
    if not any(signing.is_signed_with(live.token, signature, text) for text in texts(request, header)):
        raise Refusal(401, auth_error("invalid signature"))
    check_freshness(header, consumer)
    exchange.call.login = grant.login
    if request.method not in (methods or ("GET",)):
        raise Refusal(405, error(405, "Method Not Allowed"), {"Allow": ", ".join(methods or ("GET",))})
    if not IBKR.pacing.allows_operation(exchange.call.operation, grant.login, WORLD.clock.now()):
        raise Refusal(429, error(429))
    return grant
