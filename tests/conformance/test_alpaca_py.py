"""alpaca-py, unmodified, reads the sandbox with a token of its consent page: only the address is another."""

from decimal import Decimal
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AccountStatus, AssetClass, PositionSide
from alpaca.trading.models import Position, TradeAccount

from tests.plugins.sandbox_server import Sandbox

CLIENT_ID, CLIENT_SECRET = "sandbox0alpaca0client000000000001", "sandboxalpacasecret01"
CALLBACK = "http://127.0.0.1:8000/connections/callback/alpaca"
LIMIT = 30  # seconds


@pytest.fixture
def client(sandbox: Sandbox) -> TradingClient:
    """The client takes a token, it has no part in the sign-in."""
    base = f"{sandbox.base_url}/alpaca"
    asked = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": CALLBACK, "state": "s"}
    landed = sandbox.sign_in(f"{base}/oauth/authorize?{urlencode(asked)}", "james")
    form = {
        "grant_type": "authorization_code",
        "code": parse_qs(urlsplit(landed).query)["code"][0],
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": CALLBACK,
    }
    token = requests.post(f"{base}/oauth/token", data=form, timeout=LIMIT).json()["access_token"]
    return TradingClient(oauth_token=token, url_override=base)


def test_the_account_is_what_its_model_wants(client: TradingClient, sandbox: Sandbox) -> None:
    account = client.get_account()
    assert isinstance(account, TradeAccount)
    [truth] = sandbox.truth("james", broker="alpaca")["accounts"]
    assert (str(account.id), account.account_number) == (truth["hash"], truth["number"])
    assert (account.status, account.currency) == (AccountStatus.ACTIVE, "USD")
    assert (Decimal(account.cash or "nan"), Decimal(account.equity or "nan")) == (
        Decimal(truth["cash"]),
        Decimal(truth["value"]),
    )


def test_positions_of_every_class_are_what_their_model_wants(client: TradingClient, sandbox: Sandbox) -> None:
    positions = [position for position in client.get_all_positions() if isinstance(position, Position)]
    [truth] = sandbox.truth("james", broker="alpaca")["accounts"]
    assert {position.asset_class for position in positions} == {
        AssetClass.US_EQUITY,
        AssetClass.US_OPTION,
        AssetClass.CRYPTO,
    }
    assert {position.side for position in positions} == {PositionSide.LONG}
    assert sorted(Decimal(position.qty) for position in positions) == sorted(
        Decimal(row["quantity"]) for row in truth["positions"]
    )


def test_activities_page_by_the_id_of_the_last_one(client: TradingClient) -> None:
    """The client has no method for them; it passes a path and a query through."""
    first = client.get("/account/activities", {"direction": "asc", "page_size": "3"})
    second = client.get("/account/activities", {"direction": "asc", "page_size": "3", "page_token": first[-1]["id"]})
    assert len({row["id"] for row in [*first, *second]}) == 6


def test_a_refusal_carries_alpacas_code(client: TradingClient, sandbox: Sandbox) -> None:
    with pytest.raises(APIError) as refused:
        client.get("/account/activities/NOPE")
    assert (refused.value.status_code, refused.value.code) == (422, 40010001)
    sandbox.end_tokens("james", revoke=True, broker="alpaca")
    with pytest.raises(APIError) as refused:
        client.get_account()
    assert (refused.value.status_code, refused.value.code) == (401, 40110000)
