"""A light call to each broker in use, so that its health is known while nobody syncs. No token, no user's data.

One every INTERVAL; after a failure or a slow answer the next one comes sooner, so that an outage is proven within a
minute and one unlucky call is not taken for it. Once the circuit breaker is open it lets one call through at a time,
which is also how recovery is noticed: by a single call, not by all that wait.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import requests
from django.conf import settings
from django.core.cache import cache

from connections.brokers import alpaca, ibkr_oauth, robinhood_app, robinhood_oauth, schwab
from connections.brokers.base import BrokerError, CircuitOpen, RateLimited
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.records import Broker
from connections.brokers.transport import Judge, Reply, Wire
from connections.brokers.transport import judge as judge_data
from connections.models import Connection
from health import slowness

INTERVAL = 30  # seconds from one probe to the next
AGAIN_AFTER = 5  # seconds, when the last one failed
TIMEOUT = 5.0  # seconds to connect, and to wait for the next bytes: a probe asks for nothing that takes time
DEADLINE = 8.0  # seconds for the whole answer
MARKET = ZoneInfo("America/New_York")
Verdict = tuple[Outcome, Attribution, BrokerError | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A call that needs no token, and how to read its answer."""

    url: Callable[[], str]
    judge: Judge = judge_data
    headers: Mapping[str, str] = field(default_factory=dict)


def refuses_strangers(says: Callable[[dict[str, Any]], bool]) -> Judge:
    """How to read a broker without a public endpoint: who comes without a token is refused by the service itself, in
    its own words (`says` knows them), which shows that it is up. A gateway in front of it refuses in other words and
    shows only itself; and nobody may be let in."""

    def judge(broker: Broker, reply: Reply) -> Verdict:
        if reply.status in (401, 403) and isinstance(reply.data, dict) and says(reply.data):
            return Outcome.OK, Attribution.NONE, None
        if reply.status in (200, 401, 403):
            error = BrokerError(f"{broker.label} answered the test call in another form than it should.")
            return Outcome.BAD_REPLY, Attribution.BROKER, error
        return judge_data(broker, reply)

    return judge


def _robinhood_hours() -> str:
    api = f"{settings.BROKERS_SANDBOX_URL}/robinhood/api" if settings.BROKERS_SANDBOX_URL else robinhood_oauth.LIVE_API
    return f"{api}/markets/XNYS/hours/{datetime.now(MARKET).date().isoformat()}/"


def _robinhood_discovery() -> str:
    """The document that describes the official server, on a host of its own: either may be down without the other."""
    server, path = robinhood_oauth.resource().rsplit("/mcp/", 1)
    return f"{server}/.well-known/oauth-protected-resource/mcp/{path}"


PROBES: dict[Broker, tuple[Probe, ...]] = {
    Broker.SCHWAB: (  # no public endpoint: the Trader API refuses with a list `errors`, the gateway with a `fault`
        Probe(
            url=lambda: f"{schwab.base_url()}/trader/v1/accounts/accountNumbers",
            judge=refuses_strangers(lambda body: "errors" in body),
            headers={"Accept": "application/json"},
        ),
    ),
    Broker.ROBINHOOD: (
        Probe(url=_robinhood_hours, headers=robinhood_app.HEADERS),
        Probe(url=_robinhood_discovery, headers={"Accept": "application/json"}),
    ),
    Broker.IBKR: (  # not one of the routes that open or keep a session: those would throw people out of theirs
        Probe(
            url=lambda: f"{ibkr_oauth.api_url()}/portfolio/accounts",
            judge=refuses_strangers(lambda body: "error" in body),
            headers={"Accept": "application/json", **ibkr_oauth.USER_AGENT},
        ),
    ),
    Broker.ALPACA: (
        Probe(
            url=lambda: f"{alpaca.base_url()}/v2/account",
            judge=refuses_strangers(lambda body: "message" in body),
            headers={"Accept": "application/json"},
        ),
    ),
}


def probe_all() -> None:
    """Probe each broker whose turn it is and where anybody is connected. What came of it is in the measurements."""
    connections = Connection.objects.by_api().open().filter(environment=settings.ENVIRONMENT)
    used = set(connections.order_by().values_list("broker", flat=True).distinct())
    due = [broker for broker in PROBES if broker in used and _is_due(broker)]
    if due:
        with ThreadPoolExecutor(max_workers=len(due)) as threads:  # a broker that hangs keeps no other one waiting
            for problem in threads.map(_probe, due):
                if problem:
                    raise problem


def _is_due(broker: Broker) -> bool:
    """True for one process in each INTERVAL, also after the clock was set back and Redis keeps the mark for longer."""
    now = time.time()
    if cache.add(_turn(broker), now, timeout=INTERVAL):
        return True
    if cache.get(_turn(broker), now) > now + INTERVAL:
        cache.delete(_turn(broker))
    return False


def _turn(broker: Broker) -> str:
    return f"health:probed:{broker.value}"


def _probe(broker: Broker) -> Exception | None:
    """Make the broker's test calls; a bug of ours, for the caller to raise after the others had their turn."""
    for probe in PROBES[broker]:
        began = time.monotonic()
        try:
            _call(broker, probe)
            if time.monotonic() - began > slowness.usual(broker):
                cache.touch(_turn(broker), AGAIN_AFTER)
        except (CircuitOpen, RateLimited):
            continue
        except BrokerError:  # the finding itself: the wire has told it to the recorder like that of every other call
            cache.touch(_turn(broker), AGAIN_AFTER)
        except Exception as problem:
            return problem
    return None


def _call(broker: Broker, probe: Probe) -> None:
    """Raises BrokerError. No rate budget: a call without a token is not counted, and must not wait behind a sync."""
    with requests.Session() as session:

        def send() -> requests.Response:
            return session.get(
                probe.url(), headers=dict(probe.headers), timeout=TIMEOUT, allow_redirects=False, stream=True
            )

        deadline = time.monotonic() + DEADLINE
        Wire(broker=broker, session=session).exchange(Operation.PROBE, send, judge=probe.judge, deadline=deadline)
