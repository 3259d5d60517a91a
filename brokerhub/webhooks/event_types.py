"""What a program can be told of: the names are the contract, the sentences are for page, guide and schema."""

from collections.abc import Iterator
from itertools import groupby

from django.db.models import TextChoices


class EventType(TextChoices):
    """The name on the wire, and what it means."""

    CONNECTION_ATTEMPTED = "connection.attempted", "Somebody began to connect a broker."
    CONNECTION_ADDED = "connection.added", "A broker was connected, or connected again after it had been left."
    CONNECTION_FAILED = "connection.failed", "Access was declined at the broker, so nothing was connected."
    CONNECTION_BROKEN = "connection.broken", "A connection needs a new sign-in; until then nothing is updated."
    CONNECTION_FIXED = "connection.fixed", "A broken connection works again."
    CONNECTION_UPDATED = "connection.updated", "A connection has another state, name or way of signing in."
    CONNECTION_EXPIRING = "connection.expiring", "A sign-in ends soon: once each at 48, 12 and 1 hours before."
    CONNECTION_DELETED = "connection.deleted", "A connection was disconnected."
    ACCOUNT_AVAILABLE = "account.available", "A broker lists an account that has not been added yet."
    ACCOUNT_ADDED = "account.added", "An account was added, or is open and listed again."
    ACCOUNT_REMOVED = "account.removed", "An account was closed or is not listed any more; its history is kept."
    TRANSACTIONS_INITIAL_UPDATE = (
        "transactions.initial_update",
        "An account's transactions have been read, all of them.",
    )
    TRANSACTIONS_UPDATED = "transactions.updated", "Transactions of an account were added, changed or removed."
    HOLDINGS_UPDATED = "holdings.updated", "A sync brought an account's positions and balances up to date."
    SYNC_PROGRESS = "sync.progress", "A sync began, finished a part, or waits."
    SYNC_FINISHED = "sync.finished", "A sync or an import is over, whatever came of it."
    BREAK_FOUND = "reconciliation.break_found", "What a broker reports is not what the transactions add up to."
    HEALTH_CHANGED = "health.changed", "A broker you have connected works better or worse than before."
    MAINTENANCE_SCHEDULED = "maintenance.scheduled", "A broker you have connected plans to be away, within a day."
    MAINTENANCE_STARTED = "maintenance.started", "Planned maintenance at a broker you have connected has begun."
    MAINTENANCE_ENDED = "maintenance.ended", "Planned maintenance at a broker you have connected is over."

    @property
    def sentence(self) -> str:
        return str(self.label)

    @property
    def subject(self) -> str:
        """`connection` of `connection.added`: what the page groups them by."""
        return self.value.partition(".")[0]


TEST = "webhook.test"  # sent when somebody asks for it, to that endpoint only; nobody subscribes to it


def by_subject() -> Iterator[tuple[str, list[EventType]]]:
    for subject, types in groupby(EventType, key=lambda each: each.subject):
        yield subject, list(types)


def as_table() -> str:
    """For descriptions in Markdown."""
    rows = (f"| `{each.value}` | {each.sentence} |" for each in EventType)
    return "\n".join(["| event | sent when |", "|---|---|", *rows])
