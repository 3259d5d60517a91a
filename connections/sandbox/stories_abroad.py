"""What Maria did at Interactive Brokers: four currencies, foreign shares, options, and shares taken along from Schwab.

Dates are absolute and chance starts anew each month, as in the other stories.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

from connections.sandbox.book import ZERO, Nature, Status
from connections.sandbox.clock import at_new_york
from connections.sandbox.diary import Diary, journal, journal_shares
from connections.sandbox.market import CENT, AssetClass, Instrument, option_symbol
from connections.sandbox.moves import MOVES
from connections.sandbox.stories import TRANSFERRED, TRANSFERRED_ON, Act, Month, tell
from connections.sandbox.trading_days import next_open, settlement

OPENED_ON = date(2023, 2, 6)
BASE = "EUR"
BOUGHT = ("SAP", "ASML", "NESN", "NOVN", "HSBA", "ULVR", "AAPL", "MSFT", "KO", "JPM", "NVDA")
PAYING = ("SAP", "ASML", "NESN", "NOVN", "HSBA", "ULVR", "AAPL", "MSFT", "KO", "JPM", "NVDA", "VTI")
WITHHELD = {"SAP": "0.26375", "ASML": "0.15", "NESN": "0.35", "NOVN": "0.35", "HSBA": "0", "ULVR": "0"}
WITHHELD_AT_HOME = "0.15"  # American shares, under the treaty
LEAST_COMMISSION = {"USD": Decimal(1), "EUR": Decimal(3), "GBP": Decimal(3), "CHF": Decimal(5)}
STAMP_DUTY = Decimal("0.005")  # on shares bought in London
EUROPEAN_HOURS = (4, 10)  # in New York, when both are open or only Europe is


def tariff(instrument: Instrument, quantity: Decimal, gross: Decimal) -> tuple[tuple[str, Decimal], ...]:
    """The broker's fixed prices: per contract, per American share, or of the amount; and London's stamp duty."""
    size = abs(quantity)
    if instrument.asset_class is AssetClass.OPTION:
        commission = max(size * Decimal("0.65"), Decimal(1))
    elif instrument.currency == "USD":
        commission = max(size * Decimal("0.005"), Decimal(1))
    else:
        commission = max(abs(gross) * Decimal("0.0005"), LEAST_COMMISSION[instrument.currency])
    is_dutiable = instrument.exchange == "LSE" and quantity > 0
    duty = abs(gross) * STAMP_DUTY if is_dutiable else ZERO
    return ("COMMISSION", commission.quantize(CENT)), ("TAX", duty.quantize(CENT))


def exchange(diary: Diary, currency: str, amount: Decimal, day: date, *, automatic: bool = False) -> None:
    """Sell as much of the base as buys `amount` of `currency`; the commission is taken in the base."""
    rate = diary.market.rate(BASE, currency, day)
    sold = (amount / rate).quantize(Decimal(1)) + 1
    bought = (sold * rate).quantize(CENT)
    commission = ZERO if automatic else max((sold * Decimal("0.00002")).quantize(CENT), Decimal("1.80"))
    diary.write(
        Nature.EXCHANGE, day, at_new_york(day, 5, diary.rng.randrange(60), diary.rng.randrange(60)),
        symbol=f"{BASE}.{currency}", quantity=-sold, price=rate, currency=currency, cash=bought,
        fees=(("COMMISSION", commission),), fee_currency=BASE,
        other_cash=((BASE, -sold), (BASE, -commission)), settled_on=settlement(settlement(day)),
        note="AFx" if automatic else "",
    )  # fmt: skip


def invest(diary: Diary, symbol: str, budget: int, day: date) -> None:
    """Buy for about `budget` of the base, exchanging first what is missing. Nothing when the base is too little."""
    instrument, market = diary.market.known(symbol), diary.market
    rate = market.rate(BASE, instrument.currency, day)
    price = market.price(symbol, day)
    quantity = int(budget * rate / price)
    need = quantity * price * Decimal("1.02") + 10
    missing = max(need - diary.purse[instrument.currency], ZERO)
    if not quantity or diary.cash < missing / rate + 500:
        return
    if missing and instrument.currency != BASE:
        exchange(diary, instrument.currency, missing, day)
    order(diary, symbol, quantity, day)


def order(diary: Diary, symbol: str, quantity: Decimal | int, day: date, *, fills: int = 1) -> None:
    """As `Diary.trade`, in the instrument's currency and at the hours of its exchange."""
    first = len(diary.written)
    diary.trade(symbol, quantity, day, fills=fills)
    if (instrument := diary.market.known(symbol)).exchange:
        at = at_new_york(day, diary.rng.randint(*EUROPEAN_HOURS), diary.rng.randrange(60), diary.rng.randrange(60))
        diary.written[first:] = [replace(event, at=at, posted_at=at) for event in diary.written[first:]]
    assert all(event.currency == instrument.currency for event in diary.written[first:])


def maria(diaries: list[Diary], until: date) -> None:
    """The main account trades in four currencies; the second saves in one fund."""
    main, savings = diaries
    for diary in diaries:
        diary.tariff = tariff

    def plan(month: Month) -> Iterator[Act]:
        if month.first < OPENED_ON.replace(day=1):
            return
        yield from _money(month, main, savings)
        yield from _orders(month, main)
        yield from _options(month, main)
        yield from _income(month, main)
        yield from _saving(month, savings)
        yield from _once(month, main, savings)

    tell(diaries, until, plan)


def _money(month: Month, main: Diary, savings: Diary) -> Iterator[Act]:
    days = month.days
    if month.first == OPENED_ON.replace(day=1):
        yield OPENED_ON, partial(main.move_cash, Nature.WIRE_IN, OPENED_ON, 24_000, currency="EUR")
        yield OPENED_ON, partial(main.move_cash, Nature.WIRE_IN, OPENED_ON, 4_000, currency="CHF")
        yield OPENED_ON, partial(main.move_cash, Nature.WIRE_IN, OPENED_ON, 2_500, currency="GBP")
        return
    yield days[1], partial(main.move_cash, Nature.WIRE_IN, days[1], 1_400 + main.rng.randrange(300), currency="EUR")
    if month.number % 6 == 3:
        yield days[12], partial(main.move_cash, Nature.WIRE_OUT, days[12], -450, currency="GBP")
    if month.number % 2:
        yield days[3], partial(journal, main, savings, 300, days[3], days[3])
    yield days[2], partial(_data_fee, main, days[2])


def _data_fee(diary: Diary, day: date) -> None:
    """Market data in dollars, refunded every twelfth month."""
    refunded = day.month == 12
    amount = Decimal("4.50") if refunded else Decimal("-4.50")
    note = f"{'R' if refunded else 'P'}*****12:US SECURITIES SNAPSHOT AND FUTURES VALUE BUNDLE FOR {day:%b %Y}".upper()
    diary.move_cash(Nature.SERVICE_FEE, day, amount, currency="USD", note=note)


def _orders(month: Month, diary: Diary) -> Iterator[Act]:
    days, pen = month.days, diary
    first = 4 if month.first == OPENED_ON.replace(day=1) else 2
    for _ in range(pen.rng.randint(2, 4)):
        day = pen.rng.choice(days[first:])
        yield day, partial(invest, pen, pen.rng.choice(BOUGHT), pen.rng.randrange(350, 900), day)
    if month.number % 3 == 1:
        day = pen.rng.choice(days[first:])
        yield day, partial(_trim, pen, pen.rng.choice(BOUGHT), day)
    if month.number % 6 == 4:
        yield days[9], partial(_two_fills, pen, days[9])


def _trim(diary: Diary, symbol: str, day: date) -> None:
    """Sell a third, where enough is held."""
    if (held := diary.held[symbol]) >= 6:
        order(diary, symbol, -int(held / 3), day)


def _two_fills(diary: Diary, day: date) -> None:
    """One order, two executions equal in everything but their ids."""
    if diary.purse["GBP"] < 400:
        exchange(diary, "GBP", Decimal(400), day)
    order(diary, "HSBA", 20, day, fills=2)


def _options(month: Month, diary: Diary) -> Iterator[Act]:
    """Every other month one option of the month; and standing ones, so that some are open on any day."""
    days, expiry, pen = month.days, month.expiry, diary
    if month.first <= OPENED_ON:
        return
    match month.number % 6:
        case 0:  # sold put, expires worthless
            put = pen.option("KO", days[1], "PUT", distance="-0.08")
            yield days[1], partial(pen.trade, put, -1, days[1])
            yield expiry, partial(pen.expire, put, expiry)
        case 2:  # sold put, assigned: buys the shares at the strike
            put = pen.option("PFE", days[1], "PUT", distance="0.04")
            yield days[1], partial(pen.trade, put, -1, days[1])
            yield expiry, partial(_fund, pen, "USD", Decimal(5_000), expiry)
            yield expiry, partial(pen.deliver, put, expiry)
        case 4:  # bought put, exercised: sells those shares again
            put = pen.option("PFE", days[1], "PUT", distance="0.05")
            yield days[1], partial(_protect, pen, put, days[1])
            yield expiry, partial(pen.deliver, put, expiry)
    yield from _standing_option(month, pen)


def _protect(diary: Diary, put: str, day: date) -> None:
    if diary.held[diary.market.known(put).terms.underlying] >= 100:
        _fund(diary, "USD", Decimal(600), day)
        diary.trade(put, 1, day)


def _standing_option(month: Month, diary: Diary) -> Iterator[Act]:
    for opened, is_opening in ((month, True), (month.shifted(-5), False)):
        if opened.first <= OPENED_ON or opened.number % 4 != 1:
            continue
        opening, expiry = opened.days[3], opened.shifted(5).expiry
        strike = (diary.market.price("AAPL", opening) * Decimal("1.10")).quantize(Decimal(1))
        symbol = option_symbol("AAPL", expiry, "CALL", strike)
        if is_opening:
            yield opening, partial(_fund, diary, "USD", Decimal(1_500), opening)
            yield opening, partial(diary.trade, symbol, 1, opening)
        else:
            yield (
                next_open(expiry - timedelta(days=9)),
                partial(_close, diary, symbol, next_open(expiry - timedelta(days=9))),
            )


def _fund(diary: Diary, currency: str, amount: Decimal, day: date) -> None:
    """Have at least so much of a currency."""
    if (missing := amount - diary.purse[currency]) > 0:
        exchange(diary, currency, missing, day)


def _close(diary: Diary, symbol: str, day: date) -> None:
    if diary.held[symbol]:
        diary.trade(symbol, -diary.held[symbol], day)


def _income(month: Month, diary: Diary) -> Iterator[Act]:
    days, pen = month.days, diary
    for place, symbol in enumerate(PAYING):
        if month.first.month in pen.market.known(symbol).pays_in:
            day = days[4 + place % 9]
            withheld = Decimal(WITHHELD.get(symbol, WITHHELD_AT_HOME))
            yield day, partial(pen.pay_dividend, symbol, day, withheld=withheld)
    yield days[3], partial(_interest, pen, days[3])
    for split_on, symbol, ratio in ((date(2024, 6, 10), "NVDA", Decimal(10)),):
        if split_on.replace(day=1) == month.first:
            yield split_on, partial(pen.split, symbol, ratio, split_on)


def _interest(diary: Diary, day: date) -> None:
    """Paid on what is owed, received on what lies idle above the free amount; each currency by itself."""
    period = f"{day - timedelta(days=28):%b-%Y}".upper()
    for currency in ("EUR", "USD", "GBP", "CHF"):
        cash = diary.purse[currency]
        if cash < 0 and (owed := (cash * Decimal("0.058") / 12).quantize(CENT)):
            diary.move_cash(Nature.MARGIN_INTEREST, day, owed, currency=currency, note=period)
        elif cash > 2_000 and (gained := ((cash - 2_000) * Decimal("0.021") / 12).quantize(CENT)):
            diary.move_cash(Nature.BANK_INTEREST, day, gained, currency=currency, note=period)


def _saving(month: Month, diary: Diary) -> Iterator[Act]:
    days = month.days
    if month.first > OPENED_ON:
        yield days[6], partial(invest, diary, "VWCE", 460, days[6])
        yield days[2], partial(_interest, diary, days[2])


def _once(month: Month, main: Diary, savings: Diary) -> Iterator[Act]:
    days = month.days
    if month.first == TRANSFERRED_ON.replace(day=1):
        symbol, quantity = TRANSFERRED
        yield TRANSFERRED_ON, partial(main.take_shares, Nature.SHARES_IN, symbol, quantity, TRANSFERRED_ON, "schwab")
    for move in MOVES:
        if move.login == "maria" and move.source == "ibkr" and move.on.replace(day=1) == month.first:
            act = partial(main.take_shares, Nature.SHARES_OUT, move.symbol, -move.quantity, move.on, move.target)
            yield move.on, act
    match month.first.year, month.first.month:
        case 2023, 4:
            yield days[5], partial(main.move_cash, Nature.WIRE_IN, days[5], 3_000, currency="EUR")
        case 2024, 3:
            yield days[8], partial(_cancelled, main, days[8])
        case 2024, 9:
            yield days[3], partial(invest, main, "VWCE", 1_400, days[3])
            yield days[14], partial(journal_shares, main, savings, "VWCE", 4, days[14])
        case 2025, 5:
            yield days[15], partial(_taken_back, main, days[15])
        case 2025, 8:
            yield days[9], partial(exchange, main, "USD", Decimal(37), days[9], automatic=True)


def _cancelled(diary: Diary, day: date) -> None:
    """A purchase the exchange bust the same evening: the broker tells both, and neither has an effect."""
    price = diary.market.price("ULVR", day)
    gross = (3 * price).quantize(CENT)
    fees = tariff(diary.market.known("ULVR"), Decimal(3), gross)
    diary.write(
        Nature.ORDER_BUY, day, at_new_york(day, 7, 14, 9), symbol="ULVR", quantity=Decimal(3), price=price, fees=fees,
        order=1_003_399_000_001, currency="GBP", cash=-gross - sum((fee for _, fee in fees), ZERO),
        settled_on=settlement(day), status=Status.INVALID,
    )  # fmt: skip


def _taken_back(diary: Diary, day: date) -> None:
    """A dividend paid too much and corrected the next day: a negative row, then the right one."""
    after = next_open(day + timedelta(days=1))
    for when, amount in ((day, "7.40"), (after, "-7.40"), (after, "6.90")):
        diary.write(Nature.DIVIDEND, when, symbol="SAP", cash=Decimal(amount), currency="EUR")
