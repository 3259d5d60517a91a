"""Every kind of discrepancy is found, with its cause; where nothing differs, nothing is reported."""

from datetime import date
from decimal import Decimal

import pytest

from aggregation.models import Break, ReferenceRate
from aggregation.reconciliation.causes import Cause
from tests.aggregation.reconciliation.kinds import FIRST, KINDS
from tests.aggregation.reconciliation.worlds import NOW, World

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rates():
    ReferenceRate.objects.create(currency="USD", on=date(2026, 11, 20), per_euro=Decimal("1.1600"), read_at=NOW)


def seeded(name: str, seed: int) -> tuple[dict[str, Cause], dict[str, Cause]]:
    """(what is wanted, what was found) in a world of this seed."""
    world = World(seed)
    world.past()
    if name not in FIRST:
        world.agree()
    wanted = KINDS[name](world)
    world.lately()
    world.other.reach_the_hub(NOW)
    found = {each.instrument.symbol if each.instrument else each.currency: each.why for each in world.go_on()}
    return wanted, found


@pytest.mark.parametrize("name", KINDS)
def test_a_discrepancy_is_found_with_its_cause(name):
    wanted, found = seeded(name, seed=1)
    assert found == wanted


def test_there_are_forty_kinds_and_more():
    assert len(KINDS) >= 40


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_account_raises_no_alarm(seed):
    world = World(seed)
    world.past()
    world.agree()
    world.lately()
    assert world.go_on() == []
    assert not Break.objects.exists()
