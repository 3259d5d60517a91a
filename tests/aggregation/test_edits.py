"""What a person does to a row outlives syncs, corrections, files and runs taken back."""

from decimal import Decimal

import pytest

from aggregation import edits, undoing
from aggregation.edits import Part
from aggregation.models import BookStatus, Source, Transaction
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import RecordStatus
from connections.models import Account
from tests.aggregation.factories import a_record, an_account
from tests.aggregation.test_booking import book_api, book_file
from tests.aggregation.test_undoing import a_run

pytestmark = pytest.mark.django_db
HALVES = (
    Part(net_amount=Decimal("-802.50"), quantity=Decimal(4)),
    Part(net_amount=Decimal(-1000), quantity=Decimal(6)),
)


def booked(account: Account) -> Transaction:
    book_api(account, a_record("1"))
    row: Transaction = account.transactions.get()
    return row


def noted(account: Account) -> list[str]:
    return [row.edit.note for row in account.transactions.in_books().select_related("edit")]


def test_a_note_and_tags_move_on_to_the_correction() -> None:
    account = an_account()
    row, user = booked(account), account.connection.user
    edits.annotate(row, user=user, note=" for the house ", tags=["house", " house", "", "gift"])
    edits.annotate(row, user=user, tags=["house"])
    book_api(account, a_record("1", net_amount=Decimal(-5)))
    assert noted(account) == ["for the house"]
    assert account.edits.get().tags == ["house"]


def test_a_note_on_a_files_row_moves_on_to_the_brokers() -> None:
    account = an_account()
    book_file(account, a_record())
    edits.annotate(account.transactions.get(), user=account.connection.user, note="mine")
    book_api(account, a_record("1"))
    assert account.transactions.in_books().get().source == Source.API
    assert noted(account) == ["mine"]


def test_a_note_returns_with_its_row_when_the_run_is_applied_again_or_the_row_comes_anew() -> None:
    account = an_account()
    run = a_run(account, a_record("1"))
    edits.annotate(account.transactions.get(), user=account.connection.user, note="mine")
    assert undoing.undo(run.pk).edited == 1
    undoing.reapply(run.pk)
    assert noted(account) == ["mine"]
    undoing.undo(run.pk)
    book_api(account, a_record("1"))
    assert noted(account) == ["mine"]


def test_an_excluded_row_stays_out_after_the_next_sync_the_next_file_and_an_undo() -> None:
    account = an_account()
    run = a_run(account, a_record("1"))
    row, user = account.transactions.get(), account.connection.user
    edits.exclude(row, user=user)
    book_api(account, a_record("1"))
    book_file(account, a_record())
    book_api(account, a_record("1", description="Bought Apple"))
    assert not account.transactions.in_books().exists()
    undoing.undo(run.pk)
    undoing.reapply(run.pk)
    assert not account.transactions.in_books().exists()
    now = account.transactions.get(status=BookStatus.EXCLUDED)
    edits.bring_back(now, user=user)
    assert account.transactions.in_books().get() == now
    book_api(account, a_record("1", description="Bought Apple"))
    assert account.transactions.in_books().count() == 1


def test_a_row_the_file_told_stays_out_when_its_sync_is_taken_back() -> None:
    account = an_account()
    sync = a_run(account, a_record("1"))
    book_file(account, a_record())
    edits.exclude(account.transactions.get(source=Source.API), user=account.connection.user)
    undoing.undo(sync.pk)
    assert not account.transactions.in_books().exists()


def test_a_pending_row_brought_back_is_pending_again() -> None:
    account = an_account()
    book_api(account, a_record("1", status=RecordStatus.PENDING))
    row, user = account.transactions.get(), account.connection.user
    edits.exclude(row, user=user)
    edits.bring_back(row, user=user)
    assert row.status == BookStatus.PENDING


def test_parts_count_in_place_of_their_row_and_survive_the_next_sync_and_a_correction_of_its_words() -> None:
    account = an_account()
    row, user = booked(account), account.connection.user
    edits.split(row, HALVES, user=user)
    assert row.status == BookStatus.SPLIT
    book_api(account, a_record("1"))
    book_file(account, a_record())
    book_api(account, a_record("1", description="Bought Apple"))
    amounts = sorted(account.transactions.in_books().values_list("net_amount", flat=True))
    assert amounts == [-1000, Decimal("-802.50")]
    edits.join(account.transactions.get(status=BookStatus.SPLIT), user=user)
    assert account.transactions.in_books().get().description == "Bought Apple"


def test_a_correction_of_the_amount_counts_whole_and_the_parts_are_kept_as_replaced() -> None:
    account = an_account()
    row, user = booked(account), account.connection.user
    parts = edits.split(row, HALVES, user=user)
    book_api(account, a_record("1", net_amount=Decimal(-5)))
    assert account.transactions.in_books().get().net_amount == -5
    assert {part.status for part in Transaction.objects.filter(pk__in=[part.pk for part in parts])} == {"superseded"}


def test_parts_leave_with_the_run_of_their_row_and_return_with_it() -> None:
    account = an_account()
    run = a_run(account, a_record("1"))
    edits.split(account.transactions.get(), HALVES, user=account.connection.user)
    undoing.undo(run.pk)
    assert not account.transactions.in_books().exists()
    undoing.reapply(run.pk)
    assert account.transactions.in_books().count() == 2


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (HALVES[:1], "two parts or more"),
        ((HALVES[0], HALVES[0]), "do not add up to -1802.5 USD"),
        ((HALVES[0], Part(net_amount=Decimal(-1000))), "units of the parts do not add up to 10"),
    ],
)
def test_parts_that_are_not_the_whole_are_refused(parts, words) -> None:
    account = an_account()
    row = booked(account)
    with pytest.raises(NotAllowed, match=words):
        edits.split(row, parts, user=account.connection.user)
    assert account.transactions.in_books().get() == row


def test_what_makes_no_sense_is_refused_in_words() -> None:
    account = an_account()
    row, user = booked(account), account.connection.user
    for refused in (edits.bring_back, edits.join):
        with pytest.raises(NotAllowed, match="is not"):
            refused(row, user=user)
    part = edits.split(row, HALVES, user=user)[0]
    for whole_or_part in (row, part):
        with pytest.raises(NotAllowed, match="Join its parts first"):
            edits.exclude(whole_or_part, user=user)
        with pytest.raises(NotAllowed, match="can be split"):
            edits.split(whole_or_part, HALVES, user=user)
