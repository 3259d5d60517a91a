"""What was told once is told for ever: a broker that is added changes no other broker's history."""

import hashlib
from datetime import date

from connections.sandbox.market import Market
from connections.sandbox.people import People

TOLD_AT_SCHWAB = {  # events up to the last day of 2025, and the digest of what they say
    "40012345": (1005, "f4eb7fc47d54837e"),
    "62907314": (334, "9fe2ae0e2ef225bb"),
    "70355128": (127, "626e473ac966c4bf"),
}
FIRST_ID = 90_000_000_000  # what was added to the past later has ids below, so that all others stay


def test_schwabs_history_is_the_one_it_has_always_been() -> None:
    people = People(Market(2026))
    people.tell(date(2026, 1, 1))
    told = {}
    for account in (account for person in people.everyone() for account in person.at("schwab")):
        rows = [
            f"{e.id} {e.nature} {e.at:%Y-%m-%dT%H:%M:%S} {e.symbol} {e.quantity} {e.price} {e.cash}"
            for e in account.events
            if e.id >= FIRST_ID
        ]
        told[account.number] = len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]
    assert told == TOLD_AT_SCHWAB
