"""One row that is the sum of several: an order beside its executions is one question, and decided as one."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from aggregation import edits, review, undoing
from aggregation.models import BookStatus, PossibleDuplicate, Source
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import TransactionKind, TransactionRecord
from connections.models import Account
from tests.aggregation.factories import BND, a_record, an_account
from tests.aggregation.test_booking import book_api, book_file
from tests.aggregation.test_undoing import a_run

pytestmark = pytest.mark.django_db


def a_fill(external_id: str, units: int, **changes: Any) -> TransactionRecord:
    amount = Decimal(-units) * Decimal("180.25")
    return a_record(
        external_id, quantity=Decimal(units), net_amount=amount, gross_amount=amount, group_id="o1", **changes
    )


ORDER = replace(a_fill("", 10), group_id="")
FILLS = [a_fill("1", 3), a_fill("2", 5), a_fill("3", 2)]


def the_question(account: Account) -> PossibleDuplicate:
    return PossibleDuplicate.objects.waiting().for_list().get(account=account)


def a_question(account: Account) -> PossibleDuplicate:
    book_api(account, *FILLS)
    book_file(account, ORDER)
    return the_question(account)


def counting(account: Account) -> list[str]:
    return sorted(account.transactions.in_books().values_list("external_id", flat=True))


@pytest.mark.parametrize("pages", [["order", "fills"], ["fills", "order"], ["first", "order", "rest"]])
def test_an_order_beside_its_executions_is_one_question_whichever_came_first(pages: list[str]) -> None:
    account = an_account()
    for page in pages:
        if page == "order":
            book_file(account, ORDER)
        else:
            book_api(account, *{"fills": FILLS, "first": FILLS[:2], "rest": FILLS[2:]}[page])
    question = the_question(account)
    assert (question.reasons, question.one) == (["sum"], account.transactions.get(external_id=""))
    assert sorted(row.external_id for row in question.several) == ["1", "2", "3"]
    assert account.transactions.in_books().count() == 4


def test_two_files_ask_as_well_and_a_file_that_tells_both_is_believed() -> None:
    account = an_account()
    book_file(account, *FILLS)
    book_file(account, ORDER)
    assert the_question(account).reasons == ["sum"]
    book_file(account, *FILLS, ORDER)
    assert not PossibleDuplicate.objects.exists()
    other = an_account()
    book_file(other, *FILLS, ORDER)
    book_api(other, a_record("9", quantity=Decimal(7), net_amount=Decimal(-70)))
    assert not PossibleDuplicate.objects.exists()


@pytest.mark.parametrize(
    "order",
    [
        replace(ORDER, quantity=Decimal(11)),
        replace(ORDER, net_amount=ORDER.net_amount - Decimal("0.04"), gross_amount=None),
        replace(ORDER, instrument=BND),
        replace(ORDER, kind=TransactionKind.SELL),
        replace(ORDER, currency="EUR"),
    ],
)
def test_what_does_not_add_up_is_no_question(order: TransactionRecord) -> None:
    account = an_account()
    book_api(account, *FILLS)
    book_file(account, order)
    assert not PossibleDuplicate.objects.exists()


def test_cents_of_rounding_and_fees_kept_apart_still_add_up() -> None:
    rounded, with_fees = an_account(), an_account()
    book_api(rounded, *FILLS)
    book_file(rounded, replace(ORDER, net_amount=ORDER.net_amount - Decimal("0.03"), gross_amount=None))
    assert len(the_question(rounded).several) == 3
    paid = [replace(fill, fees=Decimal("0.35"), net_amount=fill.net_amount - Decimal("0.35")) for fill in FILLS]
    book_api(with_fees, *paid)
    book_file(with_fees, ORDER)
    assert len(the_question(with_fees).several) == 3


def test_two_orders_of_a_day_each_find_their_own_executions() -> None:
    account = an_account()
    second = [replace(fill, external_id=f"b{fill.external_id}", group_id="o2") for fill in FILLS]
    book_api(account, *[row for both in zip(FILLS, second, strict=True) for row in both])
    book_file(account, ORDER, ORDER)
    questions = PossibleDuplicate.objects.waiting().for_list()
    told = sorted(sorted(row.external_id for row in question.several) for question in questions)
    assert told == [["1", "2", "3"], ["b1", "b2", "b3"]]


@pytest.mark.parametrize("kept", ["one", "several"])
def test_either_side_can_count_and_the_decision_can_be_undone(kept: str) -> None:
    account = an_account()
    question, user = a_question(account), account.connection.user
    review.merge(question, user=user, keep=question.one if kept == "one" else question.several[1])
    assert counting(account) == ([""] if kept == "one" else ["1", "2", "3"])
    review.reopen(question, user=user)
    assert (counting(account), the_question(account)) == (["", "1", "2", "3"], question)
    review.keep_both(question, user=user)
    assert (len(counting(account)), PossibleDuplicate.objects.waiting().count()) == (4, 0)
    review.reopen(question, user=user)
    review.merge(question, user=user)
    assert counting(account) == ["1", "2", "3"]


@pytest.mark.parametrize("kept", ["one", "several"])
def test_the_decision_survives_corrections_repeated_files_and_runs_taken_back(kept: str) -> None:
    account = an_account()
    user = account.connection.user
    feed = a_run(account, *FILLS)
    file = a_run(account, ORDER, source=Source.CSV)
    question = the_question(account)
    review.merge(question, user=user, keep=question.one if kept == "one" else question.several[0])
    expected = [""] if kept == "one" else ["1", "2", "3"]
    later = a_run(account, replace(FILLS[1], net_amount=Decimal("-901.30")), *FILLS[2:])
    book_file(account, ORDER)
    assert counting(account) == expected
    undoing.undo(feed.pk)
    assert counting(account) == [""]
    undoing.reapply(feed.pk)
    undoing.undo(later.pk)
    assert counting(account) == expected
    undoing.undo(file.pk)
    assert counting(account) == expected  # the second import still tells the order
    review.reopen(question, user=user)
    assert counting(account) == ["", "1", "2", "3"]


def test_when_only_the_executions_are_left_they_count() -> None:
    account = an_account()
    file = a_run(account, ORDER, source=Source.CSV)
    book_api(account, *FILLS)
    question = the_question(account)
    review.merge(question, user=account.connection.user, keep=question.one)
    undoing.undo(file.pk)
    assert counting(account) == ["1", "2", "3"]
    undoing.reapply(file.pk)
    assert counting(account) == [""]


def test_when_an_execution_is_missing_the_order_counts_for_the_rest() -> None:
    account = an_account()
    book_api(account, *FILLS[:2])
    last = a_run(account, FILLS[2])
    book_file(account, ORDER)
    review.merge(the_question(account), user=account.connection.user)
    assert counting(account) == ["1", "2", "3"]
    undoing.undo(last.pk)
    assert counting(account) == [""]
    undoing.reapply(last.pk)
    assert counting(account) == ["1", "2", "3"]


def test_a_decision_about_files_goes_on_to_the_broker_s_rows() -> None:
    account = an_account()
    book_file(account, *FILLS)
    book_file(account, ORDER)
    review.merge(the_question(account), user=account.connection.user)
    feed = a_run(account, *(replace(fill, external_id=f"a{fill.external_id}") for fill in FILLS))
    assert counting(account) == ["a1", "a2", "a3"]
    undoing.undo(feed.pk)
    assert counting(account) == ["1", "2", "3"]


def test_an_excluded_execution_puts_the_question_aside_until_it_is_brought_back() -> None:
    account = an_account()
    question, user = a_question(account), account.connection.user
    fill = account.transactions.get(external_id="2")
    edits.exclude(fill, user=user)
    assert not PossibleDuplicate.objects.waiting().exists()
    with pytest.raises(NotAllowed, match="does not count any more"):
        review.merge(question, user=user)
    edits.bring_back(fill, user=user)
    assert the_question(account) == question


def test_a_note_stays_with_its_row() -> None:
    account = an_account()
    question, user = a_question(account), account.connection.user
    edits.annotate(question.several[0], user=user, note="mine")
    review.merge(question, user=user)
    book_api(account, replace(FILLS[0], description="Corrected"), *FILLS[1:])
    row = account.transactions.in_books().get(external_id="1")
    assert (row.edit.note, row.description) == ("mine", "Corrected")
    assert account.transactions.get(status=BookStatus.DUPLICATE).external_id == ""
