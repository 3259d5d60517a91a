"""How a Flex statement is written, what it may leave out, and what people are told then."""

from datetime import date
from decimal import Decimal as D

import pytest

from connections.brokers import ibkr_holdings, ibkr_rows, ibkr_statement
from connections.brokers.base import UnexpectedReply
from connections.brokers.ibkr_instruments import Known
from connections.brokers.ibkr_statement import IncompleteQuery, Odd
from connections.brokers.records import AssetClass
from tests.connections.flex_statements import (
    ACTION,
    CASH,
    EQUITY,
    MONEY,
    POSITION,
    TRADE,
    TRANSFER,
    one,
    read,
    statement,
)


@pytest.mark.parametrize(
    ("written", "day", "hour"),
    [
        ("20260903;101530", date(2026, 9, 3), 14),
        ("20260903101530", date(2026, 9, 3), 14),
        ("2026-09-03, 10:15:30", date(2026, 9, 3), 14),
        ("2026-09-03 10:15:30", date(2026, 9, 3), 14),
        ("20260903;101530 EDT", date(2026, 9, 3), 14),
        ("20260903;101530 GMT", date(2026, 9, 3), 10),
        ("20260903;101530 JST", date(2026, 9, 3), None),
        ("03-Sep-26;10:15:30", date(2026, 9, 3), 14),
        ("20260903", date(2026, 9, 3), None),
        ("09/23/2026;101530", date(2026, 9, 23), 14),
        ("23/09/2026 101530", date(2026, 9, 23), 14),
        ("23/09/26101530", date(2026, 9, 23), 14),
    ],
)
def test_dates_are_read_in_every_form_a_query_can_be_set_to(written, day, hour):
    record = one("CashTransactions", CASH, dateTime=written)
    assert record.traded_on == day
    assert (record.occurred_at and record.occurred_at.hour) == hour


def test_days_that_can_be_read_two_ways_are_asked_about():
    with pytest.raises(IncompleteQuery, match="yyyyMMdd"):
        one("CashTransactions", CASH, dateTime="03/09/2026")


@pytest.mark.parametrize("section", ["Trades", "CashTransactions", "Transfers", "CorporateActions"])
def test_a_section_left_out_is_named_and_never_read_as_empty(section):
    found = statement(without=[section])
    with pytest.raises(IncompleteQuery, match=ibkr_statement.TITLES[section]):
        list(ibkr_rows.transactions(found, Known()))


@pytest.mark.parametrize(
    ("section", "row", "name"),
    [
        ("Trades", TRADE, "proceeds"),
        ("Trades", TRADE, "notes"),
        ("CashTransactions", CASH, "amount"),
        ("Transfers", TRANSFER, "quantity"),
        ("CorporateActions", ACTION, "proceeds"),
    ],
)
def test_a_field_left_out_is_named(section, row, name):
    with pytest.raises(IncompleteQuery, match=f"field {name} in its section {ibkr_statement.TITLES[section]}"):
        read(**{section: [{key: value for key, value in row.items() if key != name}]})


@pytest.mark.parametrize(
    ("section", "row", "advice"),
    [
        ("Trades", ("Order", TRADE), "Tick Execution"),
        ("CashTransactions", CASH | {"levelOfDetail": "SUMMARY"}, "Choose Detail"),
    ],
)
def test_a_query_that_gives_only_summaries_is_told_so(section, row, advice):
    with pytest.raises(IncompleteQuery, match=advice):
        read(**{section: [row]})


def test_attributes_of_tomorrow_are_ignored():
    assert one("Trades", TRADE, mood="bullish").net_amount == D(-1001)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html><p>Sorry</html>",
        "<FlexQueryResponse><FlexSt",
        "<html></html>",
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    ],
)
def test_what_is_no_flex_document_is_not_read_at_all(text):
    with pytest.raises(ValueError):
        ibkr_statement.read(text)


def test_a_statement_with_fewer_accounts_than_it_says_is_not_believed():
    with pytest.raises(UnexpectedReply):
        ibkr_statement.read(
            '<FlexQueryResponse type="AF"><FlexStatements count="2"></FlexStatements></FlexQueryResponse>'
        )


# --- Holdings ---------------------------------------------------------------------------------------------------------


def test_holdings_tell_cash_and_value_in_each_currency():
    held = ibkr_holdings.holdings(
        statement(
            OpenPositions=[
                POSITION,
                POSITION | {"levelOfDetail": "LOT"},
                POSITION | {"symbol": "ULVR", "currency": "GBP", "positionValue": "700", "position": "14"},
            ],
            CashReport=[MONEY | {"currency": "BASE_SUMMARY", "endingCash": "999"}, MONEY, MONEY | {"currency": "CHF"}],
        )
    )
    assert [(each.instrument.symbol, each.quantity, each.average_cost) for each in held.positions] == [
        ("BRK.B", D(-3), D("480.5")),
        ("ULVR", D(14), D("480.5")),
    ]
    assert {each.currency: (each.cash, each.settled_cash, each.net_asset_value) for each in held.balances} == {
        "CHF": (D("250.5"), D(200), D("250.5")),
        "GBP": (D(0), D(0), D(700)),
        "USD": (D("250.5"), D(200), D("-1249.5")),
    }
    assert held.as_of.date() == date(2026, 9, 30)


@pytest.mark.parametrize(
    ("rows", "without", "advice"),
    [
        ({}, ["OpenPositions"], "Open Positions"),
        ({}, ["CashReport"], "Cash Report"),
        ({"OpenPositions": [POSITION | {"levelOfDetail": "LOT"}]}, [], "Choose Summary"),
        ({"CashReport": [MONEY | {"currency": "BASE_SUMMARY"}]}, [], "Currency Breakout"),
    ],
)
def test_holdings_that_would_be_incomplete_are_refused_in_words(rows, without, advice):
    with pytest.raises(IncompleteQuery, match=advice):
        ibkr_holdings.holdings(statement(without, **rows))


def test_a_value_the_broker_does_not_tell_stays_unknown():
    (usd,) = ibkr_holdings.holdings(
        statement(OpenPositions=[POSITION | {"positionValue": ""}], CashReport=[MONEY])
    ).balances
    assert (usd.cash, usd.market_value, usd.net_asset_value) == (D("250.5"), None, None)


def test_the_daily_summary_tells_what_the_parts_leave_open():
    unvalued = [POSITION | {"positionValue": ""}]
    info = {"accountId": "U7700001", "currency": "USD"}

    def value(**rows):
        (usd,) = ibkr_holdings.holdings(statement(OpenPositions=unvalued, CashReport=[MONEY], **rows)).balances
        return usd.net_asset_value

    days = [EQUITY | {"reportDate": "20260929", "total": "1"}, EQUITY]
    assert value(info=info, EquitySummaryInBase=days) == D("12345.67")
    assert value(info=info) is None
    assert value(info=info | {"currency": "CHF"}, EquitySummaryInBase=days) is None, "it is in another currency"
    assert value(info=info, EquitySummaryInBase=days[:0]) is None
    old = [EQUITY | {"reportDate": "20260902"}]
    assert value(info=info, EquitySummaryInBase=old) is None


def test_the_daily_summary_does_not_overrule_the_parts():
    info = {"accountId": "U7700001", "currency": "USD"}
    (usd,) = ibkr_holdings.holdings(statement(info=info, CashReport=[MONEY], EquitySummaryInBase=[EQUITY])).balances
    assert usd.net_asset_value == D("250.5")
    with pytest.raises(Odd):
        ibkr_holdings.holdings(statement(CashReport=[MONEY], EquitySummaryInBase=[EQUITY | {"total": "much"}]))


def test_a_position_of_an_unknown_category_counts_by_its_value():
    (held,) = ibkr_holdings.holdings(
        statement(OpenPositions=[POSITION | {"assetCategory": "EC"}], CashReport=[MONEY])
    ).positions
    assert (held.instrument.asset_class, held.market_value) == (AssetClass.OTHER, D(-1500))
