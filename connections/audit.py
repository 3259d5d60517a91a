"""What happened to a connection, for people: who, what, when, from which state to which, and why."""

from dataclasses import dataclass

from django.db.models import QuerySet

from connections.models import Connection, ConnectionEvent
from connections.states import ConnectionState

PAGE = 25
PEOPLE, HUB, ADMINISTRATOR = "you", "hub", "admin"
WHO = {PEOPLE: "You", HUB: "The hub", ADMINISTRATOR: "An administrator"}
_WORDS = {
    "created": "Added",
    "consent_denied": "Access declined",
    "failed": "Update failed",
    "synced": "Update worked",
    "history_added": "Transactions added",
    "method_changed": "Way of signing in changed",
    "reminded": "Reminder",
}


def words_for(action: str) -> str:
    """What an event is called; an action without words of its own is said as it is written."""
    return _WORDS.get(action) or action.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Happened:
    """One event as a line of the page."""

    event: ConnectionEvent
    connection: Connection

    @property
    def what(self) -> str:
        if self.event.action == "failed" and self.event.to_state == ConnectionState.EXPIRING:
            return "End is near"  # nothing has failed yet
        return words_for(self.event.action)

    @property
    def who(self) -> str:
        return WHO[who(self.event, self.connection)]

    @property
    def from_label(self) -> str:
        return ConnectionState(self.event.from_state).label if self.event.from_state else ""

    @property
    def to_label(self) -> str:
        return ConnectionState(self.event.to_state).label if self.event.to_state else ""


def who(event: ConnectionEvent, connection: Connection) -> str:
    """you, hub or admin: whether the owner did it, nobody in person, or somebody else."""
    if event.actor_id is None:
        return HUB
    return PEOPLE if event.actor_id == connection.user_id else ADMINISTRATOR


def narrowed(connection: Connection, *, by: str = "", action: str = "") -> QuerySet[ConnectionEvent]:
    """The connection's events, newest first, of one actor or one kind; an unknown word narrows nothing."""
    events = connection.events.select_related("connection")
    if by == PEOPLE:
        events = events.filter(actor_id=connection.user_id)
    elif by == HUB:
        events = events.filter(actor=None)
    elif by == ADMINISTRATOR:
        events = events.exclude(actor=None).exclude(actor_id=connection.user_id)
    return events.filter(action=action) if action else events


def kinds(connection: Connection) -> list[tuple[str, str]]:
    """The kinds of events this connection has, to choose from."""
    actions = connection.events.order_by("action").values_list("action", flat=True).distinct()
    return sorted(((action, words_for(action)) for action in actions), key=lambda pair: pair[1])


def page(events: QuerySet[ConnectionEvent], *, before: int | None) -> tuple[list[ConnectionEvent], int | None]:
    """The newest events older than the one with the id `before`, and where the next page begins."""
    if before is not None:
        events = events.filter(pk__lt=before)
    found = list(events.order_by("-pk")[: PAGE + 1])
    return found[:PAGE], found[PAGE - 1].pk if len(found) > PAGE else None
