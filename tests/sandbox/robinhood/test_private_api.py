"""The private API's manners: pages, filters, hosts, what is public, corrections, faults."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.robinhood.app import LIMIT, App, sign_in, url

MARIA, JAMES = "512904417", "518337206"


@pytest.fixture
def app(sandbox: Sandbox) -> App:
    return sign_in(sandbox)


def test_pages_are_followed_by_their_next_address_and_tell_each_row_once(app: App) -> None:
    rows = app.all("/orders/")
    assert len(rows) > 300
    assert len({row["id"] for row in rows}) == len(rows)
    assert all("cursor=" in address for address in app.followed)
    assert len(app.get("/paymenthub/unified_transfers/", "bonfire").json()["results"]) == 50
    assert len(app.get("/paymenthub/unified_transfers/", "bonfire", page_size="7").json()["results"]) == 7


def test_a_cursor_that_is_none_is_not_found(app: App) -> None:
    refused = app.get("/orders/", cursor="!")
    assert (refused.status_code, refused.json()) == (404, {"detail": "Invalid cursor"})


def test_the_time_filter_works_for_orders_and_not_for_dividends(app: App) -> None:
    start = datetime.now(UTC) - timedelta(days=200)
    filters = {"updated_at[gte]": start.isoformat()}
    orders, dividends = app.all("/orders/", **filters), app.all("/dividends/", **filters)
    assert 0 < len(orders) < len(app.all("/orders/"))
    assert all(datetime.fromisoformat(row["updated_at"]) >= start for row in orders)
    assert len(dividends) == len(app.all("/dividends/"))
    paid = [row["paid_at"] for row in dividends]
    assert paid not in (sorted(paid), sorted(paid, reverse=True))


def test_unknown_parameters_are_ignored_and_foreign_accounts_are_empty(app: App) -> None:
    assert app.get("/positions/", colour="blue").ok
    assert app.all("/orders/", account_numbers=JAMES) == []
    assert app.get(f"/accounts/{JAMES}/").status_code == 404
    assert app.get(f"/accounts/{MARIA}").json()["account_number"] == MARIA


def test_the_same_path_is_something_else_on_another_host(sandbox: Sandbox, app: App) -> None:
    headers = {"Authorization": f"Bearer {app.token['access_token']}"}
    told = {
        host: requests.get(f"{sandbox.base_url}/orders/", headers=headers | {"Host": host}, timeout=LIMIT).json()
        for host in ("api.robinhood.com", "nummus.robinhood.com")
    }
    assert "instrument" in told["api.robinhood.com"]["results"][0]
    assert "currency_pair_id" in told["nummus.robinhood.com"]["results"][0]
    assert told["api.robinhood.com"]["next"].startswith("https://api.robinhood.com/orders/?cursor=")
    assert app.get("/orders/").json()["next"].startswith(url(sandbox, "/orders/?cursor="))


def test_amounts_are_text_and_an_account_has_one_kind_of_balances(sandbox: Sandbox, app: App) -> None:
    account = app.get(f"/accounts/{MARIA}/").json()
    assert account["type"] == "margin"
    assert account["cash_balances"] is None
    assert account["margin_balances"]["unallocated_margin_cash"] == account["cash"]
    of_james = sign_in(sandbox, "james").get(f"/accounts/{JAMES}/").json()
    assert (of_james["type"], of_james["margin_balances"]) == ("cash", None)


def test_the_portfolio_leaves_coins_out_and_adds_up(sandbox: Sandbox, app: App) -> None:
    told = app.get(f"/portfolios/{MARIA}/").json()
    truth = sandbox.truth("maria", "robinhood")["accounts"][0]
    worth = sum(Decimal(row["market_value"]) for row in truth["positions"] if row["asset_class"] != "crypto")
    assert Decimal(told["market_value"]) == worth
    assert Decimal(told["equity"]) == worth + Decimal(truth["cash"])
    live = app.get(f"/portfolio/account/{MARIA}/live", "bonfire").json()
    coins = sum(Decimal(row["market_value"]) for row in truth["positions"] if row["asset_class"] == "crypto")
    assert Decimal(live["forex_market_value"]) == coins > 0


def test_positions_carry_no_price_and_quotes_do(app: App) -> None:
    position = next(row for row in app.all("/positions/", nonzero="true") if row["symbol"] == "KO")
    assert "price" not in position
    results = app.get("/quotes/", symbols="KO,NOPE,BTC").json()["results"]
    assert results[0]["instrument_id"] == position["instrument_id"]
    assert results[1:] == [None, None]
    assert app.get("/quotes/NOPE/").status_code == 404
    assert app.get("/quotes/", symbols=",".join(["KO"] * 1_201)).status_code == 414


def test_positions_of_the_past_are_told_unless_only_those_held_are_asked_for(app: App) -> None:
    assert len(app.all("/options/positions/")) > len(app.all("/options/positions/", nonzero="True")) > 0


def test_instruments_and_hours_are_open_to_everyone(sandbox: Sandbox) -> None:
    found = requests.get(url(sandbox, "/instruments/?symbol=AAPL"), timeout=LIMIT).json()["results"]
    assert [row["symbol"] for row in found] == ["AAPL"]
    again = requests.get(found[0]["url"], timeout=LIMIT).json()
    assert again == found[0]
    hours = requests.get(url(sandbox, "/markets/XNYS/hours/2026-11-26/"), timeout=LIMIT).json()
    assert (hours["is_open"], hours["opens_at"]) == (False, None)
    assert hours["next_open_hours"].endswith("/2026-11-27/")
    assert requests.get(url(sandbox, "/quotes/?symbols=KO"), timeout=LIMIT).status_code == 401


def test_an_options_strike_stands_at_its_instrument(app: App) -> None:
    position = app.all("/options/positions/", nonzero="True")[0]
    option = app.get_url(position["option"]).json()
    assert option["id"] == position["option_id"]
    assert option["expiration_date"] == position["expiration_date"]
    assert Decimal(option["strike_price"]) > 0


def test_prices_gone_by_are_told_by_a_year_or_more(app: App) -> None:
    asked = {"interval": "day", "span": "year", "bounds": "regular"}
    (told,) = app.get("/marketdata/historicals/", symbols="KO,NOPE", **asked).json()["results"]
    assert told["symbol"] == "KO"
    assert 245 < len(told["historicals"]) < 255
    assert {bar["begins_at"][10:] for bar in told["historicals"]} == {"T00:00:00Z"}
    assert app.get("/marketdata/historicals/", **asked).status_code == 400
    assert app.get("/marketdata/historicals/", symbols="KO", **asked | {"span": "week"}).status_code == 400


def test_what_is_gone_is_gone(app: App) -> None:
    gone = app.get(f"/portfolios/historicals/{MARIA}/", interval="day")
    assert (gone.status_code, gone.json()) == (404, {"detail": "Not found."})
    assert app.get(f"/accounts/{MARIA}/positions/").status_code == 404


def test_shares_came_by_acats_from_another_broker(app: App) -> None:
    page = app.get("/acats/", "bonfire", both_directions="true").json()
    assert "prev" in page
    (moved,) = page["results"]
    assert moved["contra_broker_name"] == "Interactive Brokers"
    assert {Decimal(asset["quantity"]) for asset in moved["assets"]} == {Decimal(40), Decimal(12)}


def test_a_correction_keeps_the_id_and_a_voided_record_is_still_told(sandbox: Sandbox, app: App) -> None:
    truth = sandbox.truth("maria", "robinhood")["accounts"][0]["transactions"]
    bought = next(row for row in truth[::-1] if row["nature"] == "order_buy" and row["symbol"] == "VTI")
    before = app.all("/orders/")
    sandbox.correct(MARIA, bought["activity_id"], "price", "1.23")
    after = app.all("/orders/")
    assert {row["id"] for row in before} == {row["id"] for row in after}
    assert [row["average_price"] for row in after if row not in before] == ["1.23000000"]
    sandbox.correct(MARIA, bought["activity_id"], "status")
    assert [row["state"] for row in app.all("/orders/") if row not in before] == ["voided"]


def test_a_backdated_order_appears_with_an_id_of_its_own(sandbox: Sandbox, app: App) -> None:
    before = {row["id"] for row in app.all("/orders/")}
    sandbox.backdate(MARIA, kind="sell", symbol="KO", quantity=1, price="61.5", fees="0.02", days_ago=3)
    (fresh,) = [row for row in app.all("/orders/") if row["id"] not in before]
    assert (fresh["side"], fresh["fees"], fresh["executed_notional"]["amount"]) == ("sell", "0.02", "61.50")


@pytest.mark.parametrize(
    ("kind", "status"),
    [("401", 401), ("403", 403), ("410", 410), ("429", 429), ("500", 500), ("503", 503), ("route_missing", 404)],
)
def test_faults_speak_robinhoods_words(sandbox: Sandbox, app: App, kind: str, status: int) -> None:
    sandbox.fault(kind, "orders", times=1, broker="robinhood")
    refused = app.get("/orders/")
    assert refused.status_code == status
    if status in (401, 403, 410, 429):
        assert set(refused.json()) == {"detail"}
    else:
        assert refused.text.startswith("<!DOCTYPE html>")
    assert app.get("/orders/").ok


def test_pages_can_be_emptied_doubled_and_shuffled(sandbox: Sandbox, app: App) -> None:
    rows = app.get("/orders/").json()["results"]
    told = {}
    for kind in ("empty_page", "duplicate_page", "reordered"):
        sandbox.fault(kind, "orders", times=1, broker="robinhood")
        told[kind] = app.get("/orders/").json()["results"]
    assert told["empty_page"] == []
    assert told["duplicate_page"] == rows * 2
    assert told["reordered"] != rows
    assert sorted(row["id"] for row in told["reordered"]) == sorted(row["id"] for row in rows)


def test_a_throttled_call_says_for_how_long(sandbox: Sandbox, app: App) -> None:
    sandbox.limit(2, "robinhood")
    assert [app.get("/positions/").status_code for _ in range(3)] == [200, 200, 429]
    throttled = app.get("/positions/")
    assert throttled.headers["Retry-After"] == "30"
    assert throttled.json() == {"detail": "Request was throttled. Expected available in 30 seconds."}


def test_a_throttled_call_may_leave_the_time_open(sandbox: Sandbox, app: App) -> None:
    wording = {"detail": "Request was throttled."}
    sandbox.fault("429", "orders", times=1, broker="robinhood", retry_after=None, body=wording)
    throttled = app.get("/orders/")
    assert (throttled.status_code, throttled.json()) == (429, wording)
    assert "Retry-After" not in throttled.headers


def test_nothing_is_written(app: App) -> None:
    headers = {"Authorization": f"Bearer {app.token['access_token']}"}
    refused = requests.post(url(app.sandbox, "/orders/"), headers=headers, json={}, timeout=LIMIT)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")
