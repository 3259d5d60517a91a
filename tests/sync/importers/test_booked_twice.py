"""Every real export into the books: all its rows, and the same file again adds nothing."""

import pytest

from aggregation import ledger
from aggregation.models import Source, Transaction
from brokerhub.kernel.models import User
from connections.brokers.records import TransactionRecord
from sync.parking import split
from tests.aggregation.factories import a_connection, an_account
from tests.sync.importers.test_samples import SAMPLES, Sample, read


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_file_booked_again_adds_nothing(person: User, sample: Sample) -> None:
    records: list[TransactionRecord]
    records, parked = split(read(sample).records)
    account = an_account(a_connection(person))
    first = ledger.book(account=account, records=records, source=Source.CSV, run_id=None)
    again = ledger.book(account=account, records=records, source=Source.CSV, run_id=None)
    assert parked == []
    assert (first.inserted, again.inserted, again.superseded) == (len(records), 0, 0)
    assert Transaction.objects.filter(account=account).count() == len(records)
