"""A light call a minute to each broker, so that its health is known while nobody syncs. No token, no user's data."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import requests
from django.conf import settings
from django.core.cache import cache

from connections.brokers import schwab
from connections.brokers.base import BrokerError
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.records import Broker
from connections.brokers.transport import CONNECT_TIMEOUT, Judge, Reply, Wire
from connections.brokers.transport import judge as judge_data

READ_TIMEOUT = 20.0  # seconds; a probe asks for nothing that takes time
LEASE = 50  # seconds: the beat rings every 60, and one ring that comes a little early must not be lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A call that needs no token, and how to read its answer. Not `wanted` where the hub has no business there."""

    url: Callable[[], str]
    judge: Judge
    wanted: Callable[[], bool]


def judge_schwab(broker: Broker, reply: Reply) -> tuple[Outcome, Attribution, BrokerError | None]:
    """Schwab has no public endpoint. Without a token its Trader API answers 401 with a list `errors`, which shows that
    it is up and thinking; the gateway in front of it refuses in another form (`fault`), which shows only itself."""
    if reply.status == 401 and isinstance(reply.data, dict) and "errors" in reply.data:
        return Outcome.OK, Attribution.NONE, None
    if reply.status in (200, 401):  # neither can come without a token from a Trader API in order
        error = BrokerError(f"{broker.label} answered the test call in another form than it should.")
        return Outcome.BAD_REPLY, Attribution.BROKER, error
    return judge_data(broker, reply)


PROBES: dict[Broker, Probe] = {
    Broker.SCHWAB: Probe(
        url=lambda: f"{schwab.base_url()}/trader/v1/accounts/accountNumbers",
        judge=judge_schwab,
        wanted=lambda: bool(settings.SCHWAB_APP_KEY),
    ),
}


def probe_all() -> None:
    """Probe each broker, unless some process did so within the last minute. What came of it is in the measurements."""
    for broker, probe in PROBES.items():
        if probe.wanted() and cache.add(f"health:probed:{broker.value}", 1, timeout=LEASE):
            _call(broker, probe)


def _call(broker: Broker, probe: Probe) -> None:
    with requests.Session() as session:

        def send() -> requests.Response:
            return session.get(
                probe.url(),
                headers={"Accept": "application/json"},
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )

        # No rate budget: a call without a token is not counted against the app, and must not wait behind a sync.
        # A failure is the finding itself: the wire has told it to the recorder like that of every other call.
        with suppress(BrokerError):
            Wire(broker=broker, session=session).exchange(Operation.PROBE, send, judge=probe.judge)
