"""The probe against the sandbox, by its task."""

from typing import Any

import pytest
from django.core.cache import cache

from connections.brokers import breaker
from connections.brokers.records import Broker
from health.health_monitor import Window, measure
from health.models import CallBucket, Resolution
from health.recording import recorder
from health.tasks import probe
from health.verdicts import Status

pytestmark = pytest.mark.django_db


def probed() -> dict[str, int]:
    """The counts of the probe's bucket; empty when there was none."""
    recorder.flush()
    bucket = CallBucket.objects.filter(resolution=Resolution.HOUR, operation="probe").first()
    return bucket.counts if bucket else {}


def test_a_broker_that_refuses_a_stranger_in_its_own_words_is_reachable(sandbox: Any) -> None:
    probe()
    assert probed() == {"ok/none": 1}
    assert all("authorization" not in str(call).lower() for call in sandbox.calls())


def test_one_probe_a_minute_over_all_processes(sandbox: Any) -> None:
    probe()
    probe()
    assert probed() == {"ok/none": 1}
    assert len(sandbox.calls()) == 1


@pytest.mark.parametrize(
    ("fault", "counted"),
    [("500", "server_error/broker"), ("route_missing", "bad_reply/broker"), ("reset", "network/broker")],
)
def test_a_broker_in_trouble_is_measured_and_the_task_goes_on(sandbox: Any, fault: str, counted: str) -> None:
    sandbox.fault(fault)
    probe()
    assert probed() == {counted: 1}


def test_a_broker_that_is_not_set_up_here_is_not_probed(sandbox: Any, settings: Any) -> None:
    settings.SCHWAB_APP_KEY = ""
    probe()
    assert probed() == {}
    assert sandbox.calls() == []


def test_the_probe_goes_on_when_its_minute_is_over(sandbox: Any) -> None:
    probe()
    cache.clear()
    probe()
    assert probed() == {"ok/none": 2}


def test_a_broker_that_stays_down_is_out_and_is_called_less_and_less(sandbox: Any) -> None:
    sandbox.fault("500")
    for _ in range(8):
        probe()
        cache.delete("health:probed:schwab")  # as if a minute had passed
    recorder.flush()
    [schwab] = [health for health in measure(Window.FIVE_MINUTES) if health.broker is Broker.SCHWAB]
    assert schwab.status is Status.OUTAGE
    assert schwab.figures.calls == len(sandbox.calls()) == breaker.THRESHOLD
