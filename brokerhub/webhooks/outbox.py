"""The outbox: events are written where they happen, and get their number and their deliveries right afterwards."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import RedisError

from brokerhub.webhooks.event_types import TEST, EventType
from brokerhub.webhooks.models import Delivery, Endpoint, Event, EventCounter, Kind

logger = logging.getLogger(__name__)
BATCH = 500
LOCK = 6_160_803  # of PostgreSQL's advisory locks: any number that nobody else uses


def record(user_id: int, event_type: EventType, data: dict[str, Any]) -> Event | None:
    """Write down what happened, in the caller's transaction; None when none of the person's programs wants to know.

    `data` holds ids and facts: no secret, and amounts as strings.
    """
    if not is_wanted(user_id, event_type):
        return None
    event = Event.objects.create(user_id=user_id, type=event_type.value, data=data)
    transaction.on_commit(nudge)
    return event


def is_wanted(user_id: int, event_type: EventType) -> bool:
    return Endpoint.objects.wanting(event_type).filter(user_id=user_id).exists()


def nudge() -> None:
    """Ask for a dispatch right now. Best effort: with Redis away the event stays where it is, and beat finds it."""
    try:
        current_app.send_task("webhooks.dispatch", retry=False, expires=10)
    except (BrokerDown, RedisError, OSError):
        logger.warning("webhooks.nudge_failed: the queue is not reachable; it is sent when it is back", exc_info=True)


def address() -> int:
    """Number what has been written since, and make a delivery for each endpoint that wants it; how many events."""
    addressed = 0
    while count := _address_batch():
        addressed += count
    return addressed


@transaction.atomic
def _address_batch() -> int:
    """One process at a time, so that numbers become visible one after the other. It locks nothing others wait for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    events = list(Event.objects.unnumbered()[:BATCH])
    _number(events)
    deliveries = list(_deliveries(events))
    Delivery.objects.bulk_create(deliveries)
    return len(events)


def _number(events: list[Event]) -> None:
    of_person: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        of_person[event.user_id].append(event)
    for user_id, theirs in of_person.items():
        counter, _ = EventCounter.objects.get_or_create(user_id=user_id)
        for number, event in enumerate(theirs, start=counter.last + 1):
            event.number = number
        counter.last += len(theirs)
        counter.save(update_fields=["last"])
    Event.objects.bulk_update(events, ["number"])


def _deliveries(events: Iterable[Event]) -> Iterable[Delivery]:
    events = list(events)
    endpoints: dict[int, list[Endpoint]] = defaultdict(list)
    for endpoint in Endpoint.objects.on().filter(user__in={event.user_id for event in events}):
        endpoints[endpoint.user_id].append(endpoint)
    for event in events:
        if event.type == TEST:
            assert event.only_for_id is not None
            yield Delivery(event=event, endpoint_id=event.only_for_id, kind=Kind.TEST)
            continue
        for endpoint in endpoints[event.user_id]:
            if endpoint.hears_all or event.type in endpoint.events:
                yield Delivery(event=event, endpoint=endpoint)
