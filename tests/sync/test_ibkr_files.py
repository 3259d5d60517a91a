"""Interactive Brokers' files in the books: imported twice, and beside the Flex feed of the same account."""

import pytest
from django.db.models import Count

from aggregation import ledger
from aggregation.models import Source, Transaction
from brokerhub.kernel.models import User
from connections.brokers.records import TransactionRecord
from connections.models import Account
from sync.models import RunState
from tests.aggregation.factories import a_connection, an_account
from tests.connections import flex_statements as feed
from tests.sync.importers.test_ibkr_flex_xml import document, section
from tests.sync.importers.test_samples import EXPECTED
from tests.sync.samples import real_export
from tests.sync.test_imports import import_into

IN_SEVERAL_CURRENCIES = [name for name, sample in EXPECTED.items() if name.startswith("ibkr") and ";" in sample.cash]


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


@pytest.mark.parametrize("name", IN_SEVERAL_CURRENCIES)
def test_a_file_in_several_currencies_imported_twice_adds_nothing(account: Account, name: str) -> None:
    first, again = (import_into(account, real_export(name), name) for _ in range(2))
    assert (first.state, first.parked, first.matched) == (RunState.SUCCEEDED, 0, 0)
    assert (again.state, again.inserted, again.superseded, again.matched) == (RunState.SUCCEEDED, 0, 0, first.inserted)


def test_a_file_of_what_the_feed_has_told_adds_nothing(account: Account) -> None:
    rows = {
        "Trades": [feed.TRADE, {**feed.TRADE, **feed.EURUSD, "transactionID": "31000009"}],
        "CashTransactions": [feed.CASH],
        "Transfers": [feed.TRANSFER],
        "CorporateActions": [feed.ACTION],
    }
    told = [record for record in feed.read(**rows) if isinstance(record, TransactionRecord)]
    ledger.book(account=account, records=told, source=Source.API, run_id=None)
    saved = document("\n".join(section(name, feed.ROWS[name], *part) for name, part in rows.items()))
    run = import_into(account, saved, "flex.xml")
    assert (run.state, run.inserted, run.matched) == (RunState.SUCCEEDED, 0, len(told))
    by_source = Transaction.objects.shown().filter(account=account).values("source").annotate(n=Count("id"))
    assert {row["source"]: row["n"] for row in by_source} == {str(Source.API): len(told)}
