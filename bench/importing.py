"""Importing a file, from its bytes to its rows in the books, against what PostgreSQL needs for those rows alone."""

from collections.abc import Iterator
from typing import Any

from django.db import connection

from bench import files
from bench.booking import BY_CONTENT, COLUMNS, an_account, anti_join, on_conflict
from bench.measure import Ratio, in_turns, seconds
from connections.models import Account, Connection
from sync import imports, sync_service
from sync.models import RunState, SyncRun


def import_file(account: Account, content: bytes) -> SyncRun:
    """As a person's upload goes: checked and kept, then read and booked by a worker."""
    run = imports.request_import(user=account.connection.user, account=account, name="bench.csv", content=content)
    sync_service.run_one(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED, run.error
    return run


def booked(account: Account) -> list[Any]:
    """The finished rows of an account, identities included: the floors get for nothing what we have to work out."""
    with connection.cursor() as cursor:
        columns = COLUMNS.replace("raw", "raw::text")
        cursor.execute(f"SELECT {columns} FROM aggregation_transaction WHERE account_id = %s ORDER BY id", [account.pk])
        return list(cursor.fetchall())


def moved(rows: list[Any], account: Account) -> list[Any]:
    return [(account.pk, *row[1:]) for row in rows]


def measure(owner: Connection, rows: int) -> Iterator[Ratio]:
    """All new, each time into a fresh account; the same file again; a file of which the books have one half."""
    whole, later = files.content(rows), files.content(rows, rows // 2)
    full, half = an_account(owner), an_account(owner)
    assert import_file(full, whole).inserted == rows
    assert import_file(half, later).inserted == rows
    told, told_later = booked(full), booked(half)

    def ours(before: bytes | None, content: bytes) -> Any:
        def run() -> float:
            account = an_account(owner)
            if before is not None:
                import_file(account, before)
            return seconds(lambda: import_file(account, content))

        return run

    def new() -> float:
        prepared = moved(told, an_account(owner))
        return seconds(lambda: on_conflict(prepared))

    def mixed() -> float:
        account = an_account(owner)
        on_conflict(moved(told, account))
        prepared = moved(told_later, account)
        return seconds(lambda: anti_join(prepared, BY_CONTENT))

    yield from in_turns(
        f"import a file of {rows:,} rows, all new", ours(None, whole), {"staging + ON CONFLICT": (new, 2.0)}
    )
    known = {"staging + anti-join": (lambda: seconds(lambda: anti_join(told, BY_CONTENT)), 2.5)}
    yield from in_turns("  the same file again", lambda: seconds(lambda: import_file(full, whole)), known)
    yield from in_turns("  half of it known", ours(whole, later), {"staging + anti-join": (mixed, 2.5)})
