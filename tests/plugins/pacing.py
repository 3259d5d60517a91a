"""Without the brokers' pacing: for tests that are about something else, and would only wait."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugins.sandbox_server import Sandbox


def lift_pacing(sandbox: "Sandbox", monkeypatch: pytest.MonkeyPatch) -> None:
    """The brokers that count a login's calls allow any number of them, and the hub knows it."""
    from connections.brokers import (
        alpaca,
        ibkr_flex,
        ibkr_oauth,
        ibkr_performance,
        ibkr_web,
        robinhood_app,
        robinhood_crypto,
        robinhood_oauth,
        schwab,
    )

    for broker in ("alpaca", "ibkr", "robinhood", "schwab"):
        sandbox.limit(None, broker=broker)
    sandbox.control("ibkr/switches", flex_delay=0)
    monkeypatch.setattr(alpaca, "CALLS_PER_MINUTE", 100_000)
    monkeypatch.setattr(schwab, "CALLS_PER_MINUTE", 100_000)
    monkeypatch.setattr(robinhood_oauth, "CALLS", 100_000)
    monkeypatch.setattr(robinhood_app, "CALLS", 100_000)
    monkeypatch.setattr(robinhood_crypto, "CALLS", 100_000)
    monkeypatch.setattr(robinhood_crypto, "THROTTLE_PAUSE", 0.0)
    monkeypatch.setattr(robinhood_oauth, "SIGN_INS_PER_MINUTE", 100_000)
    monkeypatch.setattr(ibkr_flex, "CALLS_PER_MINUTE", 100_000)
    monkeypatch.setattr(ibkr_flex, "BETWEEN_CALLS", 0.0)
    monkeypatch.setattr(ibkr_flex, "PAUSES", (0.0,) * 4)
    monkeypatch.setattr(ibkr_oauth, "CALLS_PER_SECOND", 100_000)
    monkeypatch.setattr(ibkr_web, "LISTS", 100_000)
    monkeypatch.setattr(ibkr_performance, "ONCE", 100_000)


@pytest.fixture(scope="session", autouse=True)
def attempts_follow_each_other() -> Iterator[None]:
    """A second attempt comes at once, unless the broker has said when."""
    from connections.brokers import transport

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(transport, "_backoff", lambda state: 0.0)
        yield


@pytest.fixture(autouse=True)
def no_step_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test did to the clock is not remembered in the next."""
    from sync import sending

    monkeypatch.setattr(sending, "_clock", sending._Clock())


@pytest.fixture
def unpaced(sandbox: "Sandbox", monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pacing(sandbox, monkeypatch)
