"""Alpaca's side of the sandbox, over HTTP: consent, token, account, positions, activities, limits."""

from collections import defaultdict
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox

CLIENT_ID, CLIENT_SECRET = "sandbox0alpaca0client000000000001", "sandboxalpacasecret01"
CALLBACK = "http://127.0.0.1:8000/connections/callback/alpaca"
LIMIT = 30  # seconds


def url(sandbox: Sandbox, path: str) -> str:
    return f"{sandbox.base_url}/alpaca{path}"


def authorization_url(sandbox: Sandbox, **query: str) -> str:
    asked = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": CALLBACK, "state": "s1", **query}
    return f"{url(sandbox, '/oauth/authorize')}?{urlencode(asked)}"


def new_code(sandbox: Sandbox, **query: str) -> str:
    landed = sandbox.sign_in(authorization_url(sandbox, **query), "james")
    return parse_qs(urlsplit(landed).query)["code"][0]


def redeem(sandbox: Sandbox, code: str, **form: str) -> requests.Response:
    usual = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    told = {**usual, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **form}
    return requests.post(url(sandbox, "/oauth/token"), data=told, timeout=LIMIT)


@pytest.fixture
def reader(sandbox: Sandbox) -> requests.Session:
    """A client with James's token."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {redeem(sandbox, new_code(sandbox)).json()['access_token']}"
    return session


def activities(sandbox: Sandbox, reader: requests.Session, **query: str) -> list[dict[str, Any]]:
    answer = reader.get(url(sandbox, "/v2/account/activities"), params=query, timeout=LIMIT)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    return rows


def all_activities(sandbox: Sandbox, reader: requests.Session, **query: str) -> list[dict[str, Any]]:
    found = activities(sandbox, reader, direction="asc", page_size="100", **query)
    page = found
    while len(page) == 100:
        page = activities(sandbox, reader, direction="asc", page_size="100", page_token=page[-1]["id"], **query)
        found = found + page
    return found


def test_a_code_is_good_once_for_the_address_it_was_sent_to_and_for_ten_minutes(sandbox: Sandbox) -> None:
    code = new_code(sandbox)
    token = redeem(sandbox, code)
    assert token.status_code == 200
    assert token.json().keys() == {"access_token", "token_type", "scope"}
    assert (token.json()["token_type"], token.json()["scope"]) == ("bearer", "")
    assert redeem(sandbox, code).json() == {"code": 40110000, "message": "invalid_grant"}
    assert redeem(sandbox, new_code(sandbox), redirect_uri=f"{CALLBACK}/").status_code == 401
    late = new_code(sandbox)
    sandbox.advance(601)
    assert redeem(sandbox, late).status_code == 401


@pytest.mark.parametrize("wrong", [{"client_secret": "guess"}, {"client_id": "guess"}, {"client_secret": ""}])
def test_an_app_that_does_not_know_its_secret_gets_nothing(sandbox: Sandbox, wrong: dict[str, str]) -> None:
    refused = redeem(sandbox, new_code(sandbox), **wrong)
    assert (refused.status_code, refused.json()) == (401, {"code": 40110000, "message": "invalid_client"})


@pytest.mark.parametrize(
    "wrong",
    [{"client_id": "other"}, {"redirect_uri": f"{CALLBACK}/x"}, {"response_type": "token"}, {"scope": "everything"}],
    ids=str,
)
def test_what_is_wrong_with_the_app_is_said_on_the_page_and_nobody_is_sent_back(
    sandbox: Sandbox, wrong: dict[str, str]
) -> None:
    page = requests.get(authorization_url(sandbox, **wrong), timeout=LIMIT, allow_redirects=False)
    assert page.status_code == 400
    assert "Nothing was shared" in page.text


def test_denying_comes_back_with_the_reason_and_the_state(sandbox: Sandbox) -> None:
    landed = sandbox.sign_in(authorization_url(sandbox), "james", deny=True)
    assert parse_qs(urlsplit(landed).query) == {"error": ["access_denied"], "state": ["s1"]}


def test_whoever_has_no_account_is_told_so(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match="has no account here"):
        sandbox.sign_in(authorization_url(sandbox), "maria")


def test_a_wider_scope_is_shown_and_granted(sandbox: Sandbox) -> None:
    assert redeem(sandbox, new_code(sandbox, scope="trading data")).json()["scope"] == "trading data"


def test_account_and_positions_are_those_of_the_truth(sandbox: Sandbox, reader: requests.Session) -> None:
    [truth] = sandbox.truth("james", broker="alpaca")["accounts"]
    account = reader.get(url(sandbox, "/v2/account"), timeout=LIMIT).json()
    assert (account["id"], account["account_number"]) == (truth["hash"], truth["number"])
    assert (Decimal(account["cash"]), Decimal(account["equity"])) == (Decimal(truth["cash"]), Decimal(truth["value"]))
    told = {
        row["symbol"]: (Decimal(row["qty"]), Decimal(row["market_value"]))
        for row in reader.get(url(sandbox, "/v2/positions"), timeout=LIMIT).json()
    }
    assert told == {
        (f"{row['symbol']}USD" if row["asset_class"] == "crypto" else row["symbol"].replace(" ", "")): (
            Decimal(row["quantity"]),
            Decimal(row["market_value"]),
        )
        for row in truth["positions"]
    }
    assert {"BTCUSD", "F", "NVDA"} <= told.keys()
    assert any(len(symbol) > 15 for symbol in told), "an option is open on any day"


def test_all_rows_together_make_the_cash_and_the_shares_that_are_there(
    sandbox: Sandbox, reader: requests.Session
) -> None:
    [truth] = sandbox.truth("james", broker="alpaca")["accounts"]
    cash, held = Decimal(0), defaultdict[str, Decimal](Decimal)
    for row in all_activities(sandbox, reader):
        symbol, quantity = (row.get("symbol") or "").replace("/", ""), Decimal(row.get("qty") or 0)
        if row["activity_type"] == "FILL":
            quantity *= 1 if row["side"] == "buy" else -1
            hundred = 100 if len(symbol) > 15 else 1
            cash -= (quantity * Decimal(row["price"]) * hundred).quantize(Decimal("0.01"))
            held[symbol] += quantity
        else:
            cash += Decimal(row["net_amount"])
            held[symbol] += quantity if row["activity_type"] != "DIV" else 0
    assert cash == Decimal(truth["cash"])
    assert sorted(quantity for quantity in held.values() if quantity) == sorted(
        Decimal(row["quantity"]) for row in truth["positions"]
    )


def test_every_kind_of_row_is_there(sandbox: Sandbox, reader: requests.Session) -> None:
    kinds = {row["activity_type"] for row in all_activities(sandbox, reader)}
    money = {"CSD", "CSW", "JNLC", "DIV", "DIVNRA", "INT", "FEE", "CFEE"}
    assert kinds == {"FILL", "ACATS", "SPLIT", "OPASN", "OPEXC", "OPEXP", "OPTRD"} | money


def test_pages_join_without_gap_and_without_overlap_in_both_directions(
    sandbox: Sandbox, reader: requests.Session
) -> None:
    everything = [row["id"] for row in all_activities(sandbox, reader)]
    assert len(everything) == len(set(everything)) > 200
    newest = activities(sandbox, reader)
    assert len(newest) == 100
    assert newest[0]["id"][:8] == everything[-1][:8]
    following = activities(sandbox, reader, page_size="7", page_token=newest[-1]["id"])
    assert not {row["id"] for row in newest} & {row["id"] for row in following}


def test_filters_narrow_what_is_told(sandbox: Sandbox, reader: requests.Session) -> None:
    fills = activities(sandbox, reader, activity_types="FILL,CSD", direction="asc", page_size="5")
    assert {row["activity_type"] for row in fills} <= {"FILL", "CSD"}
    path = url(sandbox, "/v2/account/activities/DIV")
    assert {row["activity_type"] for row in reader.get(path, timeout=LIMIT).json()} == {"DIV"}
    year = all_activities(sandbox, reader, after="2024-12-31", until="2026-01-01")
    assert {row["id"][:4] for row in year} == {"2025"}
    one = activities(sandbox, reader, date="2024-06-10")
    assert next(row["qty"] for row in one if row["activity_type"] == "SPLIT").startswith("-")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"activity_types": "FFFFF"}, "invalid activity type: FFFFF"),
        ({"page_size": "101"}, "invalid page_size"),
        ({"after": "soon"}, "invalid date"),
        ({"direction": "up"}, "invalid direction"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    sandbox: Sandbox, reader: requests.Session, query: dict[str, str], message: str
) -> None:
    refused = reader.get(url(sandbox, "/v2/account/activities"), params=query, timeout=LIMIT)
    assert (refused.status_code, refused.json()) == (422, {"code": 40010001, "message": message})


def test_without_a_good_token_nothing_is_told_and_nothing_can_be_written(
    sandbox: Sandbox, reader: requests.Session
) -> None:
    for headers in ({}, {"Authorization": "Bearer guess"}):
        answer = requests.get(url(sandbox, "/v2/positions"), headers=headers, timeout=LIMIT)
        assert (answer.status_code, answer.json()["code"]) == (401, 40110000)
        assert len(answer.headers["X-Request-ID"]) == 32
    assert reader.delete(url(sandbox, "/v2/positions"), timeout=LIMIT).status_code == 404
    assert reader.post(url(sandbox, "/v2/orders"), json={}, timeout=LIMIT).status_code == 404
    sandbox.end_tokens("james", revoke=True, broker="alpaca")
    assert reader.get(url(sandbox, "/v2/account"), timeout=LIMIT).status_code == 401


def test_too_many_calls_are_refused_until_the_minute_is_over(sandbox: Sandbox, reader: requests.Session) -> None:
    sandbox.limit(2, broker="alpaca")
    answers = [reader.get(url(sandbox, "/v2/account"), timeout=LIMIT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"code": 42910000, "message": "rate limit exceeded"}
    assert "Retry-After" not in answers[2].headers
    assert answers[2].headers["X-RateLimit-Remaining"] == "0"
    assert int(answers[2].headers["X-RateLimit-Reset"]) > 1_700_000_000
    sandbox.advance(61)
    assert reader.get(url(sandbox, "/v2/account"), timeout=LIMIT).status_code == 200


def test_a_token_opens_the_one_account_that_was_chosen(sandbox: Sandbox, reader: requests.Session) -> None:
    sandbox.control("accounts", login="james", broker="alpaca", open={"name": "Second", "deposit": 2500})
    first, second = sandbox.truth("james", broker="alpaca")["accounts"]
    landed = sandbox.sign_in(authorization_url(sandbox), "james", [second["number"]])
    other = redeem(sandbox, parse_qs(urlsplit(landed).query)["code"][0]).json()["access_token"]
    headers = {"Authorization": f"Bearer {other}"}
    account = requests.get(url(sandbox, "/v2/account"), headers=headers, timeout=LIMIT).json()
    assert (account["id"], Decimal(account["cash"])) == (second["hash"], 2500)
    assert reader.get(url(sandbox, "/v2/account"), timeout=LIMIT).json()["id"] == first["hash"]


def test_a_closed_account_says_so(sandbox: Sandbox, reader: requests.Session) -> None:
    [truth] = sandbox.truth("james", broker="alpaca")["accounts"]
    assert reader.get(url(sandbox, "/v2/account"), timeout=LIMIT).json()["status"] == "ACTIVE"
    sandbox.control("accounts", login="james", broker="alpaca", close=truth["number"])
    assert reader.get(url(sandbox, "/v2/account"), timeout=LIMIT).json()["status"] == "ACCOUNT_CLOSED"


def test_nobody_gives_away_the_account_of_somebody_else(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match="not one of yours"):
        sandbox.sign_in(authorization_url(sandbox), "james", ["40012345"])
