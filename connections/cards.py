"""A person's connections as the page groups them, and a cheap answer to whether anything on it has changed."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers import BrokerEntry
from connections.brokers.deliveries import BY_FLEX, Delivery, deliveries
from connections.models import Account, Connection, OfferedAccount, UnfinishedRevocation
from connections.states import ConnectionState, Group

SAYS = {
    Group.NEEDS_YOU: "Only you can do what is next.",
    Group.WAITING: "Nothing to do: the hub goes on by itself.",
    Group.WORKING: "Kept up to date by themselves.",
    Group.DISCONNECTED: "Their history is kept, read-only.",
}
_ON_A_CARD = (
    "pk",
    "label",
    "method",
    "history_method",
    "state",
    "reason_code",
    "state_until",
    "degraded_parts",
    "authorization_expires_at",
    "last_success_at",
)


_URGENT = [ConnectionState.NEEDS_REAUTH, ConnectionState.ERROR, ConnectionState.EXPIRING, ConnectionState.DEGRADED]


@dataclass(frozen=True, slots=True)
class Card:
    """One connection with what the registry knows about its way of connecting; `entry` is None for files."""

    connection: Connection
    entry: BrokerEntry | None

    @property
    def group(self) -> Group:
        """A refused app key is the person's own to mend when the key is theirs."""
        connection = self.connection
        is_own_app = connection.app is not None and connection.app.owner_id == connection.user_id
        if connection.reason_code == "app_credentials_refused" and is_own_app:
            return Group.NEEDS_YOU
        return connection.status.group

    @property
    def mends_own_app(self) -> bool:
        return self.group is Group.NEEDS_YOU and self.connection.status is ConnectionState.ERROR

    @property
    def urgency(self) -> int:
        """Sorts the cards under one heading."""
        state = self.connection.status
        return _URGENT.index(state) if state in _URGENT else len(_URGENT)

    @property
    def deliveries(self) -> list[Delivery]:
        """What this connection tells as it is set up now."""
        if self.entry is None:
            return []
        told = deliveries(self.entry.method, self.entry.broker)
        return [replace(each, is_told=False) if each.words == BY_FLEX and self.wants_history else each for each in told]

    @property
    def wants_history(self) -> bool:
        """Whether transactions are still missing that the same broker tells by another way."""
        return bool(
            self.entry is not None
            and self.entry.history_by
            and not self.connection.history_method
            and self.connection.status.may_sync
        )

    @property
    def offered(self) -> list[OfferedAccount]:
        """Accounts the broker lists that the person has neither added nor turned down."""
        if not self.connection.status.may_sync:
            return []
        return [account for account in self.connection.offered_accounts.all() if account.declined_at is None]


def card_of(connection: Connection) -> Card:
    return Card(connection, None if connection.is_file else connection_manager.entry_for(connection))


@dataclass(frozen=True, slots=True)
class Section:
    group: Group
    cards: list[Card]

    @property
    def count(self) -> str:
        """How many, as part of a sentence."""
        number = len(self.cards)
        words = f"need{'s' if number == 1 else ''} you" if self.group is Group.NEEDS_YOU else self.group.label.lower()
        return f"{number} {words}"

    @property
    def says(self) -> str:
        return SAYS[self.group]


def sections(connections: QuerySet[Connection]) -> Iterator[Section]:
    """The connections under their headings; a heading without any is left out."""
    cards = [card_of(connection) for connection in connections.select_related("app")]
    for group in Group:
        here = sorted((card for card in cards if card.group is group), key=lambda card: card.urgency)
        if here:
            yield Section(group, here)


def fingerprint(user: User) -> str:
    """Stays the same as long as nothing on the person's page of connections has changed. A few narrow rows are read."""
    rows = [
        *Connection.objects.for_user(user).order_by("pk").values_list(*_ON_A_CARD),
        *Account.objects.for_user(user).order_by("pk").values_list("pk", "name", "mask", "closed_on", "unlisted_since"),
        *OfferedAccount.objects.filter(connection__user=user).order_by("pk").values_list("pk", "declined_at"),
        *UnfinishedRevocation.objects.for_user(user).order_by("pk").values_list("pk", "next_try_at", "gave_up_at"),
    ]
    return hashlib.sha256(json.dumps(rows, cls=DjangoJSONEncoder).encode()).hexdigest()[:32]
