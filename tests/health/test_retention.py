"""How long measurements stay, and that long windows are as exact as short ones."""

import random
from datetime import datetime, timedelta

import numpy
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connections.brokers.records import Broker
from health.health_monitor import Window, measure
from health.models import CallBucket, Resolution
from health.recording import recorder
from health.tasks import remove_old
from tests.health import calls

pytestmark = pytest.mark.django_db


def test_minutes_go_first_and_days_stay_for_years() -> None:
    ages = [timedelta(hours=1), timedelta(days=5), timedelta(days=60), timedelta(days=900)]
    now = datetime.now(calls.NOW.tzinfo)
    calls.record(*(calls.good(started_at=now - age) for age in ages))
    remove_old()
    left = {each: CallBucket.objects.filter(resolution=each).count() for each in Resolution}
    assert left == {Resolution.MINUTE: 1, Resolution.HOUR: 2, Resolution.DAY: 3}


def test_a_call_is_counted_once_in_a_window_of_any_length() -> None:
    calls.record(*(calls.good(started_at=calls.NOW - timedelta(days=days)) for days in (0, 3, 20, 80, 300)))
    seen = {window: measure(window, now=calls.NOW)[0].figures.calls for window in Window}
    assert seen == {"5m": 1, "1h": 1, "24h": 1, "7d": 2, "30d": 3, "90d": 4, "1y": 5}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(seed=1, spread=1.0, window=Window.FIVE_MINUTES)
@example(seed=2, spread=2.0, window=Window.YEAR)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.1, 2.0), window=st.sampled_from(list(Window)))
def test_percentiles_and_error_rates_of_any_window_are_within_one_percent(
    seed: int, spread: float, window: Window
) -> None:
    """Exact values are those of the raw calls from the whole minute, hour or day on in which the window begins."""
    CallBucket.objects.all().delete()
    recorder.forget()
    chance = random.Random(seed)
    told = [
        chance.choice([calls.good, calls.good, calls.good, calls.server_error])(
            started_at=calls.NOW - chance.random() * 1.3 * window.length,
            duration=min(max(chance.lognormvariate(-1.0, spread), 0.001), 600.0),
        )
        for _ in range(200)
    ]
    calls.record(*told)
    health = next(each for each in measure(window, now=calls.NOW) if each.broker is Broker.SCHWAB)
    inside = [call for call in told if call.started_at >= health.measured_from]
    figures = health.figures
    assert figures.calls == len(inside)
    assert figures.failed_by_broker == sum(call.status == 500 for call in inside)
    for measured, quantile in ((figures.p50, 0.5), (figures.p95, 0.95), (figures.p99, 0.99)):
        assert measured == pytest.approx(float(numpy.quantile([call.duration for call in inside], quantile)), rel=0.01)
