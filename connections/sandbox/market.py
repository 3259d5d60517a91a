"""A seeded market: what trades, and what it cost on any day. The same seed gives the same prices for ever.

Companies, symbols, CUSIPs and ISINs are public; every price, dividend and rate is invented.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cache
from random import Random
from typing import Any

from connections.sandbox.trading_days import is_open, last_open

OPENING_DAY = date(2021, 11, 15)
CENT = Decimal("0.01")
OPTION_ROOT_WIDTH = 6
OPTION_SYMBOL_LENGTH = 21  # OSI: root padded to 6, yymmdd, C or P, strike times 1000 in 8 digits


class AssetClass(StrEnum):
    STOCK = "stock"
    ETF = "etf"
    OPTION = "option"
    BOND = "bond"
    MONEY_FUND = "money_fund"
    CRYPTO = "crypto"


MULTIPLIERS = {AssetClass.OPTION: Decimal(100), AssetClass.BOND: Decimal(10)}  # a bond: 1,000 face, priced per 100


@dataclass(frozen=True, slots=True)
class OptionTerms:
    underlying: str
    expires_on: date
    right: str  # CALL or PUT
    strike: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Something held. `quantity * price * multiplier` is its value in its currency."""

    symbol: str
    name: str
    cusip: str  # empty for what is not American
    asset_class: AssetClass = AssetClass.STOCK
    start: Decimal = Decimal(0)  # price on the opening day, in today's shares
    drift: float = 0.0  # yearly, 0.08 is 8 %
    swing: float = 0.0  # daily standard deviation
    dividend: Decimal = Decimal(0)  # per share and payment, in today's shares
    pays_in: tuple[int, ...] = ()  # months with a dividend
    is_receipt: bool = False  # a depository receipt, whose bank takes a fee
    option: OptionTerms | None = None
    coupon: Decimal = Decimal(0)  # percent a year
    matures_on: date | None = None
    currency: str = "USD"
    isin: str = ""  # empty: follows from the CUSIP
    exchange: str = ""  # empty: an American one

    @property
    def multiplier(self) -> Decimal:
        return MULTIPLIERS.get(self.asset_class, Decimal(1))

    @property
    def terms(self) -> OptionTerms:
        """Raises ValueError when it is no option."""
        if self.option is None:
            raise ValueError(f"{self.symbol} is no option")
        return self.option


@dataclass(frozen=True, slots=True)
class Split:
    symbol: str
    on: date
    ratio: Decimal  # new shares for one old


QUARTERS_1, QUARTERS_2, QUARTERS_3 = (1, 4, 7, 10), (2, 5, 8, 11), (3, 6, 9, 12)
EVERY_MONTH = tuple(range(1, 13))


def _stock(symbol: str, name: str, cusip: str, start: str, drift: float, swing: float, **more: Any) -> Instrument:
    """`start` is the price on the opening day, in today's shares."""
    return Instrument(symbol=symbol, name=name, cusip=cusip, start=Decimal(start), drift=drift, swing=swing, **more)


INSTRUMENTS = {
    instrument.symbol: instrument
    for instrument in (
        _stock("AAPL", "Apple Inc", "037833100", "157.87", 0.12, 0.016, dividend=Decimal("0.24"), pays_in=QUARTERS_2),
        _stock(
            "MSFT", "Microsoft Corp", "594918104", "336.07", 0.11, 0.015,
            dividend=Decimal("0.75"), pays_in=QUARTERS_3,
        ),
        _stock("NVDA", "NVIDIA Corp", "67066G104", "30.03", 0.38, 0.029, dividend=Decimal("0.01"), pays_in=QUARTERS_3),
        _stock("KO", "Coca-Cola Co", "191216100", "56.15", 0.05, 0.009, dividend=Decimal("0.46"), pays_in=QUARTERS_1),
        _stock("PFE", "Pfizer Inc", "717081103", "49.68", -0.09, 0.014, dividend=Decimal("0.41"), pays_in=QUARTERS_3),
        _stock("F", "Ford Motor Co", "345370860", "19.79", -0.08, 0.019, dividend=Decimal("0.15"), pays_in=QUARTERS_3),
        _stock(
            "JPM", "JPMorgan Chase & Co", "46625H100", "167.20", 0.10, 0.014,
            dividend=Decimal("1.05"), pays_in=QUARTERS_1,
        ),
        _stock("BRK.B", "Berkshire Hathaway Inc Class B", "084670702", "285.01", 0.11, 0.011),
        _stock(
            "TSM", "Taiwan Semiconductor Manufacturing ADR", "874039100", "119.40", 0.16, 0.020,
            dividend=Decimal("0.49"), pays_in=QUARTERS_1, is_receipt=True,
        ),
        _stock(
            "VTI", "VANGUARD TOTAL STOCK MARKET ETF", "922908769", "240.12", 0.08, 0.010,
            dividend=Decimal("0.87"), pays_in=QUARTERS_3, asset_class=AssetClass.ETF,
        ),
        _stock(
            "BND", "VANGUARD TOTAL BOND MARKET ETF", "921937835", "85.21", -0.02, 0.004,
            dividend=Decimal("0.19"), pays_in=EVERY_MONTH, asset_class=AssetClass.ETF,
        ),
        _stock(
            "SCHD", "SCHWAB US DIVIDEND EQUITY ETF", "808524797", "26.42", 0.03, 0.009,
            dividend=Decimal("0.22"), pays_in=QUARTERS_3, asset_class=AssetClass.ETF,
        ),
        _stock(
            "SWVXX", "SCHWAB VALUE ADVANTAGE MONEY INVESTOR", "808515605", "1.00", 0.0, 0.0,
            dividend=Decimal("0.0036"), pays_in=EVERY_MONTH, asset_class=AssetClass.MONEY_FUND,
        ),
        _stock(
            "91282CHT1", "US TREASURY NOTE 3.875% 08/15/33", "91282CHT1", "97.50", 0.003, 0.002,
            asset_class=AssetClass.BOND, coupon=Decimal("3.875"), matures_on=date(2033, 8, 15),
        ),
    )
}  # fmt: skip
COINS = {  # beside the listed ones: no exchange day, no dividend, no CUSIP; their close is the exchange's here too
    coin.symbol: coin
    for coin in (
        _stock("BTC", "Bitcoin", "", "63500.00", 0.09, 0.027, asset_class=AssetClass.CRYPTO),
        _stock("ETH", "Ethereum", "", "4550.00", -0.03, 0.034, asset_class=AssetClass.CRYPTO),
        _stock("SOL", "Solana", "", "235.00", -0.06, 0.045, asset_class=AssetClass.CRYPTO),
    )
}
ABROAD = {
    instrument.symbol: instrument
    for instrument in (
        _stock(
            "SAP", "SAP SE", "", "123.40", 0.11, 0.014, dividend=Decimal("2.20"), pays_in=(5,),
            currency="EUR", isin="DE0007164600", exchange="IBIS",
        ),
        _stock(
            "ASML", "ASML Holding NV", "", "745.20", 0.04, 0.018, dividend=Decimal("1.52"), pays_in=QUARTERS_2,
            currency="EUR", isin="NL0010273215", exchange="AEB",
        ),
        _stock(
            "VWCE", "Vanguard FTSE All-World UCITS ETF", "", "105.12", 0.07, 0.009, asset_class=AssetClass.ETF,
            currency="EUR", isin="IE00BK5BQT80", exchange="IBIS2",
        ),
        _stock(
            "HSBA", "HSBC Holdings PLC", "", "4.42", 0.15, 0.013, dividend=Decimal("0.08"), pays_in=QUARTERS_3,
            currency="GBP", isin="GB0005405286", exchange="LSE",
        ),
        _stock(
            "ULVR", "Unilever PLC", "", "38.91", 0.04, 0.010, dividend=Decimal("0.38"), pays_in=QUARTERS_3,
            currency="GBP", isin="GB00B10RZP78", exchange="LSE",
        ),
        _stock(
            "NESN", "Nestle SA", "", "119.52", -0.05, 0.009, dividend=Decimal("3.00"), pays_in=(4,),
            currency="CHF", isin="CH0038863350", exchange="EBS",
        ),
        _stock(
            "NOVN", "Novartis AG", "", "74.10", 0.08, 0.010, dividend=Decimal("3.30"), pays_in=(3,),
            currency="CHF", isin="CH0012005267", exchange="EBS",
        ),
    )
}  # fmt: skip
RATES = {  # US dollars for one unit, walking like a price
    currency: Instrument(symbol=f"{currency}.USD", name=f"{currency}.USD", cusip="", start=Decimal(start), swing=0.004)
    for currency, start in (("EUR", "1.1368"), ("GBP", "1.3412"), ("CHF", "1.0792"))
}
RATE_STEP = Decimal("0.00001")
SPLITS = (Split("NVDA", date(2024, 6, 10), Decimal(10)),)


class Market:
    """Daily closing prices from the opening day on. Asking for a day it was shut gives the last close before."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._closes: dict[str, list[Decimal]] = {}
        self._rngs: dict[str, Random] = {}

    def instrument(self, symbol: str) -> Instrument | None:
        """What is listed at home and abroad, any option on an American share, coins. None: there is no such symbol."""
        if len(symbol) == OPTION_SYMBOL_LENGTH:
            return option_from_symbol(symbol)
        return INSTRUMENTS.get(symbol) or ABROAD.get(symbol) or COINS.get(symbol)

    def known(self, symbol: str) -> Instrument:
        """As `instrument`, raising KeyError for a symbol that does not exist."""
        instrument = self.instrument(symbol)
        if instrument is None:
            raise KeyError(symbol)
        return instrument

    def price(self, symbol: str, on: date) -> Decimal:
        """Close in the instrument's currency, in the shares of that day (before a split: the higher price)."""
        instrument = self.known(symbol)
        if instrument.asset_class is AssetClass.OPTION:
            return self._option_price(instrument, on)
        return (self._close(instrument, last_open(on)) * self.shares_today(symbol, on)).quantize(CENT)

    def rate(self, currency: str, base: str, on: date) -> Decimal:
        """Units of `base` for one `currency` at the day's close, to five digits. Raises KeyError for one unknown."""
        if currency == base:
            return Decimal(1)
        return (self._in_dollars(currency, on) / self._in_dollars(base, on)).quantize(RATE_STEP)

    def _in_dollars(self, currency: str, on: date) -> Decimal:
        return Decimal(1) if currency == "USD" else self._close(RATES[currency], last_open(on))

    def dividend(self, symbol: str, on: date) -> Decimal:
        """Dividend per share in the shares of that day."""
        return self.known(symbol).dividend * self.shares_today(symbol, on)

    def shares_today(self, symbol: str, on: date) -> Decimal:
        """How many of today's shares one share of that day has become."""
        ratio = Decimal(1)
        for split in SPLITS:
            if split.symbol == symbol and on < split.on:
                ratio *= split.ratio
        return ratio

    def _close(self, instrument: Instrument, on: date) -> Decimal:
        """The walk goes over calendar days, so that a day's price needs no count of trading days."""
        day_number = max((on - OPENING_DAY).days, 0)
        closes = self._closes.setdefault(instrument.symbol, [instrument.start])
        if day_number < len(closes):
            return closes[day_number]
        if instrument.symbol not in self._rngs:
            self._rngs[instrument.symbol] = Random(f"{self.seed}:{instrument.symbol}")  # nosec B311  # a seeded story, nothing secret
        rng = self._rngs[instrument.symbol]
        trend = float(instrument.start)
        for number in range(len(closes), day_number + 1):
            anchor = trend * (1 + instrument.drift) ** (number / 365)
            last = float(closes[-1])
            pull = 0.004 * (anchor - last) / anchor  # keeps the walk near its trend for decades
            step = rng.gauss(0, instrument.swing) + pull + instrument.drift / 365
            moved = last if not is_open(OPENING_DAY + timedelta(days=number)) else last * (1 + step)
            closes.append(Decimal(str(max(moved, 0.01))).quantize(Decimal("0.0001")))
        return closes[day_number]

    def _option_price(self, option: Instrument, on: date) -> Decimal:
        """What it is worth if exercised, plus a time value that melts with the root of the days left."""
        terms = option.terms
        spot = self.price(terms.underlying, on)
        gain = spot - terms.strike if terms.right == "CALL" else terms.strike - spot
        days_left = max((terms.expires_on - on).days, 0)
        reach = spot * Decimal("0.02") * (Decimal(days_left) / 7).sqrt()
        distance = abs(spot - terms.strike)
        time_value = max(reach - distance / 2, Decimal(0)) if days_left else Decimal(0)
        return (max(gain, Decimal(0)) + time_value).quantize(CENT, ROUND_HALF_UP)


def option_symbol(underlying: str, expires_on: date, right: str, strike: Decimal) -> str:
    """OSI symbol, 21 characters: `AAPL  270115C00240000`."""
    return f"{underlying:<{OPTION_ROOT_WIDTH}}{expires_on:%y%m%d}{right[0]}{int(strike * 1000):08d}"


@cache
def option_from_symbol(symbol: str) -> Instrument | None:
    """The option an OSI symbol names; None when it is not one or its underlying is not listed."""
    underlying = INSTRUMENTS.get(symbol[:OPTION_ROOT_WIDTH].strip())
    date_part, right, strike_part = symbol[6:12], symbol[12], symbol[13:]
    if underlying is None or right not in "CP" or not (date_part + strike_part).isdigit():
        return None
    try:
        expires_on = date(2000 + int(date_part[:2]), int(date_part[2:4]), int(date_part[4:]))
    except ValueError:
        return None
    strike, word = Decimal(strike_part) / 1000, "Call" if right == "C" else "Put"
    name = f"{underlying.name.upper()} {expires_on:%m/%d/%Y} ${strike.normalize():f} {word}"
    return Instrument(
        symbol=symbol,
        name=name,
        cusip=f"0{underlying.symbol.replace('.', '')[:5]}.{right}{expires_on:%y%m%d}{strike_part[:5]}",
        asset_class=AssetClass.OPTION,
        option=OptionTerms(underlying.symbol, expires_on, word.upper(), strike),
    )
