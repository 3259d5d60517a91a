"""How old a fact may be before it is called stale."""

from datetime import date

import pytest

from comparison import freshness
from comparison.terms import Confidence
from tests.comparison.engine import shipped

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("as_of", "kind", "is_stale"),
    [
        ("2026-05-27", "commission", False),
        ("2026-05-26", "commission", True),
        ("2026-10-09", "margin", False),
        ("2026-10-08", "margin", True),
        ("2026-10-24", "cash", False),
        ("2026-10-23", "cash", True),
        ("2026-08-25", "regulatory", False),
        ("2026-08-24", "regulatory", True),
        ("2025-11-23", "account", False),
        ("2025-11-22", "feature", True),
        ("2026-11", "commission", False),
        ("2026", "commission", True),
        ("undated (after 2019-10)", "account", True),
        ("2026-02-30", "account", True),
        ("", "account", True),
    ],
)
def test_ages_count_from_the_first_day_and_undated_is_stale(as_of, kind, is_stale):
    assert bool(freshness.why_stale(as_of, kind, TODAY)) is is_stale


def test_a_rate_read_before_the_policy_rate_moved_is_stale_however_young():
    plans, rates = shipped()
    policy = freshness.policy_changes(rates)
    day = date(2026, 9, 20)

    def why(ref: str) -> str:
        return freshness.rule_is_stale(plans[ref].rules["margin_interest"][0], day, policy)

    assert why("ibkr:pro_fixed") == "read 2026-09-01, before the policy rate moved on 2026-09-17"
    assert why("schwab:standard")
    assert not why("robinhood:standard")
    assert not why("fidelity:standard")


def test_a_sum_carries_the_worst_badge_of_its_parts():
    parts = [Confidence.REPORTED, Confidence.NOT_VERIFIED, Confidence.CHECKED]
    assert freshness.worst(parts) == Confidence.NOT_VERIFIED
    assert freshness.worst([]) == Confidence.CHECKED


def test_what_is_unknown_does_not_grow_old():
    plans, _ = shipped()
    assert freshness.rule_is_stale(plans["merrill:standard"].rules["margin_interest"][0], TODAY) == ""
