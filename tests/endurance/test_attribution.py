"""Whose fault each call is, held against what the sandbox really did, over mixed faults at several logins."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest

from connections.brokers import breaker, schwab, transport
from connections.brokers.base import BrokerError, CircuitOpen
from connections.brokers.calls import Attribution, BrokerCall, Operation, call_finished, call_misread
from connections.brokers.records import Broker
from connections.brokers.transport import BrokerSession
from connections.tokens import FreshGrant, read_grant

LOGINS = 8
FAULTS: dict[str, dict[str, Any]] = {
    "401": {},
    "403": {},
    "410": {},
    "429": {"retry_after": 1},
    "500": {},
    "503": {},
    "html": {},
    "route_missing": {},
    "truncated_json": {},
    "reset": {},
    "timeout": {"seconds": 0.6},
    "schema_drift": {"change": "rename", "field": "securitiesAccount"},
    "latency": {"seconds": 0.01},
}
TRUTH = {
    "401": "credential",
    "429": "ours",
    "latency": "none",
}  # all others are the broker's; its 403 is a block at the edge
RARE = {"timeout": 0.05}  # they cost time


@contextmanager
def heard() -> Iterator[dict[int, tuple[BrokerCall, Attribution]]]:
    """Every call told while the block runs, with the side it was put down to in the end."""
    found: dict[int, tuple[BrokerCall, Attribution]] = {}

    def finished(call: BrokerCall, **_: Any) -> None:
        found[id(call)] = (call, call.attribution)

    def misread(call: BrokerCall, **_: Any) -> None:
        found[id(call)] = (call, Attribution.BROKER)

    call_finished.connect(finished)
    call_misread.connect(misread)
    yield found
    call_finished.disconnect(finished)
    call_misread.disconnect(misread)


def truth_of(call: dict[str, Any], everybody: bool) -> str:
    if not call["faults"]:
        return "ours" if call["status"] == 400 else "none"
    return "broker" if everybody else TRUTH.get(call["faults"][0], "broker")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("count", "seed"), [(300, 0), *(pytest.param(10_000, seed, marks=pytest.mark.endurance) for seed in range(5))]
)
def test_nearly_every_failure_is_put_down_to_the_side_that_caused_it(
    count: int,
    seed: int,
    person: Any,
    sandbox: Any,
    connect: Callable[..., Any],
    settings: Any,
    monkeypatch: Any,
    measured: Any,
) -> None:
    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    settings.BROKER_READ_TIMEOUT = 0.5
    connection = connect(person)
    sandbox.limit(None)
    account = sandbox.truth()["accounts"][0]["hash"]
    chance = random.Random(2026 + seed)
    sessions = []
    for _ in range(LOGINS):
        wire = schwab.wire(settings.SCHWAB_APP_KEY, uuid4())
        wire.budget = None
        grants = FreshGrant(read_grant(connection))
        sessions.append(BrokerSession(wire=wire, base_url=schwab.base_url(), grants=grants))
    everybody: set[int] = set()
    sandbox.control("calls", "DELETE")
    right: Counter[bool] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()

    def compare(heard_calls: list[tuple[BrokerCall, Attribution]]) -> None:
        told = sandbox.calls()
        assert len(told) == len(heard_calls)
        for number, (call, (_, whose)) in enumerate(zip(told, heard_calls, strict=True)):
            truth = truth_of(call, number in everybody)
            right[truth == whose] += 1
            if truth != whose:
                wrong[(truth, whose.value)] += 1
        sandbox.control("calls", "DELETE")
        everybody.clear()

    with measured(lambda: f"{right.total():,} calls, {right[False]} put down to the wrong side"):
        while right.total() < count:
            with heard() as calls:
                while len(calls) < min(5_000, count - right.total()):
                    session = chance.choice(sessions)
                    if chance.random() < 0.2:
                        kinds = list(FAULTS)
                        kind = chance.choices(kinds, [RARE.get(each, 1.0) for each in kinds])[0]
                        sandbox.fault(kind, "accounts", times=1, **FAULTS[kind])
                    try:
                        if chance.random() < 0.03:  # a request of ours that lacks what it needs
                            with suppress(BrokerError):
                                session.get(
                                    f"/trader/v1/accounts/{account}/transactions", operation=Operation.TRANSACTIONS
                                )
                        schwab.Schwab(session).holdings(account)
                    except CircuitOpen:  # no call was made: as if its half minute were over
                        breaker.succeeded(Broker.SCHWAB, Operation.HOLDINGS)
                        sandbox.clear_faults()
                    except BrokerError:
                        continue
                if chance.random() < 0.5:
                    refuse_everybody(sandbox, sessions, account, everybody, len(calls))
                sandbox.clear_faults()
                compare(list(calls.values()))
    share = right[True] / right.total()
    assert share >= 0.99, f"{share:.2%} right of {right.total()}; wrong (truth, ours): {wrong}"


def refuse_everybody(sandbox: Any, sessions: list[Any], account: str, everybody: set[int], before: int) -> None:
    """For a while the broker refuses each login, one after the other."""
    sandbox.clear_faults()
    sandbox.fault("401", "accounts")
    for session in sessions * 4:
        with suppress(BrokerError):
            schwab.Schwab(session).holdings(account)
    everybody.update(range(before, before + 4 * len(sessions)))
