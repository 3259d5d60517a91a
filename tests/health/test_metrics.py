from collections import Counter
from datetime import timedelta

import numpy
from hypothesis import given
from hypothesis import strategies as st

from connections.brokers.calls import BrokerCall
from health.metrics import LONGEST, SHORTEST, Budget, Pace, Tally, bin_of, quantiles, seconds_of, surely_above
from tests.health import calls

seconds = st.floats(min_value=SHORTEST, max_value=LONGEST)
shares = st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0])


def histogram(values: list[float]) -> Counter[int]:
    return Counter(map(bin_of, values))


@given(seconds)
def test_a_bin_stands_for_each_of_its_values_within_one_percent(value: float) -> None:
    assert abs(seconds_of(bin_of(value)) - value) <= 0.01 * value


@given(st.lists(seconds, min_size=1, max_size=300), shares)
def test_a_percentile_is_within_one_percent_of_the_exact_one(values: list[float], share: float) -> None:
    exact = float(numpy.quantile(values, share))
    (measured,) = quantiles(histogram(values), share)
    assert measured is not None
    assert abs(measured - exact) <= 0.01 * exact


@given(st.lists(st.lists(seconds, max_size=60), min_size=1, max_size=20), shares)
def test_merging_minutes_gives_the_percentile_of_all_their_calls(minutes: list[list[float]], share: float) -> None:
    merged: Counter[int] = Counter()
    for minute in minutes:
        merged.update(histogram(minute))
    assert quantiles(merged, share) == quantiles(histogram([value for minute in minutes for value in minute]), share)


def test_nothing_measured_has_no_percentile() -> None:
    assert quantiles({}, 0.5, 0.99) == (None, None)


def test_durations_outside_of_the_range_count_at_its_border() -> None:
    assert bin_of(0.0) == bin_of(-1.0) == bin_of(SHORTEST)
    assert bin_of(1e9) == bin_of(LONGEST)


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_sure_share_never_exceeds_the_observed_one(failed: int, fine: int) -> None:
    total = failed + fine
    assert 0.0 <= surely_above(failed, total) <= (failed / total if total else 0.0)


def test_the_same_share_is_surer_with_more_calls() -> None:
    assert surely_above(2, 10) < surely_above(20, 100) < surely_above(200, 1000) < 0.2


some_call = st.builds(
    lambda make, second, duration, left: make(
        started_at=calls.NOW + timedelta(microseconds=second), duration=duration, limit=60, remaining=left, period=60
    ),
    st.sampled_from([calls.good, calls.server_error, calls.timed_out, calls.login_refused, calls.our_mistake]),
    st.integers(0, 10**9),
    seconds,
    st.integers(0, 60),
)


def tally(of: list[BrokerCall]) -> Tally:
    result = Tally()
    for call in of:
        result.count(call)
    return result


@given(st.lists(some_call, max_size=30, unique_by=lambda call: call.started_at), st.integers(0, 30))
def test_two_tallies_add_up_to_the_tally_of_all_calls_in_either_order(told: list[BrokerCall], cut: int) -> None:
    first, second = tally(told[:cut]), tally(told[cut:])
    first_again = tally(told[:cut])
    first.add(second)
    second.add(first_again)
    assert first == second == tally(told)


def test_each_failure_stands_on_one_side() -> None:
    counted = tally([calls.good(), calls.server_error(), calls.timed_out(), calls.login_refused(), calls.our_mistake()])
    assert counted.calls == 5
    assert counted.failed() == 4
    assert counted.judged == 3
    assert counted.outcomes() == {"ok": 1, "server_error": 1, "timeout": 1, "unauthorized": 1, "client_error": 1}


def test_a_call_without_an_answer_has_no_latency() -> None:
    assert tally([calls.timed_out()]).latency == Counter()


def test_a_budget_is_full_again_after_a_period_without_calls() -> None:
    seen = Budget(limit=60, remaining=12, period=60, seen_at=calls.NOW)
    assert (seen.used, seen.used_share) == (48, 0.8)
    assert seen.now(calls.NOW + timedelta(seconds=59)) == seen
    assert seen.now(calls.NOW + timedelta(seconds=60)).used == 0


def test_a_budget_of_which_the_rest_is_not_told_has_an_unknown_use() -> None:
    seen = Budget(limit=60, remaining=None, period=None, seen_at=calls.NOW)
    assert (seen.used, seen.used_share) == (None, None)
    assert seen.now(calls.NOW + timedelta(days=1)) == seen


def test_a_budget_lasts_as_long_as_its_calls_take_when_their_pace_outruns_the_limit() -> None:
    seen = Budget(limit=120, remaining=60, period=60, seen_at=calls.NOW)
    assert seen.lasts(3.0) == 20
    assert seen.lasts(2.0) is None, "two a second are allowed for ever"
    assert Budget(limit=120, remaining=None, period=60, seen_at=calls.NOW).lasts(3.0) is None


def test_a_pace_is_that_of_this_minute_once_it_tells_and_of_both_before() -> None:
    minute = calls.NOW.replace(second=0)
    assert Pace(30, 0).per_second(minute + timedelta(seconds=15)) == 2
    assert Pace(8, 60).per_second(minute + timedelta(seconds=8)) == 1
    assert Pace(0, 120).per_second(minute + timedelta(seconds=30)) == 120 / 90
    assert Pace().per_second(minute) == 0
    assert Pace(1, 2) + Pace(3, 4) == Pace(4, 6)
