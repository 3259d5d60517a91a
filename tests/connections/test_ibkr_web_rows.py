"""What the hub makes of the rows of Interactive Brokers' Web API: one example of each shape."""

from decimal import Decimal as D

import pytest

from connections.brokers import ibkr_web_rows
from connections.brokers.base import UnexpectedReply
from connections.brokers.records import AssetClass

ACCOUNT = {"accountId": "U1", "displayName": "Ada", "currency": "CHF", "clearingStatus": "O"}


def test_a_closed_account_is_said_to_be_closed_and_one_never_opened_is_none():
    rows = [ACCOUNT | {"clearingStatus": status} for status in "OCPNAR"]
    assert [each.closed for each in ibkr_web_rows.accounts(rows)] == [False, True]
    (named,) = ibkr_web_rows.accounts([ACCOUNT | {"accountId": "U7700001", "accountAlias": "Pension"}])
    assert (named.name, named.number_mask, named.currency) == ("Pension", "0001", "CHF")


POSITION = {
    "acctId": "U7700001",
    "conid": 990001,
    "contractDesc": "ACME",
    "position": D("91.0"),
    "mktPrice": D("100.0"),
    "mktValue": D("9100.0"),
    "currency": "USD",
    "avgCost": D("80.0"),
    "avgPrice": D("80.0"),
    "expiry": None,
    "putOrCall": None,
    "multiplier": None,
    "strike": D("0.0"),
    "assetClass": "STK",
    "model": "",
}
OPTION = POSITION | {
    "contractDesc": "ACME   JAN2027 330 C [ACME  270115C00330000 100]",
    "assetClass": "OPT",
    "putOrCall": "C",
    "multiplier": D(100),
    "strike": "330",
    "expiry": "20270115",
    "avgCost": D(-800),
    "avgPrice": D(-8),
}


@pytest.mark.parametrize(
    ("row", "symbol", "asset_class", "multiplier"),
    [
        (POSITION, "ACME", AssetClass.EQUITY, 1),
        (POSITION | {"ticker": "ACME", "type": "ETF", "multiplier": 0}, "ACME", AssetClass.ETF, 1),
        (POSITION | {"ticker": "BRK B", "contractDesc": "BRK B"}, "BRK.B", AssetClass.EQUITY, 1),
        (OPTION, "ACME  270115C00330000", AssetClass.OPTION, 100),
        (OPTION | {"strike": D("330.0"), "multiplier": "100"}, "ACME  270115C00330000", AssetClass.OPTION, 100),
        (
            OPTION | {"contractDesc": "ACME JAN2027 330 C", "undSym": "ACME"},
            "ACME  270115C00330000",
            AssetClass.OPTION,
            100,
        ),
        (POSITION | {"assetClass": "CRYPTO", "ticker": "BTC"}, "BTC", AssetClass.CRYPTO, 1),
        (POSITION | {"assetClass": "BOND", "contractDesc": "T 4 1/4"}, "T 4 1/4", AssetClass.BOND, D("0.01")),
    ],
)
def test_instruments_are_spelled_as_everywhere_in_the_hub(row, symbol, asset_class, multiplier):
    thing = ibkr_web_rows.named(row)
    assert (thing.symbol, thing.asset_class, thing.multiplier) == (symbol, asset_class, multiplier)


def test_costs_are_per_unit_and_what_is_not_told_is_unknown():
    assert ibkr_web_rows.position(OPTION).average_cost == D(8)
    unknown = ibkr_web_rows.position(POSITION | {"avgPrice": None, "mktPrice": None, "mktValue": None})
    assert (unknown.average_cost, unknown.price, unknown.market_value) == (None, None, None)


def test_what_was_sold_today_and_currencies_are_no_positions():
    sold, euros = POSITION | {"position": D("0.0")}, POSITION | {"conid": 2, "assetClass": "CASH"}
    assert ibkr_web_rows.held([POSITION, sold | {"conid": 3}, euros]) == [POSITION]


@pytest.mark.parametrize("number", ["", None, 7, "U1/../U2", "U 1"])
def test_a_number_that_is_none_never_becomes_part_of_an_address(number):
    with pytest.raises(ValueError):
        ibkr_web_rows.accounts([ACCOUNT | {"accountId": number}])


def test_an_unknown_kind_of_instrument_counts_by_its_value():
    record = ibkr_web_rows.position(POSITION | {"assetClass": "EC"})
    assert (record.instrument.asset_class, record.instrument.symbol) == (AssetClass.OTHER, "ACME")
    assert record.market_value == D(9100)


def test_an_option_that_cannot_be_named_is_not_guessed():
    with pytest.raises(UnexpectedReply, match="cannot be named"):
        ibkr_web_rows.named(OPTION | {"contractDesc": "P ACM 20270115 330 M", "undSym": "ACMEACME"})


LEDGER = {
    "USD": {"currency": "USD", "cashbalance": D("-50.5"), "settledcash": D(0), "interest": D("3.1")},
    "CHF": {"currency": "CHF", "cashbalance": D(10), "settledcash": D(10), "interest": D(0)},
    "BASE": {"currency": "BASE", "cashbalance": D(999), "settledcash": D(999), "interest": D(2)},
}
SUMMARY = {
    "netliquidation": {"amount": D(1), "currency": "CHF", "isNull": False},
    "buyingpower": {"amount": D(400), "currency": "CHF", "isNull": False},
}


def test_cash_is_told_per_currency_and_never_in_total():
    held = [ibkr_web_rows.position(POSITION), ibkr_web_rows.position(POSITION | {"currency": "GBP"})]
    found = {each.currency: each for each in ibkr_web_rows.balances(LEDGER, SUMMARY, held)}
    assert {currency: (each.cash, each.net_asset_value) for currency, each in found.items()} == {
        "CHF": (D(10), D(10)),
        "GBP": (D(0), D(9100)),
        "USD": (D("-50.5"), D("9049.5")),
    }
    assert (found["CHF"].buying_power, found["USD"].buying_power) == (D(400), None)
    assert (found["USD"].margin_used, found["USD"].accrued_interest) == (D("50.5"), D("3.1"))


@pytest.mark.parametrize("none", [{"isNull": True, "amount": 0}, {"isNone": True, "amount": 0}, None])
def test_a_total_that_is_null_is_unknown(none):
    told = list(ibkr_web_rows.balances(LEDGER, SUMMARY | {"buyingpower": none}, []))
    assert [each.buying_power for each in told] == [None, None]


@pytest.mark.parametrize(("ledger", "summary"), [({}, SUMMARY), (LEDGER, {})])
def test_an_empty_answer_is_no_empty_account(ledger, summary):
    with pytest.raises(KeyError):
        list(ibkr_web_rows.balances(ledger, summary, []))
