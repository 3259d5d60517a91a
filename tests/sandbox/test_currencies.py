"""The books keep their past, and count each currency by itself."""

import hashlib
from datetime import date
from decimal import Decimal

import pytest

from connections.sandbox.book import Account, Event
from connections.sandbox.ibkr.contracts import isin
from connections.sandbox.market import Market
from connections.sandbox.people import People
from connections.sandbox.stories import TRANSFER_ID
from tests.plugins.sandbox_server import Sandbox

FIELDS = (
    "symbol", "quantity", "price", "fees", "cash", "basis", "memo", "order", "closing", "note",
)  # fmt: skip
# Told on 2026-11-22, before other brokers and other currencies came to the sandbox.
AS_EVER = {
    "40012345": (1236, "156a46aa549a8afc"),
    "62907314": (404, "ea0b35350ceefdb8"),
    "70355128": (152, "2b1c0020b236135b"),
}


@pytest.fixture(scope="module")
def people() -> People:
    people = People(Market(2026))
    people.tell(date(2026, 11, 22))
    return people


def fingerprint(events: list[Event]) -> str:
    digest = hashlib.sha256()
    for event in events:
        times = (event.at, event.posted_at, event.traded_on, event.settled_on)
        facts = [event.id, event.nature.value, event.status.value, *(moment.isoformat() for moment in times)]
        facts += [str(getattr(event, name)) for name in FIELDS]
        digest.update(repr(facts).encode())
    return digest.hexdigest()[:16]


def account_of(people: People, number: str) -> Account:
    account = people.account(number)
    assert account is not None
    return account


@pytest.mark.parametrize(("number", "expected"), AS_EVER.items())
def test_schwabs_history_is_what_it_always_was(people: People, number: str, expected: tuple[int, str]) -> None:
    events = [event for event in account_of(people, number).events if event.id != TRANSFER_ID]
    assert (len(events), fingerprint(events)) == expected


def test_shares_that_leave_for_another_broker_move_no_cash(people: People) -> None:
    (leaving,) = [event for event in account_of(people, "40012345").events if event.id == TRANSFER_ID]
    assert (leaving.symbol, leaving.quantity, leaving.cash) == ("BRK.B", Decimal(-5), Decimal(0))


def test_one_currency_for_another_and_back_is_the_same_rate() -> None:
    market, day = Market(2026), date(2026, 5, 4)
    there, back = market.rate("EUR", "CHF", day), market.rate("CHF", "EUR", day)
    assert abs(there * back - 1) < Decimal("0.0001")
    assert market.rate("GBP", "GBP", day) == 1
    with pytest.raises(KeyError):
        market.rate("XXX", "EUR", day)


def test_a_back_dated_row_keeps_to_the_currency_of_what_it_is_about(sandbox: Sandbox) -> None:
    before = sandbox.truth(broker="ibkr")["accounts"][0]
    number = before["number"]
    paid = sandbox.backdate(number, kind="dividend", symbol="NESN", amount="12.50", days_ago=9)
    sandbox.backdate(number, kind="deposit", amount="100", currency="GBP", days_ago=8)
    after = sandbox.truth(broker="ibkr")["accounts"][0]
    assert paid["currency"] == "CHF"
    grown = {currency: Decimal(after["balances"][currency]) - Decimal(amount)
             for currency, amount in before["balances"].items()}  # fmt: skip
    assert grown == {"CHF": Decimal("12.50"), "EUR": 0, "GBP": 100, "USD": 0}


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("AAPL", "US0378331005"), ("BRK.B", "US0846707026"), ("KO", "US1912161007"), ("NESN", "CH0038863350")],
)
def test_an_american_isin_follows_from_the_cusip(symbol: str, expected: str) -> None:
    assert isin(Market(2026).known(symbol)) == expected
