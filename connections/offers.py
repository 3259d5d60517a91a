"""What a person can choose from before connecting: each way at each broker, and whether it is ready to be used."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from brokerhub.kernel.models import User
from connections import app_keys
from connections.brokers import BrokerEntry, NotConfigured, offered
from connections.brokers.base import AppKeys, Dialogue, PreparesKeys
from connections.brokers.deliveries import Delivery, deliveries
from connections.brokers.records import Broker


@dataclass(frozen=True, slots=True)
class Way:
    """One way to connect, for one person. `missing` is a sentence about what the hub lacks for it, "" when nothing."""

    entry: BrokerEntry
    missing: str

    @property
    def deliveries(self) -> list[Delivery]:
        return list(deliveries(self.entry.method))

    @property
    def leaves_the_hub(self) -> bool:
        """The person signs in on the broker's page; otherwise they type something in here."""
        return not self.entry.fields

    @property
    def waits_in_between(self) -> bool:
        return waits_in_between(self.entry)


@dataclass(frozen=True, slots=True)
class Choice:
    """One broker with the ways to connect it."""

    broker: Broker
    ways: list[Way]


def is_dialogue(entry: BrokerEntry) -> bool:
    """Whether the person is asked one thing after the other."""
    return bool(entry.fields) and isinstance(entry.sign_in(AppKeys()), Dialogue)


def prepares_keys(entry: BrokerEntry) -> bool:
    """Whether the hub makes a key pair for the person to bring to the broker."""
    return bool(entry.fields) and isinstance(entry.sign_in(AppKeys()), PreparesKeys)


def waits_in_between(entry: BrokerEntry) -> bool:
    """Whether something has to be remembered between the steps, so that the connection is there before its keys."""
    return is_dialogue(entry) or prepares_keys(entry)


def missing(user: User, entry: BrokerEntry) -> str:
    """What stands in the way of connecting like this, as a sentence; "" when nothing does."""
    try:
        app_keys.for_sign_in(user=user, entry=entry)
    except NotConfigured as error:
        return str(error)
    return ""


def choices(user: User) -> Iterator[Choice]:
    """Every broker that is offered, in the order of the list of brokers, with its ways in the registry's order."""
    order = list(Broker)
    entries = sorted(offered(), key=lambda entry: order.index(entry.broker))
    for broker, ways in groupby(entries, key=lambda entry: entry.broker):
        yield Choice(broker, [Way(entry, missing(user, entry)) for entry in ways])
