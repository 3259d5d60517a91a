"""The Model Context Protocol over streamable HTTP: as much of it as reading by tools needs.

The official `mcp` package is asynchronous and brings its own HTTP client: its calls would pass by the budget, breaker,
limits and meter of `transport.py`, and it needs an event loop in each worker. What is needed of the protocol is small.
Source: modelcontextprotocol.io, revision 2025-06-18, "Lifecycle", "Transports" and "Tools".
"""

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any

import requests
import structlog

from brokerhub.kernel.errors import NotAllowed
from connections.brokers import surroundings
from connections.brokers.base import BrokerError, BrokerUnavailable, Grant, Grants, NeedsReauth, UnexpectedReply
from connections.brokers.calls import Attribution, Operation, Outcome, misread
from connections.brokers.records import Broker
from connections.brokers.transport import BearerAuth, Judge, Reply, Wire, judge, patiently, timeouts

log = structlog.get_logger(__name__)

VERSIONS = ("2025-06-18", "2025-03-26")  # the first is offered; sessions, streams and tools are alike in both
CLIENT = {"name": "Broker Integration Hub", "version": "1.0"}
INTERNAL_ERROR = -32603  # JSON-RPC: the server's own fault
MAX_PAGES = 50  # of the list of tools
CLOSING_SECONDS = 5.0  # for the whole of it: nobody waits for an end
LINE_END = re.compile(r"\r\n|\n|\r")  # JSON may hold what Python also takes for the end of a line

Verdict = tuple[Outcome, Attribution, BrokerError | None]
Message = dict[str, Any]


class _SessionEnded(BrokerUnavailable):
    """The server has forgotten the session it gave; a new one works at once."""


def _events(text: str) -> Iterator[str]:
    """The data of each server-sent event (WHATWG HTML section 9.2.6); comments and other fields mean nothing here."""
    data: list[str] = []
    for line in [*LINE_END.split(text), ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def answer_to(number: int, reply: Reply) -> Message | None:
    """The response with this id, out of a JSON body or a stream of events; None when it is not in there."""
    if "text/event-stream" in reply.headers.get("Content-Type", ""):
        try:
            messages = [json.loads(data, parse_float=Decimal) for data in _events(reply.text)]
        except (ValueError, RecursionError):
            return None
    else:
        messages = reply.data if isinstance(reply.data, list) else [reply.data]
    for message in messages:
        if not isinstance(message, dict) or message.get("id") != number:
            continue
        if isinstance(message.get("result"), dict) or isinstance(message.get("error"), dict):
            return message
    return None


def tool_text(result: Mapping[str, Any]) -> str:
    """What a tool says in words; "" when it says nothing."""
    content = result.get("content")
    texts = [item.get("text") for item in content if isinstance(item, dict)] if isinstance(content, list) else []
    return "\n".join(text for text in texts if isinstance(text, str))


def _content(result: Mapping[str, Any], tool: str) -> Any:
    """What a tool gives: its structured content, or the same as JSON text from a server that knows no other way."""
    if result.get("structuredContent") is not None:
        return result["structuredContent"]
    try:
        return json.loads(tool_text(result), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        misread()
        raise UnexpectedReply(f"The answer of {tool} is not data.") from error


def _judge_end(broker: Broker, reply: Reply) -> Verdict:
    """A session may have ended before (404), and a server need not let its clients end one (405)."""
    is_over = 200 <= reply.status < 300 or reply.status in (404, 405)
    return (Outcome.OK, Attribution.NONE, None) if is_over else judge(broker, reply)


@dataclass(slots=True, kw_only=True)
class McpSession:
    """Calls tools of one server for one connection, and only those on the list `tools`.

    `refusal` tells what a tool's own error means. The session at the server begins with the first call, and anew when
    the server has ended it.
    """

    wire: Wire
    url: str
    grants: Grants
    tools: frozenset[str]
    refusal: Callable[[str], Verdict]
    _session_id: str = field(default="", repr=False)
    _opened_with: Grant | None = field(default=None, repr=False)
    _version: str = ""  # agreed upon; "" before the session has begun
    _is_announced: bool = False  # the server has been told that the hub is ready
    _offered: dict[str, Any] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, tool: str, *, operation: Operation, **arguments: Any) -> Any:
        """What the tool gives. Retries what time may mend, renews the grant once on 401. Raises BrokerError.

        A tool that is not on the list is never called: NotAllowed.
        """
        if tool not in self.tools:
            raise NotAllowed(f"The hub never calls {tool}: it is not on its list of reading tools.")
        params = {"name": tool, "arguments": arguments}
        return _content(self._ask("tools/call", params, operation), tool)

    def offered(self, *, operation: Operation) -> Mapping[str, Any]:
        """The tools of the list that this server has, each with the JSON schema of its arguments; asked for once."""
        if self._offered is None:
            found: dict[str, Any] = {}
            cursor = ""
            for _ in range(MAX_PAGES):
                answer = self._ask("tools/list", {"cursor": cursor} if cursor else {}, operation)
                try:
                    found |= {tool["name"]: tool["inputSchema"] for tool in answer["tools"]}
                except (KeyError, TypeError) as error:
                    raise UnexpectedReply("The list of tools came in a form the hub does not know.") from error
                cursor = answer.get("nextCursor") or ""
                if not cursor:
                    break
            self._offered = {name: schema for name, schema in found.items() if name in self.tools}
        return self._offered

    def close(self) -> None:
        """End the session at the server ("Session Management"). A server may refuse that, or be away: so be it."""
        session_id, version, grant = self._session_id, self._version, self._opened_with
        self._session_id = self._version = ""
        if not session_id or grant is None:
            return

        way = replace(self.wire, budget=None)  # what counts is calls of tools, and this is the last of a session

        def send() -> requests.Response:
            return way.session.delete(
                self.url,
                headers={"Mcp-Session-Id": session_id, "MCP-Protocol-Version": version},
                auth=BearerAuth(grant),
                timeout=CLOSING_SECONDS,
                allow_redirects=False,
                stream=True,
            )

        try:
            way.exchange(Operation.HOLDINGS, send, deadline=time.monotonic() + CLOSING_SECONDS, judge=_judge_end)
        except BrokerError as error:
            log.info("session_left_open", broker=self.wire.broker.value, why=error.code)

    def _ask(self, method: str, params: Message, operation: Operation) -> Message:
        """The result of one request."""
        grant = self.grants.current()
        try:
            return self._patiently(grant, method, params, operation)
        except NeedsReauth:
            renewed = self.grants.renew(refused=grant)
        try:
            return self._patiently(renewed, method, params, operation)
        except NeedsReauth as error:
            surroundings.doubt(self.wire.broker, self.wire.connection_id, error)
            raise

    def _patiently(self, grant: Grant, method: str, params: Message, operation: Operation) -> Message:
        results: list[Message] = []

        def attempt(deadline: float) -> Reply:
            try:
                reply, result = self._within_session(grant, method, params, operation, deadline)
            except _SessionEnded:
                reply, result = self._within_session(grant, method, params, operation, deadline)
            results.append(result)
            return reply

        patiently(attempt)
        return results[-1]

    def _within_session(
        self, grant: Grant, method: str, params: Message, operation: Operation, deadline: float
    ) -> tuple[Reply, Message]:
        if not self._version:
            self._begin(grant, operation, deadline)
        if not self._is_announced:
            self._announce(grant, operation, deadline)
        return self._request(grant, method, params, operation, deadline)

    def _begin(self, grant: Grant, operation: Operation, deadline: float) -> None:
        params = {"protocolVersion": VERSIONS[0], "capabilities": {}, "clientInfo": CLIENT}
        reply, result = self._request(grant, "initialize", params, operation, deadline)
        version = result.get("protocolVersion")
        if version not in VERSIONS:
            raise UnexpectedReply(f"{self.wire.broker.label} speaks a version of the protocol the hub does not know.")
        self._session_id, self._opened_with = reply.headers.get("Mcp-Session-Id", ""), grant
        self._version, self._is_announced = version, False

    def _announce(self, grant: Grant, operation: Operation, deadline: float) -> None:
        self._post(grant, {"method": "notifications/initialized"}, operation, deadline, self._judge_notice)
        self._is_announced = True

    def _request(
        self, grant: Grant, method: str, params: Message, operation: Operation, deadline: float
    ) -> tuple[Reply, Message]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        reply = self._post(grant, message, operation, deadline, partial(self._judge, number))
        answer = answer_to(number, reply) or {}  # judged to be there
        return reply, answer["result"]

    def _post(self, grant: Grant, message: Message, operation: Operation, deadline: float, judge: Judge) -> Reply:
        headers = {"Accept": "application/json, text/event-stream"}
        if self._version:
            headers["MCP-Protocol-Version"] = self._version
        if self._session_id:
            headers["Mcp-Session-Id"] = self._session_id

        def send() -> requests.Response:
            return self.wire.session.post(
                self.url,
                json={"jsonrpc": "2.0"} | message,
                headers=headers,
                auth=BearerAuth(grant),
                timeout=timeouts(deadline),
                allow_redirects=False,  # a token must not follow one
                stream=True,
            )

        return self.wire.exchange(operation, send, deadline=deadline, judge=judge)

    def _judge_notice(self, broker: Broker, reply: Reply) -> Verdict:
        if reply.status in (200, 202, 204):
            return Outcome.OK, Attribution.NONE, None
        return judge(broker, reply)

    def _judge(self, number: int, broker: Broker, reply: Reply) -> Verdict:
        name = broker.label
        if reply.status == 404 and self._session_id:  # "Session Management": begin a new one
            self._session_id = self._version = ""
            return Outcome.CLIENT_ERROR, Attribution.OURS, _SessionEnded(f"{name} has ended the hub's session.")
        if reply.status != 200:
            return judge(broker, reply)
        answer = answer_to(number, reply)
        if answer is None:
            garbled = BrokerUnavailable(f"{name} sent something that is not an answer to what the hub asked.")
            return Outcome.BAD_REPLY, Attribution.BROKER, garbled
        if "error" in answer:
            code = answer["error"].get("code")
            if code == INTERNAL_ERROR:
                return Outcome.SERVER_ERROR, Attribution.BROKER, BrokerUnavailable(f"{name} reports an error inside.")
            strange = UnexpectedReply(f"{name} did not understand what the hub asked for ({code}).")
            return Outcome.CLIENT_ERROR, Attribution.OURS, strange
        if answer["result"].get("isError"):
            return self.refusal(tool_text(answer["result"]))
        return Outcome.OK, Attribution.NONE, None
