"""robin_stocks, unmodified, logs in at the sandbox and reads it. Only the way to the hosts is turned (an adapter)."""

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import robin_stocks.robinhood as rh
from requests.adapters import HTTPAdapter
from robin_stocks.robinhood import account, authentication
from robin_stocks.robinhood import globals as rh_globals

from tests.plugins.sandbox_server import Sandbox

MARIA = "512904417"


class ToSandbox(HTTPAdapter):
    """Sends what is meant for Robinhood to the sandbox, the host's name in the header, and nothing anywhere else."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.asked: list[str] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        assert str(parts.hostname).endswith("robinhood.com")
        request.headers["Host"] = str(parts.hostname)
        self.asked.append(f"{request.method} {parts.hostname}{parts.path}")
        request.url = f"{self.base}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return super().send(request, *args, **options)


class Time:
    """A clock that passes as soon as someone sleeps, so that no test waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def transport(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToSandbox]:
    transport = ToSandbox(sandbox.base_url)
    session = requests.Session()
    session.headers = rh_globals.SESSION.headers.copy()
    session.mount("https://", transport)
    monkeypatch.setattr(rh_globals, "SESSION", session)
    for module in (rh.helper, authentication):
        monkeypatch.setattr(module, "SESSION", session, raising=False)
    monkeypatch.setattr(authentication, "time", Time())
    yield transport
    rh.helper.set_login_state(False)
    session.close()


def log_in(folder: Path, password: str = "sandbox") -> Any:
    return rh.login("maria@example.test", password, store_session=True, pickle_path=str(folder))


@pytest.fixture
def logged_in(sandbox: Sandbox, transport: ToSandbox, tmp_path: Path) -> ToSandbox:
    sandbox.control("robinhood/logins", login="maria", way="none")
    assert "access_token" in log_in(tmp_path)
    transport.asked.clear()
    return transport


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What the client complains of; it prints where others raise."""
    before, said = rh.get_output(), io.StringIO()
    rh.set_output(said)
    yield said
    rh.set_output(before)


@pytest.fixture
def truth(sandbox: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.truth("maria", "robinhood")["accounts"][0]
    return found


def test_a_new_device_is_approved_on_the_phone_and_then_remembered(transport: ToSandbox, tmp_path: Path) -> None:
    first = log_in(tmp_path)
    assert [line.split("robinhood.com")[1].split("/")[1] for line in transport.asked] == [
        "oauth2", "pathfinder", "pathfinder", "push", "push", "pathfinder", "oauth2",
    ]  # fmt: skip
    transport.asked.clear()
    assert log_in(tmp_path)["access_token"] == first["access_token"]
    assert transport.asked == ["GET api.robinhood.com/positions/"]


def test_a_code_by_text_message_is_asked_for(
    sandbox: Sandbox, transport: ToSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.control("robinhood/logins", login="maria", way="sms")
    monkeypatch.setattr("builtins.input", lambda question: "123456")
    assert "access_token" in log_in(tmp_path)


def test_a_wrong_password_logs_nobody_in(
    transport: ToSandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log_in(tmp_path, "guess")
    assert "Login failed" in capsys.readouterr().out


def test_profiles_are_those_of_the_truth(logged_in: ToSandbox, truth: dict[str, Any]) -> None:
    profile = rh.load_account_profile()
    assert profile["account_number"] == rh.load_account_profile(MARIA)["account_number"] == MARIA
    assert Decimal(profile["cash"]) == Decimal(truth["cash"])
    worth = sum(Decimal(row["market_value"]) for row in truth["positions"] if row["asset_class"] != "crypto")
    assert Decimal(rh.load_portfolio_profile()["market_value"]) == worth
    assert Decimal(rh.load_portfolio_profile(MARIA)["market_value"]) == worth
    unified = rh.load_phoenix_account()
    assert Decimal(unified["total_equity"]["amount"]) == Decimal(truth["value"])


def test_open_positions_are_those_of_the_truth(logged_in: ToSandbox, truth: dict[str, Any]) -> None:
    held = {row["symbol"]: Decimal(row["quantity"]) for row in truth["positions"]}
    shares = {row["symbol"]: Decimal(row["quantity"]) for row in rh.get_open_stock_positions()}
    coins = {row["currency"]["code"]: Decimal(row["quantity"]) for row in rh.get_crypto_positions()}
    options = rh.get_open_option_positions()
    assert shares | coins == {symbol: size for symbol, size in held.items() if len(symbol) < 21}
    assert len(options) == len([symbol for symbol in held if len(symbol) == 21]) > 0
    assert len(rh.get_all_option_positions()) > len(options)
    assert len(rh.get_aggregate_positions()) == len(options)


def test_holdings_are_built_from_five_endpoints_without_losing_a_row(
    logged_in: ToSandbox, truth: dict[str, Any]
) -> None:
    built = rh.build_holdings()
    assert set(built) == {row["symbol"] for row in truth["positions"] if row["asset_class"] in ("stock", "etf")}
    prices = {row["symbol"]: Decimal(row["price"]) for row in truth["positions"]}
    assert all(Decimal(row["price"]) == prices[symbol] for symbol, row in built.items())


def test_every_order_and_every_record_is_read_page_by_page(logged_in: ToSandbox, truth: dict[str, Any]) -> None:
    natures = [row["nature"] for row in truth["transactions"]]
    orders = rh.get_all_stock_orders()
    executions = sum(len(row["executions"]) for row in orders)
    of_shares = [
        row
        for row in truth["transactions"]
        if row["nature"] in ("order_buy", "order_sell", "reinvestment")
        and len(row["symbol"]) < 21
        and row["symbol"] not in ("BTC", "ETH", "SOL")
    ]
    assert executions == len(of_shares)
    assert logged_in.asked.count("GET api.robinhood.com/orders/") > 2
    assert len(rh.get_dividends()) == natures.count("dividend")
    assert len(rh.get_interest_payments()) == natures.count("bank_interest")
    assert len(rh.get_stock_loan_payments()) == natures.count("lending_interest")
    assert len(rh.get_margin_interest()) == natures.count("margin_interest")
    assert len(rh.get_subscription_fees()) == natures.count("service_fee")
    assert len(rh.get_bank_transfers()) == natures.count("ach_in") + natures.count("ach_out")
    assert len(rh.get_bank_transfers("received")) == natures.count("electronic_in")
    assert len(rh.get_wire_transfers()) == natures.count("wire_in")
    assert len(account.get_unified_transfers()) == 50  # this client reads the first page only


def test_options_and_coins_are_read(logged_in: ToSandbox, truth: dict[str, Any]) -> None:
    orders = rh.get_all_option_orders()
    legs = [leg for row in orders for leg in row["legs"]]
    contracts = [
        row
        for row in truth["transactions"]
        if row["nature"] in ("order_buy", "order_sell") and len(row["symbol"]) == 21
    ]
    assert len(legs) == len(contracts)
    identity = legs[0]["option"].rstrip("/").rpartition("/")[2]
    assert rh.get_option_instrument_data_by_id(identity)["strike_price"] == legs[0]["strike_price"]
    coins = [row for row in truth["transactions"] if row["symbol"] in ("BTC", "ETH", "SOL")]
    assert len(rh.get_all_crypto_orders()) == len(coins)
    assert rh.load_crypto_profile()["rhs_account_number"] == MARIA
    assert {row["symbol"] for row in rh.get_crypto_currency_pairs()} == {"BTC-USD", "ETH-USD", "SOL-USD"}


def test_prices_gone_by_are_read(logged_in: ToSandbox) -> None:
    bars = rh.get_stock_historicals(["KO", "NVDA"], interval="day", span="year")
    assert {bar["symbol"] for bar in bars} == {"KO", "NVDA"}
    assert all(Decimal(bar["close_price"]) > 0 for bar in bars)


def test_a_symbol_that_is_not_listed_is_noticed(logged_in: ToSandbox, said: io.StringIO) -> None:
    assert [quote["symbol"] for quote in rh.get_quotes(["KO", "NOPE"])] == ["KO"]
    assert '"NOPE" is not a valid stock ticker' in said.getvalue()
    address = rh.get_instruments_by_symbols("KO")[0]["url"]
    assert rh.get_dividends_by_instrument(address, rh.get_dividends())


def test_a_dead_token_is_an_error_and_the_next_login_is_a_new_one(
    logged_in: ToSandbox, sandbox: Sandbox, tmp_path: Path, said: io.StringIO
) -> None:
    sandbox.end_tokens(broker="robinhood", expire=True)
    rh.get_open_stock_positions()
    assert "401 Client Error" in said.getvalue()
    assert "access_token" in log_in(tmp_path)
    assert rh.get_open_stock_positions()
