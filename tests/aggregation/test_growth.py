"""The work of booking, asking and taking back grows with the rows told, not with their square."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from aggregation import undoing
from aggregation.ledger import book
from aggregation.models import PossibleDuplicate, Source
from connections.brokers.records import TransactionRecord
from sync.models import Mode, SyncRun, Trigger
from tests.aggregation.factories import AAPL, a_record, an_account

pytestmark = pytest.mark.django_db
ROWS = 1200
A_ROW = 100  # rows a statement may look at for each row told; its square would be ROWS of them
WRITES = re.compile(
    r"\s*(CREATE TEMP TABLE \w+ ON COMMIT DROP AS|INSERT INTO \S+.*\b(SELECT|WITH)\b|UPDATE|DELETE)", re.S
)


@contextmanager
def looks_at_few() -> Iterator[None]:
    """Fails when a statement of the block compares or reads more rows than A_ROW for each of ROWS."""

    def explained(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if many or not WRITES.match(sql):
            return execute(sql, params, many, context)
        done = execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params, many, context)
        (told,) = context["cursor"].fetchone()
        plan = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
        assert most_looked_at(plan) < A_ROW * ROWS, sql
        return done

    with connection.cursor() as cursor:  # as the database does by itself when a table has grown
        cursor.execute("ANALYZE aggregation_transaction, aggregation_possibleduplicate, aggregation_delivery")
    with connection.execute_wrapper(explained):
        yield


def most_looked_at(node: Mapping[str, Any]) -> int:
    """Rows that one step of a plan gave on or dropped, the most of all steps."""
    dropped = node.get("Rows Removed by Join Filter", 0) + node.get("Rows Removed by Filter", 0)
    own = int((node["Actual Rows"] + dropped) * node["Actual Loops"])
    return max([own, *(most_looked_at(inner) for inner in node.get("Plans", []))])


def equal_lots(count: int) -> list[TransactionRecord]:
    """Ten of the same share for years, each day at another price."""
    return [
        a_record(traded_on=date(2015, 1, 1) + timedelta(days=number), net_amount=Decimal(-1000 - number))
        for number in range(count)
    ]


def many_things(*, shift: int = 0, ids: bool = False) -> list[TransactionRecord]:
    """Trades of fifty shares, told `shift` days later."""
    return [
        a_record(
            f"{number}" if ids else "",
            traded_on=date(2015, 1, 1) + timedelta(days=number + shift),
            instrument=replace(AAPL, symbol=f"S{number % 50}", cusip=""),
            quantity=Decimal(1 + number % 97),
            net_amount=Decimal(-1000 - number),
        )
        for number in range(ROWS)
    ]


def test_equal_lots_of_years_in_two_files_are_not_all_compared_with_each_other():
    account = an_account()
    book(account=account, records=equal_lots(100), source=Source.CSV, run_id=None)
    book(account=an_account(), records=many_things(), source=Source.CSV, run_id=None)  # a table worth an index
    with looks_at_few():
        booked = book(account=account, records=equal_lots(ROWS), source=Source.CSV, run_id=None)
    assert (booked.matched, booked.inserted) == (100, ROWS - 100)
    assert not PossibleDuplicate.objects.exists()


def test_a_file_that_tells_every_row_a_day_later_is_asked_about_and_taken_back():
    account = an_account()
    run = SyncRun.objects.create(
        connection=account.connection, trigger=Trigger.IMPORT, mode=Mode.IMPORT, state="succeeded"
    )
    book(account=account, records=many_things(ids=True), source=Source.API, run_id=None)
    with looks_at_few():
        book(account=account, records=many_things(shift=1), source=Source.CSV, run_id=run.pk)
        assert PossibleDuplicate.objects.waiting().count() == ROWS
        undoing.undo(run.pk)
        assert not PossibleDuplicate.objects.waiting().exists()
        undoing.reapply(run.pk)
    assert PossibleDuplicate.objects.waiting().count() == ROWS


@pytest.mark.parametrize("first", ["broker", "file"])
@pytest.mark.parametrize("days", [0, 1, 3, 5])
def test_a_row_told_by_its_settlement_date_is_asked_about(first: str, days: int):
    account, settled = an_account(), date(2026, 3, 2) + timedelta(days=days)
    told = a_record("1", settled_on=settled)
    later = a_record(traded_on=settled, net_amount=Decimal("-1802.51"))
    batches = [([told], Source.API), ([later], Source.CSV)]
    for records, source in batches if first == "broker" else reversed(batches):
        book(account=account, records=records, source=source, run_id=None)
    assert PossibleDuplicate.objects.waiting().count() == 1
