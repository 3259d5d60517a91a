"""Verdicts on made-up minutes, some minutes to a list, oldest first."""

import random

import pytest

from health.verdicts import QUIET, Bars, Minute, Status, judge, judge_broker

FINE = Minute(30, 0)
DOWN = Minute(30, 30)


def test_nothing_measured_is_unknown() -> None:
    assert judge([]) is judge([QUIET] * 30) is Status.UNKNOWN


def test_calls_that_go_well_are_operational() -> None:
    assert judge([FINE]) is Status.OPERATIONAL


def test_what_was_known_is_unknown_again_after_five_silent_minutes() -> None:
    assert judge([DOWN] + [QUIET] * 4) is Status.OUTAGE
    assert judge([DOWN] + [QUIET] * 5) is Status.UNKNOWN


def test_a_busy_broker_that_goes_down_is_out_within_the_minute() -> None:
    assert judge([FINE] * 20 + [DOWN]) is Status.OUTAGE


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        (1, Status.OPERATIONAL),
        (4, Status.OPERATIONAL),
        (30, Status.DEGRADED),
        (60, Status.PARTIAL_OUTAGE),
        (95, Status.OUTAGE),
    ],
)
def test_the_share_of_failures_says_how_bad_it_is(failed: int, verdict: Status) -> None:
    assert judge([Minute(100, 0)] * 3 + [Minute(100, failed)]) is verdict


def test_two_unlucky_calls_prove_nothing() -> None:
    assert judge([Minute(1, 1), Minute(1, 1)]) is Status.OPERATIONAL


def test_an_idle_broker_is_out_after_a_few_failed_probes_in_a_row() -> None:
    probed = [Minute(1, 0)] * 10
    assert judge(probed + [Minute(1, 1)] * 3) is Status.OPERATIONAL
    assert judge(probed + [Minute(1, 1)] * 4) is Status.OUTAGE


def test_the_few_calls_the_breaker_lets_through_are_enough_to_see_an_outage() -> None:
    going_down = [Minute(60, 0)] * 10 + [Minute(40, 5)]
    trials = [Minute(2, 2)] * 2
    assert judge(going_down) is Status.OPERATIONAL
    assert judge(going_down + trials) is Status.OUTAGE


def test_two_clean_minutes_end_an_outage() -> None:
    assert judge([DOWN] * 5 + [Minute(1, 0)]) is Status.OUTAGE
    assert judge([DOWN] * 5 + [Minute(1, 0)] * 2) is Status.OPERATIONAL


def test_trouble_lasts_until_it_is_surely_over() -> None:
    """Fifteen in a hundred are not enough to begin with, but enough to go on."""
    edge = Minute(100, 15)
    assert judge([FINE] * 5 + [edge] * 10) is Status.OPERATIONAL
    assert judge([FINE] * 5 + [Minute(100, 30)] + [edge] * 10) is Status.DEGRADED
    assert judge([FINE] * 5 + [Minute(100, 30), Minute(100, 6)]) is Status.OPERATIONAL


def test_an_outage_that_eases_stays_one_until_a_quarter_gets_through() -> None:
    assert judge([Minute(100, 80)]) is Status.PARTIAL_OUTAGE
    assert judge([Minute(100, 95), Minute(100, 80)]) is Status.OUTAGE
    assert judge([Minute(100, 95), Minute(100, 70)]) is Status.PARTIAL_OUTAGE
    assert judge([Minute(100, 95), Minute(100, 45)]) is Status.PARTIAL_OUTAGE
    assert judge([Minute(100, 95), Minute(100, 35)]) is Status.DEGRADED


@pytest.mark.parametrize("calls_a_minute", [1, 5, 20, 100])
def test_one_call_in_twenty_failing_by_chance_never_changes_the_verdict(calls_a_minute: int) -> None:
    chance = random.Random(calls_a_minute)
    day = [Minute(calls_a_minute, sum(chance.random() < 0.05 for _ in range(calls_a_minute))) for _ in range(1440)]
    verdicts = {judge(day[max(0, end - 31) : end]) for end in range(1, len(day) + 1)}
    assert verdicts == {Status.OPERATIONAL}


def test_one_operation_that_is_out_makes_a_partial_outage_however_few_its_calls() -> None:
    busy = [Minute(500, 0)] * 10
    assert judge_broker([busy, [Minute(5, 5)] * 10]) is Status.PARTIAL_OUTAGE
    assert judge_broker([busy, [Minute(50, 30)] * 10]) is Status.DEGRADED
    assert judge_broker([busy, [QUIET] * 10]) is Status.OPERATIONAL


def test_a_broker_that_answers_anything_is_not_out() -> None:
    down, probed = [FINE] * 5 + [DOWN] * 5, [Minute(1, 0)] * 10
    assert judge_broker([down]) is Status.OUTAGE
    assert judge_broker([down, probed]) is Status.PARTIAL_OUTAGE
    assert judge_broker([down, probed[:-2] + [QUIET] * 2]) is Status.OUTAGE, "an old answer proves nothing"
    assert judge_broker([down, probed[:-2] + [Minute(1, 1)] * 2]) is Status.OUTAGE


def test_a_broker_without_any_operation_is_unknown() -> None:
    assert judge_broker([]) is judge_broker([[QUIET] * 5]) is Status.UNKNOWN


def test_slow_answers_alone_are_trouble_and_end_when_they_are_few() -> None:
    slow, some, rare = Minute(20, 0, 18), Minute(20, 0, 5), Minute(20, 0, 1)
    assert judge([FINE] * 5 + [slow]) is Status.DEGRADED
    assert judge([FINE] * 5 + [some] * 5) is Status.OPERATIONAL, "a quarter is not enough to begin with"
    assert judge([FINE] * 5 + [slow] + [some] * 5) is Status.DEGRADED, "but enough to go on"
    assert judge([FINE] * 5 + [slow, rare]) is Status.OPERATIONAL
    assert judge([slow, DOWN]) is Status.OUTAGE, "failing goes before being slow"


def test_five_percent_of_slow_answers_never_change_the_verdict() -> None:
    chance = random.Random(3)
    day = [Minute(20, 0, sum(chance.random() < 0.05 for _ in range(20))) for _ in range(1440)]
    assert {judge(day[max(0, end - 31) : end]) for end in range(1, len(day) + 1)} == {Status.OPERATIONAL}


def test_bars_of_another_height() -> None:
    patient = Bars(trouble=0.5, calm=0.4, partial=0.7, outage=0.95, in_a_row=20)
    assert judge([Minute(100, 0)] * 3 + [Minute(100, 60)], bars=patient) is Status.OPERATIONAL
    assert judge([Minute(100, 0)] * 3 + [Minute(100, 80)], bars=patient) is Status.PARTIAL_OUTAGE
    assert judge([Minute(1, 0)] * 10 + [Minute(1, 1)] * 4, bars=patient) is not Status.OUTAGE
