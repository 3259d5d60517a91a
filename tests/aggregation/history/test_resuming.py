"""Days worked out from the last evening nothing has changed before are what they are when everything is read again."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from aggregation import edits
from aggregation.history import rebuilding
from aggregation.history.resuming import resume
from aggregation.instruments import resolve
from aggregation.ledger import book, record_holdings
from aggregation.models import AccountHistory, BalancePoint, DailyPrice, Source, Transaction
from connections.brokers.records import AssetClass, Holdings, InstrumentRecord, PositionRecord, TransactionKind
from connections.models import Account
from tests.aggregation.factories import AAPL, BND, a_balance, a_position, a_record, an_account
from tests.aggregation.test_any_order import run_machine

START = date(2026, 3, 2)
EURO = InstrumentRecord(asset_class=AssetClass.FUND, symbol="EUFUND", currency="EUR")
THINGS = (AAPL, BND, EURO)
KINDS = (TransactionKind.BUY, TransactionKind.SELL, TransactionKind.TRANSFER_IN, TransactionKind.SPLIT)
days_back = st.sampled_from([0, 0, 1, 1, 2, 5, 9, 14])
amounts = st.sampled_from([Decimal(-300), Decimal(-7), Decimal(0), Decimal(120)])
units = st.sampled_from([None, Decimal(-2), Decimal(1), Decimal(3)])
prices = st.sampled_from([None, Decimal(10), Decimal("12.5")])


def evening(on: date, hour: int = 21) -> datetime:
    return datetime.combine(on, time(hour), UTC)


def report(account: Account, on: date, *held: PositionRecord, euro: Decimal | None = None, cash: str = "500") -> None:
    balances = [a_balance(cash=Decimal(cash), net_asset_value=Decimal(cash))]
    if euro is not None:
        balances.append(a_balance(currency="EUR", cash=euro, net_asset_value=euro))
    holdings = Holdings(as_of=evening(on), positions=held, balances=tuple(balances))
    record_holdings(account=account, holdings=holdings, run_id=None)


def a_reported_account(reports: int) -> Account:
    """A deposit, and a report on each of the days after it."""
    account = an_account(currency="USD")
    paid = a_record("in", kind=TransactionKind.DEPOSIT, traded_on=START, instrument=None, quantity=None, price=None,
                    net_amount=Decimal(500))  # fmt: skip
    book(account=account, records=[paid], source=Source.API, run_id=None)
    for number in range(1, reports + 1):
        report(account, START + timedelta(days=number))
    rebuilding.rebuild(account, until=START + timedelta(days=reports))
    return account


def points(account: Account) -> list[dict[str, Any]]:
    rows = BalancePoint.objects.filter(account=account).order_by("on", "currency")
    facts = ("on", "currency", "cash", "net_asset_value", "flow", "by_class", "at_older_prices", "basis")
    return [dict(zip(facts, row, strict=True)) for row in rows.values_list(*facts)]


class Days(RuleBasedStateMachine):
    """Some days pass; rows of today and of long ago are told and left out; reports come, on time and late."""

    reports = 9

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.account = a_reported_account(self.reports)
        self.today = START + timedelta(days=self.reports + 1)
        self.told = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @rule(back=days_back, thing=st.sampled_from(THINGS), kind=st.sampled_from(KINDS), quantity=units, price=prices,
          net=amounts, hour=st.sampled_from([None, 14, 23]))  # fmt: skip
    def a_row(self, back: int, hour: int | None, **fields: Any) -> None:
        self.told += 1
        on, thing = self.today - timedelta(days=back), fields["thing"]
        record = a_record(
            f"{self.told}", traded_on=on, instrument=thing, kind=fields["kind"], quantity=fields["quantity"],
            price=fields["price"], gross_amount=None, net_amount=fields["net"], currency=thing.currency,
            occurred_at=None if hour is None else evening(on, hour),
        )  # fmt: skip
        book(account=self.account, records=[record], source=Source.API, run_id=None)

    @rule(data=st.data())
    def a_row_is_left_out_or_comes_back(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(list(Transaction.objects.filter(account=self.account).order_by("pk"))))
        change: Callable[..., Any] = edits.bring_back if row.status == "excluded" else edits.exclude
        change(row, user=self.account.connection.user)

    @rule(back=st.sampled_from([0, 0, 0, 1, 4]), held=st.lists(st.tuples(st.sampled_from(THINGS), prices), max_size=2),
          euro=st.sampled_from([None, None, Decimal(0), Decimal(8)]))  # fmt: skip
    def a_report(self, back: int, held: list[tuple[InstrumentRecord, Decimal | None]], euro: Decimal | None) -> None:
        positions = [
            a_position(thing, "3", price=price, market_value=price and 3 * price, currency=thing.currency)
            for thing, price in dict(held).items()
        ]
        report(self.account, self.today - timedelta(days=back), *positions, euro=euro)

    @rule(back=days_back, thing=st.sampled_from(THINGS), close=st.sampled_from([Decimal(9), Decimal(14)]))
    def a_close(self, back: int, thing: InstrumentRecord, close: Decimal) -> None:
        on = self.today - timedelta(days=back)
        DailyPrice.objects.update_or_create(
            user=self.account.connection.user,
            instrument_id=resolve([thing])[thing],
            on=on,
            defaults={"close": close, "currency": thing.currency},
        )
        history = AccountHistory.objects.get(pk=self.account.pk)
        history.prices_from = min(on, history.prices_from or on)
        history.save()

    @rule(days=st.integers(0, 3))
    def days_pass_and_are_taken(self, days: int) -> None:
        self.today += timedelta(days=days)
        rebuilding.rebuild(self.account, until=self.today - timedelta(days=1))
        found = points(self.account)
        rebuilding.rebuild(self.account, until=self.today - timedelta(days=1), whole=True)
        assert found == points(self.account)

    @precondition(lambda self: self.today.weekday() < 5)
    @rule()
    def a_quiet_week_with_reports(self) -> None:
        for _ in range(7):
            self.today += timedelta(days=1)
            report(self.account, self.today)


class NewDays(Days):
    """From the first day on, when the broker's words still decide what was before them."""

    reports = 2


@pytest.mark.django_db
@pytest.mark.parametrize("machine", [Days, NewDays])
def test_days_taken_step_by_step_are_those_taken_at_once(machine: Any):
    run_machine(machine, 12, 12)


@pytest.mark.endurance
@pytest.mark.django_db(transaction=True)  # the locks of temporary tables stay until the end of one
@pytest.mark.parametrize("machine", [Days, NewDays])
def test_days_taken_step_by_step_a_thousand_times(machine: Any):
    run_machine(machine, 1000, 25)


@pytest.mark.django_db
def test_a_page_of_today_does_not_make_the_years_before_it_be_read():
    account = a_reported_account(9)
    today = START + timedelta(days=10)
    book(account=account, records=[a_record("new", traded_on=today)], source=Source.API, run_id=None)
    report(account, today)
    resumed = resume(AccountHistory.objects.get(pk=account.pk))
    assert resumed is not None
    first, past = resumed
    assert first == today
    assert {day for sums in past.cash.values() for day in sums.moves} == {today}


@pytest.mark.django_db
def test_a_row_of_long_ago_has_the_days_since_worked_out_anew():
    account = a_reported_account(9)
    book(account=account, records=[a_record("old", traded_on=START)], source=Source.API, run_id=None)
    history = AccountHistory.objects.get(pk=account.pk)
    assert history.changed_from == START
    assert resume(history) is None


@pytest.mark.django_db
def test_what_becomes_known_of_an_instrument_has_everything_worked_out_anew():
    account = a_reported_account(9)
    unknown = InstrumentRecord(asset_class=AssetClass.OTHER, symbol="ODD")
    bought = a_record("odd", traded_on=START + timedelta(days=9), instrument=unknown)
    book(account=account, records=[bought], source=Source.API, run_id=None)
    rebuilding.rebuild(account, until=START + timedelta(days=9))
    assert resume(AccountHistory.objects.get(pk=account.pk)) is not None
    resolve([InstrumentRecord(asset_class=AssetClass.OTHER, symbol="ODD", multiplier=Decimal(50))])
    assert resume(AccountHistory.objects.get(pk=account.pk)) is None
