"""The Market Data API's price history: candles of one symbol, split-adjusted, one for each day of trading."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest

from connections.sandbox.clock import NEW_YORK
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.market import OPENING_DAY, AssetClass, Instrument
from connections.sandbox.schwab.instruments import stable_number
from connections.sandbox.schwab.side import SCHWAB, errors
from connections.sandbox.schwab.trader import read_only
from connections.sandbox.trading_days import last_open, open_days
from connections.sandbox.world import WORLD

CHICAGO = ZoneInfo("America/Chicago")
FREQUENCIES = {"day": ("minute",), "month": ("daily", "weekly"), "year": ("daily", "weekly", "monthly"),
               "ytd": ("daily", "weekly")}  # fmt: skip
PERIODS = {"day": (10, 1, 2, 3, 4, 5), "month": (1, 2, 3, 6), "year": (1, 2, 3, 5, 10, 15, 20), "ytd": (1,)}
COUNTS = {"minute": (1, 5, 10, 15, 30), "daily": (1,), "weekly": (1,), "monthly": (1,)}
LONGEST_MONTH = 31
CANDLES = (AssetClass.STOCK, AssetClass.ETF)


@operation(SCHWAB, "pricehistory")
def price_history(request: HttpRequest, exchange: Exchange) -> Any:
    """Only days that are over have a candle. What has no candles (options, bonds, unknown symbols) is `empty`."""
    read_only(request)
    symbol = request.GET.get("symbol", "")
    if not symbol:
        raise _bad("Missing required parameter: symbol", "symbol")
    kind = _kind(request)
    first, last = _days(request, kind)
    instrument = WORLD.market.instrument(symbol.replace("/", "."))
    days = [] if instrument is None or instrument.asset_class not in CANDLES else _open_days(first, last)
    candles = [_candle(instrument, day) for day in days if instrument]
    return {"candles": candles, "symbol": symbol, "empty": not candles}


def _kind(request: HttpRequest) -> str:
    """The type of period, with what else was said checked against it. The sandbox has daily candles only."""
    kind = request.GET.get("periodType", "day")
    if kind not in FREQUENCIES:
        raise _bad("Valid periodType are day, month, year, ytd", "periodType")
    frequency = request.GET.get("frequencyType", FREQUENCIES[kind][-1])
    if frequency not in FREQUENCIES[kind]:
        raise _bad(f"Valid frequencyType for periodType {kind} are {', '.join(FREQUENCIES[kind])}", "frequencyType")
    count = request.GET.get("frequency", "1")
    if not count.isdigit() or int(count) not in COUNTS[frequency]:
        raise _bad(f"frequency is not valid for frequencyType {frequency}", "frequency")
    if frequency != "daily":
        raise Refusal(501, errors(501, "The sandbox knows daily candles only", text=True))
    return kind


def _days(request: HttpRequest, kind: str) -> tuple[date, date]:
    """From `startDate` and `endDate`, or so long back as `period` says; the end is the last day of trading."""
    last = _day(request, "endDate") or WORLD.clock.today() - timedelta(days=1)
    text = request.GET.get("period", str(PERIODS[kind][0]))
    if not text.isdigit() or int(text) not in PERIODS[kind]:
        raise _bad(f"Valid period for periodType {kind} are {', '.join(map(str, sorted(PERIODS[kind])))}", "period")
    spans = {"day": 1, "month": LONGEST_MONTH, "year": 366, "ytd": last.timetuple().tm_yday}
    first = _day(request, "startDate") or last - timedelta(days=int(text) * spans[kind])
    if first > last:
        raise _bad("startDate must be before endDate", "startDate")
    return first, last


def _day(request: HttpRequest, name: str) -> date | None:
    """The New York day of a parameter in milliseconds since 1970; None when it is not given."""
    text = request.GET.get(name)
    if text is None:
        return None
    if not text.lstrip("-").isdigit() or len(text) > 14:
        raise _bad(f"{name} must be in milliseconds since epoch", name)
    return datetime.fromtimestamp(int(text) / 1000, UTC).astimezone(NEW_YORK).date()


def _open_days(first: date, last: date) -> list[date]:
    over = last_open(WORLD.clock.today() - timedelta(days=1))
    return list(open_days(max(first, OPENING_DAY), min(last, over)))


def _candle(instrument: Instrument, day: date) -> dict[str, Any]:
    """In today's shares: a close before a split is divided by it."""
    close, before = _adjusted(instrument, day), _adjusted(instrument, last_open(day - timedelta(days=1)))
    return {
        "open": before,
        "high": max(close, before),
        "low": min(close, before),
        "close": close,
        "volume": stable_number(f"{instrument.symbol}{day}", 1_000_000),
        "datetime": int(datetime(day.year, day.month, day.day, tzinfo=CHICAGO).timestamp() * 1000),
    }


def _adjusted(instrument: Instrument, day: date) -> Decimal:
    symbol = instrument.symbol
    return WORLD.market.price(symbol, day) / WORLD.market.shares_today(symbol, day)


def _bad(detail: str, parameter: str) -> Refusal:
    return Refusal(400, errors(400, detail, parameter=parameter, text=True))
