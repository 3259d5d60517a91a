"""Two workers book at the same time, each over a connection of its own."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection

from aggregation.ledger import Booked, book
from aggregation.models import Instrument, Source
from connections.brokers.records import AssetClass, InstrumentRecord, TransactionRecord
from connections.models import Account
from tests.aggregation.factories import a_record, an_account

pytestmark = pytest.mark.django_db(transaction=True)


def book_at_once(*jobs: tuple[Account, list[TransactionRecord]]) -> list[Booked]:
    together = Barrier(len(jobs), timeout=30)

    def work(job: tuple[Account, list[TransactionRecord]]) -> Booked:
        try:
            connection.ensure_connection()
            together.wait()
            return book(account=job[0], records=job[1], source=Source.API, run_id=None)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(work, jobs))


def test_the_same_page_booked_twice_at_once_is_booked_once():
    account = an_account()
    page = [a_record(str(number), net_amount=Decimal(number)) for number in range(200)]
    results = book_at_once((account, page), (account, page), (account, page[::-1]))
    assert sorted(booked.inserted for booked in results) == [0, 0, 200]
    assert sum(booked.matched for booked in results) == 400
    assert account.transactions.count() == 200


def test_two_accounts_that_meet_the_same_new_instruments_share_them():
    instruments = [InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=f"NEW{number}") for number in range(50)]
    page = [a_record(str(number), instrument=instrument) for number, instrument in enumerate(instruments)]
    one, other = an_account(), an_account()
    results = book_at_once((one, page), (other, page[::-1]))
    assert [booked.inserted for booked in results] == [50, 50]
    assert Instrument.objects.count() == 50
