"""A file and the broker tell of the same transactions: each counts once, in the broker's version."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.ledger import Booked
from aggregation.models import BookStatus, Source
from connections.models import Account
from tests.aggregation.factories import BND, a_record, an_account
from tests.aggregation.test_booking import book_api, book_file, many

pytestmark = pytest.mark.django_db


def counting(account: Account) -> list[tuple[str, str]]:
    return sorted(account.transactions.in_books().values_list("source", "external_id"))


def test_a_row_of_a_file_claims_the_brokers_row():
    account = an_account()
    book_api(account, a_record("1"), a_record("2"))
    file = [a_record(), a_record(), a_record()]
    assert book_file(account, *file) == Booked(fetched=3, inserted=1, matched=2)
    assert counting(account) == [("api", "1"), ("api", "2"), ("csv", "")]
    assert book_file(account, *file) == Booked(fetched=3, matched=3)


def test_the_brokers_row_replaces_that_of_a_file():
    account = an_account()
    book_file(account, a_record(), a_record())
    assert book_api(account, a_record("1")) == Booked(fetched=1, superseded=1)
    assert counting(account) == [("api", "1"), ("csv", "")]
    replaced = account.transactions.get(status=BookStatus.DUPLICATE)
    assert (replaced.source, replaced.superseded_by) == ("csv", account.transactions.get(external_id="1"))
    assert book_file(account, a_record(), a_record()) == Booked(fetched=2, matched=2)
    assert book_api(account, a_record("1")) == Booked(fetched=1, matched=1)


def test_rows_of_a_file_that_carry_ids_are_paired_with_the_brokers_all_the_same():
    account = an_account()
    book_file(account, a_record("f1"), a_record("f2"))
    assert book_api(account, a_record("1")) == Booked(fetched=1, superseded=1)
    assert book_file(account, a_record("f1"), a_record("f2")) == Booked(fetched=2, matched=2)
    assert book_api(account, a_record("2"), a_record("3")) == Booked(fetched=2, inserted=1, superseded=1)
    assert counting(account) == [("api", "1"), ("api", "2"), ("api", "3")]


def test_a_file_does_not_bring_back_what_the_broker_has_corrected_since():
    account = an_account()
    book_api(account, a_record("1"))
    assert book_file(account, a_record()).matched == 1
    book_api(account, a_record("1", net_amount=Decimal(-1)))
    assert book_file(account, a_record()) == Booked(fetched=1, matched=1)
    assert counting(account) == [("api", "1")]


def test_a_correction_of_one_twin_does_not_claim_the_other_twins_row():
    account = an_account()
    book_file(account, a_record(), a_record())
    book_api(account, a_record("1"))
    assert book_api(account, a_record("1", description="Bought 10 Apple")) == Booked(fetched=1, superseded=1)
    assert counting(account) == [("api", "1"), ("csv", "")]


def test_a_row_of_a_file_that_was_excluded_stays_so_when_the_broker_tells_it():
    account = an_account()
    book_file(account, a_record())
    account.transactions.update(status=BookStatus.EXCLUDED)
    assert book_api(account, a_record("1")) == Booked(fetched=1, superseded=1)
    assert counting(account) == []
    assert account.transactions.get(source=Source.API).status == BookStatus.EXCLUDED


CONTENTS = (a_record(), a_record(instrument=BND, net_amount=Decimal(-8)), a_record(net_amount=Decimal(-7)))


@given(
    st.lists(st.sampled_from(range(3)), max_size=7),
    st.lists(st.lists(st.sampled_from(range(3)), max_size=7), max_size=3),
    st.data(),
)
@many
def test_in_any_order_each_content_counts_as_often_as_its_fullest_source_says(told, files, data):
    api = [replace(CONTENTS[content], external_id=str(number)) for number, content in enumerate(told)]
    cuts = data.draw(st.lists(st.integers(0, len(api)), max_size=3).map(sorted))
    pages = [api[start:end] for start, end in zip([0, *cuts], [*cuts, len(api)], strict=True)]
    jobs = [("api", page) for page in pages] + [("csv", [CONTENTS[content] for content in file]) for file in files]
    account = an_account()
    for source, records in data.draw(st.permutations(jobs + jobs)):
        booked = (book_api if source == "api" else book_file)(account, *records)
        assert booked.fetched == len(records) == booked.inserted + booked.matched + booked.superseded
    expected = Counter(told)
    for file in files:
        expected |= Counter(file)
    amounts = account.transactions.in_books().values_list("net_amount", flat=True)
    assert Counter(amounts) == Counter({CONTENTS[content].net_amount: n for content, n in expected.items()})
    assert account.transactions.in_books().filter(source="api").count() == len(api)
