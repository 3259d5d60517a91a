"""PortfolioAnalyst agrees with the books, and answers once in a quarter of an hour."""

from decimal import Decimal
from typing import Any

import pytest

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.ibkr.web_client import MAIN, SAVINGS, ready, self_service


def performance(sandbox: Sandbox, **body: Any) -> dict[str, Any]:
    answer = ready(sandbox).call("/pa/performance", "POST", json={"acctIds": [MAIN], "period": "1M", **body})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json(parse_float=Decimal, parse_int=Decimal)
    return told


def test_each_day_has_a_value_and_a_return(sandbox: Sandbox) -> None:
    told = performance(sandbox, acctIds=[MAIN, SAVINGS])
    for account, value, growth in zip((MAIN, SAVINGS), told["nav"]["data"], told["cps"]["data"], strict=True):
        assert (value["id"], value["baseCurrency"]) == (account, "EUR")
        assert len(value["navs"]) == len(growth["returns"]) == len(told["nav"]["dates"]) >= 18


def test_what_is_paid_in_is_no_return(sandbox: Sandbox) -> None:
    before = performance(sandbox)["cps"]["data"][0]["returns"]
    sandbox.backdate(MAIN, kind="deposit", amount="50000", days_ago=12)
    after = performance(sandbox)["cps"]["data"][0]["returns"]
    assert abs(after[-1] - before[-1]) < Decimal("0.05")  # 50,000 on some 115,000 would be far more


def test_trades_of_one_contract_have_no_id_and_no_commission(sandbox: Sandbox) -> None:
    client = ready(sandbox)
    sandbox.backdate(MAIN, kind="buy", symbol="SAP", quantity=2, price="200", fees="3", days_ago=12)
    rows = client.call(f"/portfolio/{MAIN}/positions/0", query="waitForSecDef=true").json()
    (contract,) = [row["conid"] for row in rows if row["ticker"] == "SAP"]
    body = {"acctIds": [MAIN], "conids": [str(contract)], "currency": "EUR", "days": 30}
    told = client.call("/pa/transactions", "POST", json=body).json()
    (bought,) = [row for row in told["transactions"] if row["pr"] == 200.0]
    assert (bought["amt"], bought["type"], bought["qty"], bought["cur"]) == (-400.0, "Buy", 2.0, "EUR")
    assert not {"id", "transactionID", "commission"} & set(bought)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("performance", {"acctIds": []}),
        ("performance", {"acctIds": ["U1"]}),
        ("performance", {"acctIds": [MAIN], "period": "5Y"}),
        ("transactions", {"acctIds": [MAIN], "conids": [1, 2]}),
        ("transactions", {"acctIds": [MAIN], "conids": [1], "days": 9_000}),
        ("transactions", {"acctIds": [MAIN], "conids": [1], "currency": "XXX"}),
    ],
)
def test_a_question_that_cannot_be_is_refused(sandbox: Sandbox, path: str, body: dict[str, Any]) -> None:
    assert ready(sandbox).call(f"/pa/{path}", "POST", json=body).status_code == 400


def test_it_answers_once_in_a_quarter_of_an_hour(sandbox: Sandbox) -> None:
    client = self_service(sandbox).open_session()
    client.call("/portfolio/accounts")
    body = {"acctIds": [MAIN], "period": "7D"}
    statuses = [client.call("/pa/performance", "POST", json=body).status_code for _ in range(2)]
    assert statuses == [200, 429]
    sandbox.advance(901)
    assert client.call("/pa/performance", "POST", json=body).status_code == 200
