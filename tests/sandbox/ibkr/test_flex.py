"""The Flex Web Service: its refusals told apart, and statements whose rows add up, currency by currency."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.ibkr.web_client import LIMIT, MAIN, SAVINGS

OWN, DETAILED, BARE, LEGACY, CLOSED, DASHED = (f"100100{number}" for number in range(1, 7))
Sums = defaultdict[str, Decimal]


@pytest.fixture
def flex(sandbox: Sandbox) -> "Flex":
    """Without pacing and without a wait."""
    sandbox.limit(None, broker="ibkr")
    sandbox.control("ibkr/switches", flex_delay=0)
    return Flex(sandbox)


@pytest.fixture(scope="module")
def history(sandbox_server: str) -> list[ET.Element]:
    """All statements of all years, fetched once; the story is the same after every reset."""
    sandbox = Sandbox(sandbox_server)
    sandbox.reset()
    sandbox.limit(None, broker="ibkr")
    sandbox.control("ibkr/switches", flex_delay=0)
    return list(Flex(sandbox).history())


class Flex:
    """A bare client of the service."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.token = sandbox.control("ibkr/flex", "GET")["token"]

    @property
    def yesterday(self) -> date:
        today: str = self.sandbox.truth(broker="ibkr")["market_date"]
        return date.fromisoformat(today) - timedelta(days=1)

    def get(self, path: str, query: str, **more: str) -> ET.Element:
        url = f"{self.sandbox.base_url}/ibkr/AccountManagement/FlexWebService/{path}"
        answer = requests.get(url, params={"t": self.token, "q": query, "v": "3", **more}, timeout=LIMIT)
        assert answer.status_code == 200
        return ET.fromstring(answer.content)

    def code(self, query: str = OWN, path: str = "SendRequest", **more: str) -> str | None:
        """The error code; None for success."""
        return self.get(path, query, **more).findtext("ErrorCode")

    def statements(self, query: str = OWN, **more: str) -> list[ET.Element]:
        accepted = self.get("SendRequest", query, **more)
        assert [child.tag for child in accepted] == ["Status", "ReferenceCode", "Url"], ET.tostring(accepted)
        document = self.get("GetStatement", accepted.findtext("ReferenceCode") or "")
        assert document.tag == "FlexQueryResponse", ET.tostring(document)
        return list(document.iter("FlexStatement"))

    def history(self) -> Iterator[ET.Element]:
        """All statements from yesterday backwards, a year at a time, until there is no more."""
        last = self.yesterday
        while True:
            first = last - timedelta(days=364)
            window = {"fd": f"{first:%Y%m%d}", "td": f"{last:%Y%m%d}"}
            if (code := self.code(**window)) is not None:
                assert code == "1003"
                return
            yield from self.statements(**window)
            last = first - timedelta(days=1)


def rows(statements: Any, tag: str, account: str = MAIN) -> list[dict[str, str]]:
    return [row.attrib for one in statements if one.get("accountId") == account for row in one.iter(tag)]


def truth_of(sandbox: Sandbox, number: str) -> dict[str, Any]:
    return next(one for one in sandbox.truth(broker="ibkr")["accounts"] if one["number"] == number)


@pytest.mark.parametrize("number", [MAIN, SAVINGS])
def test_the_rows_of_all_years_add_up_to_the_cash_in_each_currency(
    flex: Flex, history: list[ET.Element], number: str
) -> None:
    cash = Sums(Decimal)
    for row in rows(history, "Trade", number):
        if row["assetCategory"] == "CASH":
            cash[row["symbol"].partition(".")[0]] += Decimal(row["quantity"])
            cash[row["currency"]] += Decimal(row["proceeds"])
            cash[row["ibCommissionCurrency"]] += Decimal(row["ibCommission"])
        else:
            cash[row["currency"]] += Decimal(row["netCash"])
    for row in rows(history, "CashTransaction", number):
        cash[row["currency"]] += Decimal(row["amount"])
    for row in rows(history, "Transfer", number):
        cash[row["currency"]] += Decimal(row["cashTransfer"])
    truth = truth_of(flex.sandbox, number)
    told = {currency: Decimal(amount) for currency, amount in truth["balances"].items()}
    assert {currency: amount for currency, amount in cash.items() if amount} == told
    assert len(told) == (4 if number == MAIN else 1)


@pytest.mark.parametrize("number", [MAIN, SAVINGS])
def test_the_rows_of_all_years_add_up_to_what_is_held(flex: Flex, history: list[ET.Element], number: str) -> None:
    held = Sums(Decimal)
    moving = [row for row in rows(history, "Trade", number) if row["assetCategory"] != "CASH"]
    moving += rows(history, "Transfer", number) + rows(history, "CorporateAction", number)
    for row in moving:
        held[row["symbol"]] += Decimal(row["quantity"])
    truth = truth_of(flex.sandbox, number)["positions"]
    expected = {one["symbol"].replace(".", " "): Decimal(one["quantity"]) for one in truth}
    assert {symbol: quantity for symbol, quantity in held.items() if quantity} == expected
    last = [one for one in history if one.get("toDate") == f"{flex.yesterday:%Y%m%d}"]
    assert {row["symbol"]: Decimal(row["position"]) for row in rows(last, "OpenPosition", number)} == expected


def test_every_transaction_has_one_id_over_all_windows(flex: Flex, history: list[ET.Element]) -> None:
    ids = Counter(
        row["transactionID"]
        for tag in ("Trade", "CashTransaction", "Transfer", "CorporateAction")
        for number in (MAIN, SAVINGS)
        for row in rows(history, tag, number)
    )
    assert set(ids.values()) == {1}
    truth = {row["activity_id"] for number in (MAIN, SAVINGS) for row in truth_of(flex.sandbox, number)["transactions"]}
    assert truth <= set(ids)
    assert len(set(ids) - truth) == 1  # the cancellation of a purchase


def test_the_cash_report_explains_each_currency_and_the_total(flex: Flex) -> None:
    parts = (
        "depositWithdrawals", "dividends", "withholdingTax", "brokerInterest", "bondInterest", "commissions",
        "transactionTax", "otherFees", "netTradesSales", "netTradesPurchases", "internalTransfers",
        "fxTranslationGainLoss",
    )  # fmt: skip
    report = rows(flex.statements(), "CashReportCurrency")
    assert [row["currency"] for row in report] == ["BASE_SUMMARY", "CHF", "EUR", "GBP", "USD"]
    for row in report:
        moved = sum((Decimal(row[part]) for part in parts), Decimal(0))
        assert Decimal(row["startingCash"]) + moved == Decimal(row["endingCash"]), row["currency"]
    assert all(row["fxTranslationGainLoss"] == "0" for row in report[1:])


def test_trades_follow_the_brokers_arithmetic(history: list[ET.Element]) -> None:
    trades = rows(history, "Trade")
    assert {row["assetCategory"] for row in trades} == {"STK", "OPT", "CASH"}
    for row in trades:
        number = {name: Decimal(row[name]) for name in ("proceeds", "tradeMoney", "netCash", "ibCommission", "taxes")}
        assert number["tradeMoney"] == -number["proceeds"]
        exchanged = row["assetCategory"] == "CASH"
        expected = Decimal(0) if exchanged else number["proceeds"] + number["ibCommission"] + number["taxes"]
        assert number["netCash"] == expected
        assert Decimal(row["quantity"]) > 0 or "SELL" in row["buySell"] or "(Ca.)" in row["buySell"]
    assert {row["currency"] for row in trades} == {"EUR", "USD", "GBP", "CHF"}
    assert any(Decimal(row["taxes"]) < 0 for row in trades if row["currency"] == "GBP")


def test_a_purchase_that_was_bust_is_told_with_its_cancellation(history: list[ET.Element]) -> None:
    trades = rows(history, "Trade")
    (taken_back,) = [row for row in trades if row["transactionType"] == "TradeCancel"]
    (original,) = [row for row in trades if row["transactionID"] == taken_back["origTransactionID"]]
    assert (taken_back["buySell"], taken_back["notes"], taken_back["tradeID"]) == ("BUY (Ca.)", "Ca", "")
    assert Decimal(taken_back["netCash"]) == -Decimal(original["netCash"])


def test_options_end_in_all_three_ways_with_shares_at_the_strike(history: list[ET.Element]) -> None:
    trades = [row for row in rows(history, "Trade") if row["transactionType"] == "BookTrade"]
    assert {row["notes"] for row in trades if row["assetCategory"] == "OPT"} == {"A", "Ex", "Ep"}
    delivered = [row for row in trades if row["assetCategory"] == "STK"]
    assert {row["notes"] for row in delivered} == {"A", "Ex"}
    for row in delivered:
        ended = [one for one in trades if one["dateTime"] == row["dateTime"] and one["assetCategory"] == "OPT"]
        assert row["tradePrice"] in {one["strike"] for one in ended}


def test_dividends_and_their_tax_share_an_action(history: list[ET.Element]) -> None:
    cash = rows(history, "CashTransaction")
    dividends = {row["actionID"]: row for row in cash if row["type"] == "Dividends" and Decimal(row["amount"]) > 0}
    taxes = [row for row in cash if row["type"] == "Withholding Tax"]
    rates = {
        row["symbol"]: round(-Decimal(row["amount"]) / Decimal(dividends[row["actionID"]]["amount"]), 2)
        for row in taxes
        if Decimal(row["amount"]) < -1
    }
    assert rates["NESN"] == Decimal("0.35")
    assert {"SAP", "ASML", "KO"} <= set(rates)
    assert "HSBA" not in rates
    assert any(Decimal(row["amount"]) < 0 and row["code"] == "Re" for row in cash if row["type"] == "Dividends")


def test_shares_move_between_brokers_on_the_same_day(flex: Flex, history: list[ET.Element]) -> None:
    acats = [row for row in rows(history, "Transfer") if row["type"] == "ACATS"]
    moved = {(row["symbol"], row["direction"]): row for row in acats}
    assert set(moved) == {("BRK B", "IN"), ("KO", "OUT"), ("AAPL", "OUT")}
    came = moved["BRK B", "IN"]
    assert came["deliveringBroker"] == "CHARLES SCHWAB & CO., INC."
    at_schwab = [
        row
        for account in flex.sandbox.truth(broker="schwab")["accounts"]
        for row in account["transactions"]
        if row["nature"] == "shares_out"
    ]
    assert [(row["symbol"], row["traded_on"].replace("-", ""), row["quantity"]) for row in at_schwab] == [
        ("BRK.B", came["date"], f"-{came['quantity']}")
    ]


def test_internal_transfers_have_two_ends(history: list[ET.Element]) -> None:
    ends = [
        [row for row in rows(history, "Transfer", number) if row["type"] == "INTERNAL"] for number in (MAIN, SAVINGS)
    ]
    assert len(ends[0]) == len(ends[1]) > 10
    assert sum(Decimal(row["cashTransfer"]) for end in ends for row in end) == 0
    assert {row["account"] for row in ends[0]} == {SAVINGS}


def test_the_split_is_a_row_of_its_own(history: list[ET.Element]) -> None:
    (split,) = rows(history, "CorporateAction")
    assert (split["type"], split["symbol"], split["reportDate"]) == ("FS", "NVDA", "20240610")
    assert "SPLIT 10 FOR 1" in split["description"]


def test_the_last_day_of_equity_is_cash_and_positions(flex: Flex) -> None:
    statements = flex.statements()
    equity, total = rows(statements, "EquitySummaryByReportDateInBase"), Decimal(0)
    for row in rows(statements, "OpenPosition"):
        total += (Decimal(row["positionValue"]) * Decimal(row["fxRateToBase"])).quantize(Decimal("0.01"))
    cash = rows(statements, "CashReportCurrency")[0]["endingCash"]
    assert equity[-1]["cash"] == cash
    assert Decimal(equity[-1]["stock"]) + Decimal(equity[-1]["options"]) == total
    assert len(equity) > 240


def test_with_every_level_of_detail_the_same_amounts_come_again(flex: Flex) -> None:
    statements = flex.statements(DETAILED)
    executed = sum(Decimal(row["proceeds"]) for row in rows(statements, "Trade") if row["currency"] == "USD")
    for tag in ("Order", "SymbolSummary", "AssetSummary"):
        again = [row for row in rows(statements, tag) if row["currency"] == "USD"]
        assert sum(Decimal(row["proceeds"]) for row in again) == executed
        assert {row["transactionID"] for row in again} == {""}
    cash = rows(statements, "CashTransaction")
    summed = [row for row in cash if row["levelOfDetail"] == "SUMMARY"]
    assert {(row["accountId"], row["transactionID"]) for row in summed} == {("-", "")}
    assert sum(Decimal(row["amount"]) for row in summed) * 2 == sum(Decimal(row["amount"]) for row in cash)
    assert {row["levelOfDetail"] for row in rows(statements, "OpenPosition")} == {"SUMMARY", "LOT"}


def test_a_query_gives_only_what_was_ticked(flex: Flex) -> None:
    (main, _) = flex.statements(BARE)
    assert {child.tag for child in main} == {"AccountInformation", "Trades", "CashTransactions"}
    assert all("transactionID" not in row.attrib for row in main.iter("Trade"))


def test_dates_come_as_the_query_was_set_up(flex: Flex) -> None:
    trade = rows(flex.statements(DASHED), "Trade")[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", trade["tradeDate"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d,\d\d:\d\d:\d\d", trade["dateTime"])


def test_the_token_is_not_in_the_log(flex: Flex) -> None:
    flex.statements()
    log = requests.get(f"{flex.sandbox.base_url}/_control/calls", timeout=LIMIT).text
    assert flex.token not in log
    assert [call["operation"] for call in flex.sandbox.calls()] == ["flex_request", "flex_statement"]
    assert {call["login"] for call in flex.sandbox.calls()} == {"maria"}


# Refusals


@pytest.mark.parametrize(
    ("query", "more", "code"),
    [
        (LEGACY, {}, "1010"),
        (CLOSED, {}, "1016"),
        ("999", {}, "1014"),
        (OWN, {"t": "1" * 24}, "1015"),
        (OWN, {"t": "letters"}, "1015"),
        (OWN, {"t": ""}, "1020"),
        (OWN, {"v": "2"}, "1020"),
        (OWN, {"fd": "20260101"}, "1020"),
        (OWN, {"fd": "20260101", "td": "tomorrow"}, "1020"),
        (OWN, {"fd": "20240101", "td": "20260101"}, "1020"),
        (OWN, {"p": "366"}, "1020"),
        (OWN, {"p": "30", "fd": "20260101", "td": "20260201"}, "1020"),
        (OWN, {"fd": "20210101", "td": "20210201"}, "1003"),
        (OWN, {"p": "30"}, None),
        (OWN, {"fd": "20260101", "td": "20260101"}, None),
        (OWN, {"fd": "20230101", "td": "20230301"}, None),  # opened in between
    ],
)
def test_a_request_is_answered_with_its_own_code(
    flex: Flex, query: str, more: dict[str, str], code: str | None
) -> None:
    assert flex.code(query, **more) == code


def test_today_is_not_available_yet(flex: Flex) -> None:
    today = f"{flex.yesterday + timedelta(days=1):%Y%m%d}"
    assert flex.code(fd=today, td=today) == "1003"


def test_a_new_token_kills_the_old_one_and_every_token_ends(flex: Flex) -> None:
    renewed = flex.sandbox.control("ibkr/flex", login="maria", seconds=60)["token"]
    assert flex.code() == "1015"
    flex.token = renewed
    assert flex.code() is None
    flex.sandbox.advance(61)
    assert flex.code() == "1012"


@pytest.mark.parametrize(("switch", "code"), [({"flex_restricted": True}, "1013"), ({"flex_active": False}, "1011")])
def test_the_service_may_be_bound_or_switched_off(flex: Flex, switch: dict[str, bool], code: str) -> None:
    flex.sandbox.control("ibkr/switches", "POST", **switch)
    assert flex.code() == code


def test_a_statement_takes_its_time(flex: Flex) -> None:
    flex.sandbox.control("ibkr/switches", flex_delay=3600 - 1)
    accepted = flex.get("SendRequest", OWN)
    reference = accepted.findtext("ReferenceCode") or ""
    waiting = flex.get("GetStatement", reference)
    assert [child.text for child in waiting][:2] == ["Warn", "1019"]
    assert re.fullmatch(r"\d\d [A-Z][a-z]+, \d{4} \d\d:\d\d [AP]M E[SD]T", waiting.get("timestamp") or "")
    flex.sandbox.advance(3600 - 1)
    assert flex.get("GetStatement", reference).tag == "FlexQueryResponse"
    flex.sandbox.advance(10)
    assert flex.code(reference, "GetStatement") == "1017"
    assert flex.code("123", "GetStatement") == "1017"


def test_one_request_a_second_and_ten_a_minute(sandbox: Sandbox) -> None:
    flex = Flex(sandbox)
    in_a_hurry = [flex.code() for _ in range(11)]  # however slowly they come, the eleventh is one too many
    assert (in_a_hurry[0], in_a_hurry[-1]) == (None, "1018")
    sandbox.advance(60)
    codes = []
    for _ in range(11):
        sandbox.advance(2)
        codes.append(flex.code())
    assert codes == [None] * 10 + ["1018"]
    sandbox.advance(60)
    assert flex.code() is None


def test_without_a_user_agent_there_is_only_a_page(flex: Flex) -> None:
    url = f"{flex.sandbox.base_url}/ibkr/AccountManagement/FlexWebService/SendRequest"
    query = {"t": flex.token, "q": OWN, "v": "3"}
    assert requests.get(url, params=query, headers={"User-Agent": ""}, timeout=LIMIT).status_code == 403


def test_the_old_addresses_give_nothing(sandbox: Sandbox) -> None:
    url = f"{sandbox.base_url}/ibkr/Universal/servlet/FlexStatementService.SendRequest"
    assert b"<ErrorCode>1003</ErrorCode>" in requests.get(url, timeout=LIMIT).content


@pytest.mark.parametrize("code", ["1001", "1004", "1005", "1006", "1007", "1008", "1009", "1020", "1021"])
def test_every_code_comes_on_order(flex: Flex, code: str) -> None:
    flex.sandbox.fault("broker_error", "flex_statement", broker="ibkr", code=code)
    reference = flex.get("SendRequest", OWN).findtext("ReferenceCode") or ""
    refused = flex.get("GetStatement", reference)
    assert refused.findtext("ErrorCode") == code
    assert refused.findtext("Status") == ("Fail" if code == "1020" else "Warn")


def test_statements_are_spoilt_on_order(flex: Flex) -> None:
    whole = len(rows(flex.statements(), "CashTransaction"))
    for kind, size in (("empty_page", 0), ("duplicate_page", 2 * whole), ("reordered", whole)):
        flex.sandbox.fault(kind, "flex_statement", broker="ibkr", times=1)
        assert len(rows(flex.statements(), "CashTransaction")) == size
    flex.sandbox.fault("schema_drift", "flex_statement", broker="ibkr", times=1, change="add", to="novelty")
    assert rows(flex.statements(), "Trade")[0]["novelty"]
    flex.sandbox.fault("truncated_json", "flex_statement", broker="ibkr", times=1)
    with pytest.raises(ET.ParseError):
        flex.statements()


def test_a_corrected_trade_stays_and_another_one_names_it(flex: Flex) -> None:
    told = rows(flex.statements(), "Trade")
    trade = next(row for row in told if row["transactionType"] == "ExchTrade" and row["assetCategory"] == "STK")
    changed = flex.sandbox.correct(MAIN, trade["transactionID"], "price", "12.34")
    again = {row["transactionID"]: row for row in rows(flex.statements(), "Trade")}
    corrected = again[changed["activity_id"]]
    kept = again[trade["transactionID"]]
    assert all(kept[name] == trade[name] for name in ("transactionType", "tradeID", "tradePrice", "netCash"))
    assert (corrected["transactionType"], corrected["notes"]) == ("TradeCorrect", "Co")
    assert (corrected["origTransactionID"], corrected["origTradeID"]) == (trade["transactionID"], trade["tradeID"])
    assert corrected["tradePrice"] == changed["price"] == "12.34"
    assert Decimal(corrected["netCash"]) == Decimal(changed["net_amount"])


def test_a_corrected_cash_row_is_reversed_and_booked_anew(flex: Flex) -> None:
    told = rows(flex.statements(), "CashTransaction")
    fee = next(row for row in told if row["type"] == "Other Fees" and row["accountId"] == MAIN)
    changed = flex.sandbox.correct(MAIN, fee["transactionID"], "amount", "-3.21")
    fresh = [row for row in rows(flex.statements(), "CashTransaction") if row not in told]
    assert {(row["amount"], row["code"]) for row in fresh} == {(str(-Decimal(fee["amount"])), "Re"), ("-3.21", "")}
    assert changed["activity_id"] in {row["transactionID"] for row in fresh}
