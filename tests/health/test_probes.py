"""The probes against the sandbox, by their task."""

from typing import Any

import pytest
from django.core.cache import cache

from connections.brokers import breaker
from connections.brokers.records import AuthMethod, Broker
from health.health_monitor import Window, measure
from health.models import CallBucket, Resolution
from health.probes import PROBES
from health.recording import recorder
from health.tasks import probe
from health.verdicts import Status
from tests.aggregation.factories import a_connection

pytestmark = pytest.mark.django_db
METHODS = {
    Broker.SCHWAB: AuthMethod.SCHWAB_OAUTH,
    Broker.ROBINHOOD: AuthMethod.ROBINHOOD_OAUTH,
    Broker.IBKR: AuthMethod.IBKR_OAUTH,
    Broker.ALPACA: AuthMethod.ALPACA_OAUTH,
}


def somebody_at(*brokers: Broker) -> None:
    for broker in brokers:
        a_connection(broker=broker, method=METHODS[broker])


def probed(broker: Broker = Broker.SCHWAB) -> dict[str, int]:
    """The counts of the probe's bucket; empty when there was none."""
    recorder.flush()
    bucket = CallBucket.objects.filter(resolution=Resolution.HOUR, operation="probe", broker=broker).first()
    return bucket.counts if bucket else {}


def after_a_while(*brokers: Broker) -> None:
    for broker in brokers:
        cache.delete(f"health:probed:{broker.value}")


def test_every_broker_is_reached_without_a_token_and_without_touching_a_session(sandbox: Any) -> None:
    somebody_at(*PROBES)
    probe()
    assert {broker: probed(broker) for broker in PROBES} == {
        broker: {"ok/none": len(probes)} for broker, probes in PROBES.items()
    }
    told = sandbox.calls()
    assert all(call["login"] is None and call["method"] == "GET" for call in told)
    assert not any("iserver" in call["path"] or "tickle" in call["path"] for call in told)


def test_one_probe_in_its_time_over_all_processes(sandbox: Any) -> None:
    somebody_at(Broker.SCHWAB)
    probe()
    probe()
    assert probed() == {"ok/none": 1}
    assert len(sandbox.calls()) == 1


@pytest.mark.parametrize(
    ("fault", "counted"),
    [("500", "server_error/broker"), ("route_missing", "bad_reply/broker"), ("reset", "network/broker")],
)
def test_a_broker_in_trouble_is_measured_and_the_others_are_probed_all_the_same(
    sandbox: Any, fault: str, counted: str
) -> None:
    somebody_at(Broker.SCHWAB, Broker.ALPACA)
    sandbox.fault(fault)
    probe()
    assert probed() == {counted: 1}
    assert probed(Broker.ALPACA) == {"ok/none": 1}


@pytest.mark.parametrize("broker", PROBES)
def test_a_page_instead_of_data_is_trouble_at_every_broker(sandbox: Any, broker: Broker) -> None:
    somebody_at(broker)
    sandbox.fault("html", broker=broker.value)
    probe()
    assert probed(broker) == {"bad_reply/broker": len(PROBES[broker])}


def test_a_broker_where_nobody_is_connected_is_left_alone(sandbox: Any) -> None:
    probe()
    assert probed() == {}
    assert sandbox.calls() == []


def test_the_probe_goes_on_when_its_time_is_over(sandbox: Any) -> None:
    somebody_at(Broker.SCHWAB)
    probe()
    after_a_while(Broker.SCHWAB)
    probe()
    assert probed() == {"ok/none": 2}


def test_a_failed_probe_is_followed_by_another_one_soon(sandbox: Any, redis_client: Any) -> None:
    somebody_at(Broker.SCHWAB, Broker.ALPACA)
    sandbox.fault("503", broker="schwab")
    probe()
    left = {key.decode().rsplit(":", 1)[1]: redis_client.ttl(key) for key in redis_client.keys("*health:probed:*")}
    assert left["schwab"] <= 5 < left["alpaca"] <= 30


def test_a_broker_that_stays_down_is_out_and_is_called_less_and_less(sandbox: Any) -> None:
    somebody_at(Broker.SCHWAB)
    sandbox.fault("500")
    for _ in range(8):
        probe()
        after_a_while(Broker.SCHWAB)
    recorder.flush()
    [schwab] = [health for health in measure(Window.FIVE_MINUTES) if health.broker is Broker.SCHWAB]
    assert schwab.status is Status.OUTAGE
    assert schwab.figures.calls == len(sandbox.calls()) == breaker.THRESHOLD
