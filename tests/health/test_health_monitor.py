from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from connections.brokers.calls import LimitSource, Operation
from connections.brokers.records import Broker
from health import freshness
from health.freshness import Freshness
from health.health_monitor import BROKERS, BrokerHealth, Window, measure
from health.models import CallBucket, Thresholds
from health.verdicts import Status
from tests.health import calls
from tests.health.calls import NOW, minutes_ago

pytestmark = pytest.mark.django_db


def schwab(window: Window = Window.HOUR) -> BrokerHealth:
    return next(health for health in measure(window, now=NOW) if health.broker is Broker.SCHWAB)


def test_every_broker_the_hub_can_call_is_on_the_board_even_when_it_was_never_called() -> None:
    assert [health.broker for health in measure(Window.HOUR, now=NOW)] == list(BROKERS)
    assert Broker.OTHER not in BROKERS


def test_what_was_never_measured_is_unknown_and_not_zero() -> None:
    health = schwab()
    assert health.status is Status.UNKNOWN
    assert health.figures.calls == 0
    assert (health.figures.error_rate, health.figures.p95, health.budget, health.last_call_at) == (None,) * 4
    assert health.operations == ()


def test_error_rates_tell_whose_side_it_was() -> None:
    calls.record(*[calls.good()] * 4, *[calls.server_error()] * 3, *[calls.our_mistake()] * 2, calls.login_refused())
    figures = schwab().figures
    assert figures.calls == 10
    assert figures.error_rate == 0.6
    assert (figures.broker_error_rate, figures.our_error_rate, figures.login_error_rate) == (0.3, 0.2, 0.1)


def test_refused_logins_and_our_own_mistakes_do_not_count_against_the_broker() -> None:
    calls.record(*[calls.good()] * 5, *[calls.login_refused()] * 50, *[calls.our_mistake()] * 50)
    assert schwab().status is Status.OPERATIONAL


def test_a_broker_that_fails_is_out_and_comes_back() -> None:
    calls.record(*(calls.good(started_at=minutes_ago(10)) for _ in range(30)))
    calls.record(*(calls.timed_out(started_at=minutes_ago(minute)) for minute in (3, 2) for _ in range(30)))
    assert schwab().status is Status.OUTAGE
    calls.record(*(calls.good(started_at=minutes_ago(minute)) for minute in (1, 0) for _ in range(5)))
    assert schwab().status is Status.OPERATIONAL


def test_one_failing_operation_is_named() -> None:
    calls.record(*[calls.good(operation=Operation.HOLDINGS)] * 200, *[calls.server_error()] * 20)
    health = schwab()
    assert health.status is Status.PARTIAL_OUTAGE
    assert {each.operation: each.status for each in health.operations} == {
        Operation.HOLDINGS: Status.OPERATIONAL,
        Operation.TRANSACTIONS: Status.OUTAGE,
    }


@pytest.mark.parametrize(
    ("window", "counted"),
    [(Window.FIVE_MINUTES, 2), (Window.HOUR, 4), (Window.DAY, 6), (Window.WEEK, 8)],
)
def test_a_window_holds_the_calls_made_in_it(window: Window, counted: int) -> None:
    """Windows are rounded outwards to whole minutes (hours for the long ones), so nothing in them is missed."""
    ages = [0, 4.9, 8, 59, 90, 60 * 23.9, 60 * 26, 60 * 24 * 6.9, 60 * 24 * 7.1]
    calls.record(*(calls.good(started_at=minutes_ago(age)) for age in ages))
    assert schwab(window).figures.calls == counted


def test_short_and_long_windows_agree_on_the_same_calls() -> None:
    calls.record(*(calls.good(duration=0.01 * n, started_at=minutes_ago(n % 20)) for n in range(1, 300)))
    assert schwab(Window.HOUR).figures == schwab(Window.WEEK).figures


def test_the_last_call_is_known_though_the_window_is_empty() -> None:
    calls.record(calls.good(started_at=minutes_ago(300)))
    health = schwab(Window.FIVE_MINUTES)
    assert health.figures.calls == 0
    assert health.last_call_at == minutes_ago(300)


def test_the_budget_is_the_newest_one_over_all_operations() -> None:
    calls.record(
        calls.good(limit=60, remaining=20, period=60, started_at=minutes_ago(0.5)),
        calls.good(limit=60, remaining=19, period=60, started_at=minutes_ago(0.1), operation=Operation.HOLDINGS),
    )
    budget = schwab().budget
    assert budget is not None
    assert (budget.limit, budget.used, budget.remaining, budget.period) == (60, 41, 19, 60)


def test_a_budget_seen_a_period_ago_is_whole_again() -> None:
    calls.record(calls.good(limit=60, remaining=0, period=60, started_at=minutes_ago(5)))
    budget = schwab().budget
    assert budget is not None
    assert budget.used == 0


@pytest.mark.parametrize("window", Window)
def test_the_board_costs_the_same_queries_for_one_call_as_for_many(
    window: Window, django_assert_num_queries: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "_sources", [])  # asked every few seconds, whatever was measured
    calls.record(calls.good())
    measure(window, now=NOW)  # what is learned from the days before is kept for a while
    with django_assert_num_queries(7):
        measure(window, now=NOW)
    calls.record(*(calls.good(started_at=minutes_ago(age), operation=each) for age in range(100) for each in Operation))
    assert CallBucket.objects.count() > 500
    with django_assert_num_queries(7):
        measure(window, now=NOW)


def answered_within(seconds: float, *ages: float, calls_each: int = 10) -> None:
    calls.record(
        *(calls.good(duration=seconds, started_at=minutes_ago(age)) for age in ages for _ in range(calls_each))
    )


def test_answers_that_are_slow_for_this_operation_degrade_its_broker_and_it_recovers() -> None:
    answered_within(0.4, *(60 * 24 * day for day in range(1, 6)), calls_each=30)
    answered_within(0.5, 4.2)
    assert schwab().status is Status.OPERATIONAL
    answered_within(1.5, 3.2)
    assert schwab().status is Status.OPERATIONAL, "longer than usual, and not slow: below four times the usual"
    answered_within(3.0, 2.2, 1.2)
    health = schwab()
    assert health.status is Status.DEGRADED
    assert health.operations[0].slow_after == pytest.approx(1.6, rel=0.02)
    answered_within(0.4, 0.1, calls_each=40)
    assert schwab().status is Status.OPERATIONAL


def test_without_days_to_learn_from_three_seconds_are_slow() -> None:
    answered_within(2.5, 2, 1)
    assert schwab().status is Status.OPERATIONAL
    answered_within(3.5, 0.5, 0)
    assert schwab().status is Status.DEGRADED


def test_an_administrator_s_thresholds_go_before_those_of_the_code() -> None:
    calls.record(*[calls.good()] * 60, *[calls.server_error()] * 40)
    assert schwab().status is Status.DEGRADED
    Thresholds.objects.create(broker="schwab", partial=0.3)
    assert schwab().status is Status.PARTIAL_OUTAGE
    Thresholds.objects.update(partial=0.95, trouble=0.9, calm=0.8, outage=0.99)
    assert schwab().status is Status.OPERATIONAL
    Thresholds.objects.update(slow_after=0.1)
    assert schwab().status is Status.DEGRADED, "every answer took 0.2 s"


@pytest.mark.parametrize(
    "wrong",
    [{"calm": 0.1}, {"trouble": 0.04}, {"partial": 0.95}, {"outage": 0.4}, {"late_after": timedelta(seconds=1)},
     {"trouble": 1.5}, {"slow_after": 0.0}, {"in_a_row": 1}],
)  # fmt: skip
def test_thresholds_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Thresholds(broker="schwab", **wrong).full_clean()


def test_each_operation_tells_the_budget_its_last_call_left_and_where_the_limit_is_known_from() -> None:
    told = {"limit": 60, "period": 60, "started_at": minutes_ago(0.2)}
    calls.record(
        calls.good(**told, remaining=20, limit_source=LimitSource.HEADER),
        calls.good(**told, remaining=30, operation=Operation.HOLDINGS),
    )
    budgets = {each.operation: each.budget for each in schwab().operations}
    assert {operation: budget and (budget.remaining, budget.source) for operation, budget in budgets.items()} == {
        Operation.HOLDINGS: (30, "documented"),
        Operation.TRANSACTIONS: (20, "header"),
    }


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (Freshness(scheduled=4, vain=3), Status.DEGRADED),
        (Freshness(scheduled=4, vain=2, late=2), Status.OPERATIONAL),
        (Freshness(scheduled=4, late=4), Status.OPERATIONAL),
    ],
)
def test_a_broker_whose_data_do_not_come_is_degraded_and_syncs_that_did_not_start_are_ours(
    data: Freshness, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.record(calls.good())
    monkeypatch.setattr(freshness, "_sources", [lambda grace, now: {Broker.SCHWAB: data}])
    assert schwab().status is status
