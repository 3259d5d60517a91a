"""Tools of the MCP server that tell of what is listed: option contracts, and prices of everything."""

from typing import Any

from connections.sandbox.clock import at_new_york
from connections.sandbox.market import CENT
from connections.sandbox.robinhood.listing import (
    chain_id,
    is_coin,
    is_share,
    option_id,
    options_known,
    pair_id,
    previous_close,
    share_id,
)
from connections.sandbox.robinhood.tool import Arguments, ToolError, page
from connections.sandbox.robinhood.wire import day, eastern, instant, number
from connections.sandbox.world import WORLD


def get_option_instruments(login: str, arguments: Arguments) -> dict[str, Any]:
    """By `ids` with commas, or those of one `chain_symbol`; of the latter the living ones only, unless told."""
    ids, chain = set(str(arguments.get("ids") or "").split(",")) - {""}, arguments.get("chain_symbol")
    if not ids and not chain:
        raise ToolError("INVALID_ARGUMENT: one of chain_symbol, chain_id or ids is required")
    rows = [_contract(symbol) for symbol in options_known()]
    state = arguments.get("state", None if ids else "active")
    chosen = [
        row
        for row in rows
        if (not ids or row["id"] in ids) and chain in (None, row["chain_symbol"]) and state in (None, row["state"])
    ]
    return page("instruments", chosen, arguments)


def _contract(symbol: str) -> dict[str, Any]:
    terms = WORLD.market.known(symbol).terms
    is_living = terms.expires_on >= WORLD.clock.today()
    return {
        "id": option_id(symbol), "chain_id": chain_id(terms.underlying), "chain_symbol": terms.underlying,
        "underlying_type": "equity", "expiration_date": day(terms.expires_on),
        "sellout_datetime": instant(at_new_york(terms.expires_on, 15, 30)), "strike_price": number(terms.strike),
        "type": terms.right.lower(), "state": "active" if is_living else "expired",
        "tradability": "tradable" if is_living else "untradable", "trade_value_multiplier": "100.0000",
        "min_ticks": {"above_tick": "0.05", "below_tick": "0.01", "cutoff_price": "3.00"},
    }  # fmt: skip


def get_equity_quotes(login: str, arguments: Arguments) -> dict[str, Any]:
    """What is not listed is left out."""
    today = WORLD.clock.today()
    rows = []
    for symbol in filter(is_share, arguments["symbols"]):
        price, before = WORLD.market.price(symbol, today), previous_close(symbol, today)
        quote = {
            "symbol": symbol, "last_trade_price": number(price, 6), "last_non_reg_trade_price": None,
            "bid_price": number(price - CENT, 6), "ask_price": number(price + CENT, 6), "has_traded": True,
            "state": "active", "instrument_id": share_id(symbol),
        }  # fmt: skip
        rows.append({"quote": quote, "close": {"symbol": symbol, "price": number(before, 6)}})
    return {"results": rows}


def get_option_quotes(login: str, arguments: Arguments) -> dict[str, Any]:
    rows = []
    for symbol in options_known():
        if option_id(symbol) in arguments["instrument_ids"]:
            price = number(WORLD.market.price(symbol, WORLD.clock.today()), 6)
            quote = {
                "instrument_id": option_id(symbol), "mark_price": price, "adjusted_mark_price": price,
                "bid_price": price, "bid_size": 10, "ask_price": price, "ask_size": 10, "open_interest": 100,
                "volume": 1,
            }  # fmt: skip
            rows.append({"quote": quote})
    return {"results": rows}


def get_crypto_quotes(login: str, arguments: Arguments) -> dict[str, Any]:
    """Pairs with the dollar, asked for with or without hyphen and told without."""
    today = WORLD.clock.today()
    rows = []
    for pair in arguments["symbols"]:
        coin = pair.replace("-", "").removesuffix("USD")
        if is_coin(coin):
            price = number(WORLD.market.price(coin, today), 6)
            rows.append({
                "symbol": f"{coin}USD", "id": pair_id(coin), "bid_price": price, "ask_price": price,
                "mark_price": price, "open_price": number(previous_close(coin, today), 6),
                "updated_at": eastern(WORLD.clock.now()),
            })  # fmt: skip
    return {"results": rows}
