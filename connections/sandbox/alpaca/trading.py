"""The account and what it holds, out of the book."""

import uuid
from datetime import timedelta
from decimal import Decimal

from django.http import HttpRequest

from connections.sandbox.alpaca.side import ALPACA, CLASSES, NAMES, Row, instant, symbol_of, text
from connections.sandbox.book import ZERO
from connections.sandbox.gate import Exchange, operation
from connections.sandbox.market import AssetClass
from connections.sandbox.trading_days import last_open
from connections.sandbox.valuation import Valued, total, valued, worth
from connections.sandbox.world import WORLD


@operation(ALPACA, "account")
def account(request: HttpRequest, exchange: Exchange) -> Row:
    held = ALPACA.account_of(request)
    today = WORLD.clock.today()
    positions = valued(held, WORLD.market, today)
    equity, before = worth(held, positions, WORLD.market, today), held.cash + total(positions, previous=True)
    power = max(held.cash * (2 if held.margin else 1), ZERO)
    amounts = {
        "cash": held.cash, "equity": equity, "portfolio_value": equity, "last_equity": before,
        "long_market_value": total(positions, short=False), "short_market_value": total(positions, short=True),
        "position_market_value": total(positions), "buying_power": power, "regt_buying_power": power,
        "effective_buying_power": power, "non_marginable_buying_power": max(held.cash, ZERO),
        "options_buying_power": max(held.cash, ZERO), "initial_margin": ZERO, "maintenance_margin": ZERO,
        "last_maintenance_margin": ZERO, "sma": ZERO, "accrued_fees": ZERO, "pending_transfer_in": ZERO,
    }  # fmt: skip
    return {
        "id": ALPACA.external_id(held),
        "admin_configurations": {},
        "user_configurations": None,
        "account_number": held.number,
        "status": "ACCOUNT_CLOSED" if held.is_closed else "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": held.currency,
        **{name: text(amount) for name, amount in amounts.items()},
        "multiplier": "2" if held.margin else "1",
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "shorting_enabled": held.margin,
        "options_approved_level": 2,
        "options_trading_level": 2,
        "balance_asof": str(last_open(today - timedelta(days=1))),
        "created_at": instant(held.events[0].at),
    }


@operation(ALPACA, "positions")
def positions(request: HttpRequest, exchange: Exchange) -> list[Row]:
    return [_position(one) for one in valued(ALPACA.account_of(request), WORLD.market, WORLD.clock.today())]


def _position(one: Valued) -> Row:
    """Quantity and value of a short position are negative; costs are without fees."""
    cost = one.value - one.open_gain
    gain_today = one.value - one.previous_value
    return {
        "asset_id": str(uuid.uuid5(NAMES, one.instrument.symbol)),
        "symbol": symbol_of(one.instrument, position=True),
        "exchange": {AssetClass.CRYPTO: "CRYPTO", AssetClass.OPTION: ""}.get(one.instrument.asset_class, "NYSE"),
        "asset_class": CLASSES.get(one.instrument.asset_class, "us_equity"),
        "asset_marginable": one.instrument.asset_class in (AssetClass.STOCK, AssetClass.ETF),
        "qty": text(one.quantity),
        "qty_available": text(one.quantity),
        "side": "short" if one.quantity < 0 else "long",
        "avg_entry_price": text(one.holding.average_price.quantize(Decimal("0.000001"))),
        "current_price": text(one.price),
        "lastday_price": text(one.previous_price),
        "change_today": text(_share(one.price - one.previous_price, one.previous_price)),
        "market_value": text(one.value),
        "cost_basis": text(cost),
        "unrealized_pl": text(one.open_gain),
        "unrealized_plpc": text(_share(one.open_gain, cost)),
        "unrealized_intraday_pl": text(gain_today),
        "unrealized_intraday_plpc": text(_share(gain_today, one.previous_value)),
    }


def _share(part: Decimal, whole: Decimal) -> Decimal:
    return (part / abs(whole)).quantize(Decimal("0.0001")) if whole else ZERO
