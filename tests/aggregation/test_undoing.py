"""A run is taken back with all it did, and applied again; what others told, and what people decided, stands."""

from dataclasses import replace
from decimal import Decimal

import pytest

from aggregation import undoing
from aggregation.ledger import book
from aggregation.models import BookStatus, Source
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import TransactionRecord
from connections.models import Account
from sync.models import Mode, RunState, SyncRun, Trigger
from tests.aggregation.factories import a_record, an_account, the_books

pytestmark = pytest.mark.django_db


def a_run(account: Account, *records: TransactionRecord, source: Source = Source.API) -> SyncRun:
    """A finished run that told `records`."""
    is_file = source == Source.CSV
    run = SyncRun.objects.create(
        connection=account.connection,
        trigger=Trigger.IMPORT if is_file else Trigger.MANUAL,
        mode=Mode.IMPORT if is_file else Mode.INCREMENTAL,
        state=RunState.SUCCEEDED,
    )
    book(account=account, records=records, source=source, run_id=run.pk)
    return run


def test_a_run_taken_back_leaves_the_books_as_they_were_and_comes_back_bit_for_bit():
    account = an_account()
    a_run(account, a_record("1"), a_record("2"))
    before = list(account.transactions.order_by("pk").values())
    run = a_run(account, a_record("1", net_amount=Decimal(-5)), a_record("3"))
    after = list(account.transactions.order_by("pk").values())
    effect = undoing.undo(run.pk)
    assert (effect.leaving, effect.returning) == (2, 1)
    assert list(account.transactions.exclude(status=BookStatus.UNDONE).order_by("pk").values()) == before
    assert undoing.reapply(run.pk).returning == 2
    assert list(account.transactions.order_by("pk").values()) == after


def test_a_preview_counts_and_changes_nothing():
    account = an_account()
    run = a_run(account, a_record("1"), a_record("2"))
    a_run(account, a_record("2"))
    effect = undoing.preview_undo(run.pk)
    assert (effect.leaving, effect.staying) == (1, 1)
    assert account.transactions.in_books().count() == 2
    assert not undoing.is_undone(run.pk)


def test_rows_that_a_later_run_told_as_well_stay():
    account = an_account()
    first = a_run(account, a_record("1"), a_record("2"))
    later = a_run(account, a_record("2"), a_record("3"))
    undoing.undo(first.pk)
    assert {row[0] for row in the_books(account)} == {"2", "3"}
    undoing.undo(later.pk)
    assert the_books(account) == []
    undoing.reapply(first.pk)
    assert {row[0] for row in the_books(account)} == {"1", "2"}


def test_a_file_told_by_the_broker_before_stands_alone_when_the_sync_is_taken_back():
    account = an_account()
    sync = a_run(account, a_record("1"), a_record("2"))
    a_run(account, a_record(), source=Source.CSV)
    undoing.undo(sync.pk)
    assert account.transactions.in_books().get().source == Source.CSV
    undoing.reapply(sync.pk)
    assert sorted(account.transactions.in_books().values_list("source", flat=True)) == ["api", "api"]


def test_a_later_correction_stands_when_the_run_before_it_is_taken_back():
    account = an_account()
    first = a_run(account, a_record("1"))
    corrected = a_record("1", net_amount=Decimal(-5))
    later = a_run(account, corrected)
    undoing.undo(first.pk)
    assert account.transactions.in_books().get().net_amount == -5
    undoing.undo(later.pk)
    assert not account.transactions.in_books().exists()
    undoing.reapply(first.pk)
    assert account.transactions.in_books().get().net_amount == Decimal("-1802.50")


def test_rows_taken_back_come_again_with_the_next_sync_and_stay_single():
    account = an_account()
    first = a_run(account, a_record("1"))
    undoing.undo(first.pk)
    a_run(account, a_record("1"))
    assert account.transactions.in_books().count() == 1
    undoing.reapply(first.pk)
    assert account.transactions.in_books().count() == 1


def test_twins_that_change_their_numbers_still_pair_with_a_files_rows():
    account = an_account()
    first = a_run(account, a_record("1"))
    undoing.undo(first.pk)
    a_run(account, a_record("2"))
    undoing.reapply(first.pk)
    a_run(account, a_record(), a_record(), a_record(), source=Source.CSV)
    assert sorted(row.source for row in account.transactions.in_books()) == ["api", "api", "csv"]


def test_what_was_not_booked_or_is_taken_back_already_cannot_be_taken_back():
    account = an_account()
    run = a_run(account, a_record("1"))
    with pytest.raises(NotAllowed, match="was not taken back"):
        undoing.reapply(run.pk)
    undoing.undo(run.pk)
    with pytest.raises(NotAllowed, match="nothing to take back"):
        undoing.undo(run.pk)


def test_the_same_file_may_be_imported_again_after_it_was_taken_back():
    account = an_account()
    rows = [a_record(), a_record(), replace(a_record(), net_amount=Decimal(-3))]
    undoing.undo(a_run(account, *rows, source=Source.CSV).pk)
    a_run(account, *rows, source=Source.CSV)
    assert account.transactions.in_books().count() == 3
