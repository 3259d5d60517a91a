"""The catalogue file is taken over whole or not at all, and every mistake is said with its place."""

import json
from copy import deepcopy

import pytest

from comparison import document
from comparison.document import CatalogueError
from tests.comparison.engine import CATALOGUE, shipped

SHIPPED = json.loads(CATALOGUE.read_text())


def mistakes(tmp_path, change) -> list[str]:
    content = deepcopy(SHIPPED)
    change(content)
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CatalogueError) as raised:
        document.read(path)
    assert str(raised.value).startswith("wrong.json: ")
    return raised.value.mistakes


def plan(content):
    return content["brokers"][0]["plans"][1]


def rule(content):
    return plan(content)["fees"][0]


def passed_on(content):
    return plan(content)["regulatory_pass_through"][0]


def benchmark(content):
    return content["benchmarks"][0]["series"][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: rule(c).update(source={"key": "NOWHERE"}), "fees[0].source: 'NOWHERE' is not in the list"),
        (lambda c: rule(c).pop("source"), "brokers[0].plans[1].fees[0].source: is missing"),
        (lambda c: rule(c).pop("as_of"), "brokers[0].plans[1].fees[0].as_of: is missing"),
        (lambda c: rule(c).update(confidence="sure"), "fees[0].confidence: 'sure' is neither"),
        (lambda c: rule(c).update(confidence=None), "fees[0]: is unknown without a reason"),
        (lambda c: rule(c).update(model="per_dream"), "fees[0]: model 'per_dream' is not known"),
        (lambda c: rule(c).pop("rate"), "fees[0]: model per_share needs rate"),
        (lambda c: rule(c).update(rate="cheap"), "fees[0]: rate 'cheap' is not a number"),
        (lambda c: rule(c).update(rate="NaN"), "fees[0]: rate 'NaN' is not a number"),
        (lambda c: rule(c).update(waiver="on Sundays"), "fees[0]: waiver 'on Sundays' is not understood"),
        (
            lambda c: plan(c)["features"]["drip"].update(value="yes"),
            "features.drip: 'yes' is not bool",
        ),
        (
            lambda c: passed_on(c).update(rounding="sideways"),
            "is not known",
        ),
        (lambda c: c["regulatory_fees"][0].update(effective_from="soon"), "effective_from: 'soon' is not a date"),
        (
            lambda c: benchmark(c).update(value="high"),
            "series[0].value: value 'high' is not a number",
        ),
        (lambda c: c.pop("sources"), "sources: is missing"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, change, said):
    assert any(said in mistake for mistake in mistakes(tmp_path, change))


def test_a_float_is_refused(tmp_path):
    said = mistakes(tmp_path, lambda content: rule(content).update(rate=0.005))
    assert said == ["0.005 is a float: write money and rates as strings"]


def test_a_file_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "wrong.json"
    path.write_text("{")
    with pytest.raises(CatalogueError, match=r"wrong\.json"):
        document.read(path)


def test_every_known_number_of_the_shipped_catalogue_has_source_date_and_confidence():
    plans, rates = shipped()
    rules = [rule for plan in plans.values() for some in plan.rules.values() for rule in some if rule.model]
    rules += [row.rule for rows in rates.regulatory.values() for row in rows]
    rules += [how.rule for plan in plans.values() for how in plan.passes if how.rate is not None]
    assert len(rules) > 300
    for rule in rules:
        assert rule.source is not None, rule.id
        assert rule.as_of, rule.id
        assert rule.confidence != "unknown", rule.id


def test_every_unknown_of_the_shipped_catalogue_has_a_reason():
    plans, _ = shipped()
    unknown = [rule for plan in plans.values() for some in plan.rules.values() for rule in some if not rule.model]
    assert len(unknown) > 30
    assert all(rule.reason for rule in unknown)
