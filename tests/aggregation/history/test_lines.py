"""An account's currencies as one day, and accounts as one line."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.history import lines
from aggregation.models import PointBasis

ON = date(2026, 3, 2)
amounts = st.none() | st.decimals(-1_000_000, 1_000_000, places=2)
parts = st.builds(
    lines._Part,
    on=st.just(ON),
    currency=st.just("USD"),
    cash=amounts,
    net_asset_value=amounts,
    flow=amounts,
    by_class=st.none() | st.dictionaries(st.sampled_from(["equity", "fund", "cash"]), amounts.filter(bool).map(str)),
    at_older_prices=amounts.filter(bool),
    basis=st.sampled_from(PointBasis.values),
)
NOTHING_IN_EUROS = lines._Part(ON, "EUR", None, Decimal(0), Decimal(0), None, Decimal(0), "observed")


def in_dollars(amount: Decimal, currency: str, on: date) -> Decimal | None:
    return amount if currency == "USD" else None


@given(parts)
def test_a_day_in_the_line_s_own_currency_is_the_same_beside_a_currency_in_which_there_is_nothing(
    part: lines._Part,
) -> None:
    assert lines._sum([part], in_dollars) == lines._sum([part, NOTHING_IN_EUROS], in_dollars)


@pytest.mark.parametrize("amount", [Decimal(0), Decimal(5)])
def test_a_day_in_another_currency_needs_a_rate_as_soon_as_there_is_something(amount: Decimal) -> None:
    day = lines._sum([NOTHING_IN_EUROS._replace(net_asset_value=amount)], in_dollars)
    assert day.value == (None if amount else 0)
