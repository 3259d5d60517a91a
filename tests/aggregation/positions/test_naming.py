"""One spelling of a symbol, and what an identifier proves."""

import pytest

from aggregation.positions.naming import is_isin, national_number, spelled
from connections.brokers.records import AssetClass

OPTION = "AAPL  270115C00240000"


@pytest.mark.parametrize("text", ["BRK.B", "BRK B", "BRK/B", "BRK-B", "brk-b"])
def test_a_class_share_has_one_spelling(text):
    assert spelled(text, AssetClass.EQUITY, "USD") == "BRK.B"


@pytest.mark.parametrize("text", ["BTC", "BTC-USD", "BTC/USD", "BTCUSD", "BTC.USD", "BTCUSDT", "BTC-USDC", "btc_usd"])
def test_a_coin_is_what_is_bought_and_not_what_is_paid(text):
    assert spelled(text, AssetClass.CRYPTO, "USD") == "BTC"


@pytest.mark.parametrize("text", ["USDC", "USDT", "PYUSD", "FDUSD", "ETH", "1INCH"])
def test_a_coin_whose_name_ends_in_dollars_keeps_it(text):
    assert spelled(text, AssetClass.CRYPTO, "USD") == text


@pytest.mark.parametrize("text", [OPTION, "AAPL270115C00240000", "AAPL 270115C00240000", "aapl  270115c00240000"])
def test_an_option_is_written_in_osi_form(text):
    assert spelled(text, AssetClass.OPTION, "USD") == OPTION


@pytest.mark.parametrize(
    ("text", "asset_class"),
    [
        ("AAPL", "equity"),
        ("T 3 7/8 08/15/33", "bond"),
        ("BAYNd", "equity"),
        ("037833100", "equity"),
        ("ES-U6", "future"),
    ],
)
def test_other_symbols_stay_as_they_are(text, asset_class):
    assert spelled(text, asset_class, "USD") == text


@pytest.mark.parametrize("text", ["US0378331005", "IE00BK5BQT80", "DE0007164600", "CH0012005267", "GB00B10RZP78"])
def test_an_isin_is_known_by_its_check_digit(text):
    assert is_isin(text)
    assert not is_isin(text[:-1] + str((int(text[-1]) + 1) % 10))


def test_an_american_isin_and_its_cusip_prove_the_same_and_a_mistyped_one_nothing():
    assert national_number("037833100", "") == national_number("", "US0378331005") == "037833100"
    assert national_number("", "IE00BK5BQT80") == "IE00BK5BQT80"
    assert national_number("037833109", "US0378331009") == ""
