"""The portfolio routes tell what is so, in the broker's words, and keep to its pace."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.ibkr.web_client import LIMIT, MAIN, SAVINGS, WebClient, ready, self_service


def exact(answer: requests.Response) -> Any:
    """The body with its numbers as they are printed, not as floats."""
    assert answer.status_code == 200, answer.text
    return answer.json(parse_float=Decimal, parse_int=Decimal)


def truth_of(sandbox: Sandbox, number: str = MAIN) -> dict[str, Any]:
    accounts = sandbox.truth(broker="ibkr")["accounts"]
    return next(account for account in accounts if account["number"] == number)


def held(client: WebClient, number: str = MAIN, **query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = exact(client.call(f"/portfolio/{number}/positions/0", **query))
    return rows


def test_accounts_come_before_everything_else(sandbox: Sandbox) -> None:
    client = self_service(sandbox).open_session()
    assert client.call(f"/portfolio/{MAIN}/ledger").status_code == 401
    rows = client.call("/portfolio/accounts").json()
    assert [(row["id"], row["currency"], row["clearingStatus"]) for row in rows] == [
        (MAIN, "EUR", "O"),
        (SAVINGS, "EUR", "O"),
    ]
    assert client.call(f"/portfolio/{MAIN}/ledger").status_code == 200


def test_both_lists_of_sub_accounts_hold_both_accounts(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    assert len(client.call("/portfolio/subaccounts").json()) == 2
    paged = client.call("/portfolio/subaccounts2", query="page=0").json()
    assert (paged["metadata"]["total"], len(paged["subaccounts"])) == (2, 2)
    assert client.call("/portfolio/subaccounts2", query="page=1").json()["subaccounts"] == []


def test_the_ledger_balances_per_currency_and_in_the_base(sandbox: Sandbox) -> None:
    truth, ledger = truth_of(sandbox), exact(ready(sandbox).call(f"/portfolio/{MAIN}/ledger"))
    base = ledger.pop("BASE")
    assert {currency: entry["cashbalance"] for currency, entry in ledger.items()} == {
        currency: Decimal(amount) for currency, amount in truth["balances"].items()
    }
    assert set(ledger) == {"EUR", "USD", "GBP", "CHF"}
    worth: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in truth["positions"]:
        worth[position["currency"]] += Decimal(position["market_value"])
    for currency, entry in ledger.items():
        assert entry["stockmarketvalue"] + entry["stockoptionmarketvalue"] == worth[currency]
        assert entry["netliquidationvalue"] == entry["cashbalance"] + worth[currency]
    assert base["netliquidationvalue"] == Decimal(truth["value"])
    assert (base["currency"], base["exchangerate"], ledger["EUR"]["exchangerate"]) == ("BASE", 1, 1)


def test_the_summary_says_the_same_in_amounts_and_texts(sandbox: Sandbox) -> None:
    truth, summary = truth_of(sandbox), exact(ready(sandbox).call(f"/portfolio/{MAIN}/summary"))
    assert summary["netliquidation"]["amount"] == Decimal(truth["value"])
    assert summary["netliquidation"]["value"] is None
    assert summary["accountcode"] == summary["accountcode"] | {"amount": 0, "currency": None, "value": MAIN}


def test_positions_are_those_of_the_books(sandbox: Sandbox) -> None:
    rows = held(ready(sandbox), query="waitForSecDef=true")
    told = {(row["ticker"], row["currency"]): row["position"] for row in rows if row["assetClass"] == "STK"}
    expected = {
        (position["symbol"].replace(".", " "), position["currency"]): Decimal(position["quantity"])
        for position in truth_of(sandbox)["positions"]
        if position["asset_class"] != "option"
    }
    assert told == expected
    assert {currency for _, currency in told} == {"EUR", "USD", "GBP", "CHF"}
    assert ("BRK B", "USD") in told


def test_an_option_has_its_strike_as_text_and_a_share_as_a_number(sandbox: Sandbox) -> None:
    rows = ready(sandbox).call(f"/portfolio/{MAIN}/positions/0").json()
    options = [row for row in rows if row["assetClass"] == "OPT"]
    assert options
    for option in options:
        assert isinstance(option["strike"], str)
        assert (option["putOrCall"] in ("C", "P"), option["multiplier"], len(option["expiry"])) == (True, 100.0, 8)
    assert all(row["strike"] == 0.0 and row["expiry"] is None for row in rows if row["assetClass"] == "STK")


def test_definitions_are_missing_from_the_first_answer_only(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    assert "ticker" not in held(client)[0]
    assert "ticker" in held(client)[0]
    assert client.call(f"/portfolio/{MAIN}/positions/invalidate", "POST").json() == {"message": "success"}
    assert "ticker" not in held(client)[0]


def test_positions_come_in_pages_that_end_empty(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    sandbox.control("ibkr/switches", page_size=5)
    count = len(truth_of(sandbox)["positions"])
    full, rest = divmod(count, 5)
    pages = [client.call(f"/portfolio/{MAIN}/positions/{page}").json() for page in range(full + 2)]
    assert [len(page) for page in pages] == [5] * full + [rest, 0]
    assert len({row["conid"] for page in pages for row in page}) == count


def test_the_newer_route_has_other_names(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    row = client.call(f"/portfolio2/{MAIN}/positions").json()[0]
    assert isinstance(row["conid"], str)
    assert {"description", "marketPrice", "marketValue"} <= set(row)
    assert not {"acctId", "strike", "mktPrice"} & set(row)


def test_a_contract_is_found_in_every_account_that_holds_it(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    conid = held(client, SAVINGS)[0]["conid"]
    everywhere = client.call(f"/portfolio/positions/{conid}").json()
    assert set(everywhere) == {MAIN, SAVINGS}  # some were journaled
    (row,) = client.call(f"/portfolio/{SAVINGS}/position/{conid}").json()
    assert row["position"] == everywhere[SAVINGS][0]["position"]
    assert client.call("/trsrv/secdef", query=f"conids={conid},7").json()["secdef"][0]["ticker"] == "VWCE"


@pytest.mark.parametrize("query_in", ["list", "url", "nowhere"])
def test_queries_are_taken_in_every_form_that_clients_sign(sandbox: Sandbox, query_in: str) -> None:
    client = ready(sandbox)
    call = {"query": "waitForSecDef=true&sort=position", "query_in": query_in}
    assert client.call(f"/portfolio/{MAIN}/positions/0", **call).status_code == 200
    sandbox.control("ibkr/switches", strict_query=True)
    expected = 200 if query_in == "list" else 401
    assert client.call(f"/portfolio/{MAIN}/positions/0", **call).status_code == expected


def test_a_query_that_was_changed_on_the_way_is_refused_when_strict(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    sandbox.control("ibkr/switches", strict_query=True)
    assert client.call("/portfolio/subaccounts2", query="page=0", query_in="nowhere").status_code == 401


def test_accounts_may_be_asked_for_every_five_seconds(sandbox: Sandbox) -> None:
    client = self_service(sandbox).open_session()
    assert client.call("/portfolio/accounts").status_code == 200
    answer = client.call("/portfolio/accounts")
    assert (answer.status_code, answer.json()) == (429, {"error": "Too Many Requests", "statusCode": 429})
    assert "Retry-After" not in answer.headers
    sandbox.advance(6)
    assert client.call("/portfolio/accounts").status_code == 200


def test_an_address_in_a_hurry_is_shut_out_for_a_quarter_of_an_hour(sandbox: Sandbox) -> None:
    client = self_service(sandbox).open_session()
    sandbox.limit(0, broker="ibkr")  # any call is one too many, however slow the test is
    assert client.call("/iserver/auth/status", "POST").status_code == 429
    sandbox.limit(600, broker="ibkr")
    sandbox.advance(800)
    assert client.call("/iserver/auth/status", "POST").status_code == 429
    sandbox.advance(200)
    assert client.call("/iserver/auth/status", "POST").status_code == 200


def test_without_a_brokerage_session_there_is_no_bridge(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    status = client.call("/iserver/auth/status", "POST").json()
    assert (status["authenticated"], status["connected"]) == (False, True)
    refused = client.call("/iserver/accounts")
    assert (refused.status_code, refused.json()["error"]) == (400, "Bad Request: no bridge")
    begin = {"publish": False, "compete": True}
    assert client.call("/iserver/auth/ssodh/init", "POST", json=begin).status_code == 500
    assert client.call("/iserver/auth/ssodh/init", "POST", json=begin | {"publish": True}).json()["authenticated"]
    assert client.call("/iserver/accounts").json()["accounts"] == [MAIN, SAVINGS]
    sandbox.advance(361)
    assert client.call("/iserver/accounts").status_code == 400


def test_tickling_keeps_the_brokerage_session(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    client.call("/iserver/auth/ssodh/init", "POST", json={"publish": True, "compete": True})
    for _ in range(3):
        sandbox.advance(200)
        tickled = client.call("/tickle", "POST").json()
        assert tickled["iserver"]["authStatus"]["authenticated"] is True


def test_another_platform_competes(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    sandbox.control("ibkr/switches", competing=True)
    assert client.call("/iserver/auth/status", "POST").json()["competing"] is True
    assert client.call("/sso/validate").json()["USER_NAME"] == "maria"


def test_executions_of_the_week_match_the_books(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    client.call("/iserver/auth/ssodh/init", "POST", json={"publish": True, "compete": True})
    client.call("/iserver/accounts")
    row = sandbox.backdate(MAIN, kind="buy", symbol="SAP", quantity=2, price="200.5", fees="3", days_ago=3)
    told = client.call("/iserver/account/trades", query="days=7").json()
    (execution,) = [one for one in told if one["price"] == "200.5"]
    assert (execution["side"], execution["size"], execution["commission"]) == ("B", 2.0, "3")
    assert (row["currency"], row["net_amount"]) == ("EUR", "-404.00")


def test_leaving_ends_the_session_and_may_be_said_twice(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    assert client.call("/logout", "POST").json() == {"status": True}
    assert client.call("/portfolio/subaccounts2").status_code == 401
    assert client.call("/logout", "POST").json() == {"status": True}


@pytest.mark.parametrize(("path", "status"), [("/iserver/account/orders", 404), ("/portfolio/U1/ledger", 400)])
def test_what_is_not_there_is_refused(sandbox: Sandbox, path: str, status: int) -> None:
    assert ready(sandbox).call(path).status_code == status


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_nothing_can_be_changed_through_a_reading_route(sandbox: Sandbox, method: str) -> None:
    assert ready(sandbox).call(f"/portfolio/{MAIN}/ledger", method).status_code == 405


def test_without_a_signature_nothing_is_told(sandbox: Sandbox) -> None:
    answer = requests.get(f"{sandbox.base_url}/ibkr/v1/api/portfolio/accounts", timeout=LIMIT)
    assert (answer.status_code, answer.json()) == (401, {"error": "not authenticated", "statusCode": 401})


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        ("invalid_consumer", 401, "invalid consumer"),
        ("lst_failed", 401, "LST failed"),
        ("no_bridge", 400, "no bridge"),
        ("hidden", 200, "Server is busy"),
    ],
)
def test_the_brokers_own_errors_come_on_order(sandbox: Sandbox, code: str, status: int, text: str) -> None:
    client = ready(sandbox)
    sandbox.fault("broker_error", "ledger", broker="ibkr", times=1, code=code)
    answer = client.call(f"/portfolio/{MAIN}/ledger")
    assert answer.status_code == status
    assert text in answer.json()["error"]
    assert client.call(f"/portfolio/{MAIN}/ledger").json()["BASE"]


@pytest.mark.parametrize(
    ("kind", "status"), [("401", 401), ("403", 403), ("410", 410), ("429", 429), ("500", 500), ("503", 503)]
)
def test_statuses_come_on_order(sandbox: Sandbox, kind: str, status: int) -> None:
    client = ready(sandbox)
    sandbox.fault(kind, "positions", broker="ibkr")
    answer = client.call(f"/portfolio/{MAIN}/positions/0")
    assert answer.status_code == status
    assert answer.headers["X-Correlation-ID"]


def test_a_session_may_be_ended_under_a_call(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    sandbox.fault("expired_token", "positions", broker="ibkr", times=1)
    assert client.call(f"/portfolio/{MAIN}/positions/0").status_code == 401
    assert client.open_session().call(f"/portfolio/{MAIN}/positions/0").status_code == 200
    sandbox.fault("revoked_token", "positions", broker="ibkr", times=1)
    assert client.call(f"/portfolio/{MAIN}/positions/0").status_code == 401
    assert client.ask_for_session(2**200).status_code == 401


def test_pages_are_spoilt_on_order(sandbox: Sandbox) -> None:
    client, path = ready(sandbox), f"/portfolio/{MAIN}/positions/0"
    whole = len(client.call(path).json())
    for kind, size in (("empty_page", 0), ("duplicate_page", 2 * whole), ("reordered", whole)):
        sandbox.fault(kind, "positions", broker="ibkr", times=1)
        assert len(client.call(path).json()) == size
    sandbox.fault("schema_drift", "positions", broker="ibkr", times=1, field="position")
    assert "positionV2" in client.call(path).json()[0]


def test_the_brokers_own_host_names_need_no_prefix(sandbox: Sandbox) -> None:
    for host in ("api.ibkr.com", "3.api.ibkr.com"):
        url = f"{sandbox.base_url}/v1/api/portfolio/accounts"
        answer = requests.get(url, headers={"Host": host}, timeout=LIMIT)
        assert answer.json()["error"] == "not authenticated"
    page = requests.get(f"{sandbox.base_url}/authorize", headers={"Host": "www.interactivebrokers.com"}, timeout=LIMIT)
    assert "Interactive Brokers" in page.text
