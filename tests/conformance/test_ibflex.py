"""ibflex, unmodified, downloads and parses the sandbox's statements. Only its two addresses are set."""

import warnings
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from ibflex import client, parser

from tests.plugins.sandbox_server import Sandbox


@pytest.fixture
def token(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """The person's token; statements are made at once, as the client would sleep for seconds otherwise."""
    service = f"{sandbox.base_url}/AccountManagement/FlexWebService"
    monkeypatch.setattr(client, "REQUEST_URL", f"{service}/SendRequest")
    monkeypatch.setattr(client, "STMT_URL", f"{service}/GetStatement")
    sandbox.limit(None, broker="ibkr")
    sandbox.control("ibkr/switches", flex_delay=0)
    told: str = sandbox.control("ibkr/flex", "GET")["token"]
    return told


def parsed(token: str, query: str) -> Any:
    """With its warnings about unknown names as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return parser.parse(client.download(token, query))


@pytest.mark.parametrize("query", ["1001001", "1001002", "1001003", "1001006"])
def test_every_row_of_every_section_parses(token: str, query: str) -> None:
    answer = parsed(token, query)
    assert answer.type == "AF"
    assert [statement.accountId for statement in answer.FlexStatements] == ["U7712345", "U7712346"]
    assert len(answer.FlexStatements[0].Trades) > 20
    assert len(answer.FlexStatements[0].CashTransactions) > 20


def test_positions_and_cash_are_those_of_the_books(token: str, sandbox: Sandbox) -> None:
    truth = sandbox.truth(broker="ibkr")["accounts"]
    for statement, account in zip(parsed(token, "1001001").FlexStatements, truth, strict=True):
        held: defaultdict[str, Decimal] = defaultdict(Decimal)
        for position in statement.OpenPositions:
            held[position.symbol] += position.position
        assert held == {
            position["symbol"].replace(".", " "): Decimal(position["quantity"]) for position in account["positions"]
        }
        cash = {row.currency: row.endingCash for row in statement.CashReport if row.currency != "BASE_SUMMARY"}
        assert cash == {currency: Decimal(amount) for currency, amount in account["balances"].items()}


@pytest.mark.parametrize(("query", "code"), [("999", "1014"), ("1001004", "1010"), ("1001005", "1016")])
def test_refusals_keep_their_code(token: str, query: str, code: str) -> None:
    with pytest.raises(client.ResponseCodeError) as refusal:
        client.download(token, query)
    assert refusal.value.code == code


def test_a_dead_token_is_told(token: str, sandbox: Sandbox) -> None:
    sandbox.control("ibkr/flex", login="maria")
    with pytest.raises(client.ResponseCodeError) as refusal:
        client.download(token, "1001001")
    assert refusal.value.code == "1015"
