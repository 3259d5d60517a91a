"""What is listed: instruments, quotes, hours of the exchange. Open to everyone but for quotes."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from connections.sandbox.book import Account
from connections.sandbox.clock import at_new_york
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.market import CENT, COINS, INSTRUMENTS, AssetClass, Instrument
from connections.sandbox.robinhood.side import ROBINHOOD, caller
from connections.sandbox.robinhood.wire import api, asked_for, day, instant, number, page, uid
from connections.sandbox.trading_days import is_open, last_open, next_open
from connections.sandbox.world import WORLD

SHARES = (AssetClass.STOCK, AssetClass.ETF)
MOST_SYMBOLS = 1_200  # beyond, the address is too long
NOT_FOUND = {"detail": "Not found."}


def is_share(symbol: str | None) -> bool:
    instrument = WORLD.market.instrument(symbol) if symbol else None
    return instrument is not None and instrument.asset_class in SHARES and instrument.currency == "USD"


def is_option(symbol: str | None) -> bool:
    instrument = WORLD.market.instrument(symbol) if symbol else None
    return instrument is not None and instrument.asset_class is AssetClass.OPTION


def is_coin(symbol: str | None) -> bool:
    return symbol in COINS


def share_id(symbol: str) -> str:
    return uid("instrument", symbol)


def option_id(symbol: str) -> str:
    return uid("option", symbol)


def chain_id(underlying: str) -> str:
    return uid("chain", underlying)


def pair_id(coin: str) -> str:
    return uid("pair", coin)


def share_url(request: HttpRequest, symbol: str) -> str:
    return api(request, f"/instruments/{share_id(symbol)}/")


def option_url(request: HttpRequest, symbol: str) -> str:
    return api(request, f"/options/instruments/{option_id(symbol)}/")


def account_url(request: HttpRequest, account: Account) -> str:
    return api(request, f"/accounts/{account.number}/")


def shares() -> list[str]:
    return [symbol for symbol in INSTRUMENTS if is_share(symbol)]


@operation(ROBINHOOD, "instruments")
def instruments(request: HttpRequest, exchange: Exchange) -> Any:
    """By `symbol`, by `ids`, or all of them."""
    symbol, ids = request.GET.get("symbol"), asked_for(request, "ids")
    found = [
        name
        for name in shares()
        if (symbol is None or name == symbol.upper()) and (ids is None or share_id(name) in ids)
    ]
    return page(request, [_instrument(request, name) for name in found])


@operation(ROBINHOOD, "instruments")
def instrument(request: HttpRequest, exchange: Exchange, instrument_id: str) -> Any:
    for symbol in shares():
        if share_id(symbol) == instrument_id:
            return _instrument(request, symbol)
    raise Refusal(404, NOT_FOUND)


def _instrument(request: HttpRequest, symbol: str) -> dict[str, Any]:
    listed = WORLD.market.known(symbol)
    kind = "etp" if listed.asset_class is AssetClass.ETF else "stock"
    return {
        "id": share_id(symbol), "url": share_url(request, symbol), "quote": api(request, f"/quotes/{symbol}/"),
        "fundamentals": api(request, f"/fundamentals/{symbol}/"),
        "splits": api(request, f"/instruments/{share_id(symbol)}/splits/"), "symbol": symbol,
        "simple_name": listed.name, "name": listed.name, "type": "adr" if listed.is_receipt else kind,
        "state": "active", "tradeable": True, "tradability": "tradable", "fractional_tradability": "tradable",
        "market": api(request, "/markets/XNYS/"), "country": "US", "bloomberg_unique": f"EQ{share_id(symbol)[:16]}",
        "list_date": "1990-01-02", "min_tick_size": None, "tradable_chain_id": chain_id(symbol),
    }  # fmt: skip


@operation(ROBINHOOD, "instruments")
def fundamentals(request: HttpRequest, exchange: Exchange) -> Any:
    """Of companies that do not report here little is known: the yield, and that there is no price-earnings ratio."""
    rows = [_fundamentals(request, symbol) for symbol in _symbols(request)]
    return {"results": rows}


def _fundamentals(request: HttpRequest, symbol: str) -> dict[str, Any] | None:
    if not is_share(symbol):
        return None
    listed, price = WORLD.market.known(symbol), WORLD.market.price(symbol, WORLD.clock.today())
    yearly = listed.dividend * len(listed.pays_in) / price * 100
    return {
        "symbol": symbol, "instrument": share_url(request, symbol), "pe_ratio": None, "pb_ratio": None,
        "dividend_yield": number(yearly, 6), "description": listed.name,
    }  # fmt: skip


@operation(ROBINHOOD, "quotes")
def quotes(request: HttpRequest, exchange: Exchange) -> Any:
    """A symbol that is unknown is a null among the results."""
    caller(request)
    symbols = _symbols(request)
    if len(symbols) > MOST_SYMBOLS:
        raise Refusal(414, {"detail": "Request-URI Too Large"})
    return {"results": [_quote(request, symbol) if is_share(symbol) else None for symbol in symbols]}


@operation(ROBINHOOD, "quotes")
def single_quote(request: HttpRequest, exchange: Exchange, symbol: str) -> Any:
    caller(request)
    if not is_share(symbol.upper()):
        raise Refusal(404, NOT_FOUND)
    return _quote(request, symbol.upper())


def _symbols(request: HttpRequest) -> list[str]:
    return [symbol.upper() for symbol in request.GET.get("symbols", "").split(",") if symbol]


def _quote(request: HttpRequest, symbol: str) -> dict[str, Any]:
    today = WORLD.clock.today()
    price, before = WORLD.market.price(symbol, today), previous_close(symbol, today)
    return {
        "symbol": symbol, "last_trade_price": number(price, 6), "last_extended_hours_trade_price": None,
        "last_non_reg_trade_price": None, "previous_close": number(before, 6),
        "adjusted_previous_close": number(before, 6), "previous_close_date": day(last_open(today - timedelta(days=1))),
        "bid_price": number(price - CENT, 6), "bid_size": 100, "ask_price": number(price + CENT, 6), "ask_size": 200,
        "trading_halted": False, "has_traded": True, "last_trade_price_source": "consolidated", "state": "active",
        "updated_at": instant(at_new_york(last_open(today), 16)), "instrument": share_url(request, symbol),
        "instrument_id": share_id(symbol),
    }  # fmt: skip


def previous_close(symbol: str, today: date) -> Decimal:
    return WORLD.market.price(symbol, last_open(last_open(today) - timedelta(days=1)))


# Options


def options_known() -> Iterator[str]:
    """Symbols of all options that ever were in an account here."""
    seen = {
        event.symbol
        for person in WORLD.people.everyone()
        for account in person.at(ROBINHOOD.name)
        for event in account.events
        if event.symbol and is_option(event.symbol)
    }
    return iter(sorted(seen))


@operation(ROBINHOOD, "option_instruments")
def option_instruments(request: HttpRequest, exchange: Exchange) -> Any:
    caller(request)
    ids = asked_for(request, "ids")
    found = [symbol for symbol in options_known() if ids is None or option_id(symbol) in ids]
    return page(request, [_option(request, WORLD.market.known(symbol)) for symbol in found])


@operation(ROBINHOOD, "option_instruments")
def option_instrument(request: HttpRequest, exchange: Exchange, instrument_id: str) -> Any:
    caller(request)
    for symbol in options_known():
        if option_id(symbol) == instrument_id:
            return _option(request, WORLD.market.known(symbol))
    raise Refusal(404, NOT_FOUND)


def _option(request: HttpRequest, option: Instrument) -> dict[str, Any]:
    terms, identity = option.terms, option_id(option.symbol)
    is_living = terms.expires_on >= WORLD.clock.today()
    return {
        "id": identity, "url": option_url(request, option.symbol), "chain_id": chain_id(terms.underlying),
        "chain_symbol": terms.underlying, "type": terms.right.lower(), "strike_price": number(terms.strike),
        "expiration_date": day(terms.expires_on), "issue_date": day(terms.expires_on - timedelta(days=250)),
        "state": "active" if is_living else "expired", "tradability": "tradable" if is_living else "untradable",
        "rhs_tradability": "tradable" if is_living else "untradable",
        "min_ticks": {"above_tick": "0.05", "below_tick": "0.01", "cutoff_price": "3.00"},
        "underlying_type": "equity", "long_strategy_code": f"{identity}_L1", "short_strategy_code": f"{identity}_S1",
    }  # fmt: skip


@operation(ROBINHOOD, "quotes")
def option_quotes(request: HttpRequest, exchange: Exchange) -> Any:
    """By `instruments`, a comma list of addresses."""
    caller(request)
    wanted = {address.rstrip("/").rpartition("/")[2] for address in asked_for(request, "instruments") or ()}
    rows = []
    for symbol in options_known():
        if option_id(symbol) in wanted:
            price = number(WORLD.market.price(symbol, WORLD.clock.today()), 6)
            rows.append({
                "adjusted_mark_price": price, "mark_price": price, "instrument": option_url(request, symbol),
                "instrument_id": option_id(symbol), "occ_symbol": symbol,
            })  # fmt: skip
    return {"results": rows}


# Coins


@operation(ROBINHOOD, "quotes")
def coin_quote(request: HttpRequest, exchange: Exchange, pair: str) -> Any:
    """By the pair's id or its symbol, such as BTCUSD."""
    caller(request)
    today = WORLD.clock.today()
    for symbol in COINS:
        if pair in (pair_id(symbol), f"{symbol}USD"):
            price = number(WORLD.market.price(symbol, today), 6)
            named = ("ask_price", "bid_price", "mark_price", "high_price", "low_price")
            return {
                "symbol": f"{symbol}USD", "id": pair_id(symbol), **dict.fromkeys(named, price),
                "open_price": number(previous_close(symbol, today), 6), "volume": "0.000000",
                "updated_at": instant(at_new_york(last_open(today), 16)),
            }  # fmt: skip
    raise Refusal(404, NOT_FOUND)


# The exchange


@operation(ROBINHOOD, "markets")
def hours(request: HttpRequest, exchange: Exchange, on: str) -> Any:
    try:
        asked = date.fromisoformat(on)
    except ValueError as error:
        raise Refusal(404, NOT_FOUND) from error
    opened = is_open(asked)

    def at(hour: int, minute: int = 0) -> str | None:
        return instant(at_new_york(asked, hour, minute)) if opened else None

    def link(other: date) -> str:
        return api(request, f"/markets/XNYS/hours/{day(other)}/")

    return {
        "date": day(asked), "is_open": opened, "opens_at": at(9, 30), "closes_at": at(16),
        "extended_opens_at": at(7), "extended_closes_at": at(20),
        "previous_open_hours": link(last_open(asked - timedelta(days=1))),
        "next_open_hours": link(next_open(asked + timedelta(days=1))),
    }  # fmt: skip
