"""The one way to a broker over HTTP: timeouts, shared rate budget, breaker, size limit, one retry layer, one record.

Replies are parsed with `Decimal` for every number that has a fraction: no float comes between the wire and the books.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from uuid import UUID

import requests
import structlog
import urllib3
from django.conf import settings
from django.utils import timezone
from requests.auth import AuthBase
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from brokerhub.kernel import trace
from connections.brokers import breaker, budgets, calls, closures, surroundings
from connections.brokers.attribution import Evidence, attribute, is_our_network
from connections.brokers.base import (
    BrokerError,
    BrokerUnavailable,
    Grant,
    Grants,
    NeedsReauth,
    RateLimited,
    Refused,
    UnderMaintenance,
    UnexpectedReply,
    Unreachable,
)
from connections.brokers.budgets import SHORT_WAIT, Budget
from connections.brokers.calls import Attribution, BrokerCall, LimitSource, Operation, Outcome, call_finished
from connections.brokers.records import Broker

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 10.0
TOTAL_DEADLINE = 150.0  # seconds for one answer with all its retries; the last read may overrun it by its timeout
ATTEMPTS = 3
DEFAULT_RATE_LIMIT_WAIT = 60.0
LONGEST_WAIT = 24 * 3600.0  # a broker that asks for more is asked again after a day
MAX_BODY_BYTES = 64 * 1024 * 1024  # decoded


def timeouts(deadline: float, longest_read: float = math.inf) -> tuple[float, float]:
    """(to connect, to wait for the next bytes), in seconds. A last try before the deadline has a second for it."""
    return CONNECT_TIMEOUT, min(settings.BROKER_READ_TIMEOUT, longest_read, max(1.0, deadline - time.monotonic()))


class BearerAuth(AuthBase):
    """As an auth object, so that a `.netrc` on the machine cannot replace the header."""

    def __init__(self, grant: Grant) -> None:
        self._token = grant.secrets["access_token"]

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer read to its end. `data` is its JSON, or None when it is not JSON."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)  # of a token endpoint it is a secret
    data: Any = field(repr=False)

    @property
    def is_json(self) -> bool:
        return self.data is not None

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait by the Retry-After header (RFC 9110 section 10.2.3), None if absent or unreadable."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value), LONGEST_WAIT)
        try:
            return min(max(0.0, (parsedate_to_datetime(value) - timezone.now()).total_seconds()), LONGEST_WAIT)
        except (TypeError, ValueError, OverflowError):
            return None

    @property
    def says_maintenance(self) -> bool:
        return self.status == 503 and "maintenance" in self.text.lower()

    @property
    def retry_at(self) -> datetime | None:
        return None if self.retry_after is None else timezone.now() + timedelta(seconds=self.retry_after)


@dataclass(slots=True)
class _Attempt:
    """What one attempt came to; filled in as it goes, then told as a BrokerCall."""

    started_at: datetime
    clock: float
    remaining: int | None
    outcome: Outcome = Outcome.NETWORK
    attribution: Attribution = Attribution.BROKER
    reply: Reply | None = None
    is_our_network: bool = False


def judge(broker: Broker, reply: Reply) -> tuple[Outcome, Attribution, BrokerError | None]:
    """The meaning of a data endpoint's answer. HTML or half a JSON document is an outage, not "not found"."""
    name, status = broker.label, reply.status
    if status == 200 and reply.is_json:
        return Outcome.OK, Attribution.NONE, None
    if status == 429:
        retry_at = reply.retry_at or timezone.now() + timedelta(seconds=DEFAULT_RATE_LIMIT_WAIT)
        limited = RateLimited(f"{name} allows only so many requests.", retry_at=retry_at)
        return Outcome.RATE_LIMITED, Attribution.OURS, limited
    if status == 401:
        refused = NeedsReauth(f"{name} refused the sign-in.", reason_code="access_refused")
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, refused
    if status >= 500:
        down = BrokerUnavailable(f"{name} reports an error on its side ({status}).", retry_at=reply.retry_at)
        return Outcome.SERVER_ERROR, Attribution.BROKER, down
    if not reply.is_json:
        garbled = BrokerUnavailable(f"{name} sent something that is not data ({status}).")
        return Outcome.BAD_REPLY, Attribution.BROKER, garbled
    if status == 403:
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, Refused(f"{name} does not allow this request (403).")
    return Outcome.CLIENT_ERROR, Attribution.OURS, Refused(f"{name} refused the request ({status}).")


Judge = Callable[[Broker, Reply], tuple[Outcome, Attribution, BrokerError | None]]


def _read(response: requests.Response, deadline: float) -> bytes:
    """The decoded body, bounded in size and time: read as it arrives, so that a trickle meets the deadline too."""
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := response.raw.read1(64 * 1024, decode_content=True):
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise UnexpectedReply("The broker's answer is larger than the hub reads.")
            if time.monotonic() > deadline:
                raise requests.Timeout("the answer took too long to arrive")
            chunks.append(chunk)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.Timeout("the answer stopped arriving") from error
    except urllib3.exceptions.HTTPError as error:  # cut off, or not decodable
        raise requests.ConnectionError("the answer did not arrive whole") from error
    return b"".join(chunks)


def _reply(response: requests.Response, deadline: float) -> Reply:
    with response:
        body = _read(response, deadline)
    response._content = body  # so that oauthlib, which reads the response itself, finds what was read here
    response._content_consumed = True  # type: ignore[attr-defined]
    text = body.decode(errors="replace")  # JSON is UTF-8 whatever the header says (RFC 8259 section 8.1)
    data = None
    if "json" in response.headers.get("Content-Type", ""):
        try:
            data = json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError):
            data = None
    return Reply(response.status_code, response.headers, text, data)


@dataclass(slots=True, kw_only=True)
class Wire:
    """One broker as seen from one connection: meters, budgets and judges every exchange."""

    broker: Broker
    connection_id: UUID | None = None
    budget: Budget | None = None
    correlation_header: str = "X-Request-ID"  # what the broker's support asks for
    session: requests.Session = field(default_factory=requests.Session)

    def exchange(
        self,
        operation: Operation,
        send: Callable[[], requests.Response],
        *,
        judge: Judge = judge,
        deadline: float | None = None,
        pace: Budget | None = None,
    ) -> Reply:
        """One attempt: `send()`, read, judge, tell. Raises BrokerError; `send` must pass `stream=True`.

        `deadline` is on the clock of `time.monotonic`; None is TOTAL_DEADLINE from now. `pace` is a budget that this
        endpoint has beside the broker's own.
        """
        closures.check(self.broker, operation)
        breaker.check(self.broker, operation)
        budgets.spend(self.broker, operation, *(each for each in (self.budget, pace) if each is not None))
        remaining = budgets.left(self.broker, self.budget)[1] if self.budget else None
        with self._told(operation, remaining) as attempt:
            reply = _reply(send(), attempt.clock + TOTAL_DEADLINE if deadline is None else deadline)
            attempt.reply = reply
            attempt.outcome, attempt.attribution, error = judge(self.broker, reply)
            if isinstance(error, BrokerUnavailable) and reply.says_maintenance:
                raise UnderMaintenance(f"{self.broker.label} is under maintenance.", retry_at=error.retry_at) from error
            if error is not None:
                raise error
            return reply

    @contextmanager
    def _told(self, operation: Operation, remaining: int | None) -> Iterator[_Attempt]:
        attempt = _Attempt(timezone.now(), time.monotonic(), remaining)
        try:
            yield attempt
        except requests.Timeout as error:
            attempt.outcome = Outcome.TIMEOUT
            raise Unreachable(f"{self.broker.label} did not answer in time.") from error
        except requests.RequestException as error:
            attempt.is_our_network = is_our_network(error)
            raise Unreachable(f"{self.broker.label} could not be reached.") from error
        except UnexpectedReply:
            attempt.outcome = Outcome.BAD_REPLY
            raise
        finally:
            self._tell(operation, attempt)

    def _blame(self, attempt: _Attempt, connection_id: UUID | None) -> Attribution:
        """Whose fault it is, in the light of what happened to others."""
        refused = away = 0
        if attempt.reply is None:
            away = surroundings.unreachable(self.broker)
        elif attempt.attribution is Attribution.CREDENTIAL and connection_id is not None:
            refused = surroundings.refused(self.broker, connection_id)
        else:
            let_in = attempt.outcome is Outcome.OK
            surroundings.answered(self.broker, connection_id if let_in else None)
        evidence = Evidence(
            outcome=attempt.outcome,
            said=attempt.attribution,
            status=attempt.reply.status if attempt.reply else None,
            is_our_network=attempt.is_our_network,
            logins_refused=refused,
            brokers_away=away,
        )
        return attribute(evidence)

    def _tell(self, operation: Operation, attempt: _Attempt) -> None:
        connection_id = self.connection_id or calls.renewed_for(operation)
        reply, attempt.attribution = attempt.reply, self._blame(attempt, connection_id)
        is_maintained = reply is not None and reply.says_maintenance  # said plainly: there is nothing to find out
        if attempt.attribution is Attribution.BROKER and not is_maintained:
            breaker.failed(self.broker, operation)
        else:
            breaker.succeeded(self.broker, operation)
        seen = None
        if self.budget is not None and attempt.remaining is not None:
            was_refused = attempt.outcome is Outcome.RATE_LIMITED
            headers = reply.headers if reply else None
            seen = budgets.seen(self.broker, self.budget, attempt.remaining, headers, was_refused=was_refused)
        call = BrokerCall(
            broker=self.broker,
            operation=operation,
            connection_id=connection_id,
            started_at=attempt.started_at,
            duration=time.monotonic() - attempt.clock,
            status=reply.status if reply else None,
            outcome=attempt.outcome,
            attribution=attempt.attribution,
            received_bytes=len(reply.text) if reply else 0,
            limit=seen.limit if seen else None,
            period=self.budget.period if self.budget else None,
            remaining=seen.remaining if seen else None,
            limit_source=seen.source if seen else LimitSource.DOCUMENTED,
            limit_owner=self.budget.owner if self.budget else "",
            retry_after=reply.retry_after if reply else None,
            correlation_id=reply.headers.get(self.correlation_header, "") if reply else "",
            request_id=trace.current(),
        )
        log.info(
            "broker_call",
            broker=call.broker.value,
            operation=operation.value,
            connection_id=str(call.connection_id) if call.connection_id else None,
            status=call.status,
            outcome=call.outcome.value,
            seconds=round(call.duration, 3),
            correlation_id=call.correlation_id,
        )
        calls.remember(call)
        call_finished.send(sender=Wire, call=call)


def _worth_retrying(error: BaseException) -> bool:
    if not isinstance(error, BrokerUnavailable) or isinstance(error, UnderMaintenance):
        return False
    return error.retry_at is None or (error.retry_at - timezone.now()).total_seconds() <= SHORT_WAIT


_backoff = wait_random_exponential(multiplier=0.25, max=4)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_at", None)
    return max(_backoff(state), (asked - timezone.now()).total_seconds() if asked else 0.0)


def patiently(attempt: Callable[[float], Reply]) -> Reply:
    """The answer of `attempt(deadline)`, asked for again after a pause while time may mend what went wrong.

    `deadline` is on the clock of `time.monotonic` and the same for all attempts. Raises what the last one raised.
    """
    retrying = Retrying(
        retry=retry_if_exception(_worth_retrying),
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(TOTAL_DEADLINE),
        wait=_pause,
        reraise=True,
    )
    return retrying(attempt, time.monotonic() + TOTAL_DEADLINE)


@dataclass(slots=True, kw_only=True)
class BrokerSession:
    """Reads JSON from one broker for one connection. Only GET: the hub never changes anything at a broker.

    `sign` puts a grant into a request: a bearer token, or a signature over the whole request.
    """

    wire: Wire
    base_url: str
    grants: Grants
    sign: Callable[[Grant], AuthBase] = BearerAuth
    judge: Judge = judge
    headers: Mapping[str, str] = field(default_factory=dict)

    def get(
        self,
        path: str,
        *,
        operation: Operation,
        params: Mapping[str, str] | None = None,
        pace: Budget | None = None,
    ) -> Any:
        """The parsed answer. Retries what time may mend, renews the grant once on 401. Raises BrokerError."""
        attempt = partial(self._once, path, operation, params, pace)
        grant = self.grants.current()
        try:
            return patiently(partial(attempt, grant)).data
        except NeedsReauth:
            renewed = self.grants.renew(refused=grant)
        try:
            return patiently(partial(attempt, renewed)).data
        except NeedsReauth as error:
            surroundings.doubt(self.wire.broker, self.wire.connection_id, error)
            raise

    def _once(
        self,
        path: str,
        operation: Operation,
        params: Mapping[str, str] | None,
        pace: Budget | None,
        grant: Grant,
        deadline: float,
    ) -> Reply:
        def send() -> requests.Response:
            return self.wire.session.get(
                self.base_url + path,
                params=params,
                headers={"Accept": "application/json", **self.headers},
                auth=self.sign(grant),
                timeout=timeouts(deadline),
                allow_redirects=False,  # none of the read endpoints redirects; a token must not follow one
                stream=True,
            )

        return self.wire.exchange(operation, send, deadline=deadline, judge=self.judge, pace=pace)
