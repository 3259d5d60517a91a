"""The kinds of discrepancy the hub must find: each makes books and broker differ, and says by what cause.

A kind gets a world whose past agreed when it was compared (but those of `FIRST`, whose first comparison it is) and
gives {symbol, or currency: cause}.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aggregation import edits, review
from aggregation.ledger import book
from aggregation.models import BookStatus, PossibleDuplicate, Source, Transaction
from aggregation.reconciliation.causes import Cause
from aggregation.review_models import Decision
from connections.brokers.records import AssetClass, InstrumentRecord, RecordStatus
from connections.brokers.records import TransactionKind as Kind
from tests.aggregation.factories import AAPL, BND
from tests.aggregation.reconciliation.worlds import FUND, KO, TODAY, World, money, share

Wanted = dict[str, Cause]
KINDS: dict[str, Callable[[World], Wanted]] = {}
FIRST: set[str] = set()
PUT = InstrumentRecord(
    asset_class=AssetClass.OPTION, symbol="KO    261113P00055000", underlying="KO", multiplier=Decimal(100)
)
NEWCO = share("NEWCO", name="Newco Inc")


def kind(make: Callable[[World], Wanted]) -> Callable[[World], Wanted]:
    KINDS[make.__name__] = make
    return make


def first(make: Callable[[World], Wanted]) -> Callable[[World], Wanted]:
    FIRST.add(make.__name__)
    return kind(make)


def day(number: int) -> date:
    return date(2026, 11, number)


# --- History ----------------------------------------------------------------------------------------------------------
@first
def books_begin_after_purchases(world: World) -> Wanted:
    world.main.unheard(Kind.DEPOSIT, date(2019, 3, 1), 9000)
    world.main.unheard(Kind.BUY, date(2019, 3, 4), -4800, AAPL, 31)
    return {"AAPL": Cause.MISSING_HISTORY, "USD": Cause.MISSING_HISTORY}


@first
def more_sold_than_ever_bought(world: World) -> Wanted:
    thing = share("IBM")
    world.main.unheard(Kind.BUY, date(2018, 3, 1), 0, thing, 40)
    world.main.happens(Kind.SELL, date(2025, 6, 2), 4000, thing, -35)
    return {"IBM": Cause.MISSING_HISTORY}


@first
def opening_cash_unknown(world: World) -> Wanted:
    world.main.unheard(Kind.DEPOSIT, date(2019, 3, 1), world.dice.randrange(1001, 99999) / 100)
    return {"USD": Cause.MISSING_HISTORY}


@first
def no_transactions_at_all(world: World) -> Wanted:
    world.main.told = []
    return dict.fromkeys(("AAPL", "BND", "KO", "USD"), Cause.MISSING_HISTORY)


# --- Splits and other corporate actions -------------------------------------------------------------------------------
def _split(world: World, numerator: int, denominator: int) -> Wanted:
    held = world.main.units(KO)
    world.main.unheard(Kind.SPLIT, day(10), 0, KO, held * numerator / denominator - held)
    world.prices["KO"] = money(world.prices["KO"] * denominator / numerator)
    return {"KO": Cause.MISSED_SPLIT}


@kind
def split_2_for_1(world: World) -> Wanted:
    return _split(world, 2, 1)


@kind
def split_10_for_1_and_trades_since(world: World) -> Wanted:
    found = _split(world, 10, 1)
    world.trade(world.main, Kind.BUY, KO, world.dice.randrange(3, 40), day(17))
    return found


@kind
def split_3_for_2(world: World) -> Wanted:
    if world.main.units(KO) % 2:
        world.trade(world.main, Kind.BUY, KO, 1, day(9))
    return _split(world, 3, 2)


@kind
def reverse_split_1_for_10_with_cash_for_the_fraction(world: World) -> Wanted:
    world.trade(world.main, Kind.BUY, KO, 13 - world.main.units(KO) % 10, day(9))
    held = world.main.units(KO)
    world.main.unheard(Kind.SPLIT, day(10), 0, KO, held // 10 - held)
    world.main.unheard(Kind.CORPORATE_ACTION, day(12), world.prices["KO"] * 10 * (held % 10) / 10)
    world.prices["KO"] *= 10
    return {"KO": Cause.MISSED_SPLIT, "USD": Cause.CASH_IN_LIEU}


@kind
def split_booked_twice(world: World) -> Wanted:
    held = world.main.units(KO)
    world.main.happens(Kind.SPLIT, day(10), 0, KO, held)
    world.main.made_up(Kind.SPLIT, day(12), 0, KO, held)
    return {"KO": Cause.TWIN_DOUBLED}


@kind
def renamed_with_the_same_cusip(world: World) -> Wanted:
    held = world.main.units(KO)
    new = share("KOKO", name="Coca-Cola renamed", isin="US1912161007")
    world.prices["KOKO"] = world.prices["KO"]
    world.main.said_units = {KO: Decimal(0), new: held}
    return {"KO": Cause.SYMBOL_CHANGE, "KOKO": Cause.SYMBOL_CHANGE}


@kind
def renamed_without_any_id(world: World) -> Wanted:
    held = world.main.units(KO)
    world.prices["PEAR"] = world.prices["KO"]
    world.main.said_units = {KO: Decimal(0), share("PEAR"): held}
    return {"KO": Cause.SYMBOL_CHANGE, "PEAR": Cause.SYMBOL_CHANGE}


@kind
def merged_into_another_company(world: World) -> Wanted:
    held = world.main.units(KO)
    world.prices["NEWCO"] = money(world.prices["KO"] * 100 / 37)
    world.main.said_units = {KO: Decimal(0), NEWCO: held * 37 / 100}
    return {"KO": Cause.CORPORATE_ACTION, "NEWCO": Cause.CORPORATE_ACTION}


@kind
def spun_off(world: World) -> Wanted:
    world.prices["NEWCO"] = Decimal(11)
    world.main.said_units = {NEWCO: world.main.units(KO) / 4}
    return {"NEWCO": Cause.CORPORATE_ACTION}


# --- Options ----------------------------------------------------------------------------------------------------------
@kind
def option_expired(world: World) -> Wanted:
    world.main.happens(Kind.SELL, day(10), 61.3, PUT, -1)
    world.main.unheard(Kind.OPTION_EXPIRATION, day(13), 0, PUT, 1)
    return {PUT.symbol: Cause.EXPIRED}


@kind
def option_assigned(world: World) -> Wanted:
    world.main.happens(Kind.SELL, day(10), 61.3, PUT, -1)
    world.main.unheard(Kind.OPTION_ASSIGNMENT, day(13), 0, PUT, 1)
    world.main.unheard(Kind.BUY, day(13), -5500, KO, 100)
    return {PUT.symbol: Cause.EXERCISED, "KO": Cause.EXERCISED, "USD": Cause.EXERCISED}


@kind
def shares_of_an_assignment_missing(world: World) -> Wanted:
    world.main.happens(Kind.SELL, day(10), 61.3, PUT, -1)
    world.main.happens(Kind.OPTION_ASSIGNMENT, day(13), 0, PUT, 1)
    world.main.unheard(Kind.BUY, day(13), -5500, KO, 100)
    return {"KO": Cause.EXERCISED, "USD": Cause.EXERCISED}


@kind
def contracts_counted_as_shares(world: World) -> Wanted:
    call = InstrumentRecord(
        asset_class=AssetClass.OPTION, symbol="AAPL  270115C00240000", underlying="AAPL", multiplier=Decimal(100)
    )
    world.main.happens(Kind.BUY, day(10), -340.2, call, 1)
    world.main.said_units = {call: Decimal(100)}
    return {call.symbol: Cause.WRONG_UNITS}


# --- Time -------------------------------------------------------------------------------------------------------------
@kind
def sale_not_settled(world: World) -> Wanted:
    row = world.trade(world.main, Kind.SELL, KO, -7, TODAY, settled_on=day(23))
    world.main.apart = {"USD": -row.net_amount}
    return {"USD": Cause.UNSETTLED}


@kind
def purchase_not_settled(world: World) -> Wanted:
    world.trade(world.main, Kind.BUY, KO, 9, TODAY, settled_on=day(23))
    world.main.apart = {KO: Decimal(-9)}
    return {"KO": Cause.UNSETTLED}


@kind
def report_older_than_the_rows(world: World) -> Wanted:
    at = datetime(2026, 11, 20, 21, 45, tzinfo=UTC)
    world.main.made_up(Kind.BUY, TODAY, -1201.17, KO, 20, occurred_at=at)
    return {"KO": Cause.STALE_REPORT, "USD": Cause.STALE_REPORT}


@kind
def report_ahead_of_the_day(world: World) -> Wanted:
    world.trade(world.main, Kind.SELL, KO, -6, day(23))
    return {"KO": Cause.STALE_REPORT, "USD": Cause.STALE_REPORT}


@kind
def pending_and_counted_by_the_broker(world: World) -> Wanted:
    world.main.happens(Kind.DIVIDEND, day(19), 37.11, BND, status=RecordStatus.PENDING, raw={"counted": True})
    return {"USD": Cause.PENDING}


@kind
def no_longer_reported(world: World) -> Wanted:
    world.main.said_units = {BND: Decimal(0)}
    return {"BND": Cause.NOT_REPORTED}


# --- Transfers --------------------------------------------------------------------------------------------------------
@kind
def shares_left_another_account_and_did_not_arrive(world: World) -> Wanted:
    thing = share("TSM")
    world.other.happens(Kind.TRANSFER_OUT, day(10), 0, thing, -25)
    world.main.unheard(Kind.TRANSFER_IN, day(13), 0, thing, 25)
    return {"TSM": Cause.TRANSFER_LEG}


@kind
def shares_arrived_elsewhere_and_did_not_leave(world: World) -> Wanted:
    world.main.unheard(Kind.TRANSFER_OUT, day(10), 0, KO, -17)
    world.other.happens(Kind.TRANSFER_IN, day(16), 0, KO, 17)
    return {"KO": Cause.TRANSFER_LEG}


@kind
def cash_from_another_account(world: World) -> Wanted:
    world.other.happens(Kind.WITHDRAWAL, day(10), -1234.56)
    world.main.unheard(Kind.DEPOSIT, day(12), 1234.56)
    return {"USD": Cause.TRANSFER_LEG}


@kind
def money_kept_in_a_fund(world: World) -> Wanted:
    world.main.unheard(Kind.BUY, day(12), -3100.25, FUND, Decimal("3100.25"))
    return {"SWVXX": Cause.SWEEP, "USD": Cause.SWEEP}


@kind
def round_deposit_unheard_of(world: World) -> Wanted:
    world.main.unheard(Kind.DEPOSIT, day(12), world.dice.randrange(3, 90) * 100)
    return {"USD": Cause.MONEY_MOVED}


# --- Rows too few and too many ----------------------------------------------------------------------------------------
@kind
def second_of_two_fills_never_told(world: World) -> Wanted:
    row = world.trade(world.main, Kind.BUY, KO, 11, day(10))
    world.main.unheard(Kind.BUY, day(10), row.net_amount, KO, 11)
    return {"KO": Cause.TWIN_LOST, "USD": Cause.TWIN_LOST}


@kind
def two_fills_merged_into_one(world: World) -> Wanted:
    rows = [world.main.happens(Kind.BUY, day(10), -650.12, KO, 11) for _ in range(2)]
    world.main.reach_the_hub(datetime(2026, 11, 10, 21, tzinfo=UTC))
    one, two = Transaction.objects.filter(external_id__in=[row.external_id for row in rows]).order_by("pk")
    pair = PossibleDuplicate.objects.create(account=world.main.account, first=one, second=two, reasons=["same"])
    review.merge(pair, user=world.main.account.connection.user)
    assert pair.decision == Decision.OPEN  # of the row in hand; the one in the database is merged
    return {"KO": Cause.TWIN_LOST, "USD": Cause.TWIN_LOST}


@kind
def trade_told_by_file_and_feed_in_other_words(world: World) -> Wanted:
    row = world.trade(world.main, Kind.BUY, KO, 11, day(10))
    twin = world.main.record(Kind.BUY, day(11), row.net_amount, KO, 11, external_id="")
    book(account=world.main.account, records=[twin], source=Source.CSV, run_id=None)
    return {"KO": Cause.TWIN_DOUBLED, "USD": Cause.TWIN_DOUBLED}


@kind
def dividend_booked_twice(world: World) -> Wanted:
    row = world.main.happens(Kind.DIVIDEND, day(18), 61.17, BND)
    world.main.made_up(Kind.DIVIDEND, day(19), row.net_amount, BND)
    return {"USD": Cause.TWIN_DOUBLED}


@kind
def dividend_taken_back(world: World) -> Wanted:
    world.main.made_up(Kind.DIVIDEND, day(18), 61.17, BND)
    return {"USD": Cause.REVERSAL}


@kind
def withdrawal_booked_as_deposit(world: World) -> Wanted:
    world.main.unheard(Kind.WITHDRAWAL, day(18), -517.35)
    world.main.made_up(Kind.DEPOSIT, day(18), 517.35)
    return {"USD": Cause.WRONG_SIGN}


@kind
def row_left_out_by_the_person(world: World) -> Wanted:
    world.main.happens(Kind.INTEREST, day(18), 23.45)
    world.main.reach_the_hub(datetime(2026, 11, 18, 21, tzinfo=UTC))
    row = Transaction.objects.get(account=world.main.account, net_amount=Decimal("23.45"))
    edits.exclude(row, user=world.main.account.connection.user)
    return {"USD": Cause.EXCLUDED}


@kind
def rows_taken_back_with_their_run(world: World) -> Wanted:
    for amount in (523.45, 11.07):
        world.main.happens(Kind.DEPOSIT, day(18), amount)
    world.main.reach_the_hub(datetime(2026, 11, 18, 21, tzinfo=UTC))
    rows = Transaction.objects.filter(account=world.main.account, traded_on=day(18))
    assert rows.update(status=BookStatus.UNDONE) == 2
    return {"USD": Cause.TAKEN_BACK}


@kind
def trade_unheard_of(world: World) -> Wanted:
    units = world.dice.randrange(12, 30)
    world.main.unheard(Kind.BUY, day(12), -world.prices["AAPL"] * units * Decimal("1.013"), AAPL, units)
    return {"AAPL": Cause.TRADE, "USD": Cause.TRADE}


# --- Income and costs -------------------------------------------------------------------------------------------------
@kind
def quarterly_dividend_missing(world: World) -> Wanted:
    world.left_out.add("dividend")
    world.main.unheard(Kind.DIVIDEND, day(13), world.main.units(KO) * Decimal("0.485"), KO)
    return {"USD": Cause.DIVIDEND}


@kind
def dividend_paid_at_another_broker_too(world: World) -> Wanted:
    world.other.happens(Kind.BUY, date(2026, 1, 5), -2200, KO, 40)
    world.other.happens(Kind.DIVIDEND, day(19), 40 * 0.21, KO, subtype="special")
    world.main.unheard(Kind.DIVIDEND, day(19), world.main.units(KO) * Decimal("0.21"), KO)
    return {"USD": Cause.DIVIDEND}


@kind
def dividend_reinvested_unheard_of(world: World) -> Wanted:
    world.left_out.add("dividend")
    row = world.dividend(world.main, day(13))
    units = round(row.net_amount / world.prices["KO"], 4)
    world.main.unheard(Kind.BUY, day(13), -row.net_amount, KO, units)
    return {"KO": Cause.REINVESTMENT, "USD": Cause.REINVESTMENT}


@kind
def monthly_interest_missing(world: World) -> Wanted:
    world.left_out.add("interest")
    world.main.unheard(Kind.INTEREST, day(12), world.dice.randrange(611, 689) / 100)
    return {"USD": Cause.INTEREST}


@kind
def monthly_fee_missing(world: World) -> Wanted:
    world.left_out.add("fee")
    world.main.unheard(Kind.FEE, day(16), -4.95)
    return {"USD": Cause.FEE}


@kind
def commission_not_taken_off(world: World) -> Wanted:
    gross = Decimal("-1303.40")
    true = world.main.record(Kind.BUY, day(10), gross - Decimal("6.15"), KO, 20)
    world.main.truth.append(true)
    fields: dict[str, Any] = {"gross_amount": gross, "fees": Decimal("6.15")}
    world.main.made_up(Kind.BUY, day(10), gross, KO, 20, **fields)
    return {"USD": Cause.FEE}


@kind
def withholding_tax_missing(world: World) -> Wanted:
    row = world.main.happens(Kind.DIVIDEND, day(18), 83.17, share("ASML"))
    world.main.unheard(Kind.TAX, day(18), -row.net_amount * Decimal("0.15"))
    return {"USD": Cause.TAX}


@kind
def dividend_and_fee_missing_together(world: World) -> Wanted:
    world.left_out |= {"dividend", "fee"}
    world.main.unheard(Kind.DIVIDEND, day(13), world.main.units(KO) * Decimal("0.485"), KO)
    world.main.unheard(Kind.FEE, day(16), -4.95)
    return {"USD": Cause.DIVIDEND}


# --- Currencies and roundings -----------------------------------------------------------------------------------------
@kind
def dividend_booked_in_the_wrong_currency(world: World) -> Wanted:
    world.main.happens(Kind.DEPOSIT, day(10), 500, currency="EUR")
    world.main.made_up(Kind.DIVIDEND, day(12), 44.15, share("SAP"))
    world.main.unheard(Kind.DIVIDEND, day(12), 44.15, share("SAP"), currency="EUR")
    return {"USD": Cause.WRONG_CURRENCY, "EUR": Cause.WRONG_CURRENCY}


@kind
def exchange_missing(world: World) -> Wanted:
    world.main.happens(Kind.DEPOSIT, day(10), 5, currency="EUR")
    world.main.unheard(Kind.FX, day(12), -1100.55)
    world.main.unheard(Kind.FX, day(12), 1100.55 / 1.16, currency="EUR")
    return {"USD": Cause.FX_LEG, "EUR": Cause.FX_LEG}


@kind
def second_leg_of_an_exchange_missing(world: World) -> Wanted:
    world.main.happens(Kind.DEPOSIT, day(10), 5, currency="EUR")
    world.main.happens(Kind.FX, day(12), -811.23)
    world.main.unheard(Kind.FX, day(12), 811.23 / 1.158, currency="EUR")
    return {"EUR": Cause.FX_LEG}


@kind
def cents_rounded(world: World) -> Wanted:
    world.main.unheard(Kind.OTHER, day(12), 0.02)
    return {"USD": Cause.ROUNDING}


@kind
def fraction_rounded(world: World) -> Wanted:
    world.main.apart = {KO: Decimal("0.00004")}
    return {"KO": Cause.ROUNDING}


@kind
def nothing_explains_it(world: World) -> Wanted:
    world.main.unheard(Kind.OTHER, day(12), world.dice.randrange(70001, 79999) / 100 + 0.003)
    return {"USD": Cause.UNKNOWN}
