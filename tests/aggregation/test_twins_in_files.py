"""One event told by two files, of which one knows it by an id and the other does not, counts once."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation import edits, review, undoing
from aggregation.edits import Part
from aggregation.foreseeing import foresee
from aggregation.ledger import Booked
from aggregation.models import BookStatus, PossibleDuplicate, Source, Transaction
from connections.brokers.records import TransactionRecord
from connections.models import Account
from tests.aggregation.factories import BND, a_record, an_account
from tests.aggregation.test_booking import book_api, book_file, many
from tests.aggregation.test_undoing import a_run

pytestmark = pytest.mark.django_db
WITH_ID, WITHOUT = a_record("t1"), a_record()
ORDERS = [(WITH_ID, WITHOUT), (WITHOUT, WITH_ID)]


def counting(account: Account) -> list[tuple[str, str]]:
    return sorted(account.transactions.in_books().values_list("source", "external_id"))


@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_the_row_with_an_id_counts_whichever_file_came_first(
    first: TransactionRecord, second: TransactionRecord
) -> None:
    account = an_account()
    book_file(account, first)
    (foreseen,) = foresee(account=account, records=[second], source=Source.CSV)
    assert foreseen.outcome == ("superseded" if second is WITH_ID else "matched")
    book_file(account, second)
    assert counting(account) == [("csv", "t1")]
    assert account.transactions.get(status=BookStatus.DUPLICATE).superseded_by == account.transactions.in_books().get()
    for again in (first, second):
        assert book_file(account, again) == Booked(fetched=1, matched=1)
    assert not PossibleDuplicate.objects.exists()


def test_the_broker_is_believed_before_both_files() -> None:
    account = an_account()
    book_file(account, WITHOUT, WITHOUT)
    book_file(account, WITH_ID)
    assert counting(account) == [("csv", ""), ("csv", "t1")]
    book_api(account, a_record("1"))
    assert counting(account) == [("api", "1"), ("csv", "")]
    book_file(account, a_record("t2"))
    assert counting(account) == [("api", "1"), ("csv", "t2")]


def test_equal_rows_of_one_file_with_and_without_an_id_stay_two() -> None:
    account = an_account()
    book_file(account, WITHOUT, WITH_ID)
    assert counting(account) == [("csv", ""), ("csv", "t1")]
    assert book_file(account, WITH_ID, WITHOUT) == Booked(fetched=2, matched=2)
    assert book_file(account, WITHOUT, WITHOUT) == Booked(fetched=2, matched=2)


@pytest.mark.parametrize("undone", [0, 1])
@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_either_file_stands_alone_when_the_other_is_taken_back(
    first: TransactionRecord, second: TransactionRecord, undone: int
) -> None:
    account = an_account()
    runs = [a_run(account, record, source=Source.CSV) for record in (first, second)]
    undoing.undo(runs[undone].pk)
    assert counting(account) == [("csv", (second, first)[undone].external_id)]
    undoing.reapply(runs[undone].pk)
    assert counting(account) == [("csv", "t1")]


@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_what_a_person_excluded_stays_out_and_comes_back_once(
    first: TransactionRecord, second: TransactionRecord
) -> None:
    account = an_account()
    user = account.connection.user
    a_run(account, first, source=Source.CSV)
    edits.exclude(account.transactions.get(), user=user)
    later = a_run(account, second, source=Source.CSV)
    assert counting(account) == []
    excluded = account.transactions.get(status=BookStatus.EXCLUDED)
    assert excluded.external_id == "t1"
    undoing.undo(later.pk)
    assert (counting(account), account.transactions.filter(status=BookStatus.EXCLUDED).count()) == ([], 1)
    undoing.reapply(later.pk)
    edits.bring_back(account.transactions.get(status=BookStatus.EXCLUDED), user=user)
    assert counting(account) == [("csv", "t1")]


def test_parts_go_on_to_the_row_with_the_id_and_back() -> None:
    account = an_account()
    book_file(account, WITHOUT)
    row = account.transactions.get()
    halves = [Part(net_amount=Decimal("-901.25"), quantity=Decimal(5))] * 2
    edits.split(row, halves, user=account.connection.user)
    run = a_run(account, WITH_ID, source=Source.CSV)
    assert Transaction.objects.get(external_id="t1").parts.filter(status=BookStatus.POSTED).count() == 2
    assert account.transactions.in_books().count() == 2
    undoing.undo(run.pk)
    assert row.parts.filter(status=BookStatus.POSTED).count() == 2
    assert sum(account.transactions.in_books().values_list("net_amount", flat=True)) == row.net_amount


CONTENTS = (a_record(), a_record(instrument=BND, net_amount=Decimal(-8)))
some_rows = st.lists(st.sampled_from(range(2)), max_size=5)


@given(some_rows, some_rows, some_rows, some_rows, st.data())
@many
def test_in_any_order_each_content_counts_as_often_as_its_fullest_teller_says(api, ids, plain, mixed, data) -> None:
    """`mixed` is one file with ids on its even lines only."""
    deliveries = {
        "api": [replace(CONTENTS[row], external_id=f"a{number}") for number, row in enumerate(api)],
        "ids": [replace(CONTENTS[row], external_id=f"f{number}") for number, row in enumerate(ids)],
        "plain": [CONTENTS[row] for row in plain],
        "mixed": [replace(CONTENTS[row], external_id=f"m{n}" if n % 2 else "") for n, row in enumerate(mixed)],
    }
    account = an_account()
    for name in data.draw(st.permutations([*deliveries] * 2)):
        records = data.draw(st.permutations(deliveries[name]))
        booked = (book_api if name == "api" else book_file)(account, *records)
        assert booked.fetched == len(records) == booked.inserted + booked.matched + booked.superseded
    with_ids = Counter(ids) + Counter(row for number, row in enumerate(mixed) if number % 2)
    expected = Counter(api) | with_ids | Counter(plain) | Counter(mixed)
    amounts = account.transactions.in_books().values_list("net_amount", flat=True)
    assert Counter(amounts) == Counter({CONTENTS[row].net_amount: n for row, n in expected.items()})
    assert account.transactions.in_books().filter(source="api").count() == len(api)
    proofs = account.transactions.filter(status=BookStatus.DUPLICATE)
    assert not proofs.exclude(superseded_by__status=BookStatus.POSTED).exists()


def test_a_decision_is_taken_back_whoever_tells_the_row_that_counts_by_then() -> None:
    account = an_account()
    user = account.connection.user
    book_file(account, a_record())
    book_file(account, a_record(net_amount=Decimal("-1802.49")))
    pair = PossibleDuplicate.objects.for_list().get()
    review.merge(pair, user=user, keep=pair.first)
    book_file(account, WITH_ID)  # the row that counts, with an id
    assert counting(account) == [("csv", "t1")]
    review.reopen(PossibleDuplicate.objects.for_list().decided().get(), user=user)
    assert counting(account) == [("csv", ""), ("csv", "t1")]


def test_a_decision_goes_on_when_both_its_rows_are_replaced_at_once() -> None:
    account = an_account()
    book_file(account, WITHOUT)
    book_file(account, a_record("f2", instrument=BND, net_amount=Decimal(-8)))
    pair = PossibleDuplicate.objects.for_list().get()
    review.merge(pair, user=account.connection.user, keep=pair.first)
    book_file(account, a_record("f2", quantity=Decimal(20), net_amount=Decimal(-3605), gross_amount=None), WITH_ID)
    assert counting(account) == [("csv", "t1")]
    moved = PossibleDuplicate.objects.for_list().decided().get()
    assert {row.external_id for row in moved.rows} == {"f2", "t1"}
    assert all(row.status != BookStatus.SUPERSEDED for row in moved.rows)
