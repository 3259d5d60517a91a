"""Brokers that are closed for maintenance right now: nobody is to call them, and nothing is wrong with any login.

Who knows the windows says so here, for all processes through the cache; it ends by itself.
"""

from datetime import datetime

from django.core.cache import cache
from django.utils import timezone

from connections.brokers.base import UnderMaintenance
from connections.brokers.calls import Operation
from connections.brokers.records import Broker


def _key(broker: Broker) -> str:
    return f"closed:{broker.value}"


def close(broker: Broker, until: datetime) -> None:
    """Closed until then; a second call moves the end."""
    cache.set(_key(broker), until, timeout=max(1, round((until - timezone.now()).total_seconds())))


def reopen(broker: Broker) -> None:
    cache.delete(_key(broker))


def closed_until(broker: Broker) -> datetime | None:
    until: datetime | None = cache.get(_key(broker))
    return until if until is not None and until > timezone.now() else None


def check(broker: Broker, operation: Operation) -> None:
    """Pass when the broker is open. Raises UnderMaintenance. Probes go on, as they tell when it is over; so do people
    who are signing in, who see for themselves."""
    if operation in (Operation.PROBE, Operation.SIGN_IN, Operation.IDENTITY):
        return
    if until := closed_until(broker):
        raise UnderMaintenance(f"{broker.label} is under planned maintenance.", retry_at=until)
