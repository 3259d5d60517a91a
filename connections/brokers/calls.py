"""What the transport tells about each call to a broker, and the signal it tells it by."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.dispatch import Signal

from connections.brokers.records import Broker

call_finished = Signal()
"""Sent with `call: BrokerCall` after every attempt, whatever its outcome. Receivers must not raise."""

call_misread = Signal()
"""Sent with `call: BrokerCall` when an answer that looked good turned out to be in a form the hub does not know."""


class Operation(StrEnum):
    SIGN_IN = "sign_in"
    REFRESH = "refresh"
    IDENTITY = "identity"
    ACCOUNTS = "accounts"
    HOLDINGS = "holdings"
    TRANSACTIONS = "transactions"
    PRICES = "prices"
    PROBE = "probe"


class Outcome(StrEnum):
    OK = "ok"
    CLIENT_ERROR = "client_error"  # 4xx that says our request is wrong
    UNAUTHORIZED = "unauthorized"  # 401, 403, refused tokens
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"  # 5xx
    TIMEOUT = "timeout"
    NETWORK = "network"  # refused, reset, TLS
    BAD_REPLY = "bad_reply"  # HTML, truncated JSON, unknown shape


class Attribution(StrEnum):
    NONE = "none"  # nothing went wrong
    OURS = "ours"
    BROKER = "broker"
    CREDENTIAL = "credential"


class LimitSource(StrEnum):
    """Where a rate budget's size is known from."""

    DOCUMENTED = "documented"  # by the broker, or by who uses it; the hub counts its own calls
    HEADER = "header"  # said by the answer itself
    LEARNED = "learned"  # the broker refused before the documented limit was reached


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCall:
    """One attempt of one HTTP call. Holds no token, no account number, no URL."""

    broker: Broker
    operation: Operation
    connection_id: UUID | None
    started_at: datetime
    duration: float  # seconds
    status: int | None  # HTTP status, None when no answer came
    outcome: Outcome
    attribution: Attribution
    received_bytes: int = 0
    limit: int | None = None  # the budget's size, and what is left of it, per `period` seconds
    remaining: int | None = None
    period: int | None = None
    limit_source: LimitSource = LimitSource.DOCUMENTED
    limit_owner: str = ""  # who shares it: calls of the same broker that name the same owner
    retry_after: float | None = None  # seconds
    correlation_id: str = ""  # the broker's own name for this call, for its support
    request_id: str = ""  # ours: of the request or task that made it


_renewing: ContextVar[UUID | None] = ContextVar("renewing", default=None)


@contextmanager
def renewing(connection_id: UUID) -> Iterator[None]:
    """Renewals of access inside the block are this connection's; who signs in knows of no connection."""
    token = _renewing.set(connection_id)
    try:
        yield
    finally:
        _renewing.reset(token)


def renewed_for(operation: Operation) -> UUID | None:
    return _renewing.get() if operation is Operation.REFRESH else None


_last_call: ContextVar["BrokerCall | None"] = ContextVar("last_broker_call", default=None)


def remember(call: BrokerCall) -> None:
    """The answer that is being read now, in this thread."""
    _last_call.set(call)


def misread() -> None:
    """The answer just read has a form the hub does not know: what counted as good counts as the broker's failure."""
    call = _last_call.get()
    if call is not None and call.outcome is Outcome.OK:
        _last_call.set(None)  # once
        call_misread.send(sender=None, call=call)
