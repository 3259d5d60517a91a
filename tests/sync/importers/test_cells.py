"""Numbers and dates as exports print them."""

import contextlib
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.importers.dates import parse_as_of
from sync.importers.numbers import parse_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$1,234.56", "1234.56"),
        ("-$0.88", "-0.88"),
        ("$-0.88", "-0.88"),
        ("(1,234.50)", "-1234.50"),
        ("($5)", "-5"),
        ("-2.6E-4", "-0.00026"),
        ("+3", "3"),
        (".5", "0.5"),
        ("1\N{NO-BREAK SPACE}000", "1000"),
        ("0.123456789012345678", "0.123456789012345678"),
    ],
)
def test_a_number_is_read_exactly(text: str, number: str) -> None:
    assert parse_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", " ", "-", "--", "n/a", "N/A"])
def test_a_cell_that_says_no_value_is_none_and_never_zero(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    "text",
    ["sixty", "1,23", "1.2.3", "1-2", "NaN", "Infinity", "1e999", "E5", ".", "٣", "9" * 19, "1." + "1" * 19],
)
def test_what_is_no_number_we_can_keep_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number|has too many digits"):
        parse_number(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6))
def test_every_printed_amount_comes_back(amount: Decimal) -> None:
    sign = "-" if amount < 0 else ""
    assert parse_number(f"{sign}${abs(amount):,.6f}") == amount


@given(st.text(max_size=30))
def test_no_text_breaks_the_reading(text: str) -> None:
    with contextlib.suppress(ValueError):  # the one error it may raise
        number = parse_number(text)
        assert number is None or number.is_finite()


def test_as_of_names_the_posting_date_first() -> None:
    assert parse_as_of("06/15/2026 as of 06/12/2026") == (date(2026, 6, 15), date(2026, 6, 12))
    assert parse_as_of(" 6/5/2026 ") == (date(2026, 6, 5), date(2026, 6, 5))
    assert parse_as_of("06/05/26") == (date(2026, 6, 5), date(2026, 6, 5))


@pytest.mark.parametrize(
    "text", ["", "13/01/2026", "02/30/2026", "2026-06-31", "06/05/2026 as of", "06/05/2026 as of x"]
)
def test_an_impossible_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date"):
        parse_as_of(text)
