"""What the hub makes of Robinhood's rows: one example of each shape, with its signs and its kind."""

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest

from connections.brokers import robinhood_orders, robinhood_rows
from connections.brokers.base import UnexpectedReply
from connections.brokers.records import AccountKind, AssetClass, ParkedRecord, RecordStatus, TransactionKind


def fill(quantity, price, number=1, **more):
    stamp = "2026-01-05T15:31:02.120000Z"
    return {"id": f"e{number}", "price": price, "quantity": quantity, "timestamp": stamp, "fees": "0.00"} | more


def share_order(*fills, **more):
    filled = str(sum(D(each["quantity"]) for each in fills))
    return {
        "id": "o1",
        "symbol": "BRK.B",
        "side": "buy",
        "type": "market",
        "state": "filled",
        "quantity": filled,
        "cumulative_quantity": filled,
        "average_price": "1",
        "fees": "0.00",
        "placed_agent": "user",
        "created_at": "2026-01-05T15:30:58.000000Z",
        "last_transaction_at": "2026-01-05T15:31:02.120000Z",
        "executions": list(fills),
    } | more


def leg(side, effect, strike, *fills, ratio=1, **more):
    return {
        "option_type": "put",
        "strike_price": strike,
        "expiration_date": "2026-03-20",
        "side": side,
        "position_effect": effect,
        "ratio_quantity": ratio,
        "executions": list(fills),
    } | more


def option_order(*legs, **more):
    return {
        "id": "o2",
        "chain_symbol": "ACME",
        "state": "filled",
        "direction": "credit",
        "processed_quantity": "2.00000",
        "trade_value_multiplier": "100.0000",
        "created_at": "2026-01-05T15:30:58.000000Z",
        "legs": list(legs),
    } | more


def coin_order(**more):
    return {
        "id": "o3",
        "currency_code": "BTC",
        "side": "buy",
        "state": "filled",
        "cumulative_quantity": "0.010000000000000000",
        "average_price": "41600.00",
        "rounded_executed_notional": "416.00",
        "created_at": "2026-01-04T14:00:00Z",
        "updated_at": "2026-01-04T14:00:01Z",
    } | more


def of_shares(order):
    return list(robinhood_orders.shares([order]))


def of_options(order):
    return list(robinhood_orders.options([order]))


def of_coins(order):
    return list(robinhood_orders.coins([order]))


def test_a_buy_takes_cash_and_brings_shares():
    [bought] = of_shares(share_order(fill("12.50000000", "101.25", fees="0.03")))
    assert (bought.kind, bought.quantity, bought.price) == (TransactionKind.BUY, D("12.5"), D("101.25"))
    assert (bought.gross_amount, bought.fees, bought.net_amount) == (D("-1265.63"), D("0.03"), D("-1265.66"))
    assert (bought.instrument.symbol, bought.instrument.asset_class) == ("BRK.B", AssetClass.EQUITY)
    assert (bought.external_id, bought.group_id, bought.status) == ("o1:e1", "o1", RecordStatus.POSTED)


def test_a_sale_brings_cash_less_its_fees():
    [sold] = of_shares(share_order(fill("10", "105.02", fees="0.03"), side="sell"))
    assert (sold.kind, sold.quantity) == (TransactionKind.SELL, D(-10))
    assert sold.net_amount == D("1050.17")


def test_each_execution_is_a_record_of_its_own():
    first, second = of_shares(share_order(fill("1", "10"), fill("1", "10", number=2)))
    assert first.external_id != second.external_id
    assert (first.net_amount, second.net_amount) == (D(-10), D(-10))


def test_what_was_executed_before_a_cancel_counts():
    [part] = of_shares(share_order(fill("3", "10"), quantity="10", state="partially_filled_rest_cancelled"))
    assert (part.quantity, part.status) == (D(3), RecordStatus.POSTED)


def test_a_voided_order_counts_nothing():
    [void] = of_shares(share_order(fill("3", "10"), state="voided"))
    assert void.status == RecordStatus.VOID


def test_a_reinvested_dividend_says_so():
    [bought] = of_shares(share_order(fill("0.04", "104.47"), placed_agent="drip"))
    assert (bought.kind, bought.subtype) == (TransactionKind.BUY, "reinvest")


@pytest.mark.parametrize("state", ["new", "queued", "confirmed", "rejected", "failed", "cancelled", "locate_failed"])
def test_an_order_without_executions_is_no_transaction(state):
    assert of_shares(share_order(state=state, cumulative_quantity="0.00000000", executions=None)) == []


@pytest.mark.parametrize(
    ("stamp", "day"),
    [("2026-01-06T02:30:00Z", date(2026, 1, 5)), ("2026-07-01T23:00:00-04:00", date(2026, 7, 1))],
)
def test_the_day_of_a_trade_is_new_yorks(stamp, day):
    [bought] = of_shares(share_order(fill("1", "10", timestamp=stamp)))
    assert bought.traded_on == day


def test_shares_settle_on_the_next_business_day():
    [bought] = of_shares(share_order(fill("1", "10", timestamp="2026-01-16T15:00:00Z")))
    assert bought.settled_on == date(2026, 1, 20)  # after a weekend and Martin Luther King's day


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (share_order(fill("1", "10"), side="sell_short"), "unknown side 'sell_short'"),
        (share_order(fill("1", "10"), state="melted"), "unknown state 'melted'"),
        (share_order(fill("1", "10"), state="rejected"), "although its state is 'rejected'"),
        (share_order(fill("1", "10"), cumulative_quantity="2"), "do not add up to what was filled"),
    ],
)
def test_an_order_no_rule_understands_is_parked_whole(order, reason):
    [parked] = of_shares(order)
    assert isinstance(parked, ParkedRecord)
    assert (parked.external_id, parked.raw) == ("o1", order)
    assert reason in parked.reason


@pytest.mark.parametrize(
    "change",
    [
        {"cumulative_quantity": None},
        {"executions": [{"id": "e1"}]},
        {"executions": "none", "cumulative_quantity": "0"},
        {"executions": [fill("1", "NaN")]},
        {"executions": [fill("1", "10", timestamp="2026-01-05T15:31:02")]},
    ],
)
def test_a_changed_form_is_ours_to_mend_and_never_an_empty_list(change):
    with pytest.raises(UnexpectedReply):
        of_shares(share_order(fill("1", "10")) | change)


def test_a_sold_put_brings_its_premium_times_a_hundred():
    order = option_order(
        leg("sell", "open", "95.0000", fill("2.00000", "1.55000000")),
        processed_premium="310.00",
        net_amount="309.92",
        net_amount_direction="credit",
    )
    [sold] = of_options(order)
    assert (sold.kind, sold.subtype, sold.quantity, sold.price) == (TransactionKind.SELL, "short", D(-2), D("1.55"))
    assert (sold.gross_amount, sold.fees, sold.net_amount) == (D(310), D("0.08"), D("309.92"))
    thing = sold.instrument
    assert (thing.symbol, thing.underlying, thing.multiplier) == ("ACME  260320P00095000", "ACME", D(100))


def test_the_fees_of_a_spread_are_shared_by_premium_and_add_up():
    order = option_order(
        leg("buy", "open", "11.0000", fill("1", "0.67", number=1)),
        leg("sell", "open", "13.5000", fill("1", "0.33", number=2)),
        processed_quantity="1",
        net_amount="34.05",
        net_amount_direction="debit",
    )
    bought, sold = of_options(order)
    assert bought.fees + sold.fees == D("0.05")
    assert bought.fees > sold.fees
    assert bought.net_amount + sold.net_amount == D("-34.05")
    assert sold.instrument.symbol == "ACME  260320P00013500"


@pytest.mark.parametrize("counted", ["1", "2"])
def test_executions_of_a_ratio_leg_may_count_units_or_contracts(counted):
    order = option_order(leg("buy", "close", "95", fill(counted, "1.00"), ratio=2), processed_quantity="1")
    [bought] = of_options(order)
    assert (bought.quantity, bought.gross_amount, bought.subtype) == (D(2), D(-200), "cover")


def test_options_whose_fees_are_not_told_are_pointed_out():
    order = option_order(leg("sell", "close", "95", fill("2", "1.55")), processed_premium="310")
    [sold] = of_options(order)
    assert sold.net_amount == D(310)
    assert robinhood_orders.notes([order]) == ("Robinhood did not tell the fees of 1 option order.",)


def test_told_fees_leave_nothing_to_point_out():
    order = option_order(leg("sell", "close", "95", fill("2", "1.55")), regulatory_fees="0.08", contract_fees="0.00")
    [sold] = of_options(order)
    assert sold.net_amount == D("309.92")
    assert robinhood_orders.notes([order]) == ()


@pytest.mark.parametrize(
    "order",
    [
        option_order(leg("sell", "open", "95", fill("2", "155")), processed_premium="310"),
        option_order(leg("sell", "open", "95", fill("2", "1.55")), net_amount="311", net_amount_direction="credit"),
        option_order(leg("sell", "open", "95", fill("3", "1.55"))),
        option_order(leg("sell", "open", "95", fill("2", "1.55"), option_type="straddle")),
        option_order(leg("sell", "open", "95.00001", fill("2", "1.55"))),
    ],
)
def test_an_option_order_that_contradicts_itself_is_parked(order):
    [parked] = of_options(order)
    assert isinstance(parked, ParkedRecord)


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        ("0.05", ["1", "1", "1"], ["0.02", "0.01", "0.02"]),
        ("0.03", ["0", "0"], ["0.03", "0"]),
        ("0.06", ["67", "0", "1"], ["0.06", "0.00", "0.00"]),
        ("0", ["5", "5"], ["0", "0"]),
    ],
)
def test_a_sum_is_split_without_losing_a_cent(amount, weights, parts):
    found = robinhood_orders.split(D(amount), [D(weight) for weight in weights])
    assert found == [D(part) for part in parts]
    assert sum(found) == D(amount)


@pytest.mark.parametrize(
    ("more", "fees", "net"),
    [
        ({}, "0", "-416.00"),
        ({"fee": "2.50"}, "2.50", "-418.50"),
        ({"fees": "2.50"}, "2.50", "-418.50"),
        ({"fees": [{"fee_structure": "tier", "fee_data": {"fee_amount": "2.50"}}]}, "2.50", "-418.50"),
        ({"fees": [], "side": "sell"}, "0", "416.00"),
        ({"fee": "2.50", "side": "sell", "net_rounded_executed_notional": "413.49"}, "2.50", "413.49"),
    ],
)
def test_a_coin_order_is_one_record_with_its_fees(more, fees, net):
    [record] = of_coins(coin_order(**more))
    assert (record.fees, record.net_amount) == (D(fees), D(net))
    assert abs(record.quantity) == D("0.01")
    assert (record.external_id, record.instrument.symbol, record.instrument.asset_class) == ("o3", "BTC", "crypto")


def test_tax_withheld_from_a_coin_sale_is_a_tax():
    [sold] = of_coins(coin_order(side="sell", tax_withholding={"total_withholding_amount": "99.84"}))
    assert (sold.taxes, sold.net_amount) == (D("99.84"), D("316.16"))


def test_a_coin_order_has_the_time_of_its_last_execution():
    times = ["2026-01-04T23:00:00-05:00", "2026-01-04T22:00:00-05:00"]
    [bought] = of_coins(coin_order(executions=[{"timestamp": time} for time in times]))
    assert bought.traded_on == date(2026, 1, 4)
    assert bought.occurred_at.isoformat() == "2026-01-05T04:00:00+00:00"


PRICES = {"AAPL": D("278.41")}


def held_of(read):
    """`read`, of a position that is still held."""

    def position(*arguments):
        record = read(*arguments)
        assert record is not None
        return record

    return position


def test_a_share_position_has_its_value_by_the_quote():
    row = {"symbol": "AAPL", "quantity": "20.84768300", "average_buy_price": "234.5663", "type": "long"}
    held = held_of(robinhood_rows.share_position)(row, PRICES)
    assert (held.quantity, held.average_cost, held.market_value) == (D("20.847683"), D("234.5663"), D("5804.20"))


@pytest.mark.parametrize("average", [{}, {"average_buy_price": None}, {"average_buy_price": "0.0000"}])
def test_an_unknown_cost_is_unknown_and_an_unknown_price_too(average):
    held = held_of(robinhood_rows.share_position)(
        {"symbol": "ACME", "quantity": "-3", "type": "short"} | average, PRICES
    )
    assert (held.quantity, held.average_cost, held.price, held.market_value) == (D(-3), None, None, None)


def test_a_position_that_is_over_is_none():
    assert robinhood_rows.share_position({"symbol": "AAPL", "quantity": "0.00000000", "type": "empty"}, PRICES) is None


def test_a_written_option_is_negative_and_its_cost_per_share():
    row = {
        "option_id": "c1",
        "chain_symbol": "F",
        "type": "short",
        "quantity": "2.0000",
        "average_price": "-106.0000",
        "trade_value_multiplier": "100.0000",
    }
    contract = {"type": "call", "strike_price": "14.0000", "expiration_date": "2027-01-15"}
    held = held_of(robinhood_rows.option_position)(row, contract, {"c1": D("0.5")})
    assert (held.instrument.symbol, held.quantity) == ("F     270115C00014000", D(-2))
    assert (held.average_cost, held.market_value) == (D("1.06"), D(-100))


def test_the_cost_of_a_coin_is_known_only_where_all_of_it_was_bought():
    row = {"currency": {"code": "BTC", "name": "Bitcoin", "type": "cryptocurrency"}, "quantity": "0.125"}
    bought = row | {"cost_bases": [{"direct_quantity": "0.125", "direct_cost_basis": "5200.00"}]}
    partly = row | {"cost_bases": [{"direct_quantity": "0.1", "direct_cost_basis": "5200.00"}]}
    held = held_of(robinhood_rows.coin_position)(bought, {"BTC": D(50000)})
    assert (held.average_cost, held.market_value) == (D(41600), D(6250))
    assert held_of(robinhood_rows.coin_position)(partly, {}).average_cost is None


def test_prices_come_from_the_later_trade_and_nought_is_none():
    shares: list[dict[str, Any]] = [
        {"quote": {"symbol": "A", "last_trade_price": "1.00", "last_non_reg_trade_price": "2.00", "has_traded": True}},
        {"quote": {"symbol": "B", "last_trade_price": "0.00", "last_non_reg_trade_price": None, "has_traded": False}},
        {"symbol": "C", "last_trade_price": "3.00"},
    ]
    assert robinhood_rows.share_prices(shares) == {"A": D(2), "C": D(3)}
    assert robinhood_rows.coin_prices([{"symbol": "BTCUSD", "mark_price": "5"}]) == {"BTC": D(5)}
    assert robinhood_rows.coin_prices([{"symbol": "ETH-USD", "mark_price": "0"}]) == {}
    assert robinhood_rows.option_prices([{"quote": {"instrument_id": "c", "mark_price": "0.00"}}]) == {"c": D(0)}


def test_a_quote_of_another_form_is_no_unknown_price():
    for read, quote in (
        (robinhood_rows.share_prices, {"symbol": "A", "last_price": "1.00"}),
        (robinhood_rows.option_prices, {"instrument_id": "c", "mark": "1.00"}),
        (robinhood_rows.coin_prices, {"symbol": "BTCUSD", "mark": "1.00"}),
    ):
        with pytest.raises(KeyError):
            read([quote])


@pytest.mark.parametrize("odd", [{"value": "512904417"}, None, True, "", 5.0])
def test_what_is_no_number_of_an_account_is_taken_for_none(odd):
    with pytest.raises(TypeError):
        robinhood_rows.account({"type": "cash", "brokerage_account_type": "individual", "account_number": odd})


def test_the_portfolio_tells_cash_and_the_value_of_everything():
    said = robinhood_rows.balance(
        {
            "total_value": "150.00",
            "equity_value": "100.00",
            "crypto_value": "70.00",
            "cash": "-20.00",
            "currency": "USD",
            "buying_power": {"buying_power": "12.00"},
        }
    )
    assert (said.cash, said.net_asset_value, said.market_value) == (D(-20), D(150), D(170))
    assert (said.buying_power, said.margin_used, said.settled_cash) == (D(12), D(20), None)


@pytest.mark.parametrize(
    ("row", "name", "kind"),
    [
        ({"type": "margin", "brokerage_account_type": "individual"}, "Individual", AccountKind.MARGIN),
        ({"type": "limited_margin", "brokerage_account_type": "ira_roth"}, "Roth IRA", AccountKind.CASH),
        ({"type": "cash", "brokerage_account_type": "custodial_utma", "nickname": ""}, "Custodial utma", "cash"),
        ({"type": "new", "brokerage_account_type": "individual", "nickname": "Mine"}, "Mine", AccountKind.UNKNOWN),
    ],
)
def test_an_account_shows_four_digits_and_a_name(row, name, kind):
    told = robinhood_rows.account(row | {"account_number": "512904417"})
    assert (told.external_id, told.number_mask, told.name, told.kind) == ("512904417", "4417", name, kind)


ACCOUNT = {"type": "cash", "brokerage_account_type": "individual", "account_number": "5QR12345"}


@pytest.mark.parametrize(
    ("numbers", "aliases"),
    [
        ({}, ()),
        ({"rhs_account_number": "5QR12345", "rhc_account_number": None}, ()),
        ({"rhs_account_number": 512904417}, ("512904417",)),
        ({"rhc_account_number": "RHC1234567"}, ("1234567", "RHC1234567")),
    ],
)
def test_an_account_tells_its_other_numbers_in_every_spelling(numbers, aliases):
    assert robinhood_rows.account(ACCOUNT | numbers).aliases == aliases


@pytest.mark.parametrize(("said", "closed"), [({}, False), ({"deactivated": True}, False)])
def test_an_account_that_may_open_again_is_not_closed(said, closed):
    assert robinhood_rows.account(ACCOUNT | said).closed is closed
    assert robinhood_rows.account(ACCOUNT | said | {"permanently_deactivated": True}).closed
