"""The settlement date of a trade, where the broker does not say it."""

from datetime import date

import pytest

from connections.brokers.records import AssetClass
from connections.brokers.settlement import us_settlement_date


@pytest.mark.parametrize(
    ("traded_on", "settled_on"),
    [
        (date(2026, 11, 18), date(2026, 11, 19)),
        (date(2026, 11, 20), date(2026, 11, 23)),  # over a weekend
        (date(2026, 11, 25), date(2026, 11, 27)),  # over Thanksgiving
        (date(2024, 5, 24), date(2024, 5, 29)),  # the last day of T+2, over Memorial Day
        (date(2024, 5, 28), date(2024, 5, 29)),  # the first day of T+1
        (date(2024, 10, 11), date(2024, 10, 15)),  # Columbus Day: traded, not settled
        (date(2025, 11, 10), date(2025, 11, 12)),  # Veterans Day: traded, not settled
    ],
)
def test_stocks_settle_on_the_next_business_day_and_two_before_may_2024(traded_on, settled_on):
    assert us_settlement_date(traded_on, AssetClass.EQUITY) == settled_on


def test_options_settled_on_the_next_day_before_as_well():
    assert us_settlement_date(date(2023, 3, 1), AssetClass.OPTION) == date(2023, 3, 2)


def test_what_differs_from_product_to_product_is_left_unknown():
    assert us_settlement_date(date(2023, 3, 1), AssetClass.BOND) is None
