"""One source: the same row is booked once, a correction replaces the old row and keeps it."""

from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from django.db import DataError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregation.ledger import Booked, book
from aggregation.models import BookStatus, Source, Transaction
from connections.brokers.records import RecordStatus, TransactionKind, TransactionRecord
from connections.models import Account
from tests.aggregation.factories import BND, a_record, an_account, the_books

pytestmark = pytest.mark.django_db
many = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def book_api(account: Account, *records: TransactionRecord) -> Booked:
    return book(account=account, records=records, source=Source.API, run_id=None)


def book_file(account: Account, *records: TransactionRecord) -> Booked:
    return book(account=account, records=records, source=Source.CSV, run_id=None)


def test_a_record_is_booked_with_everything_it_says():
    account = an_account()
    record = a_record("1", fees=Decimal("0.04"), settled_on=date(2026, 3, 4), subtype="short", group_id="g7")
    assert book_api(account, record) == Booked(fetched=1, inserted=1)
    row = account.transactions.get()
    assert row.instrument is not None
    assert (row.kind, row.instrument.symbol, row.quantity, row.price) == ("buy", "AAPL", 10, Decimal("180.25"))
    assert (row.net_amount, row.fees, row.taxes, row.currency) == (Decimal("-1802.50"), Decimal("0.04"), 0, "USD")
    assert (row.traded_on, row.settled_on) == (date(2026, 3, 2), date(2026, 3, 4))
    assert (row.subtype, row.group_id, row.source, row.status) == ("short", "g7", "api", "posted")
    assert row.raw == dict(record.raw)


def test_nothing_to_book_is_nothing_booked():
    assert book_api(an_account()) == Booked()


def test_the_same_records_again_change_nothing():
    account = an_account()
    records = [a_record(str(number), net_amount=Decimal(number)) for number in range(5)]
    book_api(account, *records)
    ids = set(account.transactions.values_list("pk", flat=True))
    assert book_api(account, *records) == Booked(fetched=5, matched=5)
    assert set(account.transactions.values_list("pk", flat=True)) == ids


def test_numbers_written_differently_are_the_same_row():
    account = an_account()
    book_api(account, a_record("1", quantity=Decimal("10"), price=Decimal("180.250")))
    again = a_record("1", quantity=Decimal("1.0E+1"), price=Decimal("180.25000"))
    assert book_api(account, again) == Booked(fetched=1, matched=1)


def test_two_equal_fills_with_their_own_ids_stay_two():
    account = an_account()
    assert book_api(account, a_record("1"), a_record("2")).inserted == 2
    assert book_api(account, a_record("3")).inserted == 1
    assert Counter(account.transactions.values_list("occurrence", flat=True)) == {1: 1, 2: 1, 3: 1}


def test_a_page_sent_twice_in_one_batch_counts_as_matched():
    account = an_account()
    assert book_api(account, a_record("1"), a_record("2"), a_record("1")) == Booked(fetched=3, inserted=2, matched=1)


def test_a_correction_replaces_the_old_row_and_keeps_it():
    account = an_account()
    book_api(account, a_record("1"))
    corrected = a_record("1", net_amount=Decimal("-1803.00"))
    assert book_api(account, corrected) == Booked(fetched=1, superseded=1)
    new = account.transactions.get(status=BookStatus.POSTED)
    old = account.transactions.get(status=BookStatus.SUPERSEDED)
    assert (old.net_amount, new.net_amount) == (Decimal("-1802.50"), Decimal("-1803.00"))
    assert old.superseded_by == new
    assert book_api(account, corrected) == Booked(fetched=1, matched=1)


def test_a_correction_that_is_taken_back_is_one_more_correction():
    account = an_account()
    first, second = a_record("1"), a_record("1", net_amount=Decimal("-1803.00"))
    for record in (first, second, first):
        book_api(account, record)
    assert account.transactions.count() == 3
    assert account.transactions.in_books().get().net_amount == Decimal("-1802.50")


def test_a_pending_row_is_replaced_when_it_is_posted():
    account = an_account()
    book_api(account, a_record("1", status=RecordStatus.PENDING))
    assert not account.transactions.in_books().exists()
    assert book_api(account, a_record("1")) == Booked(fetched=1, superseded=1)
    assert account.transactions.in_books().count() == 1


def test_a_row_the_broker_cancels_no_longer_counts_and_is_still_there():
    account = an_account()
    book_api(account, a_record("1"))
    void = a_record("1", status=RecordStatus.VOID)
    assert book_api(account, void) == Booked(fetched=1, superseded=1)
    assert not account.transactions.in_books().exists()
    assert set(account.transactions.values_list("status", flat=True)) == {"superseded", "void"}
    assert book_api(account, void) == Booked(fetched=1, matched=1)


def test_a_row_cancelled_before_we_saw_it_is_kept_and_never_counts():
    account = an_account()
    assert book_api(account, a_record("1", status=RecordStatus.VOID)) == Booked(fetched=1, inserted=1)
    assert not account.transactions.in_books().exists()


def test_an_excluded_row_stays_excluded():
    account = an_account()
    book_api(account, a_record("1"))
    account.transactions.update(status=BookStatus.EXCLUDED)
    assert book_api(account, a_record("1")) == Booked(fetched=1, matched=1)
    assert book_api(account, a_record("1", net_amount=Decimal(-1))) == Booked(fetched=1, superseded=1)
    assert account.transactions.exclude(status=BookStatus.SUPERSEDED).get().status == BookStatus.EXCLUDED


def test_the_same_id_in_another_account_or_source_is_another_row():
    one, other = an_account(), an_account()
    assert book_api(one, a_record("1")).inserted == 1
    assert book_api(other, a_record("1")).inserted == 1
    assert book_file(one, a_record("1", net_amount=Decimal(-7))).inserted == 1


def test_rows_without_an_id_are_known_by_content_and_number():
    account = an_account()
    assert book_file(account, a_record(), a_record(), a_record(instrument=BND)).inserted == 3
    assert book_file(account, a_record(), a_record(), a_record(instrument=BND)) == Booked(fetched=3, matched=3)
    assert book_file(account, a_record(), a_record(), a_record()) == Booked(fetched=3, inserted=1, matched=2)


def test_text_that_postgresql_cannot_hold_does_not_stop_the_page():
    account = an_account()
    book_api(account, a_record("1", description="a\0b" + "x" * 400, raw={"no\0te": ["\0", {"deep": "c\\u0000\0d"}]}))
    row = account.transactions.get()
    assert row.description == "ab" + "x" * 298
    assert row.raw == {"note": ["", {"deep": "c\\u0000d"}]}


@pytest.mark.parametrize(("amount", "error"), [("NaN", ValueError), ("Infinity", ValueError), ("1e30", DataError)])
def test_an_amount_that_cannot_be_booked_books_nothing_of_its_page(amount, error):
    account = an_account()
    with pytest.raises(error):
        book_api(account, a_record("1"), a_record("2", net_amount=Decimal(amount)))
    assert not Transaction.objects.filter(account=account).exists()


CONTENTS = [
    a_record(),
    a_record(instrument=BND, quantity=Decimal("0.5"), net_amount=Decimal("-36.10")),
    a_record(kind=TransactionKind.DIVIDEND, quantity=None, price=None, net_amount=Decimal("4.38")),
    a_record(kind=TransactionKind.DEPOSIT, instrument=None, quantity=None, net_amount=Decimal("1000")),
]
statements = st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=12).map(
    lambda rows: [replace(row, external_id=str(number)) for number, row in enumerate(rows)]
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[TransactionRecord], list[list[TransactionRecord]]]:
    """A statement, and pages that hold all of it in any cut, order, overlap and repetition."""
    rows = draw(statements)
    pages = draw(st.lists(st.lists(st.sampled_from(rows), max_size=8), max_size=6))
    missing = [row for row in rows if row not in [known for page in pages for known in page]]
    return rows, draw(st.permutations([*pages, missing]))


@given(deliveries())
@many
def test_any_delivery_of_a_statement_ends_in_the_same_books(delivery):
    rows, pages = delivery
    clean, account = an_account(), an_account()
    book_api(clean, *rows)
    for page in pages:
        booked = book_api(account, *page)
        assert booked.fetched == len(page) == booked.inserted + booked.matched + booked.superseded
    assert the_books(account) == the_books(clean)
    assert account.transactions.count() == len(rows)


@given(statements, st.data())
@many
def test_corrections_keep_every_version_and_one_counts(rows, data):
    account = an_account()
    book_api(account, *rows)
    corrected = data.draw(st.sets(st.sampled_from(range(len(rows)))))
    amounts = {str(number): Decimal(data.draw(st.integers(10_000, 10_003))) for number in corrected}
    newer = [replace(row, net_amount=amounts.get(row.external_id, row.net_amount)) for row in rows]
    assert book_api(account, *newer).superseded == len(corrected)
    assert book_api(account, *newer).matched == len(rows)
    clean = an_account()
    book_api(clean, *newer)
    assert the_books(account) == the_books(clean)
    assert account.transactions.count() == len(rows) + len(corrected)
