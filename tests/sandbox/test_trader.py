"""The data routes answer as Schwab's do: shapes, windows, limits, refusals."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.schwab_app import LIMIT, App, instant, sign_in

WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000")


@pytest.fixture
def app(sandbox: Sandbox) -> App:
    return sign_in(sandbox)


@pytest.fixture
def account(app: App) -> str:
    return app.hashes()["40012345"]


def test_the_hash_is_64_upper_case_hex_characters_and_stays(sandbox: Sandbox, app: App) -> None:
    before = app.hashes()
    assert all(re.fullmatch(r"[0-9A-F]{64}", value) for value in before.values())
    sandbox.reset()
    assert sign_in(sandbox).hashes() == before


def test_a_slash_at_the_end_changes_nothing(app: App) -> None:
    assert app.get("/trader/v1/accounts/").json() == app.get("/trader/v1/accounts").json()


def test_without_a_token_nobody_is_let_in(sandbox: Sandbox) -> None:
    answer = requests.get(f"{sandbox.schwab_url}/trader/v1/accounts", timeout=LIMIT)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["detail"] == "Client not authorized"


def test_a_plain_account_number_is_refused(app: App) -> None:
    answer = app.get("/trader/v1/accounts/40012345")
    assert (answer.status_code, answer.json()) == (400, {"message": "Invalid account number"})


def test_unknown_fields_are_ignored(app: App, account: str) -> None:
    body = app.get(f"/trader/v1/accounts/{account}", fields="orders").json()
    assert "positions" not in body["securitiesAccount"]


def test_only_the_side_that_is_held_has_keys(app: App, account: str) -> None:
    positions = app.get(f"/trader/v1/accounts/{account}", fields="positions").json()["securitiesAccount"]["positions"]
    short = [position for position in positions if position["shortQuantity"]]
    assert short
    for position in positions:
        held, other = ("Short", "Long") if position in short else ("Long", "Short")
        assert f"average{held}Price" in position
        assert f"average{other}Price" not in position
    assert all(position["settledShortQuantity"] == -position["shortQuantity"] for position in short)
    assert all(position["marketValue"] <= 0 for position in short)  # an option soon over may be worth nothing


def test_shares_have_no_description_and_funds_are_no_equity(app: App, account: str) -> None:
    positions = app.get(f"/trader/v1/accounts/{account}", fields="positions").json()["securitiesAccount"]["positions"]
    by_symbol = {position["instrument"]["symbol"]: position["instrument"] for position in positions}
    assert "description" not in by_symbol["AAPL"]
    assert by_symbol["VTI"]["assetType"] == "COLLECTIVE_INVESTMENT"
    assert by_symbol["VTI"]["type"] == "EXCHANGE_TRADED_FUND"
    assert by_symbol["91282CHT1"]["assetType"] == "FIXED_INCOME"


@pytest.mark.parametrize("text", ["2025-10-11", "2025-10-11T00:00:00", "2025-02-31T00:00:00Z", "yesterday"])
def test_a_date_in_another_form_is_refused_by_name(app: App, account: str, text: str) -> None:
    answer = app.transactions(account, startDate=text)
    assert answer.status_code == 400
    assert answer.json() == {"message": f"'{text}' is not a valid value for startDate"}


def test_both_dates_are_required(app: App, account: str) -> None:
    answer = app.get(f"/trader/v1/accounts/{account}/transactions", startDate="2026-01-01T00:00:00Z")
    assert answer.status_code == 400
    assert "endDate" in answer.json()["message"]


def test_dates_without_milliseconds_are_taken(app: App, account: str) -> None:
    window = {"startDate": "2025-01-01T00:00:00Z", "endDate": "2025-06-30T23:59:59Z"}
    assert len(app.get(f"/trader/v1/accounts/{account}/transactions", **window).json()) > 50


def test_more_than_a_year_is_refused_and_a_year_is_not(app: App, account: str) -> None:
    last = datetime(2025, 12, 31, tzinfo=UTC)
    assert app.transactions(account, last - timedelta(days=365), last).status_code == 200
    answer = app.transactions(account, last - timedelta(days=365), last + timedelta(hours=23))
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]


def test_an_unknown_type_is_refused(app: App, account: str) -> None:
    assert app.transactions(account, types="TRADE,GIFT").status_code == 400


def test_rows_come_newest_first_and_can_be_narrowed_to_a_symbol(app: App, account: str) -> None:
    rows = app.transactions(account, symbol="KO", types="TRADE").json()
    times = [row["time"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert {row["transferItems"][-1]["instrument"]["symbol"] for row in rows} == {"KO"}


def test_at_most_three_thousand_rows_come_back_the_newest_ones(sandbox: Sandbox) -> None:
    sandbox.invent("busy", transactions=20_000)
    app = sign_in(sandbox, "busy")
    (account,) = app.hashes().values()
    last = datetime(2025, 12, 1, tzinfo=UTC)
    first = last - timedelta(days=364)
    rows = app.transactions(account, first, last).json()
    expected = [
        int(row["activity_id"])
        for row in sandbox.truth("busy")["accounts"][0]["transactions"]
        if first <= datetime.fromisoformat(row["posted_at"]) <= last
    ]
    assert len(expected) > 3_000
    assert [row["activityId"] for row in rows] == expected[::-1][:3_000]


def test_an_executed_order_has_no_text_and_no_settlement_but_all_its_fee_lines(app: App, account: str) -> None:
    row = next(row for row in app.transactions(account, types="TRADE").json() if "orderId" in row)
    assert "description" not in row
    assert "settlementDate" not in row
    assert row["time"] == row["tradeDate"]
    assert [item.get("feeType") for item in row["transferItems"]] == [
        "COMMISSION", "SEC_FEE", "OPT_REG_FEE", "TAF_FEE", None,
    ]  # fmt: skip


def test_a_reinvestment_is_a_trade_without_an_order(app: App, account: str) -> None:
    rows = app.transactions(account, types="TRADE").json()
    row = next(row for row in rows if row.get("description") == "Dividend Reinvest")
    assert "orderId" not in row
    assert len(row["transferItems"]) == 1
    assert WHEN.fullmatch(row["settlementDate"])


def test_dates_of_cash_rows_are_midnight_in_new_york(app: App, account: str) -> None:
    for row in app.transactions(account, types="DIVIDEND_OR_INTEREST").json():
        assert row["tradeDate"][10:] in ("T04:00:00+0000", "T05:00:00+0000")
        assert row["transferItems"][0]["instrument"]["symbol"] == "CURRENCY_USD"
        assert row["transferItems"][0]["amount"] == row["netAmount"]


def test_a_journal_is_found_by_the_day_it_was_posted_not_by_its_time(app: App, account: str) -> None:
    rows = app.transactions(account, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)).json()
    journal = next(row for row in rows if row.get("description", "").startswith("JOURNAL TO"))
    happened = datetime.fromisoformat(journal["time"])
    day = app.transactions(account, happened + timedelta(minutes=1), happened + timedelta(days=5), types="JOURNAL")
    assert journal in day.json()
    before = app.transactions(account, happened - timedelta(hours=1), happened + timedelta(hours=1), types="JOURNAL")
    assert journal not in before.json()


def test_one_row_by_its_id_and_none_by_a_strange_one(app: App, account: str) -> None:
    row = app.transactions(account).json()[0]
    assert app.get(f"/trader/v1/accounts/{account}/transactions/{row['activityId']}").json() == row
    answer = app.get(f"/trader/v1/accounts/{account}/transactions/1")
    assert (answer.status_code, list(answer.json())) == (404, ["message"])


def test_native_accounts_name_the_security_of_a_dividend_in_words(sandbox: Sandbox) -> None:
    app = sign_in(sandbox, "james")
    (account,) = app.hashes().values()
    texts = {row["description"] for row in app.transactions(account, types="DIVIDEND_OR_INTEREST").json()}
    assert "VANGUARD TOTAL BOND MARKET ETF" in texts


def test_preferences_are_one_object_with_the_nicknames(app: App) -> None:
    body = app.get("/trader/v1/userPreference").json()
    assert [account["nickName"] for account in body["accounts"]] == ["Individual", "Rollover IRA"]
    assert len(body["streamerInfo"]) == 1


def test_quotes_can_be_narrowed_and_refuse_unknown_fields(app: App) -> None:
    body = app.get("/marketdata/v1/quotes", symbols="KO,VTI,SWVXX", fields="quote").json()
    assert "reference" not in body["KO"]
    assert body["VTI"]["assetSubType"] == "ETF"
    assert "bidPrice" not in body["SWVXX"]["quote"]
    refused = app.get("/marketdata/v1/quotes", symbols="KO", fields="gossip")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"] == {"parameter": "fields"}


def test_a_single_unknown_symbol_is_not_found(app: App) -> None:
    answer = app.get("/marketdata/v1/NOPE1/quotes")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["status"] == "404"


def test_prices_of_positions_and_quotes_agree(app: App, account: str) -> None:
    positions = app.get(f"/trader/v1/accounts/{account}", fields="positions").json()["securitiesAccount"]["positions"]
    ko = next(position for position in positions if position["instrument"]["symbol"] == "KO")
    last = app.get("/marketdata/v1/KO/quotes").json()["KO"]["quote"]["lastPrice"]
    assert ko["marketValue"] == round(ko["longQuantity"] * last, 2)


def test_an_open_day_has_sessions_with_a_colon_in_the_offset(sandbox: Sandbox) -> None:
    sandbox.set_now(datetime(2026, 11, 23, 15, tzinfo=UTC))
    app = sign_in(sandbox)
    body = app.get("/marketdata/v1/markets", markets="equity,option").json()
    assert body["equity"]["EQ"]["sessionHours"]["regularMarket"] == [
        {"start": "2026-11-23T09:30:00-05:00", "end": "2026-11-23T16:00:00-05:00"}
    ]
    assert set(body["option"]) == {"EQO", "IND"}
    assert body["option"]["IND"]["sessionHours"]["regularMarket"][0]["end"].endswith("16:15:00-05:00")


@pytest.mark.parametrize("day", ["2026-11-26", "2026-11-28"])
def test_a_holiday_and_a_weekend_are_closed(sandbox: Sandbox, day: str) -> None:
    sandbox.set_now(datetime(2026, 11, 23, 15, tzinfo=UTC))
    body = sign_in(sandbox).get("/marketdata/v1/markets/equity", date=day).json()
    assert body == {"equity": {"equity": {"date": day, "marketType": "EQUITY", "product": "equity", "isOpen": False}}}


def test_the_budget_of_calls_is_120_a_minute_and_comes_back(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    statuses = [app.get("/marketdata/v1/markets", markets="equity").status_code for _ in range(120)]
    assert statuses == [200] * 119 + [429]  # the sign-in took one
    refused = app.get("/marketdata/v1/markets", markets="equity")
    assert refused.headers["Retry-After"] == "30"
    assert refused.json()["errors"][0]["detail"] == "Rate Limit Exceeded"
    sandbox.advance(61)
    assert app.get("/marketdata/v1/markets", markets="equity").status_code == 200


def test_answers_are_packed_only_when_asked(app: App, account: str) -> None:
    url = f"{app.sandbox.schwab_url}/trader/v1/accounts/{account}?fields=positions"
    headers = {"Authorization": f"Bearer {app.token['access_token']}"}
    packed = requests.get(url, headers={**headers, "Accept-Encoding": "gzip"}, timeout=LIMIT)
    plain = requests.get(url, headers={**headers, "Accept-Encoding": "identity"}, timeout=LIMIT)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_every_answer_has_a_correlation_id_and_is_never_stored(app: App) -> None:
    answers = [app.get("/trader/v1/accounts"), app.get("/trader/v1/accounts/x"), app.get("/trader/v1/nothing")]
    assert len({answer.headers["Schwab-Client-CorrelId"] for answer in answers}) == 3
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert {answer.headers["Schwab-Resource-Version"] for answer in answers} == {"1"}


def test_nothing_can_be_changed_at_the_broker(app: App, account: str) -> None:
    headers = {"Authorization": f"Bearer {app.token['access_token']}"}
    url = f"{app.sandbox.schwab_url}/trader/v1/accounts/{account}"
    assert requests.delete(url, headers=headers, timeout=LIMIT).status_code == 405


def test_rows_that_lie_ahead_of_the_clock_are_not_told_yet(sandbox: Sandbox) -> None:
    past = datetime(2024, 6, 1, tzinfo=UTC)
    sandbox.set_now(past)
    app = sign_in(sandbox)
    account = app.hashes()["40012345"]
    rows = app.transactions(account, past - timedelta(days=30), past + timedelta(days=300)).json()
    assert rows
    assert max(row["time"] for row in rows) <= instant(past)
