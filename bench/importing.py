"""Importing a file, from its bytes to its rows in the books, against what PostgreSQL needs for those rows alone."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection

from bench import files
from bench.booking import BY_CONTENT, COLUMNS, an_account, anti_join, on_conflict
from bench.measure import ROUNDS, Ratio, Work, in_turns, seconds
from bench.memory import taken
from connections.models import Account, Connection
from sync import drafts, imports, sync_service
from sync.checking import check_rows
from sync.import_models import DraftState, ImportDraft
from sync.models import ImportFile, RunState, SyncRun
from sync.reading import read

FORMAT = "schwab_brokerage"


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


def measure(owner: Connection, rows: int, rounds: int = ROUNDS) -> Iterator[Ratio]:
    """All new, each time into a fresh account; the same file again; a file of which the books have one half."""
    whole, later = files.content(rows), files.content(rows, rows // 2)
    full, half = an_account(owner), an_account(owner)
    assert import_file(full, whole).inserted == rows
    assert import_file(half, later).inserted == rows
    told, told_later = booked(full), booked(half)

    def ours(before: bytes | None, content: bytes) -> Work:
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

    name = f"import a file of {rows:,} rows"
    yield from in_turns(f"{name}, all new", ours(None, whole), {"staging + ON CONFLICT": (new, 2.0)}, rounds)
    known = {"staging + anti-join": (lambda: seconds(lambda: anti_join(told, BY_CONTENT)), 2.5)}
    yield from in_turns(f"{name}, again", lambda: seconds(lambda: import_file(full, whole)), known, rounds)
    yield from in_turns(f"{name}, half known", ours(whole, later), {"staging + anti-join": (mixed, 2.5)}, rounds)


def all_sizes(owner: Connection, sizes: Sequence[int], large: bool) -> Iterator[Ratio]:
    for rows in sizes:
        yield from measure(owner, rows)
        emptied()
    if large:
        yield from measure(owner, 1_000_000, rounds=1)
        emptied()


def emptied() -> None:
    """Away with what was measured, so that the next size finds tables as small as the last one did."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE aggregation_transaction, sync_syncrun CASCADE")


def preview(owner: Connection, rows: int) -> Iterator[Ratio]:
    """What would become of each row, of which the books have one half: as programs ask, and as the wizard keeps it."""
    account, content = an_account(owner), files.content(rows)
    import_file(account, files.content(rows // 2))
    file = ImportFile(name="bench.csv", content=content, size=len(content), format=FORMAT)

    def dry_run() -> float:
        return seconds(lambda: list(check_rows(read(file, owner.user).parsed, {"": account})))

    def wizard() -> float:
        draft = a_draft(account, content)
        return seconds(lambda: drafts.check(draft.pk))

    floor = {"pandas.read_csv, texts": (lambda: seconds(lambda: texts(content)), 12.0)}
    yield from in_turns(f"dry run of {rows:,} rows, half known", dry_run, floor)
    yield from in_turns(f"preview of {rows:,} rows, half known", wizard, floor)


def texts(content: bytes) -> None:
    import pandas as pd

    pd.read_csv(io.BytesIO(content), dtype=str, na_filter=False)


def a_draft(account: Account, content: bytes) -> ImportDraft:
    """One that waits for its check."""
    return ImportDraft.objects.create(
        user=account.connection.user,
        name="bench.csv",
        content=content,
        size=len(content),
        format=FORMAT,
        state=DraftState.CHECKING,
        accounts={"": {"account": account.pk}},
    )


def memory(owner: Connection, sizes: Sequence[int]) -> Iterator[str]:
    """The worker's highest memory for files of these sizes, and that of a preview."""
    for rows in sizes:
        account, content = an_account(owner), files.content(rows)
        run = imports.request_import(user=owner.user, account=account, name="bench.csv", content=content)
        idle, most = taken("import", run.pk)
        run.refresh_from_db()
        assert (run.state, run.inserted) == (RunState.SUCCEEDED, rows), run.error
        yield f"worker importing {rows:,} rows: {most} MB, {idle} MB at rest"
    account, content = an_account(owner), files.content(100_000)
    idle, most = taken("check", a_draft(account, content).pk)
    yield f"worker previewing 100,000 rows: {most} MB, {idle} MB at rest"
