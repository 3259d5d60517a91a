"""Schwabdev, unmodified, signs in at the sandbox and reads it. Only requests to Schwab's host are turned."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import schwabdev

from tests.plugins.sandbox_server import APP_KEY, APP_SECRET, CALLBACK, Sandbox

REAL = "https://api.schwabapi.com"
ALL_TYPES = (
    "TRADE,RECEIVE_AND_DELIVER,DIVIDEND_OR_INTEREST,ACH_RECEIPT,ACH_DISBURSEMENT,CASH_RECEIPT,CASH_DISBURSEMENT,"
    "ELECTRONIC_FUND,WIRE_OUT,WIRE_IN,JOURNAL,MEMORANDUM,MARGIN_CALL,MONEY_MARKET,SMA_ADJUSTMENT"
)


@pytest.fixture
def client(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    original = requests.Session.request

    def turned(session: requests.Session, method: str, url: str, **facts: Any) -> requests.Response:
        return original(session, method, url.replace(REAL, sandbox.base_url, 1), **facts)

    monkeypatch.setattr(requests.Session, "request", turned)
    client = schwabdev.Client(
        APP_KEY,
        APP_SECRET,
        CALLBACK,
        tokens_db=str(tmp_path / "tokens.db"),
        call_on_auth=sandbox.sign_in,
        validate_params=False,  # its own check knows a single type only; the server takes a list
    )
    yield client
    client.close()
    client.tokens._close()


def window(days: int) -> tuple[datetime, datetime]:
    last = datetime.now(UTC)
    return last - timedelta(days=days), last


def account_hash(client: Any) -> str:
    value: str = client.linked_accounts().json()[0]["hashValue"]
    return value


def test_the_login_gives_tokens_that_end_with_an_at_sign(client: Any) -> None:
    assert client.tokens.access_token.endswith("@")
    assert client.tokens.refresh_token.endswith("@")
    assert client.tokens.id_token.count(".") == 2


def test_accounts_are_those_of_the_person_who_signed_in(client: Any, sandbox: Sandbox) -> None:
    truth = sandbox.truth("maria")["accounts"]
    told = {row["accountNumber"]: row["hashValue"] for row in client.linked_accounts().json()}
    assert told == {account["number"]: account["hash"] for account in truth}
    bodies = client.account_details_all(fields="positions").json()
    values = [body["securitiesAccount"]["currentBalances"]["liquidationValue"] for body in bodies]
    assert values == [float(account["value"]) for account in truth]


def test_all_fifteen_types_in_one_list_give_the_rows_of_the_truth(client: Any, sandbox: Sandbox) -> None:
    first, last = window(days=364)
    truth = sandbox.truth("maria")["accounts"][0]
    rows = client.transactions(truth["hash"], first, last, types=ALL_TYPES).json()
    expected = [
        int(row["activity_id"])
        for row in reversed(truth["transactions"])
        if first <= datetime.fromisoformat(row["posted_at"]) <= last
    ]
    assert [row["activityId"] for row in rows] == expected
    assert len(rows) > 100


def test_one_type_gives_only_rows_of_that_type(client: Any) -> None:
    rows = client.transactions(account_hash(client), *window(days=300), types="ACH_RECEIPT").json()
    assert {row["type"] for row in rows} == {"ACH_RECEIPT"}


def test_a_transaction_by_its_id_is_an_object(client: Any) -> None:
    account = account_hash(client)
    row = client.transactions(account, *window(days=90), types="TRADE").json()[0]
    assert client.transaction_details(account, row["activityId"]).json() == row


def test_preferences_quotes_and_markets_answer(client: Any) -> None:
    assert client.preferences().json()["accounts"][0]["primaryAccount"] is True
    quotes = client.quotes("KO,NOPE1").json()
    assert quotes["KO"]["quote"]["lastPrice"] > 0
    assert quotes["errors"]["invalidSymbols"] == ["NOPE1"]
    assert "equity" in client.market_hours("equity").json()


def test_an_expired_access_token_is_renewed_on_demand(client: Any, sandbox: Sandbox) -> None:
    before = client.tokens.access_token
    sandbox.end_tokens(expire=True)
    assert client.linked_accounts().status_code == 401
    assert client.update_tokens(force_access_token=True)
    assert client.tokens.access_token != before
    assert client.linked_accounts().status_code == 200


def test_a_revoked_refresh_token_renews_nothing(client: Any, sandbox: Sandbox) -> None:
    sandbox.end_tokens(revoke=True)
    assert not client.update_tokens(force_access_token=True)
    assert [call["status"] for call in sandbox.calls("token")] == [200, 400]
