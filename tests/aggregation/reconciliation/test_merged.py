"""What a person says is one instrument is compared as one, in the accounts of theirs in which it is."""

from decimal import Decimal

import pytest

from aggregation.ledger import book, record_holdings
from aggregation.models import Break, Instrument, Reconciliation, Source
from aggregation.positions import choices
from aggregation.reconciliation import comparing
from connections.brokers.records import AssetClass, InstrumentRecord
from connections.models import Account
from tests.aggregation.factories import AAPL, a_balance, a_position, a_record, an_account, some_holdings

pytestmark = pytest.mark.django_db
BY_NUMBER = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="37833100X")


@pytest.fixture
def account() -> Account:
    """The file calls ten shares by a number, the broker reports twelve AAPL: ten of them are those, two are missing."""
    account = an_account()
    book(account=account, records=[a_record("1", instrument=BY_NUMBER)], source=Source.CSV, run_id=None)
    cash = a_balance(cash=Decimal("-1802.50"))
    holdings = some_holdings(a_position(AAPL, "12"), balances=(cash,))
    record_holdings(account=account, holdings=holdings, run_id=None)
    comparing.compare(account)
    return account


def apart(account: Account) -> dict[str, Decimal]:
    return {each.title: each.difference for each in Break.objects.live().filter(account=account)}


def test_a_merged_instrument_is_compared_as_one_and_as_two_when_that_is_undone(account: Account):
    user = account.connection.user
    assert apart(account) == {"AAPL": 12, "37833100X": -10}
    Reconciliation.objects.update(due_at=None)
    choice = choices.merge(user, Instrument.objects.get(symbol="AAPL"), Instrument.objects.get(symbol="37833100X"))
    assert Reconciliation.objects.due().get().account == account
    comparing.reconcile_due()
    assert apart(account) == {"AAPL": 2}
    rows = Break.objects.live().get(account=account)
    assert rows.derived == 10
    choices.undo(choice)
    comparing.reconcile_due()
    assert apart(account) == {"AAPL": 12, "37833100X": -10}


def test_what_one_account_holds_of_it_apart_is_compared_apart(account: Account):
    user, odd = account.connection.user, Instrument.objects.get(symbol="37833100X")
    choices.merge(user, Instrument.objects.get(symbol="AAPL"), odd)
    choices.take_account_out(user, odd, account)
    comparing.reconcile_due()
    assert apart(account) == {"AAPL": 12, "37833100X": -10}


def test_another_persons_decision_changes_nothing(account: Account):
    stranger = an_account()
    choices.merge(
        stranger.connection.user, Instrument.objects.get(symbol="AAPL"), Instrument.objects.get(symbol="37833100X")
    )
    comparing.compare(account)
    assert apart(account) == {"AAPL": 12, "37833100X": -10}
