"""The arithmetic of the recommendation: T14, T15 and what holds for every set of weights."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from comparison import scoring

NAMES = ("cost", "features", "execution")


def test_t14_a_missing_criterion_is_dropped_and_said():
    weights = {"cost": D("0.5"), "features": D("0.3"), "execution": D("0.2")}
    found = scoring.weighted(weights, {"cost": D(80), "features": D(60), "execution": None})
    assert (found.value, found.coverage, found.low, found.high) == (D("72.5"), D("0.80"), D("58.0"), D("78.0"))


def test_t15_the_weight_at_which_the_recommendation_flips():
    weights = {"cost": D("0.7"), "features": D("0.3")}
    plans = {"A": {"cost": D(80), "features": D(60)}, "B": {"cost": D(60), "features": D(90)}}
    assert [(ref, score.value) for ref, score in scoring.ranking(weights, plans)] == [
        ("A", D("74.0")),
        ("B", D("69.0")),
    ]
    flip = {found.criterion: found for found in scoring.flips(weights, plans)}["cost"]
    assert (flip.weight, flip.other, flip.is_below) == (D("0.60"), "B", True)


numbers = st.decimals(0, 100, allow_nan=False, allow_infinity=False, places=1)
scores = st.fixed_dictionaries({name: st.none() | numbers for name in NAMES})
weights = st.fixed_dictionaries(dict.fromkeys(NAMES, numbers))
plans = st.dictionaries(st.sampled_from("ABCDE"), scores, max_size=5)


@given(weights, scores)
def test_points_add_up_to_the_score(weights, scores):
    found = scoring.weighted(weights, scores)
    if found.value is not None:
        assert abs(sum(scoring.points(weights, scores).values()) - found.value) < D("1e-20")
        assert found.low <= found.high
        assert 0 <= found.value <= 100


@given(weights, plans)
def test_an_added_plan_does_not_turn_the_order_of_the_others(weights, plans):
    order = [ref for ref, _ in scoring.ranking(weights, plans)]
    more = {**plans, "Z": dict.fromkeys(NAMES, D(0))}
    assert [ref for ref, _ in scoring.ranking(weights, more) if ref != "Z"] == order


@given(weights, plans)
def test_stability_and_second_opinion_never_fail(weights, plans):
    found = scoring.stability(weights, plans)
    assert 0 <= found.first <= found.variants
    opinion = scoring.topsis(weights, plans)
    assert all(0 <= closeness <= 1 for _, closeness in opinion)


def test_nothing_known_gives_no_ranking():
    assert scoring.ranking({"cost": D(1)}, {"A": {"cost": None}}) == []
    assert scoring.stability({"cost": D(1)}, {"A": {"cost": None}}).variants == 0
    assert scoring.flips({"cost": D(1)}, {"A": {"cost": None}}) == []


def test_weights_of_zero_carry_nothing():
    assert scoring.weighted({"cost": D(0)}, {"cost": D(50)}).value is None
    only = scoring.weighted({"cost": D(0), "features": D(2)}, {"cost": D(50), "features": D(70)})
    assert (only.value, only.coverage) == (D(70), D(1))


def test_too_little_known_is_listed_but_not_ranked():
    weights = {"cost": D(59), "features": D(41)}
    assert scoring.ranking(weights, {"A": {"cost": D(90), "features": None}}) == []
    assert scoring.ranking({"cost": D(60), "features": D(40)}, {"A": {"cost": D(90), "features": None}})


def test_the_cost_score_depends_on_the_account_and_not_on_other_plans():
    assert scoring.from_cost(D(100), D(75), D(1_000)) == D(50), "half of 50 dearer"
    assert scoring.from_cost(D(100), D(75), D(40_000)) == D(75), "a quarter of 100 dearer"
    assert scoring.from_cost(D(900), D(75), D(40_000)) == D(0)


def test_the_second_opinion_prefers_the_balanced_plan():
    weights = {"cost": D(1), "features": D(1)}
    plans = {"one-sided": {"cost": D(100), "features": D(0)}, "balanced": {"cost": D(55), "features": D(55)}}
    assert scoring.topsis(weights, plans)[0][0] == "balanced"
