"""Failures on order: which broker, which operation, what goes wrong, how often. And what they do to an answer."""

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any

EVERY = "*"


class FaultKind(StrEnum):
    LATENCY = "latency"  # params: seconds
    TIMEOUT = "timeout"  # hangs; params: seconds
    RESET = "reset"  # closes the connection without an answer
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    GONE = "410"
    TOO_MANY = "429"  # params: retry_after in seconds, null for no header
    SERVER_ERROR = "500"
    UNAVAILABLE = "503"
    HTML = "html"  # params: status
    ROUTE_MISSING = "route_missing"  # the broker's router has lost the way to the service
    TRUNCATED_JSON = "truncated_json"
    EMPTY_PAGE = "empty_page"
    DUPLICATE_PAGE = "duplicate_page"
    REORDERED = "reordered"
    SCHEMA_DRIFT = "schema_drift"  # params: change (rename, add, type, word), field, to
    EXPIRED_TOKEN = "expired_token"  # nosec B105  # a word of the protocol
    REVOKED_TOKEN = "revoked_token"  # nosec B105  # a word of the protocol
    ROTATE_REFRESH_TOKEN = "rotate_refresh_token"  # nosec B105  # params: grace, for which the replaced one stays good
    LOST_ANSWER = "lost_answer"  # the broker does what was asked and closes the connection without a word
    BROKER_ERROR = "broker_error"  # params: code, one of the broker's own


@dataclass(slots=True)
class Fault:
    id: int
    broker: str
    operation: str
    kind: FaultKind
    times: int | None = None  # None: until it is taken away
    after: int = 0  # so many calls go through first
    params: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    hits: int = 0

    def matches(self, broker: str, operation: str) -> bool:
        return self.broker in (broker, EVERY) and self.operation in (operation, EVERY)

    def strikes(self) -> bool:
        """Count this call; True when the fault is due for it."""
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


class FaultBox:
    """The faults that are switched on. Hanging calls are let go when the box is emptied."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._emptied = threading.Event()

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._faults))

    def add(self, **facts: Any) -> Fault:
        fault = Fault(id=next(self._numbers), **facts)
        with self._lock:
            self._faults.append(fault)
        return fault

    def strike(self, broker: str, operation: str) -> list[Fault]:
        """The faults due for this call, in the order they were added."""
        with self._lock:
            return [fault for fault in self._faults if fault.matches(broker, operation) and fault.strikes()]

    def empty(self, fault_id: int | None = None) -> None:
        """Take away one fault, or all of them."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault_id not in (None, fault.id)]
            released, self._emptied = self._emptied, threading.Event()
        released.set()

    def hang(self, seconds: float) -> None:
        self._emptied.wait(seconds)


def distort(payload: Any, faults: list[Fault]) -> Any:
    """The payload as the faults leave it; the original stays as it was."""
    for fault in faults:
        if change := DISTORTIONS.get(fault.kind):
            payload = change(payload, fault.params)
    return payload


def _of_rows(payload: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    """The payload with its rows changed: it is the list itself, or an envelope around `results`."""
    if isinstance(payload, list):
        return change(payload)
    if isinstance(payload, dict) and isinstance(payload.get("results"), list):
        return {**payload, "results": change(payload["results"])}
    return payload


def _empty_page(payload: Any, params: Mapping[str, Any]) -> Any:
    """No rows; with a `field`, none in the list of that name wherever it stands, and all else as it is."""
    if name := params.get("field"):
        return _without_rows(payload, str(name))
    emptied = _of_rows(payload, lambda rows: [])
    return {} if emptied is payload else emptied


def _without_rows(node: Any, name: str) -> Any:
    if isinstance(node, list):
        return [_without_rows(item, name) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: [] if key == name else _without_rows(value, name) for key, value in node.items()}


def _duplicate_page(payload: Any, params: Mapping[str, Any]) -> Any:
    return _of_rows(payload, lambda rows: [*rows, *rows])


def _reordered(payload: Any, params: Mapping[str, Any]) -> Any:
    """A fixed shuffle: every second row, then the others backwards."""
    return _of_rows(payload, lambda rows: [*rows[1::2], *rows[0::2][::-1]])


def _schema_drift(payload: Any, params: Mapping[str, Any]) -> Any:
    """`rename` a field wherever it stands, `add` one to every row, change its `type` or the `word` it says."""
    change, name = params.get("change", "rename"), params.get("field", "netAmount")
    new_name = params.get("to", f"{name}V2")

    def drift(node: Any) -> Any:
        if isinstance(node, list):
            return [drift(item) for item in node]
        if not isinstance(node, dict):
            return node
        drifted = {key: drift(value) for key, value in node.items()}
        if change == "add":
            drifted[new_name] = "unknown to every client"
        elif name in drifted and change == "rename":
            drifted = {new_name if key == name else key: value for key, value in drifted.items()}
        elif name in drifted and change == "type":
            drifted[name] = {"value": f"{drifted[name]}"}
        elif name in drifted and change == "word":
            drifted[name] = new_name
        return drifted

    return drift(copy.copy(payload))


DISTORTIONS: dict[FaultKind, Callable[[Any, Mapping[str, Any]], Any]] = {
    FaultKind.EMPTY_PAGE: _empty_page,
    FaultKind.DUPLICATE_PAGE: _duplicate_page,
    FaultKind.REORDERED: _reordered,
    FaultKind.SCHEMA_DRIFT: _schema_drift,
}
