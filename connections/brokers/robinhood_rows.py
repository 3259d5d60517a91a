"""What the rows of Robinhood's MCP tools mean: accounts, instruments, positions, prices. Pure; no request, no database.

Numbers come as text. Field names are those of the server's own list of tools, as public clients print it; where an
older form of a row is known (coins), both are read. Orders are read in `robinhood_orders.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from string import ascii_uppercase
from typing import Any

from connections.brokers.base import UnexpectedReply
from connections.brokers.calls import misread
from connections.brokers.records import (
    AccountKind,
    AccountRecord,
    AssetClass,
    BalanceRecord,
    InstrumentRecord,
    PositionRecord,
)

ZERO, CENT = Decimal(0), Decimal("0.01")
CONTRACT = Decimal(100)  # shares of an option that says nothing else
Row = Mapping[str, Any]

KINDS = {
    "cash": AccountKind.CASH,
    "limited_margin": AccountKind.CASH,  # trades on unsettled money in a retirement account, borrows none
    "margin": AccountKind.MARGIN,
}
NAMES = {
    "individual": "Individual",
    "ira_traditional": "Traditional IRA",
    "ira_roth": "Roth IRA",
    "joint_tenancy_with_ros": "Joint",
}
VALUES = (  # of a portfolio, beside its cash
    "equity_value",
    "options_value",
    "futures_value",
    "event_contracts_value",
    "crypto_value",
    "mutual_funds_value",
    "fixed_income_value",
)


MISSHAPEN = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError)  # what a row of another form leads to


class NotUnderstood(Exception):
    """No rule fits this row; the text says what is odd about it."""


@contextmanager
def understood(part: str) -> Iterator[None]:
    """Turn a missing or misshapen field into UnexpectedReply: a changed schema is ours to mend, never an empty list."""
    try:
        yield
    except (NotUnderstood, *MISSHAPEN) as error:
        misread()
        raise UnexpectedReply(f"Robinhood's {part} came in a form the hub does not know.") from error


def number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise TypeError(f"not a number: {type(value).__name__}")
    found = Decimal(value)
    if not found.is_finite():
        raise ValueError("not a finite number")
    return found


def identifier(value: Any) -> str:
    """The number of an account as text; some have come as integers."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise TypeError(f"not the number of an account: {type(value).__name__}")
    return str(value)


def nullable(value: Any) -> Decimal | None:
    """Of a field that is always there and may be null."""
    return None if value is None else number(value)


def maybe(row: Row, *keys: str) -> Decimal | None:
    for key in keys:
        if row.get(key) not in (None, ""):
            return number(row[key])
    return None


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def rows(data: Row, *keys: str) -> list[Row]:
    """The list under the first of `keys` that is there; null is how this server writes an empty list."""
    key = next((key for key in keys if key in data), keys[0])
    found = data[key] or []
    if not isinstance(found, list):
        raise TypeError(f"{key} is not a list")
    return [row for row in found if row is not None]


# --- Instruments ------------------------------------------------------------------------------------------------------


def share(symbol: str) -> InstrumentRecord:
    """A share as Robinhood names it: by its symbol alone. ETFs are "equity" there like the shares of companies."""
    if not symbol:
        raise ValueError("an instrument without symbol")
    return InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=symbol)


def coin(code: str, name: str = "") -> InstrumentRecord:
    if not code:
        raise ValueError("a coin without code")
    return InstrumentRecord(asset_class=AssetClass.CRYPTO, symbol=code, name=name)


def option(chain_symbol: str, contract: Row, multiplier: Decimal | None) -> InstrumentRecord:
    """An option in OSI form: root of six, date, C or P, strike in thousandths.

    `contract` has expiration_date, strike_price and option_type (an option instrument calls the last one `type`).
    """
    word = contract.get("option_type") or contract["type"]
    if word not in ("call", "put"):
        raise NotUnderstood(f"unknown kind of option {word!r}")
    expires = date.fromisoformat(contract["expiration_date"])
    strike = number(contract["strike_price"])
    thousandths = strike * 1000
    root = chain_symbol.replace(".", "")
    if not root or len(root) > 6 or thousandths != int(thousandths) or not 0 < thousandths < 10**8:
        raise NotUnderstood("its contract has no symbol in the usual form")
    return InstrumentRecord(
        asset_class=AssetClass.OPTION,
        symbol=f"{root:<6}{expires:%y%m%d}{word[0].upper()}{int(thousandths):08d}",
        name=f"{chain_symbol} {expires:%m/%d/%Y} ${strike.normalize():f} {word.capitalize()}",
        underlying=chain_symbol,
        multiplier=multiplier or CONTRACT,
    )


# --- Accounts, positions, balances ------------------------------------------------------------------------------------


def owner(numbers: Iterable[str]) -> str:
    """The account that stands for a login, which no row names. Raises UnexpectedReply when there is none.

    A sign-in opens all accounts of a person. Numbers are given out in rising order: the smallest stays the smallest
    when an account is opened or closed.
    """
    smallest = min(numbers, key=lambda number: (len(number), number), default=None)
    if smallest is None:
        raise UnexpectedReply("Robinhood did not say whose login this is.")
    return smallest


def spellings(coin_account: str) -> set[str]:
    """The number of an account of coins with its letters (RHC1234567) and without: both are about."""
    return {coin_account, coin_account.lstrip(ascii_uppercase)} - {""}


def _other_numbers(row: Row, own: str) -> tuple[str, ...]:
    """Other numbers by which Robinhood knows the same account: at its clearing house, and for its coins."""
    clearing, coins = row.get("rhs_account_number"), row.get("rhc_account_number")
    found = ({str(clearing)} if clearing else set()) | (spellings(str(coins)) if coins else set())
    return tuple(sorted(found - {own}))


def account(row: Row) -> AccountRecord:
    own, word = identifier(row["account_number"]), row["brokerage_account_type"]
    return AccountRecord(
        external_id=own,
        number_mask=own[-4:],
        name=row.get("nickname") or NAMES.get(word) or word.replace("_", " ").capitalize(),
        kind=KINDS.get(row["type"], AccountKind.UNKNOWN),
        currency="USD",  # accounts name none; their portfolio does
        aliases=_other_numbers(row, own),
        closed=row.get("permanently_deactivated") is True,
    )


def balance(row: Row) -> BalanceRecord:
    cash = maybe(row, "cash")
    values = [number(row[key]) for key in VALUES if row.get(key) not in (None, "")]
    return BalanceRecord(
        currency=row["currency"],
        cash=cash,
        net_asset_value=number(row["total_value"]),
        market_value=sum(values, ZERO) if values else None,
        buying_power=maybe(row.get("buying_power") or {}, "buying_power"),
        margin_used=None if cash is None else abs(min(cash, ZERO)),
        raw=row,
    )


def _position(
    row: Row, thing: InstrumentRecord, quantity: Decimal, cost: Decimal | None, price: Decimal | None
) -> PositionRecord:
    return PositionRecord(
        instrument=thing,
        quantity=quantity,
        average_cost=cost,
        price=price,
        market_value=None if price is None else cents(quantity * price * thing.multiplier),
        currency="USD",
        raw=row,
    )


def share_position(
    row: Row, prices: Mapping[str, Decimal], thing: InstrumentRecord | None = None
) -> PositionRecord | None:
    """None for a position that is over. An average of 0 is how some held positions say that it is not known.

    `thing` is the share where more is known of it than the row's symbol.
    """
    quantity = number(row["quantity"])
    if not quantity:
        return None
    cost = maybe(row, "average_buy_price") or maybe(row, "clearing_average_cost") or None
    thing = thing or share(row["symbol"])
    return _position(row, thing, quantity, cost, prices.get(thing.symbol))


def option_position(row: Row, contract: Row, prices: Mapping[str, Decimal]) -> PositionRecord | None:
    """`average_price` is for a whole contract and negative for what was sold; the hub's cost is per share, positive."""
    quantity = abs(number(row["quantity"]))
    if not quantity:
        return None
    if row["type"] not in ("long", "short"):
        raise NotUnderstood(f"unknown side {row['type']!r}")
    thing = option(row["chain_symbol"], contract, maybe(row, "trade_value_multiplier"))
    signed = quantity if row["type"] == "long" else -quantity
    cost = maybe(row, "average_price")
    per_share = None if cost is None else abs(cost) / thing.multiplier
    return _position(row, thing, signed, per_share, prices.get(row["option_id"]))


def coin_code(row: Row) -> str:
    return str((row.get("currency") or {}).get("code") or row.get("currency_code") or row["symbol"].partition("-")[0])


def coin_position(row: Row, prices: Mapping[str, Decimal]) -> PositionRecord | None:
    """Cost is known only where all of it was bought: what came by transfer or as a reward has none here."""
    currency, code = row.get("currency") or {}, coin_code(row)
    quantity = number(row["quantity"])
    if not quantity or currency.get("type") == "fiat":
        return None
    bases = rows(row, "cost_bases") if "cost_bases" in row else []
    bought = sum((number(base["direct_quantity"]) for base in bases), ZERO)
    cost = sum((number(base["direct_cost_basis"]) for base in bases), ZERO) if bought == quantity else None
    if not bases:
        cost = maybe(row, "cost_basis")
    average = None if cost is None else cost / quantity
    return _position(row, coin(code, currency.get("name", "")), quantity, average, prices.get(code))


def share_prices(quotes: Iterable[Row]) -> dict[str, Decimal]:
    """By symbol. The trade outside regular hours is null while there is none, and the later one when there is."""
    prices = {}
    for row in quotes:
        quote = row.get("quote") or row
        outside = maybe(quote, "last_non_reg_trade_price") or maybe(quote, "last_extended_hours_trade_price")
        price = outside or nullable(quote["last_trade_price"])
        if price and quote.get("has_traded", True):
            prices[quote["symbol"]] = price
    return prices


def option_prices(quotes: Iterable[Row]) -> dict[str, Decimal]:
    """By the id of the contract. An option's 0 is a price: it is worth nothing."""
    quoted = [row.get("quote") or row for row in quotes]
    prices = {quote["instrument_id"]: nullable(quote["mark_price"]) for quote in quoted}
    return {key: price for key, price in prices.items() if price is not None}


def coin_prices(quotes: Iterable[Row]) -> dict[str, Decimal]:
    """By code of the coin; quotes are of pairs with the dollar. A 0 means that nobody quotes."""
    prices = {row["symbol"].replace("-", "").removesuffix("USD"): nullable(row["mark_price"]) for row in quotes}
    return {code: price for code, price in prices.items() if price}
