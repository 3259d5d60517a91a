"""The ways to connect that the contract is held against: how a person gets in, and what each way can and cannot do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from connections.brokers.records import AuthMethod, Broker
from tests.conformance.doors import ByDialogue, ByKeys, ByPage, ByPreparedKeys

if TYPE_CHECKING:
    import pytest

    from brokerhub.kernel.errors import HubError
    from brokerhub.kernel.models import User
    from connections.brokers.base import AppKeys
    from connections.brokers.records import TransactionRecord
    from connections.models import Connection
    from tests.plugins.sandbox_server import Sandbox

Row = Mapping[str, Any]
ACCOUNTS, HOLDINGS, TRANSACTIONS = PARTS = ("accounts", "holdings", "transactions")


class Door(Protocol):
    """How a person gets in, by the services the pages use."""

    def enter(
        self, way: "Way", sandbox: "Sandbox", user: "User", login: str, connection: "Connection | None"
    ) -> "Connection": ...

    def turn_away(self, way: "Way", sandbox: "Sandbox", user: "User") -> None:
        """Come without being let in: the person says no, or brings what the broker does not take. Raises HubError."""
        ...

    def replay(self, way: "Way", sandbox: "Sandbox", user: "User", thief: "User") -> "list[HubError]":
        """Sign `user` in by an answer that `thief` tries first and `user` tries once more; what each of them got.

        Empty where there is no answer: keys are good for whoever has them, as often as they like.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Way:
    """One auth method in the sandbox. Operations are the sandbox's names of what is called."""

    method: AuthMethod
    broker: Broker
    door: Door
    reads: Mapping[str, Mapping[str, str]]  # {part: {operation: a field without which its answer means nothing}}
    sign_in: frozenset[str]  # operations of the sign-in beside reading
    login: str = "james"
    other: str = ""  # another login, where the sandbox has one at this broker
    renewal: str = ""  # the operation that renews access; "": nothing can
    keeps_refresh: bool = True  # whether what renews stays the same over a renewal
    refused: str = "refresh_refused"  # the reason shown when the broker has ended the access
    lasts: timedelta | None = None  # from the sign-in to the next one
    revocation: str = ""  # the operation that hands the access back; "": the broker has none
    prices: frozenset[str] = frozenset()  # operations without whose answer positions stay, at an unknown value
    unprovable: frozenset[str] = frozenset()  # operations whose empty answer no other answer contradicts
    posts: frozenset[str] = frozenset()  # operations that are read by POST
    register: "Callable[[Sandbox, pytest.MonkeyPatch], None]" = lambda sandbox, monkeypatch: None  # the hub there
    tells_cash: bool = True
    wrong_app: Mapping[str, str] = field(default_factory=dict)  # settings of the hub's own keys that are not right
    history: timedelta | None = None  # read back no further, to be quick
    tells: Callable[[Row], bool] = lambda row: True  # which of the broker's transactions come this way
    is_whole: bool = True  # all of them do: they add up to the cash
    is_reversal: Callable[["TransactionRecord"], bool] = lambda record: False  # of a trade: its signs are turned
    holds: Callable[[Row], bool] = lambda row: True  # which of its positions
    account_id: Callable[[Row], str] = lambda account: str(account["hash"])  # the broker's own name for an account
    blur: Decimal = Decimal(0)  # of a day's sum, where the broker tells an amount by quantity and price only
    small_pages: "Callable[[Sandbox, pytest.MonkeyPatch], None] | None" = None
    end: "Callable[[Way, Sandbox], Any]" = field(default=lambda way, sandbox: way.end_tokens(sandbox))

    def __str__(self) -> str:
        return self.method.value

    def connect(
        self, sandbox: "Sandbox", user: "User", login: str = "", connection: "Connection | None" = None
    ) -> "Connection":
        """Signs `user` in at the broker; with `connection`, that one is signed in again."""
        return self.door.enter(self, sandbox, user, login or self.login, connection)

    def end_tokens(self, sandbox: "Sandbox") -> Any:
        return sandbox.end_tokens(self.login, expire=True, revoke=True, broker=self.broker)

    def truth(self, sandbox: "Sandbox", login: str = "") -> list[dict[str, Any]]:
        accounts: list[dict[str, Any]] = sandbox.truth(login or self.login, broker=self.broker)["accounts"]
        return accounts

    def app_keys(self) -> "AppKeys":
        from connections import app_keys

        return app_keys.stored_or_environment(self.method, None)

    @property
    def reading(self) -> set[str]:
        return {operation for part in self.reads.values() for operation in part}

    @property
    def operations(self) -> set[str]:
        return self.reading | self.sign_in


# --- The ways ---------------------------------------------------------------------------------------------------------

SCHWAB_OAUTH = Way(
    method=AuthMethod.SCHWAB_OAUTH,
    broker=Broker.SCHWAB,
    door=ByPage(),
    other="maria",
    reads={
        ACCOUNTS: {"account_numbers": "hashValue", "accounts": "securitiesAccount", "user_preference": "accounts"},
        HOLDINGS: {"accounts": "longQuantity"},
        TRANSACTIONS: {"transactions": "netAmount"},
    },
    sign_in=frozenset({"authorize", "token"}),
    renewal="token",
    lasts=timedelta(days=7),
    wrong_app={"SCHWAB_APP_SECRET": "not0the0secret00"},
    small_pages=lambda sandbox, monkeypatch: monkeypatch.setattr("connections.brokers.schwab.MAX_ROWS", 5),
)


def flex_keys(sandbox: "Sandbox", login: str) -> dict[str, str]:
    return {"token": sandbox.control("ibkr/flex", "GET", login=login)["token"], "query_id": "1001001"}


IBKR_FLEX = Way(
    method=AuthMethod.IBKR_FLEX,
    broker=Broker.IBKR,
    door=ByKeys(flex_keys, {"token": "123456789012345678901234"}),
    login="maria",
    reads={
        ACCOUNTS: {"flex_request": "accountId", "flex_statement": "accountId"},
        HOLDINGS: {"flex_statement": "position"},
        TRANSACTIONS: {"flex_statement": "netCash"},
    },
    sign_in=frozenset(),
    refused="keys_refused",
    is_reversal=lambda record: "Ca" in record.raw.get("notes", ""),
    history=timedelta(days=360),
    end=lambda way, sandbox: sandbox.control("ibkr/flex", login=way.login),  # a new token ends the one before
)

MCP = frozenset({"mcp"})
ROBINHOOD_OAUTH = Way(
    method=AuthMethod.ROBINHOOD_OAUTH,
    broker=Broker.ROBINHOOD,
    door=ByPage(),
    other="maria",
    reads={
        ACCOUNTS: {"mcp": "result", "mcp_get_accounts": "account_number"},
        HOLDINGS: {
            "mcp_get_portfolio": "total_value",
            "mcp_get_equity_positions": "quantity",
            "mcp_get_option_positions": "quantity",
            "mcp_get_crypto_positions": "quantity",
            "mcp_get_equity_quotes": "last_trade_price",
            "mcp_get_crypto_quotes": "mark_price",
            "mcp_get_option_instruments": "strike_price",
            "mcp_get_option_quotes": "mark_price",
        },
        TRANSACTIONS: {
            "mcp_get_equity_orders": "executions",
            "mcp_get_option_orders": "legs",
            "mcp_get_crypto_orders": "cumulative_quantity",
        },
    },
    sign_in=frozenset({"discovery", "register", "authorize", "token", "revoke"}),
    renewal="token",
    revocation="revoke",
    posts=frozenset(
        {
            "mcp",
            "mcp_get_accounts",
            "mcp_get_portfolio",
            "mcp_get_equity_positions",
            "mcp_get_option_positions",
            "mcp_get_crypto_positions",
            "mcp_get_equity_quotes",
            "mcp_get_equity_historicals",
            "mcp_get_option_instruments",
            "mcp_get_option_quotes",
            "mcp_get_crypto_quotes",
            "mcp_get_equity_orders",
            "mcp_get_option_orders",
            "mcp_get_crypto_orders",
        }
    ),
    tells=lambda row: row["nature"] in {"order_buy", "order_sell", "reinvestment"},
    is_whole=False,
    blur=Decimal("0.02"),
    prices=frozenset({"mcp_get_equity_quotes", "mcp_get_crypto_quotes", "mcp_get_option_quotes"}),
)


def ibkr_register(sandbox: "Sandbox", monkeypatch: "pytest.MonkeyPatch") -> None:
    """The hub takes the keys of the third party that the sandbox knows, and its callback is known there."""
    from django.conf import settings

    known = sandbox.control("ibkr/keys", "GET", consumer_key="SANDBOXAA")
    for name in ("consumer_key", "signing_key", "encryption_key", "dh_prime"):
        monkeypatch.setattr(settings, f"IBKR_{name.upper()}", known[name])
    sandbox.control("callbacks", broker="ibkr", add=settings.IBKR_CALLBACK_URL)


def ibkr_small_pages(sandbox: "Sandbox", monkeypatch: "pytest.MonkeyPatch") -> None:
    sandbox.control("ibkr/switches", page_size=3)  # each row says it


def ibkr_keys(sandbox: "Sandbox", login: str) -> dict[str, str]:
    known = sandbox.control("ibkr/keys", "GET", consumer_key="MARIAKEYS")
    names = ("consumer_key", "access_token", "access_token_secret", "signing_key", "encryption_key")
    return {name: known[name] for name in names} | {"dh_param": known["dh_prime"]}


IBKR_OAUTH = Way(
    method=AuthMethod.IBKR_OAUTH,
    broker=Broker.IBKR,
    door=ByPage(),
    login="maria",
    register=ibkr_register,
    reads={
        ACCOUNTS: {"accounts": "accountId"},
        HOLDINGS: {"ledger": "cashbalance", "summary": "amount", "positions": "position", "secdef": "conid"},
        TRANSACTIONS: {},
    },
    sign_in=frozenset({"request_token", "authorize", "access_token", "live_session_token", "logout"}),
    renewal="live_session_token",
    tells=lambda row: False,
    is_whole=False,
    wrong_app={"IBKR_CONSUMER_KEY": "NOTRIGHTX"},
    small_pages=ibkr_small_pages,
)

IBKR_KEYS = replace(
    IBKR_OAUTH,
    method=AuthMethod.IBKR_KEYS,
    door=ByKeys(ibkr_keys, {"consumer_key": "NOTRIGHTX"}),
    register=lambda sandbox, monkeypatch: None,
    sign_in=frozenset({"live_session_token", "logout"}),
    refused="keys_refused",
    wrong_app={},
)

ROBINHOOD_CRYPTO = Way(
    method=AuthMethod.ROBINHOOD_CRYPTO,
    broker=Broker.ROBINHOOD,
    door=ByPreparedKeys("rh-api-00000000-0000-4000-8000-000000000009"),
    other="maria",
    reads={
        ACCOUNTS: {"crypto_api_accounts": "account_number"},
        HOLDINGS: {"crypto_api_holdings": "total_quantity", "crypto_api_quotes": "results"},
        TRANSACTIONS: {"crypto_api_orders": "filled_asset_quantity"},
    },
    sign_in=frozenset(),
    refused="keys_refused",
    prices=frozenset({"crypto_api_quotes"}),
    unprovable=frozenset({"crypto_api_holdings"}),
    tells=lambda row: row["nature"] in {"order_buy", "order_sell"} and row["symbol"] in {"BTC", "ETH", "SOL"},
    holds=lambda row: row["asset_class"] == "crypto",
    is_whole=False,
    tells_cash=False,
)

ROBINHOOD_LOGIN = Way(
    method=AuthMethod.ROBINHOOD_LOGIN,
    broker=Broker.ROBINHOOD,
    door=ByDialogue(),
    other="maria",
    register=lambda sandbox, monkeypatch: monkeypatch.setattr("django.conf.settings.ROBINHOOD_PRIVATE_LOGIN", True),
    reads={
        ACCOUNTS: {"accounts": "account_number", "crypto_accounts": "account_number"},
        HOLDINGS: {
            "portfolios": "equity",
            "live": "forex_market_value",
            "positions": "quantity",
            "option_positions": "quantity",
            "crypto_holdings": "quantity",
            "instruments": "symbol",
            "quotes": "results",
        },
        TRANSACTIONS: {
            "orders": "executions",
            "option_orders": "legs",
            "option_events": "state",
            "crypto_orders": "cumulative_quantity",
            "dividends": "amount",
            "unified_transfers": "amount",
            "ach_transfers": "amount",
            "wires": "amount",
            "acats": "state",
            "interest": "amount",
            "fees": "amount",
            "splits": "multiplier",
            "history": "results",
        },
    },
    sign_in=frozenset({"token", "challenge", "revoke"}),
    prices=frozenset({"quotes", "portfolios"}),
    tells=lambda row: row["nature"] != "memorandum",
    renewal="token",
    revocation="revoke",
)

ALPACA_OAUTH = Way(
    method=AuthMethod.ALPACA_OAUTH,
    broker=Broker.ALPACA,
    door=ByPage(),
    reads={
        ACCOUNTS: {"account": "account_number"},
        HOLDINGS: {"account": "equity", "positions": "qty"},
        TRANSACTIONS: {"activities": "id"},
    },
    sign_in=frozenset({"authorize", "token"}),
    wrong_app={"ALPACA_CLIENT_SECRET": "notthesecret"},
)

WAYS = (
    SCHWAB_OAUTH,
    IBKR_OAUTH,
    IBKR_KEYS,
    IBKR_FLEX,
    ROBINHOOD_OAUTH,
    ROBINHOOD_CRYPTO,
    ROBINHOOD_LOGIN,
    ALPACA_OAUTH,
)
