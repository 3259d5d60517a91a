"""The way every call to a broker takes: maintenance, faults, the answer itself, its headers, the log."""

import gzip
import json
import socket
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse

from connections.sandbox.faults import Fault, FaultKind, distort
from connections.sandbox.world import WORLD, BrokerSide, Call, SaysMaintenance

Arguments = ParamSpec("Arguments")
DEFAULT_LATENCY, DEFAULT_HANG, DEFAULT_RETRY_AFTER = 2.0, 300.0, 30
LOGGED_QUERY = {"startDate", "endDate", "types", "symbol", "symbols", "fields", "markets", "date"}
WORTH_PACKING = 200  # bytes
HTML_PAGE = "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"


class Refusal(Exception):
    """The broker says no. `body` is encoded as the broker encodes its answers."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}")
        self.status, self.body, self.headers = status, body, headers or {}


class Dropped(Exception):
    """The connection is to be closed without an answer."""


@dataclass(slots=True)
class Exchange:
    """One call on its way."""

    side: BrokerSide
    call: Call
    faults: list[Fault]

    def fault(self, kind: FaultKind) -> Fault | None:
        """The first fault of this kind that strikes this call."""
        return next((fault for fault in self.faults if fault.kind is kind), None)

    def has(self, kind: FaultKind) -> bool:
        return self.fault(kind) is not None

    @property
    def grace(self) -> timedelta | None:
        """For how long a refresh token stays good that is to be replaced; None when it is not to be replaced."""
        rotation = self.fault(FaultKind.ROTATE_REFRESH_TOKEN)
        return None if rotation is None else timedelta(seconds=float(rotation.params.get("grace", 0)))


Answer = Callable[Concatenate[HttpRequest, Exchange, Arguments], Any]
View = Callable[Concatenate[HttpRequest, Arguments], HttpResponse]


def operation(side: BrokerSide, name: str) -> Callable[[Answer[Arguments]], View[Arguments]]:
    """Make a view of a function that returns a payload (or a whole response) or raises `Refusal`."""
    side.operations.add(name)

    def decorate(answer: Answer[Arguments]) -> View[Arguments]:
        def view(request: HttpRequest, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponse:
            exchange = _begin(request, side, name)
            try:
                response = _answer(request, exchange, lambda: answer(request, exchange, *args, **kwargs))
            except Dropped:
                return _drop(request)
            side.dress(response, exchange.call.correlation_id)
            _pack(request, response)
            exchange.call.status = response.status_code
            return response

        update_wrapper(view, answer)
        return view

    return decorate


MAINTENANCE = "This service is under scheduled maintenance. Please come back later."


def _maintenance(exchange: Exchange) -> HttpResponse:
    """In the broker's own shape where its API has one for outages, else a page."""
    side, after = exchange.side, WORLD.maintenance.get(exchange.side.name)
    if isinstance(side, SaysMaintenance):
        response = side.maintenance(exchange.call.operation, MAINTENANCE)
    else:
        response = html("Scheduled maintenance", MAINTENANCE, 503)
    if after is not None:
        response["Retry-After"] = str(after)
    return response


def _begin(request: HttpRequest, side: BrokerSide, name: str) -> Exchange:
    faults = WORLD.faults.strike(side.name, name)
    call = Call(
        broker=side.name,
        operation=name,
        method=request.method or "",
        path=request.path,
        started_at=WORLD.clock.now(),
        correlation_id=str(uuid.uuid4()),
        login=side.presented_by(request),
        query={name: request.GET.get(name, "") for name in LOGGED_QUERY if name in request.GET},
        faults=tuple(fault.kind.value for fault in faults),
    )
    WORLD.calls.append(call)
    return Exchange(side, call, faults)


def _answer(request: HttpRequest, exchange: Exchange, answer: Callable[[], Any]) -> HttpResponse:
    side, name = exchange.side, exchange.call.operation
    if side.name in WORLD.maintenance:
        return _maintenance(exchange)
    for fault in exchange.faults:
        if early := _before(request, fault, side, name):
            return early
    try:
        with WORLD.lock:
            payload = answer()
    except Refusal as refusal:
        response = side.encode(refusal.body, refusal.status)
        for header, value in refusal.headers.items():
            response[header] = value
        return response
    if exchange.has(FaultKind.LOST_ANSWER):
        raise Dropped
    response = payload if isinstance(payload, HttpResponse) else side.encode(distort(payload, exchange.faults))
    if exchange.has(FaultKind.TRUNCATED_JSON):
        response.content = response.content[: len(response.content) * 2 // 3]
    return response


def _before(request: HttpRequest, fault: Fault, side: BrokerSide, name: str) -> HttpResponse | None:
    """What a fault does ahead of the answer: delay it, replace it, or spoil the token it depends on."""
    match fault.kind:
        case FaultKind.LATENCY:
            WORLD.faults.hang(float(fault.params.get("seconds", DEFAULT_LATENCY)))
        case FaultKind.TIMEOUT:
            WORLD.faults.hang(float(fault.params.get("seconds", DEFAULT_HANG)))
            raise Dropped
        case FaultKind.RESET:
            raise Dropped
        case FaultKind.UNAUTHORIZED | FaultKind.FORBIDDEN | FaultKind.GONE | FaultKind.SERVER_ERROR:
            return _reworded(side.refuse(int(fault.kind), name), fault)
        case FaultKind.TOO_MANY | FaultKind.UNAVAILABLE:
            return _reworded(_later(side.refuse(int(fault.kind), name), fault), fault)
        case FaultKind.HTML:
            status = int(fault.params.get("status", 200))
            return html("We'll be right back", "Our systems are busy at the moment.", status)
        case FaultKind.ROUTE_MISSING:
            return side.route_missing(name)
        case FaultKind.EXPIRED_TOKEN:
            with WORLD.lock:
                side.expire_presented(request)
        case FaultKind.REVOKED_TOKEN:
            with WORLD.lock:
                side.revoke_presented(request)
    return None


def _reworded(response: HttpResponse, fault: Fault) -> HttpResponse:
    """The broker's refusal in other words, when the fault brings its own `body`."""
    if "body" in fault.params:
        response.content = json.dumps(fault.params["body"]).encode()
        response["Content-Type"] = "application/json"
    return response


def _later(response: HttpResponse, fault: Fault) -> HttpResponse:
    default = DEFAULT_RETRY_AFTER if fault.kind is FaultKind.TOO_MANY else None
    seconds = fault.params.get("retry_after", default)
    del response["Retry-After"]
    if seconds is not None:
        response["Retry-After"] = str(seconds)
    return response


def html(title: str, text: str, status: int) -> HttpResponse:
    return HttpResponse(HTML_PAGE.format(title=title, text=text), status=status)


def _drop(request: HttpRequest) -> HttpResponse:
    """Close the socket under the server; the answer it then tries to write goes nowhere."""
    connection: socket.socket = request.environ["gunicorn.socket"]  # type: ignore[attr-defined]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RDWR)
    return HttpResponse(status=503, headers={"Connection": "close"})


def _pack(request: HttpRequest, response: HttpResponse) -> None:
    if "gzip" in request.headers.get("Accept-Encoding", "") and len(response.content) > WORTH_PACKING:
        response.content = gzip.compress(response.content, mtime=0)
        response["Content-Encoding"] = "gzip"
    response["Vary"] = "Accept-Encoding"
    response["Content-Length"] = str(len(response.content))
