"""The MCP server: the handshake, sessions, tools that read, tools that refuse, and too many calls at once."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.robinhood.app import LIMIT, agentic, sign_in, url

MARIA = "512904417"
BOTH = "application/json, text/event-stream"


@dataclass
class Mcp:
    sandbox: Sandbox
    token: str
    session: str | None = None

    def post(self, method: str, params: Any = None, **headers: str | None) -> requests.Response:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        return self.send(message, **headers)

    def send(self, message: Any, **headers: str | None) -> requests.Response:
        told = {
            "Authorization": f"Bearer {self.token}", "Accept": BOTH, "MCP-Protocol-Version": "2025-06-18",
            "Mcp-Session-Id": self.session, **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        present = {name: value for name, value in told.items() if value is not None}
        return requests.post(url(self.sandbox, "/mcp/trading", "agent"), json=message, headers=present, timeout=LIMIT)

    def open(self) -> "Mcp":
        answer = self.post("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}})
        assert answer.json()["result"]["protocolVersion"] == "2025-06-18"
        self.session = answer.headers["Mcp-Session-Id"]
        assert self.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).status_code == 202
        return self

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result: dict[str, Any] = self.post("tools/call", {"name": tool, "arguments": arguments}).json()["result"]
        return result

    def data(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = self.call(tool, **arguments)
        assert not result["isError"], result
        data: dict[str, Any] = result["structuredContent"]["data"]
        assert json.loads(result["content"][0]["text"])["data"] == data
        return data

    def all(self, tool: str, rows: str, **arguments: Any) -> list[dict[str, Any]]:
        data = self.data(tool, **arguments)
        found: list[dict[str, Any]] = data[rows]
        while data["next"]:
            [cursor] = parse_qs(urlsplit(data["next"]).query)["cursor"]
            data = self.data(tool, cursor=cursor, **arguments)
            found += data[rows]
        return found


@pytest.fixture
def mcp(sandbox: Sandbox) -> Mcp:
    sandbox.limit(None, "robinhood")
    return Mcp(sandbox, agentic(sandbox)[1]["access_token"]).open()


def test_without_a_token_the_refusal_says_where_to_begin(sandbox: Sandbox) -> None:
    refused = Mcp(sandbox, "none").post("initialize")
    assert refused.status_code == 401
    assert refused.text == "authentication required"
    metadata = url(sandbox, "/.well-known/oauth-protected-resource/mcp/trading", "agent")
    assert f'resource_metadata="{metadata}"' in refused.headers["WWW-Authenticate"]


def test_a_token_of_the_private_login_does_not_open_it(sandbox: Sandbox) -> None:
    assert Mcp(sandbox, sign_in(sandbox).token["access_token"]).post("initialize").status_code == 401


def test_a_call_needs_its_session(mcp: Mcp) -> None:
    assert mcp.post("tools/list", Mcp_Session_Id=None).status_code == 400
    assert mcp.post("tools/list", Mcp_Session_Id="unknown").status_code == 404
    assert mcp.post("tools/list", MCP_Protocol_Version="1999-01-01").status_code == 400
    assert mcp.post("tools/list", Accept="application/json").status_code == 406
    headers = {"Authorization": f"Bearer {mcp.token}", "Mcp-Session-Id": mcp.session or ""}
    address = url(mcp.sandbox, "/mcp/trading", "agent")
    assert requests.get(address, headers=headers, timeout=LIMIT).status_code == 405
    assert requests.delete(address, headers=headers, timeout=LIMIT).status_code == 204
    assert mcp.post("tools/list").status_code == 404


def test_a_session_belongs_to_the_person_who_opened_it(sandbox: Sandbox, mcp: Mcp) -> None:
    stranger = Mcp(sandbox, agentic(sandbox, "james")[1]["access_token"], mcp.session)
    assert stranger.post("tools/list").status_code == 404


def test_what_is_no_message_is_refused_as_json_rpc_says(mcp: Mcp) -> None:
    assert mcp.send({"id": 1, "method": "ping"}).json()["error"]["code"] == -32600
    assert mcp.post("nothing/here").json()["error"]["code"] == -32601
    assert mcp.post("tools/call", {"name": "nothing"}).json()["error"]["code"] == -32602
    assert mcp.post("ping").json()["result"] == {}


def test_tools_that_write_are_listed_and_refuse(mcp: Mcp) -> None:
    tools = {tool["name"]: tool for tool in mcp.post("tools/list").json()["result"]["tools"]}
    writing = {name for name, tool in tools.items() if not tool["annotations"]["readOnlyHint"]}
    assert {"get_accounts", "get_portfolio", "get_equity_orders"} <= set(tools) - writing
    assert "place_equity_order" in writing
    refused = mcp.call("place_equity_order", account_number=MARIA, symbol="KO", side="buy", quantity="1")
    assert refused["isError"]
    assert refused["content"][0]["text"].startswith("FORBIDDEN")


def test_what_the_tools_tell_is_the_truth(sandbox: Sandbox, mcp: Mcp) -> None:
    truth = sandbox.truth("maria", "robinhood")["accounts"][0]
    (account,) = mcp.data("get_accounts")["accounts"]
    assert (account["account_number"], account["agentic_allowed"]) == (MARIA, False)
    portfolio = mcp.data("get_portfolio", account_number=MARIA)
    assert Decimal(portfolio["total_value"]) == Decimal(truth["value"])
    assert Decimal(portfolio["cash"]) == Decimal(truth["cash"])
    shares = mcp.all("get_equity_positions", "positions", account_number=MARIA)
    coins = mcp.all("get_crypto_positions", "results", rhs_account_number=MARIA)
    held = {row["symbol"]: row["quantity"] for row in shares}
    held |= {row["currency"]["code"]: row["quantity"] for row in coins}
    expected = {row["symbol"]: row["quantity"] for row in truth["positions"] if row["asset_class"] != "option"}
    assert {symbol: Decimal(size) for symbol, size in held.items()} == {
        symbol: Decimal(size) for symbol, size in expected.items()
    }
    options = mcp.all("get_option_positions", "positions", account_number=MARIA, nonzero=True)
    assert len(options) == len(truth["positions"]) - len(held)
    ever = mcp.all("get_option_positions", "positions", account_number=MARIA)
    assert {Decimal(row["quantity"]) for row in ever[len(options) :]} >= {Decimal(0)}


def test_contracts_and_prices_are_the_truth(sandbox: Sandbox, mcp: Mcp) -> None:
    truth = {row["symbol"]: row for row in sandbox.truth("maria", "robinhood")["accounts"][0]["positions"]}
    positions = mcp.all("get_option_positions", "positions", account_number=MARIA, nonzero=True)
    ids = [row["option_id"] for row in positions]
    contracts = mcp.data("get_option_instruments", ids=",".join(ids))["instruments"]
    assert {row["id"] for row in contracts} == set(ids)
    symbols = {
        row["id"]: f"{row['chain_symbol']:<6}{row['expiration_date'][2:].replace('-', '')}"
        f"{row['type'][0].upper()}{int(Decimal(row['strike_price']) * 1000):08d}"
        for row in contracts
    }
    told = {
        row["quote"]["instrument_id"]: row["quote"]
        for row in mcp.data("get_option_quotes", instrument_ids=ids)["results"]
    }
    for identity, symbol in symbols.items():
        assert Decimal(told[identity]["mark_price"]) == Decimal(truth[symbol]["price"])
    coins = mcp.data("get_crypto_quotes", symbols=["BTC-USD", "ETHUSD", "NONE-USD"])["results"]
    assert {row["symbol"] for row in coins} == {"BTCUSD", "ETHUSD"}
    for row in coins:
        assert Decimal(row["mark_price"]) == Decimal(truth[row["symbol"].removesuffix("USD")]["price"])
    expired = mcp.data("get_option_instruments", chain_symbol=contracts[0]["chain_symbol"], state="expired")
    assert {row["state"] for row in expired["instruments"]} <= {"expired"}


def test_a_tool_takes_only_what_it_describes(mcp: Mcp) -> None:
    def refusal(tool: str, **arguments: Any) -> str:
        result = mcp.call(tool, **arguments)
        assert result["isError"]
        text: str = result["content"][0]["text"]
        return text

    assert "unexpected color" in refusal("get_accounts", color="red")
    assert "symbols must be of type array" in refusal("get_crypto_quotes", symbols="BTC-USD")
    assert "symbols is required" in refusal("get_equity_quotes")
    assert "one of chain_symbol" in refusal("get_option_instruments")
    assert "start_time is required" in refusal("get_equity_historicals", symbols=["KO"])
    asked: dict[str, Any] = {"symbols": ["KO"], "start_time": "2026-01-02T00:00:00Z"}
    assert "start_time needs a zone" in refusal("get_equity_historicals", **asked | {"start_time": "2026-01-02"})
    assert "interval must be one of" in refusal("get_equity_historicals", **asked, interval="daily")
    assert "at most 10 symbols" in refusal("get_equity_historicals", **asked | {"symbols": ["KO"] * 11})
    assert "nonzero must be of type boolean" in refusal("get_option_positions", account_number=MARIA, nonzero="yes")


def test_orders_are_paged_and_the_same_as_in_the_private_api(sandbox: Sandbox, mcp: Mcp) -> None:
    app = sign_in(sandbox)
    for tool, rows, path, host, account in (
        ("get_equity_orders", "orders", "/orders/", "api", "account_number"),
        ("get_option_orders", "orders", "/options/orders/", "api", "account_number"),
        ("get_crypto_orders", "results", "/orders/", "nummus", "rhs_account_number"),
    ):
        told = [row["id"] for row in mcp.all(tool, rows, **{account: MARIA})]
        assert len(told) > 50
        assert told == [row["id"] for row in app.all(path, host)]
    since = mcp.data("get_equity_orders", account_number=MARIA, created_at_gte="2026-06-01T00:00:00Z")["orders"]
    assert since
    assert all(row["created_at"] >= "2026-06-01" for row in since)


def test_a_missing_or_foreign_account_is_an_error_of_the_tool(mcp: Mcp) -> None:
    assert mcp.call("get_portfolio")["content"][0]["text"].startswith("INVALID_ARGUMENT")
    assert mcp.call("get_portfolio", account_number="518337206")["isError"]
    assert mcp.call("get_equity_orders", account_number=MARIA, cursor="!")["isError"]


def test_eight_calls_in_a_second_are_too_many_for_five_seconds(sandbox: Sandbox, mcp: Mcp) -> None:
    sandbox.limit(300, "robinhood")
    moment = datetime(2026, 11, 23, 12, tzinfo=UTC)
    results = []
    for _ in range(8):
        sandbox.set_now(moment)  # however slow the machine is, all fall into one second
        results.append(mcp.call("get_accounts"))
    assert [result["isError"] for result in results] == [False] * 7 + [True]
    assert results[-1]["content"][0]["text"].startswith("RATE_LIMITED")
    sandbox.advance(6)
    assert not mcp.call("get_accounts")["isError"]


def test_faults_strike_one_tool_and_leave_the_others(sandbox: Sandbox, mcp: Mcp) -> None:
    sandbox.fault("503", "mcp_get_portfolio", broker="robinhood")
    assert mcp.post("tools/call", {"name": "get_portfolio", "arguments": {}}).status_code == 503
    assert mcp.data("get_accounts")["accounts"]
    sandbox.fault("schema_drift", "mcp_get_accounts", times=1, broker="robinhood", field="account_number", to="number")
    assert "number" in mcp.data("get_accounts")["accounts"][0]
    sandbox.fault("empty_page", "mcp_get_accounts", times=1, broker="robinhood")
    assert mcp.data("get_accounts") == {"accounts": []}
    sandbox.fault("expired_token", "mcp_get_accounts", times=1, broker="robinhood")
    assert mcp.post("tools/call", {"name": "get_accounts", "arguments": {}}).status_code == 401
