"""What happened to others lately, shared by all processes through the cache: evidence for attribution.

Written in passing: a good answer costs one round trip, which forgets what it disproves; failures write the rest.
"""

from uuid import UUID

from django.core.cache import cache

from connections.brokers.records import Broker

MEMORY_SECONDS = 600  # for refused logins
AWAY_SECONDS = 90  # a broker that could not be reached is asked again sooner than that


def _refused(broker: Broker) -> str:
    return f"refused:{broker.value}"


def _away(broker: Broker) -> str:
    return f"away:{broker.value}"


def answered(broker: Broker, connection_id: UUID | None) -> None:
    """It is there; and if it let a login in, those refused before were refused for themselves."""
    cache.delete_many([_away(broker), _refused(broker)] if connection_id else [_away(broker)])


def refused(broker: Broker, connection_id: UUID) -> int:
    """Note a refused login; how many different ones were refused since one was last let in.

    Two processes at once may lose one of their notes: it then takes one login more.
    """
    cache.delete(_away(broker))
    known: set[UUID] = cache.get(_refused(broker)) or set()
    if connection_id not in known:
        known |= {connection_id}
        cache.set(_refused(broker), known, timeout=MEMORY_SECONDS)
    return len(known)


def unreachable(broker: Broker) -> int:
    """Note a broker that did not answer; how many others do not either."""
    cache.set(_away(broker), 1, timeout=AWAY_SECONDS)
    return len(cache.get_many([_away(other) for other in Broker if other is not broker]))
