"""Robinhood by the API of its own app: all the official ways tell, and dividends, transfers, interest, fees, splits.

Unofficial, and off unless ROBINHOOD_PRIVATE_LOGIN is on. How it is asked for is in `robinhood_app.py`, the history in
`robinhood_history.py`. Rows become the same records under the same ids as by the official sign-in, so that a
connection may change its way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import ClassVar
from uuid import UUID

from django.utils import timezone

from connections.brokers import robinhood_app, robinhood_prices, robinhood_rows
from connections.brokers.base import Grants, Refused, UnexpectedReply
from connections.brokers.calls import Operation
from connections.brokers.records import (
    AccountRecord,
    AssetClass,
    BalanceRecord,
    Broker,
    Holdings,
    Identity,
    InstrumentRecord,
    PositionRecord,
    PriceRecord,
    TransactionPage,
)
from connections.brokers.robinhood_app import API, BONFIRE, NUMMUS, AppSession
from connections.brokers.robinhood_cash import accounts_named
from connections.brokers.robinhood_history import ALL_ACCOUNTS, History, share_id
from connections.brokers.robinhood_listing import Listing
from connections.brokers.robinhood_rows import (
    ZERO,
    NotUnderstood,
    Row,
    identifier,
    maybe,
    nullable,
    number,
    understood,
)


def connector(connection_id: UUID | None, grants: Grants) -> "RobinhoodPrivate":
    return RobinhoodPrivate(AppSession(wire=robinhood_app.wire(connection_id), grants=grants))


@dataclass(slots=True)
class RobinhoodPrivate:
    """Lives for one sync or one sign-in: accounts, shares and contracts are asked for once."""

    app: AppSession
    broker: ClassVar = Broker.ROBINHOOD
    look_back: ClassVar = timedelta(days=7)
    history: ClassVar = timedelta(days=12 * 365)  # Robinhood's first customers came in 2014
    drops_rows: ClassVar = False
    priced: ClassVar = frozenset({AssetClass.EQUITY, AssetClass.ETF})
    prices_reach: ClassVar = robinhood_prices.LONGEST
    listing: Listing = field(init=False)
    _listed: list[Row] = field(default_factory=list, init=False, repr=False)
    _coins_at: list[Row] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.listing = Listing(self.app)

    # --- Accounts -----------------------------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """By the official sign-in's rule, so that a login is the same connection in both ways."""
        with understood("accounts"):
            numbers = [identifier(row["account_number"]) for row in self._account_rows(Operation.IDENTITY)]
        return Identity(broker_user_key=robinhood_rows.owner(numbers))

    def accounts(self) -> list[AccountRecord]:
        with understood("accounts"):
            return [self._account(row) for row in self._account_rows(Operation.ACCOUNTS)]

    def _account(self, row: Row) -> AccountRecord:
        own = identifier(row["account_number"])
        numbers = self._numbers(row) | {identifier(coins["account_number"]) for coins in self._coin_accounts(row)}
        return replace(
            robinhood_rows.account(row),
            aliases=tuple(sorted(numbers - {own})),
            closed=row["permanently_deactivated"] is True,
        )

    def _account_rows(self, operation: Operation) -> list[Row]:
        if not self._listed:
            self._listed = self.app.rows(API, "/accounts/", operation=operation, params=ALL_ACCOUNTS)
        return self._listed

    def _numbers(self, row: Row) -> set[str]:
        """Of a row of accounts. The second number has been seen as an integer."""
        return {identifier(row["account_number"]), identifier(row.get("rhs_account_number") or row["account_number"])}

    def _coin_accounts(self, row: Row) -> list[Row]:
        """An account's places for coins, which have a number and an id of their own."""
        if self._coins_at is None:
            self._coins_at = self.app.rows(NUMMUS, "/accounts/", operation=Operation.ACCOUNTS)
        return [coins for coins in self._coins_at if identifier(coins["rhs_account_number"]) in self._numbers(row)]

    def _names(self, account_id: str) -> frozenset[str]:
        """All numbers and ids that rows may call an account by. Raises Refused for one that is not listed."""
        for row in self._account_rows(Operation.ACCOUNTS):
            if identifier(row["account_number"]) == account_id:
                coins = self._coin_accounts(row)
                return frozenset(
                    self._numbers(row).union(
                        *({identifier(each["id"]), identifier(each["account_number"])} for each in coins)
                    )
                )
        raise Refused("Robinhood does not list this account any more.")

    # --- Holdings -----------------------------------------------------------------------------------------------------

    def holdings(self, account_id: str) -> Holdings:
        as_of = timezone.now()
        with understood("accounts"):
            names = self._names(account_id)
        account = self.app.get(API, f"/accounts/{account_id}/", operation=Operation.HOLDINGS)
        portfolio = self.app.get(API, f"/portfolios/{account_id}/", operation=Operation.HOLDINGS)
        live = self.app.get(BONFIRE, f"/portfolio/account/{account_id}/live", operation=Operation.HOLDINGS)
        with understood("positions"):
            shares, options = [*self._shares(account_id, names)], [*self._options(account_id, names)]
            coins = self._coins(names)
            _refuse_missing(portfolio, market_value=[*shares, *options])
            _refuse_missing(live, equity_market_value=shares, option_market_value=options, forex_market_value=coins)
            balance = _balance(account, portfolio, coins)
        return Holdings(as_of=as_of, positions=(*shares, *options, *coins), balances=(balance,))

    def _everybody(self) -> frozenset[str]:
        """The names of all accounts of the person."""
        numbers = [identifier(row["account_number"]) for row in self._account_rows(Operation.ACCOUNTS)]
        return frozenset().union(*map(self._names, numbers))

    def _list(self, host: str, path: str, names: frozenset[str], **params: str) -> list[Row]:
        """What is held in the account called by `names`. A filter may not be heeded; no position is left out for it."""
        mine = []
        for row in self.app.rows(host, path, operation=Operation.HOLDINGS, params=params):
            named, _ = accounts_named(row)
            if named & names:
                mine.append(row)
            elif not named & self._everybody():
                raise NotUnderstood("a position of an account that is not listed")
        return mine

    def _share(self, row: Row) -> InstrumentRecord:
        """Of a position, which knows its symbol even when the share is listed no more."""
        try:
            return self.listing.share(share_id(row))
        except NotUnderstood:
            return robinhood_rows.share(row["symbol"])

    def _shares(self, account_id: str, names: frozenset[str]) -> Iterator[PositionRecord]:
        rows = self._list(API, "/positions/", names, nonzero="true", account_number=account_id)
        self.listing.learn(map(share_id, rows), Operation.HOLDINGS)
        things = {share_id(row): self._share(row) for row in rows}
        prices = self.listing.share_prices(thing.symbol for thing in things.values())
        for row in rows:
            position = robinhood_rows.share_position(_signed(row), prices, things[share_id(row)])
            if position is not None:
                yield replace(position, raw=row)

    def _options(self, account_id: str, names: frozenset[str]) -> Iterator[PositionRecord]:
        rows = self._list(API, "/options/positions/", names, nonzero="True", account_numbers=account_id)
        held = [row for row in rows if number(row["quantity"])]
        prices = self.listing.option_prices(row["option_id"] for row in held)
        for row in held:
            contract = self.listing.contract(row["option_id"], Operation.HOLDINGS)
            position = robinhood_rows.option_position(row, contract, prices)
            if position is not None:
                yield position

    def _coins(self, names: frozenset[str]) -> list[PositionRecord]:
        if not self._coins_at:
            return []
        rows = self._list(NUMMUS, "/holdings/", names, nonzero="true")
        held = [row for row in rows if number(row["quantity"])]
        prices = self.listing.coin_prices(row["currency_pair_id"] for row in held if row.get("currency_pair_id"))
        positions = (robinhood_rows.coin_position(row, prices) for row in held)
        return [position for position in positions if position is not None]

    # --- History ------------------------------------------------------------------------------------------------------

    def transactions(self, account_id: str, *, since: date, until: date) -> Iterator[TransactionPage]:
        with understood("accounts"):
            numbers = [identifier(row["account_number"]) for row in self._account_rows(Operation.ACCOUNTS)]
            own = self._names(account_id)
            others = self._everybody() - own
        history = History(
            app=self.app,
            listing=self.listing,
            account=account_id,
            own=own,
            others=others,
            has_coins=bool(self._coins_at),
            takes_strays=account_id == robinhood_rows.owner(numbers),
            since=since,
        )
        return history.pages(until)

    def prices(self, symbol: str, *, since: date, until: date) -> list[PriceRecord]:
        """One call, which tells a year or five. Closes know of later splits, as the app's own charts show them."""
        span = robinhood_prices.span(since, timezone.now().date())
        asked = {"symbols": symbol, "interval": "day", "span": span, "bounds": "regular"}
        answer = self.app.get(API, "/marketdata/historicals/", operation=Operation.PRICES, params=asked)
        with understood("prices"):
            told = [row for row in robinhood_rows.rows(answer, "results") if row["symbol"] == symbol]
            bars = [bar for row in told for bar in row["historicals"]]
            return robinhood_prices.closes(bars, since=since, until=until)


def _refuse_missing(told: Row, **kinds: list[PositionRecord]) -> None:
    """Raise UnexpectedReply when `told` has a value under the name of a kind of which no position is listed."""
    for name, positions in kinds.items():
        if nullable(told[name]) and not positions:
            raise UnexpectedReply("Robinhood tells what a kind of positions is worth, but not which they are.")


def _signed(row: Row) -> Row:
    """A share's quantity with its sign: it is negative, or only called short."""
    quantity = number(row["quantity"])
    return {**row, "quantity": str(-abs(quantity) if row.get("type") == "short" else quantity)}


def _balance(account: Row, portfolio: Row, coins: list[PositionRecord]) -> BalanceRecord:
    """The portfolio leaves coins out; outside regular hours it has values of its own."""
    cash = maybe(account, "portfolio_cash", "cash")
    equity = maybe(portfolio, "extended_hours_equity", "equity")
    market = maybe(portfolio, "extended_hours_market_value", "market_value")
    values = [coin.market_value for coin in coins]
    in_coins = None if None in values else sum((value for value in values if value is not None), ZERO)
    borrowed = maybe(account.get("margin_balances") or {}, "settled_amount_borrowed")
    return BalanceRecord(
        currency=portfolio.get("display_currency") or "USD",
        cash=cash,
        net_asset_value=None if equity is None or in_coins is None else equity + in_coins,
        market_value=None if market is None or in_coins is None else market + in_coins,
        buying_power=maybe(account, "buying_power"),
        margin_used=abs(min(cash, ZERO)) if borrowed is None and cash is not None else borrowed,
        raw={"account": account, "portfolio": portfolio},
    )


# --- Words for people -------------------------------------------------------------------------------------------------

DELIVERS = (
    "Positions, balances and the whole history, read-only: orders of shares, options and coins, dividends, transfers, "
    "interest, fees, splits and what became of options at their end."
)
BEFORE = (
    "You type your Robinhood e-mail and password into the hub, which signs in for you as Robinhood's own app would. "
    "Robinhood then asks you to approve a new device, in its app or by a code. The hub does not store your password: "
    "it keeps the keys it gets for it, encrypted, and asks with them for your data only."
)
WARNINGS = (
    "This is not an offer of Robinhood's. It does not endorse such logins, and using one may break its terms.",
    "The key the hub gets opens your whole account, trading and withdrawals included. The hub only ever reads, by a "
    "list of addresses it may ask, and uses a second key that can only read wherever Robinhood takes it.",
    "Two or three failed sign-ins lock your Robinhood login, also in its app, for minutes and at worst for hours.",
    "Robinhood may change or close this way on any day; then this connection stops working.",
)
AFTER_DISCONNECT = (
    "The hub has deleted its keys. To be sure, also sign the device out at Robinhood: in its app under Account, then "
    "Security and privacy, then Devices."
)
