"""What is done beside writing rows, as ratios over importing without it; and taking a run back over importing it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from django.db import connection

from bench import files
from bench.booking import an_account
from bench.importing import import_file
from bench.measure import Ratio, in_turns, seconds
from connections.models import Account, Connection
from sync import undoing


def measure(owner: Connection, rows: int) -> Iterator[Ratio]:
    whole, later = files.content(rows), files.content(rows, rows // 2)

    def new() -> float:
        account = an_account(owner)
        return seconds(lambda: import_file(account, whole))

    def half_known() -> float:
        account = _knowing(owner, whole)
        return seconds(lambda: import_file(account, later))

    def without(trigger: str) -> Callable[[], float]:
        def run() -> float:
            with _no_trigger(trigger):
                return new()

        return run

    def without_looking() -> float:
        with patch("aggregation.near_matches.find"):
            return half_known()

    def undone() -> float:
        run = import_file(an_account(owner), whole)
        return seconds(lambda: undoing.undo(run, actor=owner.user))

    def reapplied() -> float:
        run = import_file(an_account(owner), whole)
        undoing.undo(run, actor=owner.user)
        run.refresh_from_db()
        return seconds(lambda: undoing.reapply(run, actor=owner.user))

    name = f"{rows:,} rows"
    less = {
        "without the feed of changes": "sync_note_added",
        "without running totals": "aggregation_keep_totals_insert",
    }
    floors = {what: (without(trigger), None) for what, trigger in less.items()}
    yield from in_turns(f"import {name}, all new", new, floors)
    looked = {"without looking for rows told twice": (without_looking, None)}
    yield from in_turns(f"import {name}, half known", half_known, looked)
    yield from in_turns(f"take {name} back", undone, {"importing them": (new, None)})
    yield from in_turns(f"apply {name} again", reapplied, {"importing them": (new, None)})


def _knowing(owner: Connection, content: bytes) -> Account:
    account = an_account(owner)
    import_file(account, content)
    return account


@contextmanager
def _no_trigger(name: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE aggregation_transaction DISABLE TRIGGER {name}")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE aggregation_transaction ENABLE TRIGGER {name}")
