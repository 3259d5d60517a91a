"""The official Crypto Trading API: every call signed with the person's key. It only reads here; orders are refused."""

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from django.http import HttpRequest

from connections.sandbox.book import ZERO, Account
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.market import COINS
from connections.sandbox.robinhood.coins import held_coins
from connections.sandbox.robinhood.keys import BadSignature
from connections.sandbox.robinhood.listing import is_coin
from connections.sandbox.robinhood.orders import Order, fee, order_id, orders_of, placed_at, state_of, updated_at
from connections.sandbox.robinhood.side import CRYPTO_API, ROBINHOOD, accounts_of, crypto_errors
from connections.sandbox.robinhood.wire import instant, number, page, place
from connections.sandbox.world import WORLD

PLACES = 18
SPREAD = Decimal("0.0085")
FEE_RATIO = Decimal("0.006")
STATES = {"cancelled": "canceled", "confirmed": "open"}
Answer: TypeAlias = Callable[..., Any]
NOT_ALLOWED = "This key may only read."


def signed(name: str, *methods: str) -> Callable[[Answer], Answer]:
    """A view behind a signature; the answering function also gets the account. `methods`: GET unless named."""

    def decorate(answer: Answer) -> Answer:
        def view(request: HttpRequest, exchange: Exchange, **kwargs: str) -> Any:
            account = _signed_in(request)
            if request.method not in (methods or ("GET",)):
                raise Refusal(405, crypto_errors(405, f'Method "{request.method}" not allowed.'))
            return answer(request, account, **kwargs)

        return operation(ROBINHOOD, f"{CRYPTO_API}_{name}")(view)

    return decorate


def _signed_in(request: HttpRequest) -> Account:
    """The account behind the key, the call counted. What is signed is the path as Robinhood's own host has it."""
    _, path = place(request)
    query = request.META.get("QUERY_STRING", "")
    message = f"{path}{'?' if query else ''}{query}{request.method}{request.body.decode(errors='replace')}"
    try:
        key = ROBINHOOD.keys.verify(
            api_key=request.headers.get("x-api-key", ""),
            timestamp=request.headers.get("x-timestamp", ""),
            signature=request.headers.get("x-signature", ""),
            signed=message,
            now=WORLD.clock.now(),
        )
    except BadSignature as problem:
        raise Refusal(401, crypto_errors(401, str(problem))) from problem
    if not ROBINHOOD.limit.allows(key.id, WORLD.clock.now()):
        raise Refusal(429, crypto_errors(429, "Request was throttled."))
    accounts = accounts_of(key.login)
    if not accounts:
        raise Refusal(403, crypto_errors(403, "No crypto account."))
    return accounts[0]


def _needs_account(request: HttpRequest, account: Account) -> None:
    """Version 2 wants the account named, and takes no other."""
    asked = request.GET.get("account_number")
    if not asked:
        raise Refusal(400, crypto_errors(400, "This field is required.", "account_number"))
    if asked != account.number:
        raise Refusal(404, crypto_errors(404, "Not found."))


def _named(request: HttpRequest, name: str, known: set[str]) -> set[str] | None:
    """Values of a repeated parameter; None without any. Several in one, with commas, are refused."""
    values = set(request.GET.getlist(name))
    if not values <= known:
        raise Refusal(400, crypto_errors(400, f"Malformed {name} parameter", name))
    return values or None


def _symbols(request: HttpRequest) -> set[str] | None:
    found = _named(request, "symbol", {f"{coin}-USD" for coin in COINS})
    return None if found is None else {symbol.removesuffix("-USD") for symbol in found}


# Accounts and holdings


def _account(account: Account) -> dict[str, Any]:
    return {
        "account_number": account.number,
        "status": "active",
        "buying_power": number(max(account.cash, ZERO)),
        "buying_power_currency": "USD",
    }


@signed("accounts")
def accounts_v1(request: HttpRequest, account: Account) -> Any:
    return _account(account)


@signed("accounts")
def accounts_v2(request: HttpRequest, account: Account) -> Any:
    tier = {
        "fee_ratio": number(FEE_RATIO), "thirty_day_volume": "0.00", "next_fee_tier_ratio": "0.0050",
        "next_fee_tier_threshold": "10000.00",
    }  # fmt: skip
    row = {"account_type": "individual", "is_api_tradable": True, "fee_tier_status": tier}
    return page(request, [_account(account) | row])


@signed("holdings")
def holdings(request: HttpRequest, account: Account, version: str) -> Any:
    if version == "2":
        _needs_account(request, account)
    wanted = _named(request, "asset_code", set(COINS))
    rows = [
        {
            "account_number": account.number, "asset_code": held.instrument.symbol,
            "total_quantity": number(held.quantity, PLACES),
            "quantity_available_for_trading": number(held.quantity, PLACES),
        }
        for held in held_coins(account)
        if wanted is None or held.instrument.symbol in wanted
    ]  # fmt: skip
    return page(request, rows)


@signed("trading_pairs")
def trading_pairs(request: HttpRequest, account: Account, version: str) -> Any:
    wanted = _symbols(request)
    more = {"min_order_amount": "1.00", "is_api_tradable": True} if version == "2" else {}
    rows = [
        {
            "symbol": f"{coin}-USD", "asset_code": coin, "quote_code": "USD", "quote_increment": "0.01",
            "asset_increment": "0.00000001", "max_order_size": "20.0000", "min_order_size": "0.000001",
            "status": "tradable", **more,
        }
        for coin in COINS
        if wanted is None or coin in wanted
    ]  # fmt: skip
    return page(request, rows)


# Orders


@signed("orders", "GET", "POST")
def orders(request: HttpRequest, account: Account, version: str) -> Any:
    if version == "2":
        _needs_account(request, account)
    if request.method == "POST":
        raise _refused_order(request)
    wanted, side = _symbols(request), request.GET.get("side")
    rows = [
        _order(account, order, version)
        for order in orders_of(account, is_coin)
        if wanted is None or order[0].symbol in wanted
    ]
    states = _named(request, "state", {"open", "canceled", "partially_filled", "filled", "failed", "pending"})
    start = request.GET.get("created_at_start") or request.GET.get("updated_at_start") or ""
    end = request.GET.get("created_at_end") or request.GET.get("updated_at_end") or "~"
    chosen = [
        row
        for row in rows
        if (states is None or row["state"] in states)
        and side in (None, row["side"])
        and request.GET.get("id") in (None, row["id"])
        and start <= row["created_at"] <= end  # all are written alike, in UTC
    ]
    return page(request, chosen)


def _refused_order(request: HttpRequest) -> Refusal:
    """Whoever got this far signed the body rightly; the sandbox trades nothing."""
    try:
        body = json.loads(request.body)
    except ValueError:
        return Refusal(400, crypto_errors(400, "JSON parse error"))
    for name in ("client_order_id", "side", "type", "symbol"):
        if name not in body:
            return Refusal(400, crypto_errors(400, "This field is required.", name))
    return Refusal(403, crypto_errors(403, NOT_ALLOWED))


@signed("orders", "POST")
def cancel(request: HttpRequest, account: Account, version: str, wanted: str) -> Any:
    raise Refusal(403, crypto_errors(403, NOT_ALLOWED))


def _order(account: Account, order: Order, version: str) -> dict[str, Any]:
    first, identity = order[0], order_id(account, order)
    size = number(sum((abs(event.quantity) for event in order), ZERO), PLACES)
    row = {
        "id": identity, "account_number": account.number, "symbol": f"{first.symbol}-USD",
        "client_order_id": identity, "side": "sell" if first.quantity < 0 else "buy", "type": "market",
        "state": STATES.get(state_of(order), "filled"), "average_price": number(first.price or ZERO, 2),
        "filled_asset_quantity": size,
        "executions": [
            {
                "effective_price": number(event.price or ZERO, 2), "quantity": number(abs(event.quantity), PLACES),
                "timestamp": instant(event.at),
            }
            for event in order
            if event.quantity
        ],
        "created_at": instant(placed_at(order)), "updated_at": instant(updated_at(order)),
        "market_order_config": {"asset_quantity": size},
    }  # fmt: skip
    if version == "2":
        row |= {"fee_charged": number(fee(order), 2), "estimated_fee_remaining": "0.00"}
    return row


# Prices


@signed("quotes")
def best_bid_ask(request: HttpRequest, account: Account, version: str) -> Any:
    wanted = _symbols(request)
    return page(request, [_price(coin, version) for coin in COINS if wanted is None or coin in wanted])


def _price(coin: str, version: str) -> dict[str, Any]:
    price = WORLD.market.price(coin, WORLD.clock.today())
    bid, ask = number(price * (1 - SPREAD), 2), number(price * (1 + SPREAD), 2)
    if version == "2":
        return {"symbol": f"{coin}-USD", "bid": bid, "ask": ask}
    return {
        "symbol": f"{coin}-USD", "price": number(price, 2), "bid_inclusive_of_sell_spread": bid,
        "sell_spread": number(SPREAD), "ask_inclusive_of_buy_spread": ask, "buy_spread": number(SPREAD),
        "timestamp": instant(WORLD.clock.now()),
    }  # fmt: skip


@signed("quotes")
def estimated_price(request: HttpRequest, account: Account, version: str) -> Any:
    """`symbol`, `side` and `quantity` (up to ten, with commas) are needed."""
    for name in ("symbol", "side", "quantity"):
        if not request.GET.get(name):
            raise Refusal(400, crypto_errors(400, "This field is required.", name))
    sides = {"bid": ["bid"], "ask": ["ask"], "both": ["bid", "ask"]}.get(request.GET["side"])
    if sides is None:
        raise Refusal(400, crypto_errors(400, "Must be one of bid, ask, both.", "side"))
    rows = []
    for coin in _symbols(request) or ():
        for quantity in _quantities(request):
            rows += [_price(coin, version) | {"side": side, "quantity": number(quantity, 8)} for side in sides]
    return page(request, rows)


def _quantities(request: HttpRequest) -> list[Decimal]:
    try:
        found = [Decimal(text) for text in request.GET["quantity"].split(",")]
    except InvalidOperation as error:
        raise Refusal(400, crypto_errors(400, "A valid number is required.", "quantity")) from error
    if len(found) > 10 or not all(quantity.is_finite() and quantity > 0 for quantity in found):
        raise Refusal(400, crypto_errors(400, "A valid number is required.", "quantity"))
    return found


@signed("unknown_route", "GET", "POST", "PUT", "PATCH", "DELETE")
def unknown(request: HttpRequest, account: Account, path: str = "") -> Any:
    raise Refusal(404, crypto_errors(404, "Not found."))
