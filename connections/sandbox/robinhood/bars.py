"""Prices of days gone by: the official tool, and the app's own address. A bar for each day of trading that is over."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.http import HttpRequest

from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.market import OPENING_DAY
from connections.sandbox.robinhood.listing import is_share, share_id, share_url
from connections.sandbox.robinhood.side import ROBINHOOD, caller
from connections.sandbox.robinhood.tool import Arguments, ToolError
from connections.sandbox.robinhood.wire import number
from connections.sandbox.trading_days import last_open, open_days
from connections.sandbox.world import WORLD

INTERVALS = ("15second", "5minute", "10minute", "hour", "day", "week", "month")
ADJUSTMENTS = ("split", "dividend", "all", "none")
BOUNDS = ("regular", "trading", "extended", "24_5")
SPANS = {"year": 365, "5year": 5 * 365 + 1, "month": 31, "3month": 92}
MOST_SYMBOLS, MOST_BARS = 10, 5000


def get_equity_historicals(login: str, arguments: Arguments) -> dict[str, Any]:
    """What is not listed has no bars."""
    symbols = arguments["symbols"]
    if len(symbols) > MOST_SYMBOLS:
        raise ToolError(f"INVALID_ARGUMENT: at most {MOST_SYMBOLS} symbols")
    _one_of("interval", arguments.get("interval", "day"), INTERVALS)
    _one_of("bounds", arguments.get("bounds", "regular"), BOUNDS)
    adjustment = _one_of("adjustment_type", arguments.get("adjustment_type", "split"), ADJUSTMENTS)
    if arguments.get("interval", "day") != "day":
        raise ToolError("UNIMPLEMENTED: the sandbox knows bars of whole days only")
    first = _moment("start_time", arguments["start_time"]).date()
    last = _moment("end_time", arguments["end_time"]).date() if arguments.get("end_time") else date.max
    results = []
    for symbol in filter(is_share, symbols):
        bars = list(_bars(symbol, first, last, split=adjustment in ("split", "all")))
        results.append({"symbol": symbol, "instrument_id": share_id(symbol), "bars": bars})
    if sum(len(each["bars"]) for each in results) > MOST_BARS:
        raise ToolError(f"INVALID_ARGUMENT: more than {MOST_BARS} bars")
    return {"results": results}


@operation(ROBINHOOD, "historicals")
def historicals(request: HttpRequest, exchange: Exchange) -> Any:
    """By `symbols`; a symbol that is unknown is left out. Few bars of whole days are refused."""
    caller(request)
    given = {"interval": "5minute", "span": "week", "bounds": "regular", **request.GET.dict()}
    if not given.get("symbols"):
        raise Refusal(400, {"symbols": ["This field is required."]})
    if given["bounds"] != "regular" or given["interval"] != "day" or given["span"] not in SPANS:
        raise Refusal(400, {"detail": "Invalid combination of interval, span and bounds."})
    symbols = filter(is_share, given["symbols"].split(","))
    return {"results": [_told(request, symbol, given["span"]) for symbol in symbols]}


def _told(request: HttpRequest, symbol: str, span: str) -> dict[str, Any]:
    today = WORLD.clock.today()
    first = today - timedelta(days=SPANS[span])
    return {
        "quote": share_url(request, symbol).replace("/instruments/", "/quotes/"), "symbol": symbol,
        "interval": "day", "span": span, "bounds": "regular", "previous_close_price": None,
        "previous_close_time": None, "open_price": None, "open_time": None, "instrument": share_url(request, symbol),
        "historicals": list(_bars(symbol, first, today, split=True)), "InstrumentID": share_id(symbol),
    }  # fmt: skip


def _bars(symbol: str, first: date, last: date, *, split: bool) -> Iterator[dict[str, Any]]:
    """In today's shares if `split`: a close before a split is divided by it."""
    over = last_open(WORLD.clock.today() - timedelta(days=1))
    for day in open_days(max(first, OPENING_DAY), min(last, over)):
        close = WORLD.market.price(symbol, day) / (WORLD.market.shares_today(symbol, day) if split else 1)
        price = number(close, 6)
        yield {
            "begins_at": f"{day}T00:00:00Z", "open_price": price, "close_price": price, "high_price": price,
            "low_price": price, "volume": 100_000, "session": "reg", "interpolated": False,
        }  # fmt: skip


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ToolError(f"INVALID_ARGUMENT: {name} must be one of {', '.join(known)}")
    return value


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ToolError(f"INVALID_ARGUMENT: {name}") from error
    if moment.tzinfo is None:
        raise ToolError(f"INVALID_ARGUMENT: {name} needs a zone")
    return moment.astimezone(UTC)
