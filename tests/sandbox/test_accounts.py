"""Accounts over time, opened, closed and renumbered by the control API: what each broker then tells of them."""

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.ibkr.test_flex import Flex
from tests.sandbox.ibkr.web_client import MAIN, ready
from tests.sandbox.robinhood.app import agentic
from tests.sandbox.robinhood.test_mcp import MARIA, Mcp
from tests.sandbox.schwab_app import refresh, sign_in

INDIVIDUAL, ROLLOVER = "40012345", "62907314"


def test_an_account_opened_at_schwab_is_shared_when_it_is_ticked_at_the_next_sign_in(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    opened = sandbox.accounts(open={"name": "Trust", "deposit": "2500.25"})[-1]
    assert (opened["number"], opened["name"], opened["closed"]) == ("70355129", "Trust", False)
    assert opened["number"] not in app.hashes()
    assert sign_in(sandbox).hashes()[opened["number"]] == opened["hash"]
    truth = sandbox.truth()["accounts"][-1]
    assert (truth["cash"], [row["kind"] for row in truth["transactions"]]) == ("2500.25", ["deposit"])


def test_a_closed_account_is_not_told_by_schwab_any_more(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    closed = app.hashes()[ROLLOVER]
    sandbox.accounts(close=ROLLOVER)
    assert list(app.hashes()) == [INDIVIDUAL]
    assert app.get(f"/trader/v1/accounts/{closed}").status_code == 400
    assert list(sign_in(sandbox).hashes()) == [INDIVIDUAL]
    sandbox.accounts(reopen=ROLLOVER)
    assert app.hashes()[ROLLOVER] == closed


def test_a_renumbered_account_has_another_hash_and_everything_else_as_before(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    before = app.hashes()
    sandbox.accounts(renumber=INDIVIDUAL)
    after = app.hashes()
    assert after[ROLLOVER] == before[ROLLOVER]
    assert after[INDIVIDUAL] != before[INDIVIDUAL]
    assert app.get(f"/trader/v1/accounts/{before[INDIVIDUAL]}").status_code == 400
    assert app.get(f"/trader/v1/accounts/{after[INDIVIDUAL]}").status_code == 200
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 200
    sandbox.accounts(renumber="all")
    assert not set(app.hashes().values()) & {*before.values(), *after.values()}
    sandbox.reset()
    assert sign_in(sandbox).hashes() == before


def test_robinhood_lists_every_account_at_once_and_says_which_are_closed(sandbox: Sandbox) -> None:
    sandbox.limit(None, "robinhood")
    mcp = Mcp(sandbox, agentic(sandbox)[1]["access_token"]).open()
    opened = sandbox.accounts(broker="robinhood", open={"number": "521000001"})[-1]
    sandbox.accounts(broker="robinhood", close=MARIA)
    listed = {row["account_number"]: row["permanently_deactivated"] for row in mcp.data("get_accounts")["accounts"]}
    assert listed == {MARIA: True, opened["number"]: False}
    assert mcp.data("get_portfolio", account_number=opened["number"])["cash"] == "1000.00"


def test_flex_tells_a_new_account_and_the_end_of_an_old_one(sandbox: Sandbox) -> None:
    sandbox.limit(None, broker="ibkr")
    sandbox.control("ibkr/switches", flex_delay=0)
    opened = sandbox.accounts(broker="ibkr", open={"currency": "CHF", "deposit": "700"})[-1]
    sandbox.accounts(broker="ibkr", close=MAIN)
    flex = Flex(sandbox)
    reference = flex.get("SendRequest", "1001001").findtext("ReferenceCode")
    assert reference
    told = {
        row.attrib["accountId"]: row.attrib for row in flex.get("GetStatement", reference).iter("AccountInformation")
    }
    assert (opened["number"], told[opened["number"]]["currency"]) == ("U7712347", "CHF")
    assert [number for number, row in told.items() if row["dateClosed"]] == [MAIN]


def test_the_web_api_of_interactive_brokers_marks_a_closed_account(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    sandbox.accounts(broker="ibkr", close=MAIN)
    rows = client.call("/portfolio/accounts").json()
    assert {row["id"]: row["clearingStatus"] for row in rows} == {MAIN: "C", "U7712346": "O"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"login": "nobody", "open": {}}, 404),
        ({"login": "james", "broker": "ibkr", "open": {}}, 404),
        ({"login": "maria", "broker": "nowhere"}, 400),
        ({"login": "maria", "close": "1"}, 404),
        ({"login": "maria", "broker": "ibkr", "renumber": "all"}, 400),
        ({"login": "maria", "open": {"number": INDIVIDUAL}}, 400),
        ({"login": "maria", "open": {"currency": "XXX"}}, 400),
        ({"login": "maria"}, 400),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(sandbox: Sandbox, body: dict[str, object], status: int) -> None:
    answer = requests.post(f"{sandbox.base_url}/_control/accounts", json=body, timeout=10)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert len(sandbox.accounts()) == 2


@pytest.mark.parametrize(
    ("path", "is_json"),
    [
        ("/schwab/trader/v1/accounts", False),
        ("/ibkr/v1/api/portfolio/accounts", True),
        ("/ibkr/AccountManagement/FlexWebService/SendRequest", False),
        ("/robinhood/api/accounts/", False),
        ("/robinhood/agent/mcp/trading", False),
        ("/robinhood/trading/api/v2/crypto/trading/accounts/", True),
    ],
)
def test_maintenance_is_said_in_each_brokers_own_shape(sandbox: Sandbox, path: str, is_json: bool) -> None:
    broker = path.split("/")[1]
    sandbox.maintenance(broker=broker, retry_after=900)
    answer = requests.get(f"{sandbox.base_url}{path}", timeout=10)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "900")
    assert "maintenance" in answer.text
    assert ("json" in answer.headers["Content-Type"]) == is_json
    sandbox.maintenance(on=False, broker=broker)
    assert requests.get(f"{sandbox.base_url}{path}", timeout=10).status_code != 503
