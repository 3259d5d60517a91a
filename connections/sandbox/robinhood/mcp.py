"""The MCP server of the official sign-in: JSON-RPC 2.0 over streamable HTTP. The tools themselves are in tools.py."""

import json
import secrets
from collections import deque
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse

from connections.sandbox.faults import DISTORTIONS, distort
from connections.sandbox.gate import Exchange, View, operation
from connections.sandbox.robinhood.side import MCP, ROBINHOOD, bearer
from connections.sandbox.robinhood.tool import ToolError
from connections.sandbox.robinhood.tools import GUIDES, READ_TOOLS, TOOLS
from connections.sandbox.robinhood.vault import AGENTIC
from connections.sandbox.robinhood.wire import address
from connections.sandbox.world import WORLD

VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")
SESSION_HEADER, VERSION_HEADER = "Mcp-Session-Id", "MCP-Protocol-Version"
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, BAD_PARAMS = -32700, -32600, -32601, -32602
BURST, BURST_WINDOW, BURST_PENALTY = 8, timedelta(seconds=1), timedelta(seconds=5)


class Sessions:
    """Who holds which session, and how fast each person calls."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.logins: dict[str, str] = {}
        self._calls: dict[str, deque[datetime]] = {}
        self._blocked_until: dict[str, datetime] = {}

    def open(self, login: str) -> str:
        session = secrets.token_hex(16)
        self.logins[session] = login
        return session

    def allows(self, login: str) -> bool:
        """Eight calls in a second are too many, and for five seconds after. No limit when that is lifted."""
        if ROBINHOOD.limit.per_minute is None:
            return True
        now, calls = WORLD.clock.now(), self._calls.setdefault(login, deque())
        if now < self._blocked_until.get(login, now):
            return False
        while calls and abs(now - calls[0]) >= BURST_WINDOW:  # the clock may have been moved, to either side
            calls.popleft()
        calls.append(now)
        if len(calls) >= BURST:
            self._blocked_until[login] = now + BURST_PENALTY
            return False
        return True


SESSIONS = Sessions()
ROBINHOOD.on_reset.append(SESSIONS.forget)


def trading(request: HttpRequest) -> HttpResponse:
    """The one address. Faults find a call by its tool: `mcp_get_accounts`; all else is plain `mcp`."""
    return VIEWS.get(_tool_of(request), VIEWS[""])(request)


def _tool_of(request: HttpRequest) -> str:
    try:
        message = json.loads(request.body)
        return str(message["params"]["name"]) if message["method"] == "tools/call" else ""
    except (ValueError, KeyError, TypeError):
        return ""  # the server itself says what is wrong with it


def _view(tool: str) -> View[[]]:
    @operation(ROBINHOOD, f"{MCP}_{tool}" if tool else MCP)
    def view(request: HttpRequest, exchange: Exchange) -> HttpResponse:
        return _answer(request, exchange)

    return view


VIEWS = {tool: _view(tool) for tool in ("", *READ_TOOLS)}


def _answer(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    access = ROBINHOOD.vault.access(bearer(request), AGENTIC)
    if access is None:
        return _unauthenticated(request)
    login = access.grant.login
    if request.method == "DELETE":
        known = _session(request) in SESSIONS.logins
        SESSIONS.logins.pop(_session(request), None)
        return HttpResponse(status=204 if known else 404)
    if request.method != "POST":  # no stream of the server's own is offered
        return HttpResponse(status=405, headers={"Allow": "POST, DELETE"})
    accepted = request.headers.get("Accept", "")
    if "application/json" not in accepted or "text/event-stream" not in accepted:
        return HttpResponse("Not Acceptable: both application/json and text/event-stream", status=406)
    try:
        message = json.loads(request.body)
    except ValueError:
        return _error(None, PARSE_ERROR, "Parse error", status=400)
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        return _error(None, INVALID_REQUEST, "Invalid request", status=400)
    if message["method"] == "initialize":
        return _initialize(message, login)
    return _in_session(request, exchange, message, login)


def _session(request: HttpRequest) -> str:
    return request.headers.get(SESSION_HEADER, "")


def _unauthenticated(request: HttpRequest) -> HttpResponse:
    """RFC 9728, 5.1: the refusal says where to begin."""
    metadata = address(request, "agent", "/.well-known/oauth-protected-resource/mcp/trading")
    challenge = f'Bearer error="invalid_token", resource_metadata="{metadata}"'
    return HttpResponse(
        "authentication required", status=401, content_type="text/plain", headers={"WWW-Authenticate": challenge}
    )


def _initialize(message: dict[str, Any], login: str) -> HttpResponse:
    asked = (message.get("params") or {}).get("protocolVersion")
    result = {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "robinhood-trading", "version": "1.0.0"},
    }
    response = _result(message, result)
    response[SESSION_HEADER] = SESSIONS.open(login)
    return response


def _in_session(request: HttpRequest, exchange: Exchange, message: dict[str, Any], login: str) -> HttpResponse:
    session = _session(request)
    if not session:
        return _error(message.get("id"), INVALID_REQUEST, f"Missing {SESSION_HEADER}", status=400)
    if SESSIONS.logins.get(session) != login:
        return _error(message.get("id"), INVALID_REQUEST, "Session not found", status=404)
    if request.headers.get(VERSION_HEADER, VERSIONS[0]) not in VERSIONS:
        return _error(message.get("id"), INVALID_REQUEST, "Unsupported protocol version", status=400)
    if "id" not in message:  # a notification
        return HttpResponse(status=202)
    match message["method"]:
        case "ping":
            return _result(message, {})
        case "tools/list":
            return _result(message, {"tools": [tool.described() for tool in TOOLS.values()]})
        case "tools/call":
            return _call(exchange, message, login)
    return _error(message["id"], NO_METHOD, f"Method not found: {message['method']}")


def _call(exchange: Exchange, message: dict[str, Any], login: str) -> HttpResponse:
    """A failure of the tool is a result that says so; only an unknown tool is an error of the protocol."""
    params = message.get("params") or {}
    tool = TOOLS.get(str(params.get("name")))
    if tool is None:
        return _error(message["id"], BAD_PARAMS, f"Unknown tool: {params.get('name')}")
    if not SESSIONS.allows(login):
        return _result(message, _failed("RATE_LIMITED: too many requests, try again in a few seconds"))
    try:
        data = tool.ask(login, params.get("arguments") or {})
    except ToolError as error:
        return _result(message, _failed(str(error)))
    data = _distorted(data, exchange)
    exchange.faults = [fault for fault in exchange.faults if fault.kind not in DISTORTIONS]
    content = {"data": data, "guide": GUIDES}
    text = json.dumps(content, separators=(",", ":"))
    return _result(
        message, {"content": [{"type": "text", "text": text}], "structuredContent": content, "isError": False}
    )


def _distorted(data: dict[str, Any], exchange: Exchange) -> Any:
    """Faults change the rows where there are rows, otherwise the whole."""
    if not any(isinstance(value, list) for value in data.values()):
        return distort(data, exchange.faults)
    return {name: distort(value, exchange.faults) if isinstance(value, list) else value for name, value in data.items()}


def _failed(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": True}


def _result(message: dict[str, Any], result: dict[str, Any]) -> HttpResponse:
    return ROBINHOOD.encode({"jsonrpc": "2.0", "id": message.get("id"), "result": result})


def _error(message_id: Any, code: int, text: str, *, status: int = 200) -> HttpResponse:
    return ROBINHOOD.encode({"jsonrpc": "2.0", "id": message_id, "error": {"code": code, "message": text}}, status)
