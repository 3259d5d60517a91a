"""Shares that move between brokers: what leaves one book enters another, on the same day."""

from tests.plugins.sandbox_server import Sandbox


def moved(sandbox: Sandbox, broker: str, nature: str) -> set[tuple[str, str, str]]:
    return {
        (row["traded_on"], row["symbol"], row["quantity"].removeprefix("-"))
        for account in sandbox.truth("maria", broker)["accounts"]
        for row in account["transactions"]
        if row["nature"] == nature
    }


def test_what_interactive_brokers_sent_robinhood_received(sandbox: Sandbox) -> None:
    received = moved(sandbox, "robinhood", "shares_in")
    assert received == {("2024-10-07", "KO", "40"), ("2024-10-07", "AAPL", "12")}
    assert received <= moved(sandbox, "ibkr", "shares_out")
