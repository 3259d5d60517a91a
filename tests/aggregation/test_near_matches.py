"""Two rows that may be one event wait for a person: never merged silently, asked once, decisions can be undone."""

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
