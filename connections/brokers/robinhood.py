"""Robinhood's official MCP server ("Agentic Trading"): accounts, holdings and orders, by its reading tools alone.

Robinhood publishes no reference; tools and limits are from public clients and their measurements. The grant would
allow more than reading, the list TOOLS does not. Dividends, transfers and interest are in no tool. The sign-in is in
`robinhood_oauth.py`, what rows mean in `robinhood_rows.py` and `robinhood_orders.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from django.utils import timezone

from connections.brokers import robinhood_orders, robinhood_prices, robinhood_rows
from connections.brokers.base import BrokerUnavailable, Grants, NeedsReauth, RateLimited, Refused, UnexpectedReply
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.mcp import McpSession, Verdict
from connections.brokers.records import (
    AccountRecord,
    AssetClass,
    Broker,
    Holdings,
    Identity,
    PositionRecord,
    PriceRecord,
    TransactionPage,
)
from connections.brokers.robinhood_oauth import resource, wire
from connections.brokers.robinhood_rows import Row, identifier, understood

TOOL_LIMIT_WAIT = timedelta(seconds=5)  # after which the measured refusals had always ended
GOOD_TILL_CANCELLED = timedelta(days=90)  # Robinhood lets no order wait for longer
MAX_PAGES = 2000
BARS_AT_ONCE = timedelta(days=3650)  # 2,520 days of trading; a call tells 5,000 bars
QUOTES_AT_ONCE = 50
TOOLS = frozenset(
    {
        "get_accounts",
        "get_portfolio",
        "get_equity_positions",
        "get_equity_orders",
        "get_equity_quotes",
        "get_equity_historicals",
        "get_option_positions",
        "get_option_orders",
        "get_option_instruments",
        "get_option_quotes",
        "get_crypto_positions",
        "get_crypto_orders",
        "get_crypto_quotes",
    }
)


def tool_refusal(text: str) -> Verdict:
    """What a tool's own error means: a word in capitals stands before its text."""
    word = text.partition(":")[0].strip()
    if word == "RATE_LIMITED":
        limited = RateLimited("Robinhood allows only so many requests.", retry_at=timezone.now() + TOOL_LIMIT_WAIT)
        return Outcome.RATE_LIMITED, Attribution.OURS, limited
    if word in ("UNAUTHENTICATED", "UNAUTHORIZED"):
        refused = NeedsReauth("Robinhood refused the sign-in.", reason_code="access_refused")
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, refused
    if word in ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED"):
        down = BrokerUnavailable("Robinhood reports an error on its side.")
        return Outcome.SERVER_ERROR, Attribution.BROKER, down
    return Outcome.CLIENT_ERROR, Attribution.OURS, Refused("Robinhood refused what the hub asked for.")


def session(connection_id: UUID | None, grants: Grants) -> McpSession:
    return McpSession(wire=wire(connection_id), url=resource(), grants=grants, tools=TOOLS, refusal=tool_refusal)


@dataclass(frozen=True, slots=True)
class Robinhood:
    mcp: McpSession
    broker: ClassVar = Broker.ROBINHOOD
    look_back: ClassVar = timedelta(days=7)
    history: ClassVar = timedelta(days=12 * 365)  # Robinhood's first customers came in 2014
    drops_rows: ClassVar = False
    priced: ClassVar = frozenset({AssetClass.EQUITY, AssetClass.ETF})
    prices_reach: ClassVar = timedelta(days=20 * 365)
    _listed: list[Row] = field(default_factory=list)  # the accounts: asked for once, a connector lives for one run

    def identity(self) -> Identity:
        with understood("accounts"):
            numbers = [identifier(row["account_number"]) for row in self._account_rows(Operation.IDENTITY)]
        return Identity(broker_user_key=robinhood_rows.owner(numbers))

    def accounts(self) -> list[AccountRecord]:
        with understood("accounts"):
            return [robinhood_rows.account(row) for row in self._account_rows(Operation.ACCOUNTS)]

    def close(self) -> None:
        self.mcp.close()

    def _account_rows(self, operation: Operation) -> list[Row]:
        if not self._listed:
            self._listed.extend(self._list("get_accounts", operation, "accounts"))
        return self._listed

    def _coin_number(self, account_id: str) -> str:
        """The number that coins of this account are asked for by; accounts may have another one for people."""
        with understood("accounts"):
            listed = self._account_rows(Operation.ACCOUNTS)
            numbers = {identifier(row["account_number"]): identifier(row["rhs_account_number"]) for row in listed}
        if account_id not in numbers:
            raise Refused("Robinhood does not list this account any more.")
        return numbers[account_id]

    def holdings(self, account_id: str) -> Holdings:
        as_of = timezone.now()
        portfolio = self._data("get_portfolio", Operation.HOLDINGS, account_number=account_id)
        with understood("positions"):
            kinds = {
                "equity_value": [*self._shares(account_id)],
                "options_value": [*self._options(account_id)],
                "crypto_value": [*self._coins(account_id)],
            }
            for name, rows in kinds.items():
                if not rows and robinhood_rows.maybe(portfolio, name):
                    raise UnexpectedReply("Robinhood tells what a kind of positions is worth, but not which they are.")
            return Holdings(
                as_of=as_of,
                positions=tuple(row for rows in kinds.values() for row in rows if row is not None),
                balances=(robinhood_rows.balance(portfolio),),
            )

    def _shares(self, account_id: str) -> Iterator[PositionRecord | None]:
        found = self._list("get_equity_positions", Operation.HOLDINGS, "positions", account_number=account_id)
        quotes = self._quotes("get_equity_quotes", "symbols", [row["symbol"] for row in found])
        prices = robinhood_rows.share_prices(quotes)
        return (robinhood_rows.share_position(row, prices) for row in found)

    def _options(self, account_id: str) -> Iterator[PositionRecord | None]:
        found = self._list(
            "get_option_positions", Operation.HOLDINGS, "positions", account_number=account_id, nonzero=True
        )
        held = [row for row in found if robinhood_rows.number(row["quantity"])]
        ids = [row["option_id"] for row in held]
        bare = [row["option_id"] for row in held if "strike_price" not in row]
        contracts = {row["option_id"]: row for row in held if "strike_price" in row}
        for number in range(0, len(bare), QUOTES_AT_ONCE):
            asked = ",".join(bare[number : number + QUOTES_AT_ONCE])
            told = self._list("get_option_instruments", Operation.HOLDINGS, "instruments", ids=asked)
            contracts |= {row["id"]: row for row in told}
        prices = robinhood_rows.option_prices(self._quotes("get_option_quotes", "instrument_ids", ids))
        return (robinhood_rows.option_position(row, contracts[row["option_id"]], prices) for row in held)

    def _coins(self, account_id: str) -> Iterator[PositionRecord | None]:
        number = self._coin_number(account_id)
        found = self._list(
            "get_crypto_positions", Operation.HOLDINGS, "results", "positions", rhs_account_number=number
        )
        pairs = [f"{code}-USD" for code in map(robinhood_rows.coin_code, found) if code != "USD"]
        prices = robinhood_rows.coin_prices(self._quotes("get_crypto_quotes", "symbols", pairs))
        return (robinhood_rows.coin_position(row, prices) for row in found)

    def transactions(self, account_id: str, *, since: date, until: date) -> Iterator[TransactionPage]:
        """One page: the server lists the newest first and knows no end of a window, so nothing is whole before all is.

        It filters by the day an order was placed; one that waited may have been executed up to 90 days later.
        """
        placed = (since - GOOD_TILL_CANCELLED).isoformat()
        ask = partial(self._orders, created_at_gte=placed)
        number = self._coin_number(account_id)
        share_orders = ask("get_equity_orders", "orders", account_number=account_id)
        option_orders = ask("get_option_orders", "orders", account_number=account_id)
        coin_orders = ask("get_crypto_orders", "results", "orders", rhs_account_number=number)
        yield TransactionPage(
            records=(
                *robinhood_orders.shares(share_orders),
                *robinhood_orders.options(option_orders),
                *robinhood_orders.coins(coin_orders),
            ),
            covers_from=since,
            covers_to=until,
            notes=robinhood_orders.notes(option_orders),
        )

    def prices(self, symbol: str, *, since: date, until: date) -> list[PriceRecord]:
        """By a tool that no document lists, and public clients use: where a server has it not, there are none."""
        if "get_equity_historicals" not in self.mcp.offered(operation=Operation.PRICES):
            raise Refused("Robinhood's server tells no prices of days gone by.")
        found: list[PriceRecord] = []
        while since <= until:
            last = min(until, since + BARS_AT_ONCE)
            data = self._data(
                "get_equity_historicals",
                Operation.PRICES,
                symbols=[symbol],
                start_time=f"{since}T00:00:00Z",
                end_time=f"{last}T23:59:59Z",
                interval="day",
                bounds="regular",
                adjustment_type="split",
            )
            with understood("prices"):
                for row in robinhood_rows.rows(data, "results"):
                    if row["symbol"] == symbol:
                        found += robinhood_prices.closes(row["bars"], since=since, until=last)
            since = last + timedelta(days=1)
        return found

    def _orders(self, tool: str, *keys: str, **arguments: str) -> list[Row]:
        """Oldest first. The newest page may shift while the others are read: an order told twice counts once."""
        found = self._list(tool, Operation.TRANSACTIONS, *keys, **arguments)
        with understood("orders"):
            once = {row["id"]: row for row in reversed(found)}
            return sorted(once.values(), key=lambda row: str(row["created_at"]))

    def _data(self, tool: str, operation: Operation, **arguments: Any) -> Row:
        answer = self.mcp.call(tool, operation=operation, **arguments)
        with understood("answer"):
            data = answer["data"]
            if not isinstance(data, dict):
                raise TypeError("data is not an object")
            return data

    def _list(self, tool: str, operation: Operation, *keys: str, **arguments: Any) -> list[Row]:
        """All pages of a list. `next` is the address of the next page, or only its cursor."""
        found: list[Row] = []
        seen = {""}
        cursor = ""
        for _ in range(MAX_PAGES):
            data = self._data(tool, operation, **arguments, **({"cursor": cursor} if cursor else {}))
            with understood("list"):
                found += robinhood_rows.rows(data, *keys)
                following = data.get("next") or ""
                cursor = parse_qs(urlsplit(following).query).get("cursor", [""])[0] if "?" in following else following
            if not cursor:
                return found
            if cursor in seen:
                break
            seen.add(cursor)
        raise UnexpectedReply("Robinhood's list does not come to an end.")

    def _quotes(self, tool: str, argument: str, names: list[str]) -> list[Row]:
        """Prices, where the server has a tool for them; without it they are unknown."""
        offered = self.mcp.offered(operation=Operation.HOLDINGS) if names else {}
        if tool not in offered:
            return []
        as_text = offered[tool]["properties"][argument]["type"] == "string"
        found: list[Row] = []
        for number in range(0, len(names), QUOTES_AT_ONCE):
            some = names[number : number + QUOTES_AT_ONCE]
            data = self._data(tool, Operation.HOLDINGS, **{argument: ",".join(some) if as_text else some})
            found += robinhood_rows.rows(data, "results", "quotes")
        if names and not found:  # one thing may have no price, but not all that Robinhood holds for somebody
            raise UnexpectedReply("Robinhood told no prices.")
        return found
