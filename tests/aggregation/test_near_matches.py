"""Two rows that may be one event wait for a person: never merged silently, asked once, decisions can be undone."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aggregation import review, undoing
from aggregation.models import BookStatus, PossibleDuplicate, Source
from aggregation.review_models import Decision
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from connections.models import Account
from tests.aggregation.factories import a_record, an_account
from tests.aggregation.test_booking import book_api, book_file
from tests.aggregation.test_undoing import a_run

pytestmark = pytest.mark.django_db
SPELLED = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="AAPL.O")
DIVIDEND: dict[str, Any] = {"kind": TransactionKind.DIVIDEND, "quantity": None, "price": None, "gross_amount": None}
NEAR: dict[str, dict[str, Any]] = {
    "settlement": {"traded_on": date(2026, 3, 4)},
    "date": {"traded_on": date(2026, 3, 3)},
    "fees": {"net_amount": Decimal("-1803.50")},
    "rounding": {"net_amount": Decimal("-1802.51")},
    "symbol": {"instrument": SPELLED},
}


def told() -> dict[str, Any]:
    return {"settled_on": date(2026, 3, 4), "fees": Decimal(1)}


def a_pair(account: Account | None = None, **changes: Any) -> PossibleDuplicate:
    account = account or an_account()
    book_api(account, a_record("1", **told()))
    book_file(account, a_record(**(changes or NEAR["settlement"])))
    return PossibleDuplicate.objects.get(account=account)


@pytest.mark.parametrize("reason", NEAR)
@pytest.mark.parametrize("first", ["file", "broker"])
def test_a_near_match_is_asked_about_whichever_came_first_and_counts_until_decided(reason: str, first: str) -> None:
    account = an_account()
    jobs = [lambda: book_file(account, a_record(**NEAR[reason])), lambda: book_api(account, a_record("1", **told()))]
    for job in jobs if first == "file" else jobs[::-1]:
        job()
    assert PossibleDuplicate.objects.get().reasons == [reason]
    assert account.transactions.in_books().count() == 2


@pytest.mark.parametrize(
    "other",
    [
        a_record(traded_on=date(2026, 3, 9)),
        a_record(quantity=Decimal(11)),
        a_record(net_amount=Decimal("-1790.00"), gross_amount=Decimal("-1790.00")),
        a_record(kind=TransactionKind.SELL, quantity=Decimal(-10), net_amount=Decimal("1802.50")),
        a_record(**DIVIDEND, net_amount=Decimal("-1802.50")),
    ],
)
def test_what_differs_by_more_is_no_question(other) -> None:
    account = an_account()
    book_api(account, a_record("1", **told()))
    book_file(account, other)
    assert not PossibleDuplicate.objects.exists()


def test_a_dividend_paid_some_days_later_is_asked_about() -> None:
    account = an_account()
    book_api(account, a_record("1", **DIVIDEND, net_amount=Decimal("4.38")))
    book_file(account, a_record(**DIVIDEND, net_amount=Decimal("4.38"), traded_on=date(2026, 3, 6)))
    assert PossibleDuplicate.objects.get().reasons == ["date"]


def test_a_broker_s_own_equal_rows_and_those_of_one_file_are_never_questioned() -> None:
    account = an_account()
    book_api(account, a_record("1"), a_record("2", traded_on=date(2026, 3, 3)))
    other = an_account()
    book_file(other, a_record(), a_record(), a_record(traded_on=date(2026, 3, 3)))
    assert not PossibleDuplicate.objects.exists()


def test_rows_that_found_their_exact_partner_are_not_compared_any_more() -> None:
    account = an_account()
    book_file(account, a_record(), a_record(traded_on=date(2026, 3, 3)))
    book_api(account, a_record("1"))
    assert PossibleDuplicate.objects.count() == 0
    book_api(account, a_record("2", traded_on=date(2026, 3, 3)))
    assert PossibleDuplicate.objects.count() == 0
    assert account.transactions.in_books().count() == 2


def test_three_equal_fills_against_three_near_ones_are_three_questions() -> None:
    account = an_account()
    book_api(account, *(a_record(str(number), **told()) for number in range(3)))
    book_file(account, *[a_record(**NEAR["settlement"])] * 3)
    assert PossibleDuplicate.objects.count() == 3


def test_a_merged_pair_counts_once_and_stays_so_after_the_next_sync_and_file() -> None:
    pair = a_pair()
    account = pair.account
    review.merge(pair, user=account.connection.user)
    kept = account.transactions.in_books().get()
    assert kept.source == Source.API
    other = account.transactions.get(status=BookStatus.DUPLICATE)
    assert other.superseded_by == kept
    book_file(account, a_record(**NEAR["settlement"]))
    book_api(account, a_record("1", **told()))
    book_api(account, a_record("1", **told() | {"description": "Bought Apple"}))
    assert account.transactions.in_books().get().description == "Bought Apple"
    assert PossibleDuplicate.objects.get().decision == Decision.MERGED


def test_kept_both_is_not_asked_again_even_when_the_broker_corrects_a_word() -> None:
    pair = a_pair()
    account = pair.account
    review.keep_both(pair, user=account.connection.user)
    book_api(account, a_record("1", **told() | {"description": "Bought Apple"}))
    book_file(account, a_record(**NEAR["settlement"]))
    assert PossibleDuplicate.objects.get().decision == Decision.KEPT
    assert account.transactions.in_books().count() == 2


def test_each_decision_can_be_undone_and_taken_anew() -> None:
    pair = a_pair()
    user, books = pair.account.connection.user, pair.account.transactions.in_books()
    review.merge(pair, user=user, keep=pair.second)
    assert books.get() == pair.second
    with pytest.raises(NotAllowed, match="decided before"):
        review.keep_both(pair, user=user)
    review.reopen(pair, user=user)
    assert books.count() == 2
    assert PossibleDuplicate.objects.waiting().count() == 1
    with pytest.raises(NotAllowed, match="Nothing was decided"):
        review.reopen(pair, user=user)
    review.keep_both(pair, user=user)
    review.reopen(pair, user=user)
    review.merge(pair, user=user)
    assert books.count() == 1


def test_a_merge_holds_while_its_runs_are_taken_back_and_applied_again() -> None:
    account = an_account()
    sync = a_run(account, a_record("1", **told()))
    a_run(account, a_record(**NEAR["settlement"]), source=Source.CSV)
    review.merge(PossibleDuplicate.objects.get(), user=account.connection.user)
    undoing.undo(sync.pk)
    assert account.transactions.in_books().get().source == Source.CSV
    undoing.reapply(sync.pk)
    assert account.transactions.in_books().get().source == Source.API


def test_a_question_whose_run_is_taken_back_waits_for_its_return() -> None:
    account = an_account()
    sync = a_run(account, a_record("1", **told()))
    a_run(account, a_record(**NEAR["settlement"]), source=Source.CSV)
    undoing.undo(sync.pk)
    assert not PossibleDuplicate.objects.waiting().exists()
    undoing.reapply(sync.pk)
    assert PossibleDuplicate.objects.waiting().count() == 1


# --- The same id, and tellers that are believed -----------------------------------------------------------------------
@pytest.mark.parametrize("first", ["file", "broker"])
def test_the_same_id_with_another_content_is_asked_about_and_never_merged_silently(first: str) -> None:
    account = an_account()
    other = a_record("1", net_amount=Decimal("-1750.00"), gross_amount=None, traded_on=date(2026, 4, 20))
    jobs = [lambda: book_file(account, other), lambda: book_api(account, a_record("1"))]
    for job in jobs if first == "file" else jobs[::-1]:
        job()
    pair = PossibleDuplicate.objects.waiting().get()
    assert pair.reasons == ["id", "date", "amount"]
    assert review.in_words(pair)[0] == "Both carry the same id of the broker, but do not say the same"
    assert account.transactions.in_books().count() == 2
    review.merge(pair, user=account.connection.user)
    assert account.transactions.in_books().get().source == Source.API


def test_the_same_id_and_a_cent_of_difference_says_both_reasons() -> None:
    account = an_account()
    book_file(account, a_record("1", net_amount=Decimal("-1802.52")))
    book_api(account, a_record("1"))
    assert PossibleDuplicate.objects.get().reasons == ["id", "rounding"]


def test_two_files_with_ids_of_their_own_ask_and_the_question_goes_on_to_the_broker_s_row() -> None:
    account = an_account()
    book_file(account, a_record("q1"))
    book_file(account, a_record("c1"))
    assert PossibleDuplicate.objects.waiting().get().reasons == ["same"]
    sync = a_run(account, a_record("1"))
    pair = PossibleDuplicate.objects.waiting().get()
    assert {pair.first.source, pair.second.source} == {"csv", "api"}
    undoing.undo(sync.pk)
    assert PossibleDuplicate.objects.waiting().get().first.source == "csv"
    review.merge(PossibleDuplicate.objects.get(), user=account.connection.user)
    undoing.reapply(sync.pk)
    assert account.transactions.in_books().get().source == "api"


def test_a_file_whose_twin_another_file_told_is_asked_about_all_the_same() -> None:
    account = an_account()
    book_api(account, a_record("1"))
    book_file(account, a_record("q1"))
    book_file(account, a_record("c1"))
    assert PossibleDuplicate.objects.waiting().get().reasons == ["same"]
    book_file(account, a_record("q1"), a_record("c1"))
    assert not PossibleDuplicate.objects.exists()


def test_a_row_in_other_words_is_asked_about_though_a_third_source_told_it_exactly() -> None:
    account = an_account()
    book_file(account, a_record())
    book_file(account, a_record(traded_on=date(2026, 3, 3)))
    assert PossibleDuplicate.objects.waiting().count() == 1
    sync = a_run(account, a_record("1"))
    assert account.transactions.in_books().count() == 2
    review.merge(PossibleDuplicate.objects.waiting().get(), user=account.connection.user)
    assert account.transactions.in_books().get().external_id == "1"
    undoing.undo(sync.pk)
    assert account.transactions.in_books().get().external_id == ""


def test_what_a_run_taken_back_had_answered_is_asked_again() -> None:
    account = an_account()
    book_api(account, a_record("2", traded_on=date(2026, 3, 3)))
    sync = a_run(account, a_record("1"))
    book_file(account, a_record())
    assert not PossibleDuplicate.objects.exists()
    undoing.undo(sync.pk)
    assert PossibleDuplicate.objects.waiting().get().reasons == ["date"]
    undoing.reapply(sync.pk)
    assert not PossibleDuplicate.objects.waiting().exists()


def test_a_merge_of_a_corrected_row_can_be_undone() -> None:
    pair = a_pair()
    account, user = pair.account, pair.account.connection.user
    review.merge(pair, user=user)
    book_api(account, a_record("1", **told() | {"description": "Bought Apple"}))
    kept = account.transactions.in_books().get()
    assert account.transactions.get(status=BookStatus.DUPLICATE).superseded_by == kept
    review.reopen(pair, user=user)
    assert account.transactions.in_books().count() == 2


# --- Legs of one event ------------------------------------------------------------------------------------------------
def a_reinvestment(names: tuple[str, str], **changes: Any) -> list[Any]:
    amount = Decimal("18.02")
    dividend = a_record(names[0], **DIVIDEND, net_amount=amount, group_id="r1", **changes)
    bought = a_record(names[1], quantity=Decimal("0.1"), net_amount=-amount, gross_amount=None, group_id="r1")
    return [dividend, replace(bought, **changes)]


def test_the_legs_of_a_reinvestment_are_decided_together() -> None:
    account = an_account()
    user, books = account.connection.user, account.transactions.in_books()
    book_api(account, *a_reinvestment(("1", "2")))
    book_file(account, *a_reinvestment(("", ""), traded_on=date(2026, 3, 3)))
    one, other = PossibleDuplicate.objects.waiting()
    review.merge(one, user=user, keep=one.second)
    assert set(books.values_list("source", flat=True)) == {"csv"}
    assert books.count() == 2
    review.reopen(other, user=user)
    assert (books.count(), PossibleDuplicate.objects.waiting().count()) == (4, 2)


def test_a_leg_is_not_merged_while_another_one_has_no_counterpart() -> None:
    account = an_account()
    book_api(account, *a_reinvestment(("1", "2")))
    book_file(account, a_reinvestment(("", ""), traded_on=date(2026, 3, 3))[0])
    with pytest.raises(NotAllowed, match="has no counterpart"):
        review.merge(PossibleDuplicate.objects.get(), user=account.connection.user)
    assert account.transactions.in_books().count() == 3
    book_file(account, a_record(quantity=Decimal("0.1"), net_amount=Decimal("-18.02"), gross_amount=None))
    review.merge(PossibleDuplicate.objects.get(), user=account.connection.user)
    assert account.transactions.in_books().count() == 2
