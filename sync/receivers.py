"""What the sync app does when connections tell something."""

from typing import Any

from connections import signals
from connections.models import Connection
from sync import scheduling, sync_service
from sync.models import ParkedRow, SyncCursor, SyncRun, Trigger


def connect() -> None:
    signals.connected.connect(start_sync, dispatch_uid="sync.start")
    signals.account_added.connect(start_sync, dispatch_uid="sync.account_added")
    signals.check_wanted.connect(check, dispatch_uid="sync.check")
    signals.leaving.connect(stop_runs, dispatch_uid="sync.stop")
    signals.erasing.connect(erase_runs, dispatch_uid="sync.erase")


def start_sync(*, connection: Connection, anew: bool = False, **_: Any) -> None:
    """A finished sign-in is followed by a sync: the first one, and the first by another way, reads the whole history.

    Rows that both ways tell have the same ids and stay single. So is an account that was added later, unless the
    person has to sign in first, which brings its sync along.
    """
    if anew:
        SyncCursor.objects.filter(account__connection=connection).delete()
    if not connection.status.may_sync:
        return
    scheduling.rearm(connection)
    sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.CONNECT)


def check(*, connection: Connection, **_: Any) -> None:
    sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL)


def stop_runs(*, connection: Connection, **_: Any) -> None:
    """A worker in the middle of a page is waited for; after it, it finds its run cancelled and books nothing more."""
    sync_service.cancel_all(connection)


def erase_runs(*, connection: Connection, dry_run: bool, **_: Any) -> dict[str, int]:
    """Runs with their files and parked rows. The books are erased before, by the app to our left: they point here."""
    runs = SyncRun.objects.filter(connection=connection)
    counts = {"sync runs": runs.count(), "parked rows": ParkedRow.objects.filter(run__in=runs).count()}
    if not dry_run:
        runs.delete()
    return counts
