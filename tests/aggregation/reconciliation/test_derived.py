"""What the ledger comes to on a day."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from aggregation import edits
from aggregation.ledger import book
from aggregation.models import Instrument, Source, Transaction
from aggregation.reconciliation.derived import Basis, cash, quantities
from connections.brokers.records import RecordStatus, TransactionKind
from tests.aggregation.factories import AAPL, BND, a_record, a_user, an_account

pytestmark = pytest.mark.django_db
FRIDAY, MONDAY = date(2026, 3, 6), date(2026, 3, 9)


@pytest.fixture
def account():
    account = an_account()
    rows = [
        a_record("in", kind=TransactionKind.DEPOSIT, traded_on=date(2026, 3, 2), instrument=None, quantity=None,
                 net_amount=Decimal(5000)),
        a_record("buy", traded_on=FRIDAY, settled_on=MONDAY, quantity=Decimal(10), net_amount=Decimal("-1802.50")),
        a_record("split", kind=TransactionKind.SPLIT, traded_on=MONDAY, quantity=Decimal(30), net_amount=Decimal(0)),
        a_record("void", traded_on=FRIDAY, status=RecordStatus.VOID),
        a_record("pending", traded_on=FRIDAY, status=RecordStatus.PENDING),
        a_record("euro", kind=TransactionKind.DIVIDEND, traded_on=MONDAY, quantity=None, currency="EUR",
                 net_amount=Decimal("3.20")),
        a_record("gone", instrument=BND, traded_on=FRIDAY, quantity=Decimal(2), net_amount=Decimal(-150)),
        a_record("sold", kind=TransactionKind.SELL, instrument=BND, traded_on=MONDAY, quantity=Decimal(-2),
                 net_amount=Decimal(151)),
    ]  # fmt: skip
    book(account=account, records=rows, source=Source.API, run_id=None)
    return account


def held(account, **when):
    symbols = dict(Instrument.objects.values_list("pk", "symbol"))
    return {symbols[instrument]: units for (_, instrument), units in quantities([account], **when).items()}


def test_only_rows_that_count_are_added_up_and_a_split_is_units(account):
    assert held(account) == {"AAPL": 40}
    assert cash([account]) == {(account.pk, "USD"): Decimal("3198.50"), (account.pk, "EUR"): Decimal("3.20")}


def test_a_day_has_its_own_rows_and_none_after(account):
    assert held(account, on=FRIDAY) == {"AAPL": 10, "BND": 2}
    assert held(account, on=FRIDAY - timedelta(1)) == {}
    assert cash([account], on=FRIDAY) == {(account.pk, "USD"): Decimal("3047.50")}


def test_by_settlement_date_a_trade_arrives_later(account):
    assert held(account, on=FRIDAY, basis=Basis.SETTLED) == {"BND": 2}
    assert cash([account], on=FRIDAY, basis=Basis.SETTLED)[account.pk, "USD"] == 4850
    assert held(account, on=MONDAY, basis=Basis.SETTLED) == {"AAPL": 40}


def test_an_excluded_row_is_out_and_comes_back(account):
    row = Transaction.objects.get(external_id="split")
    edits.exclude(row, user=a_user())
    assert held(account) == {"AAPL": 10}
    edits.bring_back(row, user=a_user())
    assert held(account) == {"AAPL": 40}


def test_one_statement_for_any_number_of_accounts(account, django_assert_num_queries):
    other = an_account(account.connection)
    book(account=other, records=[a_record("a", instrument=AAPL)], source=Source.API, run_id=None)
    with django_assert_num_queries(2):
        assert {owner for owner, _ in quantities([account, other])} == {account.pk, other.pk}
        assert len(cash([account, other])) == 3
