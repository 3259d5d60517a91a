"""ibind, unmodified, opens a session at the sandbox and reads it. It is told another address, nothing else."""

from pathlib import Path
from typing import Any

import pytest
from ibind import IbkrClient
from ibind.oauth.oauth1a import OAuth1aConfig
from ibind.support.errors import ExternalBrokerError

from tests.plugins.sandbox_server import Sandbox

MAIN = "U7712345"


@pytest.fixture
def client(sandbox: Sandbox, tmp_path: Path) -> Any:
    """With the test consumer's keys. Pacing is lifted, as the client keeps none."""
    sandbox.limit(None, broker="ibkr")
    keys = sandbox.control("ibkr/keys", "GET", consumer_key="TESTCONS", login="maria")
    for name in ("signing_key", "encryption_key"):
        (tmp_path / name).write_text(keys[name])
    config = OAuth1aConfig(
        oauth_rest_url=f"{sandbox.base_url}/v1/api/",
        consumer_key=keys["consumer_key"],
        access_token=keys["access_token"],
        access_token_secret=keys["access_token_secret"],
        dh_prime=keys["dh_prime"],
        dh_generator=keys["dh_generator"],
        encryption_key_fp=str(tmp_path / "encryption_key"),
        signature_key_fp=str(tmp_path / "signing_key"),
        realm=keys["realm"],
        maintain_oauth=False,
        shutdown_oauth=False,  # leaves by itself when the interpreter ends, and the sandbox is gone by then
    )
    return IbkrClient(use_oauth=True, oauth_config=config, account_id=MAIN)


def test_it_opens_a_live_session_and_a_brokerage_session(client: Any, sandbox: Sandbox) -> None:
    operations = [call["operation"] for call in sandbox.calls()]
    assert operations[0] == "live_session_token"
    assert "init" in operations
    assert client.authentication_status().data["authenticated"] is True
    assert client.tickle().data["iserver"]["authStatus"]["connected"] is True
    assert client.check_health() is True


def test_it_reads_accounts_positions_and_cash(client: Any, sandbox: Sandbox) -> None:
    truth = sandbox.truth(broker="ibkr")["accounts"]
    assert [row["accountId"] for row in client.portfolio_accounts().data] == [row["number"] for row in truth]
    assert len(client.positions().data) == len(client.positions2().data) == len(truth[0]["positions"])
    ledger = client.get_ledger().data
    assert {name: entry["cashbalance"] for name, entry in ledger.items() if name != "BASE"} == {
        name: float(amount) for name, amount in truth[0]["balances"].items()
    }
    assert client.portfolio_summary().data["netliquidation"]["amount"] == float(truth[0]["value"])


def test_it_asks_for_definitions_by_ids_as_text(client: Any) -> None:
    client.portfolio_accounts()
    conid = client.positions2().data[0]["conid"]
    (definition,) = client.security_definition_by_conid([conid]).data["secdef"]
    assert definition["conid"] == int(conid)


def test_it_reads_the_weeks_executions_with_a_slash_at_the_end(client: Any, sandbox: Sandbox) -> None:
    sandbox.backdate(MAIN, kind="buy", symbol="SAP", quantity=2, price="200.5", days_ago=3)
    client.receive_brokerage_accounts()
    assert "200.5" in {row["price"] for row in client.trades("7").data}


def test_it_leaves(client: Any) -> None:
    assert client.logout().data == {"status": True}
    with pytest.raises(ExternalBrokerError) as refusal:
        client.portfolio_accounts()
    assert refusal.value.status_code == 401
