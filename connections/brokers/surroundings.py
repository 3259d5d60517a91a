"""What happened to others lately, shared by all processes through the cache: evidence for attribution.

Written in passing: a good answer costs one round trip, which forgets what it disproves; failures write the rest.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.core.cache import cache
from django.utils import timezone

from connections.brokers.attribution import MANY_LOGINS
from connections.brokers.base import NeedsReauth, SignInsRefused
from connections.brokers.records import Broker

LATELY = timedelta(minutes=10)  # refusals that are longer ago are no evidence against the broker
DOUBT = timedelta(minutes=10)  # after that a refusal is the login's own, though nobody else was seen to be let in
PATIENCE = timedelta(hours=6)  # after that it is the logins', though all are refused: it has ended them all
MEMORY_SECONDS = 24 * 3600  # for refused logins
MAY_BE_THE_BROKER = {"access_refused", "refresh_refused"}  # kinds of refusal that a broker in trouble gives
LOOK_AGAIN = timedelta(minutes=2)
AWAY_SECONDS = 90  # a broker that could not be reached is asked again sooner than that


def _refused(broker: Broker) -> str:
    return f"refused_logins:{broker.value}"


def _let_in(broker: Broker) -> str:
    return f"let_in:{broker.value}"


def _away(broker: Broker) -> str:
    return f"away:{broker.value}"


def _first(broker: Broker, connection_id: UUID) -> str:
    return f"first_refused:{broker.value}:{connection_id}"


def answered(broker: Broker, connection_id: UUID | None) -> None:
    """It is there; and if it let a login in, those refused before were refused for themselves."""
    cache.delete_many([_away(broker), *([_first(broker, connection_id)] if connection_id else [])])
    if connection_id and cache.delete(_refused(broker)):
        cache.set(_let_in(broker), timezone.now(), timeout=MEMORY_SECONDS)


def refused(broker: Broker, connection_id: UUID) -> int:
    """Note a refused login; how many different ones were refused lately, since one was last let in.

    Two processes at once may lose one of their notes: it then takes one login more.
    """
    cache.delete(_away(broker))
    now = timezone.now()
    cache.add(_first(broker, connection_id), now, timeout=MEMORY_SECONDS)
    known = {**_lately_refused(broker), connection_id: now}
    cache.set(_refused(broker), known, timeout=MEMORY_SECONDS)
    return len(known)


def _lately_refused(broker: Broker) -> dict[UUID, datetime]:
    """Those refused since one was last let in, and when."""
    known: dict[UUID, datetime] = cache.get(_refused(broker)) or {}
    since = timezone.now() - LATELY
    return {each: at for each, at in known.items() if at > since}


def doubt(broker: Broker, connection_id: UUID | None, error: NeedsReauth) -> None:
    """Raises SignInsRefused in place of `error` while the broker may be refusing everybody: then it has to be waited
    for. Returns where the login was refused for itself, its access though it was just renewed, or the renewal itself:
    whose it is has to sign in again."""
    if error.reason_code not in MAY_BE_THE_BROKER or connection_id is None:
        return
    first: datetime | None = cache.get(_first(broker, connection_id))
    if first is None or timezone.now() - first > PATIENCE:
        return
    known = _lately_refused(broker)
    if len(known) < MANY_LOGINS and not _in_doubt(broker, known, first):
        return
    raise SignInsRefused(
        f"{broker.label} refuses more than one sign-in at the moment, or may do so. Yours is kept, and tried again.",
        retry_at=timezone.now() + LOOK_AGAIN,
    ) from error


def _in_doubt(broker: Broker, known: Iterable[UUID], first: datetime) -> bool:
    """Whether it may yet turn out that the broker refuses everybody: enough others are there, and none was let in
    since this login was `first` refused."""
    from connections.models import Connection  # who knows the logins knows the connectors, which know this

    let_in: datetime | None = cache.get(_let_in(broker))
    if (let_in is not None and let_in > first) or timezone.now() - first > DOUBT:
        return False
    known = list(known)
    others = Connection.objects.syncable().filter(broker=broker).exclude(pk__in=known)
    return len(known) + others.count() >= MANY_LOGINS


def unreachable(broker: Broker) -> int:
    """Note a broker that did not answer; how many others do not either."""
    cache.set(_away(broker), 1, timeout=AWAY_SECONDS)
    return len(cache.get_many([_away(other) for other in Broker if other is not broker]))
