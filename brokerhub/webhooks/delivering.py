"""Sending what is due: several receivers at a time, for each of them one after the other.

A worker takes an endpoint, not a delivery, by a lease that one guarded UPDATE gives; so two workers never send to the
same one, and a slow receiver keeps waiting only its own deliveries. What was sent and could not be written down,
because the worker was killed, is sent again when the lease is over, with the same `webhook-id`.
Only the HTTP happens in threads; the database is this process's own thread's business.
"""

import random
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from brokerhub.webhooks import sending, signing
from brokerhub.webhooks.models import (
    Delivery,
    DeliveryState,
    Endpoint,
    Kind,
    OffReason,
    State,
)
from brokerhub.webhooks.sending import Outcome
from connections.credentials import CredentialsUnreadable

log = structlog.get_logger(__name__)

THREADS = 16
BUDGET = 20.0  # seconds after which a dispatch takes on nothing more; beat rings again
LOOK_AGAIN = 0.5  # seconds between looks for new work while answers are awaited
LEASE = timedelta(seconds=60)  # longer than one delivery can take
# After each failure, as the specification proposes, up to a day: 8 attempts in 23 h 35 min.
PAUSES = tuple(
    timedelta(**pause)
    for pause in (
        {"seconds": 5},
        {"minutes": 5},
        {"minutes": 30},
        {"hours": 2},
        {"hours": 5},
        {"hours": 10},
        {"hours": 6},
    )
)
JITTER = 0.1  # each pause is up to a tenth longer or shorter, so that failures do not come back together
LONGEST_RETRY_AFTER = timedelta(hours=6)
SEATS = 2  # dispatches at a time, so that receivers who hang leave workers for everything else
SEAT_KEPT = 120  # seconds; of a killed worker
MOST_PAUSE = timedelta(hours=1)  # of an endpoint that is under load
GONE, OVERLOADED = 410, {429, 502, 503, 504}
OF_AN_ATTEMPT = (
    *("state", "attempts", "next_attempt_at", "last_attempt_at"),
    *("response_status", "response_text", "error", "duration_ms"),
)
OF_AN_ENDPOINT = (
    *("state", "off_reason", "off_at", "notice_due"),
    *("failing_since", "last_success_at", "paused_until"),
)
UNREADABLE = "The hub cannot read the secret of this webhook any more. Make a new one."
DROPPED = {
    "state": DeliveryState.FAILED,
    "next_attempt_at": None,
    "error": "Not sent any more: the webhook was switched off.",
}
OUR_FAULT = "Something went wrong on our side. It has been noted."


@contextmanager
def seat() -> Iterator[bool]:
    """Whether this dispatch may go to work: False when enough others do."""
    taken = next((name for name in _seats() if cache.add(name, 1, SEAT_KEPT)), None)
    try:
        yield taken is not None
    finally:
        if taken is not None:
            cache.delete(taken)


def _seats() -> Iterator[str]:
    return (f"webhooks:seat:{number}" for number in range(SEATS))


@dataclass(slots=True)
class _Round:
    """One dispatch at work: what is on its way, and until when more is begun."""

    pool: ThreadPoolExecutor
    until: float
    leases: dict[UUID, datetime] = field(default_factory=dict)
    under_way: dict[Future[Outcome], Delivery] = field(default_factory=dict)
    sent: int = 0

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self.until

    def fill(self) -> None:
        """Take endpoints with work for the threads that are free."""
        free = THREADS - len(self.under_way)
        if free and self.has_time:
            taken = _take(free)
            self.leases |= taken
            for endpoint_id in taken:
                self.serve(endpoint_id)

    def serve(self, endpoint_id: UUID) -> None:
        """Send the next due delivery of an endpoint that is ours, or let go of it."""
        while self.has_time and (delivery := _next(endpoint_id)) is not None:
            renewed = _renew(endpoint_id, self.leases[endpoint_id])
            if renewed is None:
                break
            self.leases[endpoint_id] = renewed
            if self._send(delivery):
                return
        _let_go(endpoint_id, self.leases.pop(endpoint_id))

    def _send(self, delivery: Delivery) -> bool:
        """On its way; False when it could not even be signed, which is written down."""
        now, endpoint = timezone.now(), delivery.endpoint
        try:
            live = endpoint.read_secrets(now)
        except CredentialsUnreadable as error:
            log.error("webhook_secret_unreadable", endpoint_id=str(endpoint.pk), why=str(error))
            note(delivery, Outcome(error=UNREADABLE))
            return False
        body = signing.body_of(delivery.event)
        headers = signing.headers_for(delivery.event, body, live=live, at=now)
        self.under_way[self.pool.submit(sending.post, endpoint.url, body, headers)] = delivery
        return True

    def collect(self) -> None:
        """Write down what has come back, and go on with those endpoints."""
        done, _ = wait(self.under_way, timeout=LOOK_AGAIN, return_when=FIRST_COMPLETED)
        for future in done:
            delivery = self.under_way.pop(future)
            note(delivery, _outcome(future))
            self.sent += 1
            self.serve(delivery.endpoint_id)


def deliver_due(budget: float = BUDGET) -> int:
    """Send what is due; how many went out, answered or not."""
    with seat() as is_free, ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
        if not is_free:
            return 0
        round_ = _Round(pool, time.monotonic() + budget)
        round_.fill()
        while round_.under_way:
            round_.collect()
            round_.fill()
        return round_.sent


def _outcome(future: Future[Outcome]) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    log.error("webhook_crashed", exc_info=error)  # it counts as an attempt, or it would be tried for ever
    return Outcome(error=OUR_FAULT)


# --- Whose turn it is -------------------------------------------------------------------------------------------------
def _take(most: int) -> dict[UUID, datetime]:
    """Endpoints with the end of their lease; those served longest ago come first."""
    now = timezone.now()
    with transaction.atomic():
        waiting = (
            Endpoint.objects.with_work(now).order_by("held_until").select_for_update(skip_locked=True, no_key=True)
        )
        chosen = list(waiting.values_list("pk", flat=True)[:most])
        Endpoint.objects.filter(pk__in=chosen).update(held_until=now + LEASE)
    return dict.fromkeys(chosen, now + LEASE)


def _next(endpoint_id: UUID) -> Delivery | None:
    """The oldest due delivery of an endpoint; None when it has asked for a pause."""
    now = timezone.now()
    due = Delivery.objects.due(now).filter(endpoint=endpoint_id, endpoint__paused_until__lte=now)
    return due.select_related("event", "endpoint").order_by("pk").first()


def _renew(endpoint_id: UUID, lease: datetime) -> datetime | None:
    """The new end of the lease; None when it was over and somebody else has taken it."""
    until = timezone.now() + LEASE
    ours = Endpoint.objects.filter(pk=endpoint_id, held_until=lease)
    return until if ours.update(held_until=until) else None


def _let_go(endpoint_id: UUID, lease: datetime) -> None:
    Endpoint.objects.filter(pk=endpoint_id, held_until=lease).update(held_until=timezone.now())


# --- What came of it --------------------------------------------------------------------------------------------------
@transaction.atomic
def note(delivery: Delivery, outcome: Outcome) -> None:
    """Write down one attempt, and what follows from it for the delivery and its endpoint."""
    endpoint = Endpoint.objects.select_for_update(no_key=True).filter(pk=delivery.endpoint_id).first()
    if endpoint is None:
        return  # removed while it was sent
    now = timezone.now()
    # Whoever switches the endpoint off drops what waits, also what is on its way: it is not tried again then.
    ended = Delivery.objects.ended().filter(pk=delivery.pk).first()
    delivery.attempts += 1
    delivery.last_attempt_at, delivery.next_attempt_at = now, None
    delivery.response_status, delivery.response_text = outcome.status, outcome.text
    delivery.error, delivery.duration_ms = outcome.error[:200], outcome.duration_ms
    if outcome.is_success:
        delivery.state = DeliveryState.DELIVERED
        endpoint.failing_since, endpoint.last_success_at = None, now
    else:
        pause = None if ended else _pause(delivery, outcome)
        over = ended.status if ended else DeliveryState.FAILED
        delivery.state = over if pause is None else DeliveryState.PENDING
        delivery.next_attempt_at = None if pause is None else now + pause
        _note_failure(endpoint, delivery, outcome, now)
    _save(delivery, endpoint)
    log.info("webhook_sent", delivery_id=delivery.pk, status=outcome.status, why=outcome.error, ms=outcome.duration_ms)


def _save(delivery: Delivery, endpoint: Endpoint) -> None:
    changed = {name: getattr(delivery, name) for name in OF_AN_ATTEMPT}
    Delivery.objects.filter(pk=delivery.pk).update(**changed)  # no save(): one that was erased meanwhile stays so
    endpoint.save(update_fields=OF_AN_ENDPOINT)


def _pause(delivery: Delivery, outcome: Outcome) -> timedelta | None:
    """Until the next attempt; None when there is none. A receiver may ask for a longer one."""
    if delivery.kind == Kind.TEST or outcome.status == GONE or delivery.attempts > len(PAUSES):
        return None
    jitter = random.uniform(1 - JITTER, 1 + JITTER)  # nosec B311  # spreads retries, guards nothing
    pause = PAUSES[delivery.attempts - 1] * jitter
    asked = timedelta(seconds=outcome.retry_after or 0)
    return max(pause, min(asked, LONGEST_RETRY_AFTER))


def _note_failure(endpoint: Endpoint, delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    if delivery.kind == Kind.TEST or not endpoint.is_on:
        return  # somebody is trying it out
    endpoint.failing_since = endpoint.failing_since or now
    if outcome.status in OVERLOADED:
        asked = timedelta(seconds=outcome.retry_after or 0)
        endpoint.paused_until = now + max(PAUSES[0], min(asked, MOST_PAUSE))
    if outcome.status == GONE:
        switch_off(endpoint, OffReason.GONE, now, but=delivery)
    elif delivery.state == DeliveryState.FAILED and now - endpoint.failing_since >= settings.WEBHOOK_GIVE_UP_AFTER:
        switch_off(endpoint, OffReason.FAILING, now, but=delivery)


def switch_off(endpoint: Endpoint, reason: OffReason, now: datetime, *, but: Delivery) -> None:
    """Into the unsaved row; its owner is mailed by the next dispatch. What waits for it is not sent any more."""
    endpoint.state, endpoint.off_reason, endpoint.off_at = State.SWITCHED_OFF, reason, now
    endpoint.notice_due = True
    drop_waiting(endpoint, but=but)


def drop_waiting(endpoint: Endpoint, *, but: Delivery | None = None) -> None:
    """Deliveries that wait fail, so that they can be looked at and sent again by hand."""
    waiting = Delivery.objects.pending().filter(endpoint=endpoint).exclude(kind=Kind.TEST)
    if but is not None:
        waiting = waiting.exclude(pk=but.pk)
    waiting.update(**DROPPED)


def drop_left_over() -> None:
    """The same for what was written while its endpoint was being switched off, so that it does not wait for ever."""
    Delivery.objects.left_over().update(**DROPPED)
