"""What the sync app does when connections tell something."""

from datetime import date
from typing import Any

from aggregation.reconciliation.fixes import days_wanted
from brokerhub.kernel.models import User
from connections import signals
from connections.models import Account, Connection
from sync import planning, scheduling, sync_service
from sync.models import ParkedRow, SyncCursor, SyncRun, Trigger


def connect() -> None:
    signals.connected.connect(start_sync, dispatch_uid="sync.start")
    signals.account_added.connect(start_sync, dispatch_uid="sync.account_added")
    signals.check_wanted.connect(check, dispatch_uid="sync.check")
    signals.leaving.connect(stop_runs, dispatch_uid="sync.stop")
    signals.erasing.connect(erase_runs, dispatch_uid="sync.erase")
    days_wanted.connect(read_again, dispatch_uid="sync.read_again")


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


def read_again(*, account: Account, first: date, last: date, user: User, **_: Any) -> None:
    """Days that do not add up are read from the broker once more. Raises NotAllowed."""
    days = (first, min(last, planning.market_today()))
    sync_service.request_sync(
        user=user, connection=account.connection, trigger=Trigger.MANUAL, account=account, days=days
    )


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
