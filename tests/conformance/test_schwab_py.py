"""schwab-py, unmodified, signs in at the sandbox and reads it. Only the way to the host is turned (httpx transport)."""

import functools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import schwab.auth
from authlib.integrations.base_client.errors import OAuthError
from schwab.client import Client

from tests.plugins.sandbox_server import APP_KEY, APP_SECRET, CALLBACK, Sandbox

REAL_HOST = "api.schwabapi.com"


class ToSandbox(httpx.BaseTransport):
    """Sends what is meant for Schwab to the sandbox, and nothing anywhere else."""

    def __init__(self, base: str) -> None:
        self.base, self.inner = httpx.URL(base), httpx.HTTPTransport()
        self.answers: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == REAL_HOST
        request.url = request.url.copy_with(scheme=self.base.scheme, host=self.base.host, port=self.base.port)
        request.headers["Host"] = self.base.netloc.decode()
        response = self.inner.handle_request(request)
        self.answers.append(response)
        return response

    def close(self) -> None:
        self.inner.close()


@pytest.fixture
def transport(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToSandbox]:
    transport = ToSandbox(sandbox.base_url)
    turned = functools.partial(schwab.auth.OAuth2Client, transport=transport)
    monkeypatch.setattr(schwab.auth, "OAuth2Client", turned)
    yield transport
    transport.close()


@pytest.fixture
def store() -> dict[str, Any]:
    """Where the client keeps its token."""
    return {}


@pytest.fixture
def client(sandbox: Sandbox, transport: ToSandbox, store: dict[str, Any]) -> Iterator[Client]:
    client = signed_in(sandbox, store)
    yield client
    client.session.close()


def signed_in(sandbox: Sandbox, store: dict[str, Any], **choices: Any) -> Client:
    context = schwab.auth.get_auth_context(APP_KEY, CALLBACK)
    back = sandbox.sign_in(context.authorization_url, **choices)
    return schwab.auth.client_from_received_url(APP_KEY, APP_SECRET, context, back, store.update)


def from_store(store: dict[str, Any]) -> Client:
    """The client that can refresh: it takes its token from where the first one left it."""
    return schwab.auth.client_from_access_functions(APP_KEY, APP_SECRET, lambda: store, store.update)


def make_stale(store: dict[str, Any]) -> None:
    store["token"]["expires_at"] = int(time.time()) - 1


def first_hash(client: Client) -> str:
    value: str = client.get_account_numbers().json()[0]["hashValue"]
    return value


def test_the_login_gives_a_token_with_a_refresh_token(client: Client, store: dict[str, Any]) -> None:
    token = store["token"]
    assert token["expires_in"] == 1800
    assert token["access_token"].startswith("I0.")
    assert token["access_token"].endswith("@")
    assert token["refresh_token"].endswith("@")


def test_accounts_carry_the_positions_of_the_truth(client: Client, sandbox: Sandbox) -> None:
    hashes = {row["accountNumber"]: row["hashValue"] for row in client.get_account_numbers().json()}
    for truth in sandbox.truth("maria")["accounts"]:
        assert hashes[truth["number"]] == truth["hash"]
        body = client.get_account(truth["hash"], fields=[Client.Account.Fields.POSITIONS]).json()
        held = {
            row["instrument"]["symbol"]: row["longQuantity"] - row["shortQuantity"]
            for row in body["securitiesAccount"]["positions"]
        }
        assert held == {row["symbol"]: float(row["quantity"]) for row in truth["positions"]}
        assert body["securitiesAccount"]["currentBalances"]["cashBalance"] == float(truth["cash"])


def test_positions_come_only_when_asked_for(client: Client) -> None:
    bodies = client.get_accounts().json()
    assert len(bodies) == 2
    assert all("positions" not in body["securitiesAccount"] for body in bodies)


def test_price_history_has_a_candle_of_each_day_of_trading_over_a_split(client: Client) -> None:
    span = {
        "start_datetime": datetime(2024, 6, 6, 12, tzinfo=UTC),
        "end_datetime": datetime(2024, 6, 11, 20, tzinfo=UTC),
    }
    told = client.get_price_history_every_day("NVDA", **span).json()
    days = [datetime.fromtimestamp(candle["datetime"] / 1000, UTC).date() for candle in told["candles"]]
    assert [day.isoformat() for day in days] == ["2024-06-06", "2024-06-07", "2024-06-10", "2024-06-11"]
    closes = [candle["close"] for candle in told["candles"]]
    assert max(closes) < 2 * min(closes)  # in today's shares
    assert client.get_price_history_every_day("NOPE1", **span).json() == {
        "candles": [],
        "symbol": "NOPE1",
        "empty": True,
    }
    assert (
        client.get_price_history(
            "NVDA",
            period_type=Client.PriceHistory.PeriodType.DAY,
            frequency_type=Client.PriceHistory.FrequencyType.DAILY,
        ).status_code
        == 400
    )


def test_a_year_of_transactions_of_every_type_is_what_really_happened(client: Client, sandbox: Sandbox) -> None:
    truth = sandbox.truth("maria")["accounts"][0]
    last = datetime.now(UTC)
    first = last - timedelta(days=364)
    rows = client.get_transactions(truth["hash"], start_date=first, end_date=last).json()
    expected = {
        int(row["activity_id"]): float(row["net_amount"])
        for row in truth["transactions"]
        if first <= datetime.fromisoformat(row["posted_at"]) <= last and row["nature"] != "memorandum"
    }
    told = {row["activityId"]: row["netAmount"] for row in rows if row["type"] not in ("MEMORANDUM", "SMA_ADJUSTMENT")}
    assert len(told) > 100
    assert told == expected


def test_one_transaction_can_be_asked_for_by_its_id(client: Client) -> None:
    account = first_hash(client)
    newest = client.get_transactions(account).json()[0]
    assert client.get_transaction(account, newest["activityId"]).json() == newest


def test_preferences_name_the_ticked_accounts(client: Client) -> None:
    accounts = client.get_user_preferences().json()["accounts"]
    assert [account["nickName"] for account in accounts] == ["Individual", "Rollover IRA"]


def test_quotes_list_unknown_symbols_and_a_single_one_is_not_found(client: Client) -> None:
    quotes = client.get_quotes(["KO", "NOPE1"]).json()
    assert quotes["KO"]["reference"]["description"] == "Coca-Cola Co"
    assert quotes["errors"] == {"invalidSymbols": ["NOPE1"]}
    assert client.get_quote("NOPE1").status_code == 404


def test_a_closed_day_has_another_shape_than_an_open_one(client: Client) -> None:
    today = datetime.now(UTC).date()
    saturday = today + timedelta(days=(5 - today.weekday()) % 7 + 7)
    closed = client.get_market_hours([Client.MarketHours.Market.EQUITY], date=saturday).json()
    assert closed == {
        "equity": {
            "equity": {"date": saturday.isoformat(), "marketType": "EQUITY", "product": "equity", "isOpen": False}
        }
    }


def test_a_plain_account_number_is_refused(client: Client) -> None:
    response = client.get_account("40012345")
    assert response.status_code == 400
    assert response.json() == {"message": "Invalid account number"}


def test_more_than_a_year_is_refused(client: Client) -> None:
    last = datetime.now(UTC)
    response = client.get_transactions(first_hash(client), start_date=last - timedelta(days=400), end_date=last)
    assert response.status_code == 400
    assert "message" in response.json()


def test_every_answer_carries_a_correlation_id(client: Client, transport: ToSandbox) -> None:
    client.get_account_numbers()
    client.get_account("40012345")
    ids = [answer.headers["Schwab-Client-CorrelId"] for answer in transport.answers]
    assert len(ids) == 3
    assert len(set(ids)) == 3


def test_a_stale_access_token_is_refreshed_and_the_refresh_token_stays(
    client: Client, sandbox: Sandbox, store: dict[str, Any]
) -> None:
    before = dict(store["token"])
    sandbox.end_tokens(expire=True)
    make_stale(store)
    assert from_store(store).get_account_numbers().status_code == 200
    assert store["token"]["access_token"] != before["access_token"]
    assert store["token"]["refresh_token"] == before["refresh_token"]


def test_a_refresh_token_dies_seven_days_after_the_sign_in_however_often_it_was_used(
    client: Client, sandbox: Sandbox, store: dict[str, Any]
) -> None:
    sandbox.advance(6 * 86_400)
    make_stale(store)
    assert from_store(store).get_account_numbers().status_code == 200
    sandbox.advance(86_401)
    make_stale(store)
    with pytest.raises(OAuthError) as refused:
        from_store(store).get_account_numbers()
    assert refused.value.error == "unsupported_token_type"
    assert "Refresh token is invalid, expired or revoked" in refused.value.description


def test_a_wrong_secret_is_an_invalid_client(sandbox: Sandbox, transport: ToSandbox) -> None:
    context = schwab.auth.get_auth_context(APP_KEY, CALLBACK)
    back = sandbox.sign_in(context.authorization_url)
    with pytest.raises(OAuthError) as refused:
        schwab.auth.client_from_received_url(APP_KEY, "wrong", context, back, {}.update)
    assert (refused.value.error, refused.value.description) == ("invalid_client", "Unauthorized")


def test_a_code_older_than_thirty_seconds_is_refused(sandbox: Sandbox, transport: ToSandbox) -> None:
    context = schwab.auth.get_auth_context(APP_KEY, CALLBACK)
    back = sandbox.sign_in(context.authorization_url)
    sandbox.advance(31)
    with pytest.raises(OAuthError) as refused:
        schwab.auth.client_from_received_url(APP_KEY, APP_SECRET, context, back, {}.update)
    assert "AuthorizationCode has expired" in refused.value.description


def test_a_denied_consent_comes_back_with_the_state(sandbox: Sandbox, transport: ToSandbox) -> None:
    context = schwab.auth.get_auth_context(APP_KEY, CALLBACK)
    back = sandbox.sign_in(context.authorization_url, deny=True)
    assert back == f"{CALLBACK}/?error=access_denied&state={context.state}"
