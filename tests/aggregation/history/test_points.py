"""Each day's point: who said it, what it is rebuilt from, and that a day gone by moves only for a reason."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregation import edits
from aggregation.history import service, taking
from aggregation.history.service import Asked
from aggregation.ledger import book, record_holdings
from aggregation.models import BalancePoint, ChangeReason, PointBasis, PointChange, PositionPoint, Source, Transaction
from aggregation.receivers import erase_books
from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind, TransactionRecord, ValueRecord
from connections.models import Account
from tests.aggregation.factories import AAPL, a_balance, a_position, a_record, an_account, some_holdings

pytestmark = pytest.mark.django_db

EURO_FUND = InstrumentRecord(asset_class=AssetClass.FUND, symbol="EUFUND", currency="EUR")
MONDAY = datetime(2026, 3, 9, 21, 30, tzinfo=UTC)  # 17:30 in New York


@pytest.fixture
def account(db: None) -> Account:
    return an_account(currency="USD")


def told(account: Account, *records: TransactionRecord) -> None:
    book(account=account, records=records, source=Source.API, run_id=None)


def a_deposit(name: str, on: date, amount: str, **fields: Any) -> TransactionRecord:
    kind = TransactionKind.DEPOSIT if Decimal(amount) > 0 else TransactionKind.WITHDRAWAL
    nothing: dict[str, Any] = {"instrument": None, "quantity": None, "price": None, "gross_amount": None}
    return a_record(name, kind=kind, traded_on=on, net_amount=Decimal(amount), **nothing | fields)


def take(at: datetime) -> None:
    for account in Account.objects.all():
        taking.take(account, at)


def days(account: Account, currency: str = "USD") -> dict[date, tuple[Decimal | None, str]]:
    points = BalancePoint.objects.filter(account=account, currency=currency).order_by("on")
    return {point.on: (point.net_asset_value, point.basis) for point in points}


@pytest.fixture
def funded(account: Account) -> Account:
    """1,000 dollars came on Monday the 2nd; on Tuesday two shares were bought at 100."""
    told(
        account,
        a_deposit("1", date(2026, 3, 2), "1000"),
        a_record("2", traded_on=date(2026, 3, 3), quantity=Decimal(2), price=Decimal(100), net_amount=Decimal(-200)),
    )
    return account


def test_days_are_rebuilt_from_the_eve_of_the_first_transaction(funded: Account):
    take(MONDAY)
    found = days(funded)
    assert list(found) == [date(2026, 3, 1) + timedelta(days=number) for number in range(8)]
    assert found[date(2026, 3, 1)] == (0, PointBasis.REBUILT)
    assert found[date(2026, 3, 2)] == (1000, PointBasis.REBUILT)
    assert found[date(2026, 3, 8)] == (1000, PointBasis.CARRIED)  # only the price of the trade is known


def test_what_the_broker_said_of_a_day_stands(funded: Account):
    on = datetime(2026, 3, 5, 21, 0, tzinfo=UTC)
    said = a_balance(cash=Decimal(800), net_asset_value=Decimal("1012.34"))
    position = a_position(AAPL, "2", price=Decimal("106.17"), market_value=Decimal("212.34"))
    record_holdings(account=funded, holdings=some_holdings(position, as_of=on, balances=(said,)), run_id=None)
    take(MONDAY)
    found = days(funded)
    assert found[date(2026, 3, 5)] == (Decimal("1012.34"), PointBasis.OBSERVED)
    assert found[date(2026, 3, 6)] == (Decimal("1012.34"), PointBasis.REBUILT)  # at the price the broker said
    assert PositionPoint.objects.get(account=funded).value == Decimal("212.34")


def test_taking_the_days_again_changes_nothing(funded: Account):
    take(MONDAY)
    before = list(BalancePoint.objects.order_by("pk").values())
    take(MONDAY)
    assert list(BalancePoint.objects.order_by("pk").values()) == before
    assert not PointChange.objects.exists()


def test_days_without_the_hub_are_caught_up(funded: Account):
    take(MONDAY)
    take(MONDAY + timedelta(days=9))
    assert len(days(funded)) == 17
    assert not PointChange.objects.exists()


def test_a_transaction_told_late_moves_days_gone_by_and_is_the_logged_reason(funded: Account):
    take(MONDAY)
    told(funded, a_deposit("3", date(2026, 3, 6), "50"))
    take(MONDAY)
    changes = PointChange.objects.filter(on__lt=date(2026, 3, 9)).order_by("on")
    assert [(change.on, change.was, change.became, change.reason) for change in changes] == [
        (date(2026, 3, day), 1000, 1050, ChangeReason.TRANSACTIONS) for day in (6, 7, 8)
    ]


def test_leaving_a_transaction_out_is_a_reason_too(funded: Account):
    take(MONDAY)
    edits.exclude(Transaction.objects.get(kind=TransactionKind.DEPOSIT), user=funded.connection.user)
    take(MONDAY)
    assert days(funded)[date(2026, 3, 3)][0] == 0  # two shares, and as much debt
    assert PointChange.objects.filter(on=date(2026, 3, 2), was=1000).get().reason == ChangeReason.TRANSACTIONS


def test_a_trade_the_broker_tells_late_does_not_move_the_years_before_the_hub(account: Account):
    """The position is there at once, its purchase is told the day after: what was before stays as it was."""
    told(account, a_deposit("1", date(2026, 3, 2), "1000"))
    for day, units, cash in ((4, "0", "1000"), (5, "1", "900"), (6, "1", "900")):
        held = [a_position(AAPL, units, price=Decimal(100), market_value=Decimal(100))] if units != "0" else []
        said = a_balance(cash=Decimal(cash), net_asset_value=Decimal(1000))
        at = datetime(2026, 3, day, 21, tzinfo=UTC)
        record_holdings(account=account, holdings=some_holdings(*held, as_of=at, balances=(said,)), run_id=None)
    take(MONDAY)
    before = days(account)
    assert before[date(2026, 3, 3)] == (1000, PointBasis.REBUILT)
    told(
        account,
        a_record("2", traded_on=date(2026, 3, 5), quantity=Decimal(1), price=Decimal(100), net_amount=Decimal(-100)),
    )
    take(MONDAY)
    after = days(account)
    assert {day: after[day] for day in before} == before


def test_what_has_no_price_makes_the_day_unknown_and_never_zero(account: Account):
    told(
        account,
        a_record(
            "1", kind=TransactionKind.TRANSFER_IN, traded_on=date(2026, 3, 4), quantity=Decimal(5), price=None,
            net_amount=Decimal(0), gross_amount=None,
        ),
    )  # fmt: skip
    take(MONDAY)
    point = BalancePoint.objects.get(account=account, on=date(2026, 3, 4))
    assert (point.net_asset_value, point.flow, point.basis) == (None, None, PointBasis.UNKNOWN)


def test_shares_that_come_in_kind_are_a_flow_at_their_value(account: Account):
    told(
        account,
        a_record(
            "1", kind=TransactionKind.TRANSFER_IN, traded_on=date(2026, 3, 4), quantity=Decimal(5),
            price=Decimal("180.25"), net_amount=Decimal(0),
        ),
    )  # fmt: skip
    take(MONDAY)
    assert BalancePoint.objects.get(account=account, on=date(2026, 3, 4)).flow == Decimal("901.25")


def test_each_currency_has_its_part(account: Account):
    told(
        account,
        a_deposit("1", date(2026, 3, 2), "1000", currency="EUR"),
        a_record(
            "2", traded_on=date(2026, 3, 3), instrument=EURO_FUND, quantity=Decimal(3), price=Decimal(50),
            net_amount=Decimal(-150), currency="EUR",
        ),
        a_deposit("3", date(2026, 3, 4), "10"),
    )  # fmt: skip
    take(MONDAY)
    assert days(account, "EUR")[date(2026, 3, 5)][0] == 1000
    assert days(account)[date(2026, 3, 5)][0] == 10


def test_a_currency_that_turns_up_in_days_already_taken_is_a_change_of_these_days(funded: Account):
    take(MONDAY)
    assert not PointChange.objects.exists()
    told(funded, a_deposit("euro", date(2026, 3, 4), "40", currency="EUR"))
    take(MONDAY)
    changed = PointChange.objects.filter(currency="EUR").order_by("on")
    assert [(each.on.day, each.was, each.became) for each in changed] == [(day, None, 40) for day in range(4, 9)]
    assert {each.reason for each in changed} == {ChangeReason.TRANSACTIONS}


def test_a_split_keeps_the_value_of_the_day(account: Account):
    told(
        account,
        a_deposit("1", date(2026, 3, 2), "1000"),
        a_record("2", traded_on=date(2026, 3, 3), quantity=Decimal(2), price=Decimal(500), net_amount=Decimal(-1000)),
        a_record(
            "3", kind=TransactionKind.SPLIT, traded_on=date(2026, 3, 5), quantity=Decimal(18), price=None,
            net_amount=Decimal(0), gross_amount=None,
        ),
    )  # fmt: skip
    take(MONDAY)
    assert {value for value, _ in list(days(account).values())[1:]} == {Decimal(1000)}


def test_an_option_is_worth_nothing_after_its_last_day_even_if_nobody_tells_its_end(account: Account):
    call = InstrumentRecord(
        asset_class=AssetClass.OPTION, symbol="AAPL  260306C00240000", underlying="AAPL", multiplier=Decimal(100)
    )
    told(
        account,
        a_deposit("1", date(2026, 3, 2), "1000"),
        a_record(
            "2", traded_on=date(2026, 3, 3), instrument=call, quantity=Decimal(1), price=Decimal(2),
            net_amount=Decimal(-200),
        ),
    )  # fmt: skip
    at = datetime(2026, 3, 9, 15, tzinfo=UTC)
    said = a_balance(cash=Decimal(800), net_asset_value=Decimal(800))
    record_holdings(account=account, holdings=some_holdings(as_of=at, balances=(said,)), run_id=None)
    take(MONDAY)
    found = {on: value for on, (value, _) in days(account).items()}
    assert [found[date(2026, 3, day)] for day in (1, 4, 6, 7)] == [0, 1000, 1000, 800]


def test_a_day_is_over_when_it_has_ended_for_the_person_and_at_the_market(funded: Account):
    late = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)  # Tuesday morning in Berlin, Monday evening in New York
    assert taking.last_day_over("Europe/Berlin", late) == date(2026, 3, 8)
    assert taking.last_day_over("Europe/Berlin", late + timedelta(hours=3)) == date(2026, 3, 9)
    assert taking.last_day_over("Pacific/Honolulu", late + timedelta(hours=3)) == date(2026, 3, 8)


def test_the_task_takes_what_is_due_once_it_is_quiet(funded: Account):
    now = datetime.now(UTC)
    assert taking.take_due(now) == 0  # a sync may be booking still
    assert taking.take_due(now + timedelta(minutes=1)) == 1
    assert taking.take_due(now + timedelta(minutes=1)) == 0
    assert taking.take_due(now + timedelta(days=2)) == 1
    told(funded, a_deposit("3", date(2026, 3, 6), "50"))
    assert taking.take_due(now + timedelta(days=2)) == 1


def test_a_statement_of_the_evening_before_replaces_what_was_rebuilt_and_says_so(funded: Account):
    take(MONDAY)
    at = datetime(2026, 3, 7, 4, 59, tzinfo=UTC)  # Friday's end in New York
    said = a_balance(cash=Decimal(800), net_asset_value=Decimal(1040))
    position = a_position(AAPL, "2", price=Decimal(120), market_value=Decimal(240))
    record_holdings(account=funded, holdings=some_holdings(position, as_of=at, balances=(said,)), run_id=None)
    change = PointChange.objects.get()
    assert (change.on, change.was, change.became) == (date(2026, 3, 6), 1000, 1040)
    assert change.reason == ChangeReason.OBSERVED


def test_the_brokers_own_history_comes_before_what_is_rebuilt(funded: Account):
    take(MONDAY)
    at = datetime(2026, 3, 10, 3, 59, tzinfo=UTC)
    past = tuple(
        ValueRecord(on=date(2026, 3, day), net_asset_value=Decimal(value), currency="USD")
        for day, value in ((5, 1010), (6, 1020))
    )
    for _ in range(2):
        record_holdings(account=funded, holdings=some_holdings(as_of=at, past=past), run_id=None)
    found = service.history([funded], Asked(currency="USD"))
    days_told = {point.on: (point.value, point.basis) for point in found.points}
    assert days_told[date(2026, 3, 5)] == (1010, PointBasis.OBSERVED)
    assert days_told[date(2026, 3, 4)] == (1000, PointBasis.CARRIED)
    changes = PointChange.objects.filter(reason=ChangeReason.BROKER_HISTORY).order_by("on")
    assert [(change.on, change.became) for change in changes] == [(each.on, each.net_asset_value) for each in past]


def test_erasing_a_connection_takes_its_days_along(funded: Account):
    take(MONDAY)
    told(funded, a_deposit("3", date(2026, 3, 6), "50"))
    take(MONDAY)
    counts = erase_books(connection=funded.connection, dry_run=False)
    assert counts["daily values"] > 0
    assert not PointChange.objects.exists()
    assert not BalancePoint.objects.exists()
