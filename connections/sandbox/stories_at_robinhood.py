"""What happened to people's accounts at Robinhood: small sums, fractions, spreads, coins, shares from elsewhere."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from functools import partial

from connections.sandbox.book import ZERO, Nature, Status
from connections.sandbox.clock import at_new_york
from connections.sandbox.diary import (
    OPTION_REGULATORY_PER_CONTRACT,
    SEC_RATE,
    TAF_PER_CONTRACT,
    TAF_PER_SHARE,
    Diary,
)
from connections.sandbox.market import CENT, INSTRUMENTS, SPLITS, AssetClass, Instrument, option_symbol
from connections.sandbox.moves import MOVES
from connections.sandbox.stories import Act, Month, tell
from connections.sandbox.trading_days import next_open, settlement

MARIA_JOINS, JAMES_JOINS = 4, 27  # months since the market opened: March 2022, February 2024
FRACTION = Decimal("0.000001")  # shares bought for dollars are cut to six places, coins to eight
COIN_STEP = Decimal("0.00000001")
COIN_FEE_SINCE, COIN_FEE = date(2025, 3, 1), Decimal("0.006")  # before, the cost lay in the price
GOLD_SINCE, GOLD_FEE = date(2023, 1, 1), Decimal("-5.00")
LIKED = ("AAPL", "NVDA", "F", "KO", "PFE", "SCHD", "TSM")
COINS_LIKED = ("BTC", "ETH", "SOL")
REINVESTED = {"VTI", "SCHD", "AAPL"}
WITHHELD = {"TSM": Decimal("0.21")}


def no_commission(instrument: Instrument, quantity: Decimal, gross: Decimal) -> tuple[tuple[str, Decimal], ...]:
    """Only what the regulators take: of sales, and of every option contract. Lines of zero are left out."""
    size, is_sale = abs(quantity), quantity < 0
    is_option = instrument.asset_class is AssetClass.OPTION
    lines = (
        ("SEC_FEE", abs(gross) * SEC_RATE if is_sale else ZERO),
        ("TAF_FEE", size * (TAF_PER_CONTRACT if is_option else TAF_PER_SHARE) if is_sale else ZERO),
        ("OPT_REG_FEE", size * OPTION_REGULATORY_PER_CONTRACT if is_option else ZERO),
    )
    return tuple((name, amount.quantize(CENT, ROUND_UP)) for name, amount in lines if amount)


def maria(diaries: list[Diary], until: date) -> None:
    """A margin account with everything the app can show."""
    (pen,) = diaries
    pen.tariff = no_commission

    def plan(month: Month) -> Iterator[Act]:
        if month.number < MARIA_JOINS:
            return
        yield from _splits(month, pen)
        yield from _money(month, pen)
        yield from _shares(month, pen)
        yield from _options(month, pen)
        yield from _standing_spread(month, pen)
        yield from _coins(month, pen)
        yield from _income(month, pen)
        yield from _once(month, pen)

    tell(diaries, until, plan)


def james(diaries: list[Diary], until: date) -> None:
    """A fund for a few dollars a month, and now and then a coin."""
    (pen,) = diaries
    pen.tariff = no_commission

    def plan(month: Month) -> Iterator[Act]:
        if month.number < JAMES_JOINS:
            return
        days = month.days
        if month.number % 3 == 0:
            yield days[0], partial(pen.move_cash, Nature.ACH_IN, days[0], 250)
            yield days[5], partial(invest_in_coin, pen, "BTC", Decimal(25), days[5])
        yield days[2], partial(invest, pen, "VTI", Decimal(40), days[2], "recurring")
        if month.first.month in INSTRUMENTS["VTI"].pays_in:
            yield days[9], partial(pen.pay_dividend, "VTI", days[9], reinvest=True)
        yield days[11], partial(pen.pay_interest, days[11])

    tell(diaries, until, plan)


def _splits(month: Month, pen: Diary) -> Iterator[Act]:
    for split in SPLITS:
        if split.on.replace(day=1) == month.first:
            yield split.on, partial(pen.split, split.symbol, split.ratio, split.on)


def _money(month: Month, pen: Diary) -> Iterator[Act]:
    days = month.days
    if month.number == MARIA_JOINS:
        yield days[0], partial(pen.move_cash, Nature.ACH_IN, days[0], 9_000)
        return
    yield days[1], partial(pen.move_cash, Nature.ACH_IN, days[1], 450 + Decimal(pen.rng.randrange(20_000)) / 100)
    if month.number % 5 == 0:
        yield days[12], partial(pen.move_cash, Nature.ACH_OUT, days[12], -pen.rng.randrange(150, 400))
    if month.number % 12 == 9:
        yield days[3], partial(pen.move_cash, Nature.ELECTRONIC_IN, days[3], Decimal("275.50"))
    if month.first >= GOLD_SINCE:
        yield days[6], partial(pen.move_cash, Nature.SERVICE_FEE, days[6], GOLD_FEE)


def _shares(month: Month, pen: Diary) -> Iterator[Act]:
    days = month.days
    yield days[3], partial(invest, pen, "VTI", Decimal(75), days[3], "recurring")
    for _ in range(pen.rng.randint(2, 4)):
        day = pen.rng.choice(days[2:])
        yield day, partial(invest, pen, pen.rng.choice(LIKED), Decimal(pen.rng.randrange(30, 220)), day)
    if month.number % 2:
        yield days[7], partial(pen.spend, pen.rng.choice(LIKED), 300, days[7])
    if month.number % 3 == 0:
        yield days[14], partial(_trim, pen, pen.rng.choice(LIKED), days[14])
        yield days[14], partial(_trim, pen, "F", days[14])
    if month.number % 6 == 3:  # one order, two equal executions
        yield days[9], partial(pen.trade, "F", 5, days[9], fills=2)
    if month.number % 6 == 1:
        limit = (pen.market.price("KO", days[8]) * Decimal("0.9")).quantize(CENT)
        yield days[8], partial(_give_up, pen, "KO", 3, limit, days[8])


def _trim(pen: Diary, symbol: str, day: date) -> None:
    """Sell a quarter of what is held, fractions and all; half of what deliveries have piled up."""
    parts = 2 if pen.held[symbol] > 150 else 4
    quantity = (pen.held[symbol] / parts).quantize(FRACTION, ROUND_DOWN)
    if quantity >= 1:
        pen.trade(symbol, -quantity, day)


def _give_up(pen: Diary, symbol: str, quantity: int, limit: Decimal, day: date) -> None:
    """An order that nobody took and that was cancelled in the evening: told, without effect."""
    pen.write(
        Nature.MEMORANDUM, day, _trading_time(pen, day), symbol=symbol, price=limit, memo=Decimal(quantity),
        note="cancelled", order=_order(pen),
    )  # fmt: skip


def invest(pen: Diary, symbol: str, dollars: Decimal, day: date, note: str = "dollars") -> None:
    """Buy for `dollars`, in millionths of a share, or nothing when the cash is not there."""
    price = pen.market.price(symbol, day)
    quantity = (dollars / price).quantize(FRACTION, ROUND_DOWN)
    if dollars < pen.cash:
        pen.write(
            Nature.ORDER_BUY, day, _trading_time(pen, day), symbol=symbol, quantity=quantity, price=price,
            cash=-(quantity * price).quantize(CENT), settled_on=settlement(day), note=note, order=_order(pen),
        )  # fmt: skip


def invest_in_coin(pen: Diary, symbol: str, dollars: Decimal, day: date) -> None:
    """Buy (positive) or sell (negative) for about `dollars`, if the cash or the coins are there."""
    price = pen.market.price(symbol, day)
    quantity = (dollars / price).quantize(COIN_STEP, ROUND_DOWN)
    if dollars >= pen.cash or pen.held[symbol] + quantity < 0:
        return
    gross = (quantity * price).quantize(CENT)
    fee = (abs(gross) * COIN_FEE).quantize(CENT, ROUND_UP) if day >= COIN_FEE_SINCE else ZERO
    pen.write(
        Nature.ORDER_BUY if quantity > 0 else Nature.ORDER_SELL, day, _trading_time(pen, day), symbol=symbol,
        quantity=quantity, price=price, cash=-gross - fee, fees=(("CRYPTO_FEE", fee),) if fee else (),
        closing=quantity < 0, order=_order(pen),
    )  # fmt: skip


def spread(pen: Diary, day: date, legs: dict[str, int]) -> None:
    """One order over several options: `legs` are contracts by symbol, signed."""
    at, order = _trading_time(pen, day), _order(pen)
    for symbol, contracts in legs.items():
        option, quantity = pen.market.known(symbol), Decimal(contracts)
        price = max(pen.market.price(symbol, day), CENT)
        gross = quantity * price * option.multiplier
        fees = no_commission(option, quantity, gross)
        pen.write(
            Nature.ORDER_BUY if quantity > 0 else Nature.ORDER_SELL, day, at, symbol=symbol, quantity=quantity,
            price=price, fees=fees, cash=-gross - sum((amount for _, amount in fees), ZERO), order=order,
            closing=pen.held[symbol] * quantity < 0, settled_on=settlement(day, next_day=True),
        )  # fmt: skip


def _options(month: Month, pen: Diary) -> Iterator[Act]:
    """One cycle a month, the strikes chosen in hindsight, so that every ending comes up."""
    opening, expiry = month.days[1], month.expiry
    early = next_open(expiry - timedelta(days=5))
    match month.number % 6:
        case 0:  # put credit spread, expires worthless
            sold = pen.option("KO", opening, "PUT", distance="-0.06")
            bought = pen.option("KO", opening, "PUT", distance="-0.12")
            yield opening, partial(spread, pen, opening, {sold: -1, bought: 1})
            yield expiry, partial(pen.expire, sold, expiry)
            yield expiry, partial(pen.expire, bought, expiry)
        case 1:  # long call, sold again
            call = pen.option("F", opening, "CALL", distance="-0.05")
            yield opening, partial(spread, pen, opening, {call: 2})
            yield early, partial(_close, pen, early, call)
        case 2:  # short put, assigned: buys the shares at the strike
            put = pen.option("F", opening, "PUT", distance="0.06")
            yield opening, partial(spread, pen, opening, {put: -1})
            yield expiry, partial(pen.deliver, put, expiry)
        case 3:  # call debit spread, closed as a spread
            low = pen.option("PFE", opening, "CALL", distance="-0.06")
            high = pen.option("PFE", opening, "CALL", distance="0.06")
            yield opening, partial(spread, pen, opening, {low: 2, high: -2})
            yield early, partial(_close, pen, early, low, high)
        case 4:  # long call, exercised
            call = pen.option("F", opening, "CALL", distance="-0.10")
            yield opening, partial(spread, pen, opening, {call: 1})
            yield expiry, partial(pen.deliver, call, expiry)
        case 5:  # covered call, assigned: sells the shares
            call = pen.option("F", opening, "CALL", distance="-0.04")
            yield opening, partial(_write_covered, pen, call, opening)
            yield expiry, partial(pen.deliver, call, expiry)


def _write_covered(pen: Diary, call: str, day: date) -> None:
    if pen.held[pen.market.known(call).terms.underlying] >= 100:
        spread(pen, day, {call: -1})


def _close(pen: Diary, day: date, *symbols: str) -> None:
    legs = {symbol: -int(pen.held[symbol]) for symbol in symbols if pen.held[symbol]}
    if legs:
        spread(pen, day, legs)


def _standing_spread(month: Month, pen: Diary) -> Iterator[Act]:
    """Every quarter a call spread that runs five months, so that one is open on any day."""
    for opened, is_opening in ((month, True), (month.shifted(-5), False)):
        if opened.number <= MARIA_JOINS or opened.number % 3:
            continue
        opening, expiry = opened.days[4], opened.shifted(5).expiry
        strike = (pen.market.price("F", opening) * Decimal("1.05")).quantize(Decimal(1))
        low, high = (option_symbol("F", expiry, "CALL", at) for at in (strike, strike + 2))
        if is_opening:
            yield opening, partial(spread, pen, opening, {low: 1, high: -1})
        else:
            yield expiry, partial(pen.settle, low, expiry)
            yield expiry, partial(pen.settle, high, expiry)


def _coins(month: Month, pen: Diary) -> Iterator[Act]:
    days = month.days
    for number, symbol in enumerate(COINS_LIKED):
        if month.number % 3 == number or symbol == "BTC":
            dollars = Decimal(pen.rng.randrange(40, 120))
            yield days[8 + number], partial(invest_in_coin, pen, symbol, dollars, days[8 + number])
        if month.number % 12 == 6 + number:
            yield days[15], partial(invest_in_coin, pen, symbol, Decimal(-35), days[15])


def _income(month: Month, pen: Diary) -> Iterator[Act]:
    days = month.days
    for place, symbol in enumerate(("VTI", *LIKED)):
        if month.first.month in INSTRUMENTS[symbol].pays_in:
            day, withheld = days[4 + place], WITHHELD.get(symbol, ZERO)
            yield day, partial(pen.pay_dividend, symbol, day, reinvest=symbol in REINVESTED, withheld=withheld)
    yield days[10], partial(pen.pay_interest, days[10])
    if month.number % 4 == 2:
        lent = Decimal(pen.rng.randrange(12, 90)) / 100
        yield days[13], partial(pen.write, Nature.LENDING_INTEREST, days[13], symbol="F", cash=lent)
    if month.first.month == 9:
        yield days[12], partial(_receipt_fee, pen, days[12])


def _receipt_fee(pen: Diary, day: date) -> None:
    if fee := (pen.held["TSM"] * Decimal("0.02")).quantize(CENT):
        pen.write(Nature.RECEIPT_FEE, day, symbol="TSM", cash=-fee)


def _once(month: Month, pen: Diary) -> Iterator[Act]:
    days = month.days
    for move in MOVES:
        if (move.login, move.target) == ("maria", "robinhood") and move.on.replace(day=1) == month.first:
            yield (
                move.on,
                partial(pen.take_shares, Nature.SHARES_IN, move.symbol, move.quantity, move.on, "Interactive Brokers"),
            )
    match month.first.year, month.first.month:
        case 2022, 4:
            yield days[1], partial(pen.trade, "F", 90, days[1])
            yield days[2], partial(pen.trade, "NVDA", 1, days[2])
        case 2023, 11:
            yield days[5], partial(pen.move_cash, Nature.WIRE_IN, days[5], 2_500)
        case 2024, 3:
            yield days[5], partial(_borrow, pen, days[5])
        case 2025, 2:
            yield (
                days[2],
                partial(pen.move_cash, Nature.ACH_IN, days[2], Decimal("333.33"), status=Status.INVALID),
            )  # the bank said no


def _borrow(pen: Diary, day: date) -> None:
    """Buy the index fund for about 1,500 dollars more than there is; deposits pay it back."""
    price = pen.market.price("VTI", day)
    pen.trade("VTI", int((max(pen.cash, ZERO) + 1_500) / price), day)


def _order(pen: Diary) -> int:
    return 7_000_000_000_000 + pen.rng.randrange(10**12)


def _trading_time(pen: Diary, day: date) -> datetime:
    return at_new_york(day, 9, 35) + timedelta(seconds=pen.rng.randrange(6 * 3600))
