"""What the books do when connections tell something."""

from typing import Any

from django.db.models import Q

from aggregation.models import (
    AccountHistory,
    AppliedAction,
    Balance,
    BalancePoint,
    Delivery,
    LotPick,
    PointChange,
    Position,
    PositionPoint,
    PossibleDuplicate,
    ReportedValue,
    RunningTotal,
    Transaction,
    TransferLink,
    UserEdit,
)
from connections import signals
from connections.models import Connection


def connect() -> None:
    signals.erasing.connect(erase_books, dispatch_uid="aggregation.erase")


def erase_books(*, connection: Connection, dry_run: bool, **_: Any) -> dict[str, int]:
    """Everything booked for the connection's accounts; instruments are shared by everybody and stay."""
    owned = Q(account__connection=connection)
    if not dry_run:
        legs = TransferLink.objects.filter(
            Q(outgoing__account__connection=connection) | Q(incoming__account__connection=connection)
        )
        legs.delete()
        pointers_first = (LotPick, AppliedAction, PossibleDuplicate, UserEdit, Delivery)  # they refer to the rows
        for of_rows in (*pointers_first, AccountHistory, PointChange, PositionPoint, ReportedValue):
            beside = of_rows._default_manager.filter(owned)
            beside._raw_delete(beside.db)
    tables = {"transactions": Transaction, "positions": Position, "balances": Balance, "daily values": BalancePoint}
    counts: dict[str, int] = {}
    for name, model in tables.items():
        rows = model._default_manager.filter(owned)
        # Straight to SQL: a collector would load a million rows, and stop at corrections that point at each other.
        counts[name] = rows.count() if dry_run else rows._raw_delete(rows.db)
    if not dry_run:
        totals = RunningTotal._default_manager.filter(owned)
        totals._raw_delete(totals.db)
    return counts
