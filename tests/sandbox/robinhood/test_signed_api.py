"""The Crypto Trading API: what a signature must cover, when it is stale, and what the API tells."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.robinhood.app import LIMIT, url

SEED = base64.b64decode("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
API_KEY = "rh-api-00000000-0000-4000-8000-000000000001"
MARIA = "512904417"
HOLDINGS, ORDERS = "/api/v2/crypto/trading/holdings/", "/api/v1/crypto/trading/orders/"
ORDER_BODY = (
    '{"client_order_id":"11111111-1111-4111-8111-111111111111","side":"buy","type":"market","symbol":"BTC-USD",'
    '"market_order_config":{"asset_quantity":"0.001"}}'
)


@dataclass
class Signer:
    sandbox: Sandbox
    api_key: str = API_KEY

    def send(
        self,
        path: str,
        *,
        method: str = "GET",
        body: str = "",
        signature: str | None = None,
        timestamp: int | None = None,
        signed_path: str | None = None,
        host: str | None = None,
    ) -> requests.Response:
        now = self.sandbox.control("clock", "GET")["now"]
        stamp = str(int(datetime.fromisoformat(now).timestamp()) if timestamp is None else timestamp)
        message = f"{self.api_key}{stamp}{path if signed_path is None else signed_path}{method}{body}"
        made = base64.b64encode(Ed25519PrivateKey.from_private_bytes(SEED).sign(message.encode())).decode()
        headers = {
            "x-api-key": self.api_key, "x-timestamp": stamp, "x-signature": signature or made,
            "Content-Type": "application/json; charset=utf-8",
        }  # fmt: skip
        address = f"{self.sandbox.base_url}{path}" if host else url(self.sandbox, path, "trading")
        if host:
            headers["Host"] = host
        return requests.request(method, address, data=body, headers=headers, timeout=LIMIT)

    def results(self, path: str) -> list[dict[str, Any]]:
        answer = self.send(path)
        assert answer.ok, answer.text
        rows: list[dict[str, Any]] = answer.json()["results"]
        return rows


@pytest.fixture
def signer(sandbox: Sandbox) -> Signer:
    sandbox.control("robinhood/keys", login="maria", public_key=PUBLIC_KEY, api_key=API_KEY)
    return Signer(sandbox)


def test_the_published_vector_of_a_get_is_taken(sandbox: Sandbox, signer: Signer) -> None:
    sandbox.set_now(datetime.fromtimestamp(1_700_000_000, UTC))
    path = f"{HOLDINGS}?account_number=900000001&limit=50"
    signature = "4FmncIlN7gEqYa2KhzEZTTs1lJSeIBiboXYI941+QcbQszFCXlSY/9JM30rS/BIEKv/v6NMbgEdxT3kcYGaqCA=="
    taken = signer.send(path, signature=signature, timestamp=1_700_000_000)
    assert taken.status_code == 404  # it is let in; the account of the vector is nobody's here
    assert signer.send(path, signature=signature, timestamp=1_700_000_001).status_code == 401


def test_the_published_vector_of_a_post_is_taken(sandbox: Sandbox, signer: Signer) -> None:
    sandbox.set_now(datetime.fromtimestamp(1_700_000_000, UTC))
    signature = "zsz0OI7q5HY+aJWmKHmBlR2zL4fhxcWSPmVKo7hvzN0MoSRhbwXi9zGMajLjRWQfnnmM4KCWBYGguKYjqaOXDg=="
    taken = signer.send(ORDERS, method="POST", body=ORDER_BODY, signature=signature, timestamp=1_700_000_000)
    assert taken.status_code == 403  # let in, but nothing is traded here
    other = signer.send(
        ORDERS, method="POST", body=ORDER_BODY.replace(":", ": "), signature=signature, timestamp=1_700_000_000
    )
    assert other.status_code == 401


def refusal(response: requests.Response) -> str:
    assert response.status_code == 401
    body = response.json()
    assert body["type"] == "client_error"
    detail: str = body["errors"][0]["detail"]
    return detail


def test_the_query_belongs_to_what_is_signed(signer: Signer) -> None:
    path = f"{HOLDINGS}?account_number={MARIA}"
    assert signer.send(path).ok
    assert refusal(signer.send(path, signed_path=HOLDINGS)) == "Invalid signature."


# The sandbox's clock ticks on while a call is under way, so the edges are given some air.
@pytest.mark.parametrize(("good", "stale"), [(-15, -31), (28, 90)])
def test_a_timestamp_is_good_for_thirty_seconds(sandbox: Sandbox, signer: Signer, good: int, stale: int) -> None:
    moment = datetime(2026, 11, 23, 12, tzinfo=UTC)
    sandbox.set_now(moment)
    stamp = int(moment.timestamp())
    path = f"{HOLDINGS}?account_number={MARIA}"
    assert signer.send(path, timestamp=stamp + good).ok
    assert refusal(signer.send(path, timestamp=stamp + stale)) == "Timestamp expired."


def test_a_wrong_method_body_or_key_is_refused(sandbox: Sandbox, signer: Signer) -> None:
    path = f"{HOLDINGS}?account_number={MARIA}"
    assert refusal(signer.send(path, signature="AAAA")) == "Invalid signature."
    assert refusal(Signer(sandbox, "rh-api-unknown").send(path)) == "Invalid API key."
    sandbox.control("robinhood/keys", login="maria", disable=True)
    assert refusal(signer.send(path)) == "Invalid API key."


def test_a_person_who_ends_all_access_ends_the_keys_too(sandbox: Sandbox, signer: Signer) -> None:
    assert signer.send("/api/v1/crypto/trading/accounts/").ok
    assert sandbox.end_tokens(broker="robinhood", revoke=True)["revoked"] == 1
    assert signer.send("/api/v1/crypto/trading/accounts/").status_code == 401


def test_a_key_that_is_none_is_not_registered(sandbox: Sandbox) -> None:
    for public_key in ("not base64!", "AAAA"):
        answer = requests.post(
            f"{sandbox.base_url}/_control/robinhood/keys",
            json={"login": "maria", "public_key": public_key},
            timeout=LIMIT,
        )
        assert answer.status_code == 400
    key = sandbox.control("robinhood/keys", login="maria", public_key=PUBLIC_KEY)["api_key"]
    assert key.startswith("rh-api-")


def add_key_by_hand(sandbox: Sandbox, **typed: str) -> requests.Response:
    form = {"login": "maria", "password": "sandbox", "public_key": PUBLIC_KEY, **typed}
    return requests.post(url(sandbox, "/account/crypto", "www"), data=form, timeout=LIMIT)


def test_a_person_pastes_the_public_key_and_gets_an_api_key_that_works(sandbox: Sandbox) -> None:
    assert "Public key" in requests.get(url(sandbox, "/account/crypto", "www"), timeout=LIMIT).text
    found = re.search(r'<code id="api-key">([^<]+)</code>', add_key_by_hand(sandbox).text)
    assert found
    assert Signer(sandbox, found.group(1)).send("/api/v1/crypto/trading/accounts/").ok


def test_a_wrong_password_or_key_adds_nothing_and_says_why(sandbox: Sandbox) -> None:
    assert add_key_by_hand(sandbox, password="guess").status_code == 401
    refused = add_key_by_hand(sandbox, public_key="AAAA")
    assert refused.status_code == 400
    assert "32 bytes" in refused.text
    assert sandbox.control("robinhood/keys", "GET", login="maria") == []


def test_on_the_real_host_name_the_same_signature_is_good(signer: Signer) -> None:
    assert signer.send("/api/v1/crypto/trading/accounts/", host="trading.robinhood.com").ok


def test_holdings_and_orders_are_those_of_the_truth(sandbox: Sandbox, signer: Signer) -> None:
    truth = sandbox.truth("maria", "robinhood")["accounts"][0]
    holdings = signer.results(f"{HOLDINGS}?account_number={MARIA}")
    held = {row["asset_code"]: Decimal(row["total_quantity"]) for row in holdings}
    assert held == {
        row["symbol"]: Decimal(row["quantity"]) for row in truth["positions"] if row["asset_class"] == "crypto"
    }
    rows, path = [], f"/api/v2/crypto/trading/orders/?account_number={MARIA}&limit=40"
    while path:
        page = signer.send(path).json()
        rows += page["results"]
        path = page["next"].partition("/robinhood/trading")[2] if page["next"] else ""
    told = sorted(Decimal(row["filled_asset_quantity"]) for row in rows)
    coins = [row for row in truth["transactions"] if row["symbol"] in held]
    assert told == sorted(abs(Decimal(row["quantity"])) for row in coins)
    assert sum(Decimal(row["fee_charged"]) for row in rows) == sum(Decimal(row["fees"]) for row in coins) > 0


def test_version_one_has_one_account_and_no_fees(signer: Signer) -> None:
    account = signer.send("/api/v1/crypto/trading/accounts/").json()
    assert account["account_number"] == MARIA
    assert all("fee_charged" not in row for row in signer.results(ORDERS))


def test_symbols_are_repeated_and_never_joined(signer: Signer) -> None:
    pairs = "/api/v1/crypto/trading/trading_pairs/"
    assert len(signer.results(f"{pairs}?symbol=BTC-USD&symbol=ETH-USD")) == 2
    refused = signer.send(f"{pairs}?symbol=BTC-USD,ETH-USD")
    assert refused.status_code == 400
    assert refused.json() == {
        "type": "validation_error",
        "errors": [{"detail": "Malformed symbol parameter", "attr": "symbol"}],
    }
    assert signer.send("/api/v2/crypto/trading/holdings/").json()["errors"][0]["attr"] == "account_number"


def test_prices_come_with_a_spread(signer: Signer) -> None:
    (quote,) = signer.results("/api/v1/crypto/marketdata/best_bid_ask/?symbol=BTC-USD")
    assert Decimal(quote["bid_inclusive_of_sell_spread"]) < Decimal(quote["price"])
    estimated = signer.results("/api/v1/crypto/marketdata/estimated_price/?symbol=BTC-USD&side=both&quantity=0.1,1")
    assert len(estimated) == 4


def test_a_budget_spent_and_an_outage_have_this_apis_shape(sandbox: Sandbox, signer: Signer) -> None:
    sandbox.limit(1, "robinhood")
    path = "/api/v1/crypto/trading/accounts/"
    assert [signer.send(path).status_code for _ in range(2)] == [200, 429]
    sandbox.limit(None, "robinhood")
    sandbox.fault("500", "crypto_api_accounts", times=1, broker="robinhood")
    assert signer.send(path).json()["type"] == "server_error"
    assert signer.send("/api/v1/nothing/").status_code == 404
