"""What a person can choose from before connecting: each way at each broker, and whether it is ready to be used."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from django.db.models import TextChoices

from brokerhub.kernel.models import User
from connections import app_keys
from connections.brokers import BrokerEntry, NotConfigured, offered
from connections.brokers.base import AppKeys, Dialogue, PreparesKeys
from connections.brokers.deliveries import Delivery, deliveries
from connections.brokers.records import Broker


class Kind(TextChoices):
    """What the person does to get connected."""

    REDIRECT = "redirect", "Sign in on the broker's page"
    KEYS = "keys", "Enter keys"
    DIALOGUE = "dialogue", "Answer questions"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to connect, for one person. `missing` is a sentence about what the hub lacks for it, "" when nothing."""

    entry: BrokerEntry
    missing: str

    @property
    def deliveries(self) -> list[Delivery]:
        return list(deliveries(self.entry.method, self.entry.broker))

    @property
    def kind(self) -> Kind:
        return kind_of(self.entry)

    @property
    def waits_in_between(self) -> bool:
        return waits_in_between(self.entry)


@dataclass(frozen=True, slots=True)
class Choice:
    """One broker with the ways to connect it."""

    broker: Broker
    ways: list[Way]


def kind_of(entry: BrokerEntry) -> Kind:
    if not entry.fields:
        return Kind.REDIRECT
    return Kind.DIALOGUE if isinstance(entry.sign_in(AppKeys()), Dialogue) else Kind.KEYS


def waits_in_between(entry: BrokerEntry) -> bool:
    """Whether something has to be remembered between the steps, so that the connection is there before its keys."""
    return bool(entry.fields) and isinstance(entry.sign_in(AppKeys()), (Dialogue, PreparesKeys))


def missing(user: User, entry: BrokerEntry) -> str:
    """What stands in the way of connecting like this, as a sentence; "" when nothing does."""
    try:
        app_keys.for_sign_in(user=user, entry=entry)
    except NotConfigured as error:
        return str(error)
    return ""


def choices(user: User) -> Iterator[Choice]:
    """Every broker that is offered, in the order of the list of brokers; its ways in the registry's order."""
    entries = sorted(offered(), key=lambda entry: list(Broker).index(entry.broker))
    for broker, ways in groupby(entries, key=lambda entry: entry.broker):
        yield Choice(broker, [Way(entry, missing(user, entry)) for entry in ways])
