"""The Market Data API: quotes, and when markets are open."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from connections.sandbox.clock import NEW_YORK, at_new_york
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.market import CENT, AssetClass, Instrument
from connections.sandbox.schwab.instruments import stable_number
from connections.sandbox.schwab.side import SCHWAB, errors
from connections.sandbox.schwab.trader import read_only
from connections.sandbox.trading_days import is_open, last_open
from connections.sandbox.world import WORLD

MOST_SYMBOLS = 500
SECTIONS = ("quote", "fundamental", "extended", "reference", "regular")
MAIN_TYPES = {AssetClass.OPTION: "OPTION", AssetClass.BOND: "BOND", AssetClass.MONEY_FUND: "MUTUAL_FUND"}
SUB_TYPES = {AssetClass.STOCK: "COE", AssetClass.ETF: "ETF", AssetClass.MONEY_FUND: "MMF"}
MARKETS = {  # market -> (product, its name, opens, closes)
    "equity": (("EQ", "equity", (9, 30), (16, 0)),),
    "option": (("EQO", "equity option", (9, 30), (16, 0)), ("IND", "index option", (9, 30), (16, 15))),
    "bond": (("BON", "bond", (8, 0), (17, 0)),),
    "future": (("FUT", "future", (9, 30), (16, 0)),),
    "forex": (("FX", "forex", (8, 0), (17, 0)),),
}


@operation(SCHWAB, "quotes")
def quotes(request: HttpRequest, exchange: Exchange) -> Any:
    """Unknown symbols are listed under `errors`, the others answered."""
    read_only(request)
    symbols = [symbol for symbol in request.GET.get("symbols", "").split(",") if symbol]
    if not symbols:
        raise _bad("Missing required parameter: symbols", "symbols")
    if len(symbols) > MOST_SYMBOLS:
        raise _bad(f"Number of symbols should not exceed {MOST_SYMBOLS}", "symbols")
    sections = _sections(request)
    found = {symbol: instrument for symbol in symbols if (instrument := _listed(symbol))}
    answer: dict[str, Any] = {symbol: _quote(instrument, sections) for symbol, instrument in found.items()}
    if unknown := [symbol for symbol in symbols if symbol not in found]:
        answer["errors"] = {"invalidSymbols": unknown}
    return answer


@operation(SCHWAB, "quotes")
def single_quote(request: HttpRequest, exchange: Exchange, symbol: str) -> Any:
    read_only(request)
    instrument = _listed(symbol)
    if instrument is None:
        raise Refusal(404, errors(404, text=True))
    return {symbol: _quote(instrument, _sections(request))}


def _listed(symbol: str) -> Instrument | None:
    """Schwab quotes no coins, and nothing in another currency."""
    instrument = WORLD.market.instrument(symbol)
    if instrument is None or instrument.asset_class is AssetClass.CRYPTO or instrument.currency != "USD":
        return None
    return instrument


def _sections(request: HttpRequest) -> tuple[str, ...]:
    names = [name for name in request.GET.get("fields", "").split(",") if name]
    if any(name not in (*SECTIONS, "all") for name in names):
        raise _bad("Valid fields should be any of all, " + ", ".join(SECTIONS), "fields")
    return SECTIONS if not names or "all" in names else tuple(names)


def _bad(detail: str, parameter: str) -> Refusal:
    return Refusal(400, errors(400, detail, parameter=parameter, text=True))


def _quote(instrument: Instrument, sections: tuple[str, ...]) -> dict[str, Any]:
    today = WORLD.clock.today()
    price = WORLD.market.price(instrument.symbol, today)
    before = WORLD.market.price(instrument.symbol, last_open(last_open(today) - timedelta(days=1)))
    built = {
        "fundamental": _fundamental(instrument, price),
        "quote": _prices(instrument, price, before),
        "reference": _reference(instrument),
        "regular": {
            "regularMarketLastPrice": price,
            "regularMarketNetChange": price - before,
            "regularMarketPercentChange": _percent(price, before),
            "regularMarketTradeTime": _close_time(),
        },
    }
    head: dict[str, Any] = {"assetMainType": MAIN_TYPES.get(instrument.asset_class, "EQUITY")}
    if sub_type := "ADR" if instrument.is_receipt else SUB_TYPES.get(instrument.asset_class):
        head["assetSubType"] = sub_type
    head |= {"quoteType": "NBBO", "realtime": True, "ssid": stable_number(instrument.symbol, 100_000_000)}
    head["symbol"] = instrument.symbol
    return head | {name: section for name, section in built.items() if name in sections}


def _prices(instrument: Instrument, price: Decimal, before: Decimal) -> dict[str, Any]:
    common = {
        "closePrice": before,
        "netChange": price - before,
        "netPercentChange": _percent(price, before),
        "securityStatus": "Normal",
        "tradeTime": _close_time(),
    }
    if instrument.asset_class is AssetClass.MONEY_FUND:
        return {**common, "nAV": price}
    common |= {
        "askPrice": price + CENT,
        "askSize": 3,
        "bidPrice": max(price - CENT, Decimal(0)),
        "bidSize": 5,
        "highPrice": max(price, before),
        "lastPrice": price,
        "lowPrice": min(price, before),
        "mark": price,
        "markChange": price - before,
        "openPrice": before,
        "quoteTime": _close_time(),
        "totalVolume": stable_number(instrument.symbol, 1_000_000),
    }
    if instrument.option:
        common["underlyingPrice"] = WORLD.market.price(instrument.option.underlying, WORLD.clock.today())
    return common


def _fundamental(instrument: Instrument, price: Decimal) -> dict[str, Any]:
    yearly = instrument.dividend * len(instrument.pays_in)
    return {
        "divAmount": yearly,
        "divFreq": len(instrument.pays_in),
        "divPayAmount": instrument.dividend,
        "divYield": (yearly / price * 100).quantize(CENT) if price else Decimal(0),
    }


def _reference(instrument: Instrument) -> dict[str, Any]:
    reference: dict[str, Any] = {"cusip": instrument.cusip, "description": instrument.name}
    if option := instrument.option:
        return reference | {
            "contractType": option.right[0],
            "strikePrice": option.strike,
            "multiplier": instrument.multiplier,
            "expirationYear": option.expires_on.year,
            "expirationMonth": option.expires_on.month,
            "expirationDay": option.expires_on.day,
            "underlying": option.underlying,
        }
    return reference | {"exchange": "N", "exchangeName": "NYSE", "isHardToBorrow": False, "isShortable": True}


def _percent(price: Decimal, before: Decimal) -> Decimal:
    return ((price / before - 1) * 100).quantize(Decimal("0.00000001")) if before else Decimal(0)


def _close_time() -> int:
    """Epoch milliseconds of the last close, the moment of every price here."""
    return int(at_new_york(last_open(WORLD.clock.today()), 16).timestamp() * 1000)


@operation(SCHWAB, "markets")
def markets(request: HttpRequest, exchange: Exchange) -> Any:
    read_only(request)
    names = [name for name in request.GET.get("markets", "").split(",") if name]
    if not names or any(name not in MARKETS for name in names):
        raise _bad("Valid markets are " + ", ".join(MARKETS), "markets")
    day = _day(request)
    return {name: _hours(name, day) for name in names}


@operation(SCHWAB, "markets")
def single_market(request: HttpRequest, exchange: Exchange, market: str) -> Any:
    read_only(request)
    if market not in MARKETS:
        raise Refusal(404, errors(404, text=True))
    return {market: _hours(market, _day(request))}


def _day(request: HttpRequest) -> date:
    """Today when none is named; otherwise up to a year ahead."""
    today, text = WORLD.clock.today(), request.GET.get("date")
    if not text:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not today <= day <= today + timedelta(days=366):
        raise _bad("Valid date range is from current date to 1 year from current date", "date")
    return day


def _hours(market: str, day: date) -> dict[str, Any]:
    """A closed day has another inner key and fewer fields."""
    if not is_open(day):
        closed = {"date": day.isoformat(), "marketType": market.upper(), "product": market, "isOpen": False}
        return {market: closed}
    return {
        product: {
            "date": day.isoformat(),
            "marketType": market.upper(),
            "product": product,
            "productName": name,
            "isOpen": True,
            "sessionHours": dict(_sessions(market, day, opens, closes)),
        }
        for product, name, opens, closes in MARKETS[market]
    }


def _sessions(market: str, day: date, opens: tuple[int, int], closes: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    if market == "equity":
        yield "preMarket", [_span(day, (7, 0), opens)]
    yield "regularMarket", [_span(day, opens, closes)]
    if market == "equity":
        yield "postMarket", [_span(day, closes, (20, 0))]


def _span(day: date, start: tuple[int, int], end: tuple[int, int]) -> dict[str, str]:
    """Here the offset has a colon, unlike in the Trader API."""
    moments = (datetime(day.year, day.month, day.day, *moment, tzinfo=NEW_YORK) for moment in (start, end))
    return dict(zip(("start", "end"), (moment.isoformat() for moment in moments), strict=True))
