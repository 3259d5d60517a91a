"""The control API: clock, corrections, tokens, people, log. Books keep balancing whatever is corrected."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.schwab_app import LIMIT, refresh, sign_in

ACCOUNT = "40012345"


def account_of(sandbox: Sandbox, login: str = "maria") -> dict[str, Any]:
    account: dict[str, Any] = sandbox.truth(login)["accounts"][0]
    return account


def newest(account: dict[str, Any], **wanted: str) -> dict[str, Any]:
    rows = account["transactions"][::-1]
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def held(account: dict[str, Any], symbol: str) -> Decimal:
    return sum((Decimal(row["quantity"]) for row in account["positions"] if row["symbol"] == symbol), Decimal(0))


def test_a_corrected_price_changes_the_row_and_the_cash_but_not_its_id(sandbox: Sandbox) -> None:
    before = account_of(sandbox)
    row = newest(before, nature="order_buy", symbol="KO")
    changed = sandbox.correct(ACCOUNT, row["activity_id"], "price", str(Decimal(row["price"]) + 1))
    after = account_of(sandbox)
    assert changed["activity_id"] == row["activity_id"]
    assert Decimal(after["cash"]) == Decimal(before["cash"]) - Decimal(row["quantity"])
    assert held(after, "KO") == held(before, "KO")


def test_a_corrected_amount_of_an_order_changes_what_is_held(sandbox: Sandbox) -> None:
    before = account_of(sandbox)
    row = newest(before, nature="order_buy", symbol="KO")
    sandbox.correct(ACCOUNT, row["activity_id"], "amount", str(Decimal(row["quantity"]) + 2))
    after = account_of(sandbox)
    assert held(after, "KO") == held(before, "KO") + 2
    assert Decimal(after["cash"]) == Decimal(before["cash"]) - 2 * Decimal(row["price"])


def test_a_corrected_amount_of_a_cash_row_is_its_net_amount(sandbox: Sandbox) -> None:
    before = account_of(sandbox)
    row = newest(before, kind="dividend", status="posted")
    sandbox.correct(ACCOUNT, row["activity_id"], "amount")
    assert Decimal(account_of(sandbox)["cash"]) == Decimal(before["cash"]) + Decimal("0.01")


def test_an_invalid_row_is_still_told_but_without_effect(sandbox: Sandbox) -> None:
    before = account_of(sandbox)
    row = newest(before, nature="order_buy", symbol="KO")
    sandbox.correct(ACCOUNT, row["activity_id"], "status")
    after = account_of(sandbox)
    assert Decimal(after["cash"]) == Decimal(before["cash"]) - Decimal(row["net_amount"])
    app = sign_in(sandbox)
    told = app.get(f"/trader/v1/accounts/{after['hash']}/transactions/{row['activity_id']}").json()
    assert told["status"] == "INVALID"


def test_a_backdated_row_is_told_on_its_day_and_counts(sandbox: Sandbox) -> None:
    before = account_of(sandbox)
    row = sandbox.backdate(ACCOUNT, kind="sell", symbol="KO", quantity=2, price="61.5", fees="0.02", days_ago=20)
    after = account_of(sandbox)
    assert (row["quantity"], row["net_amount"]) == ("-2", "122.98")
    assert held(after, "KO") == held(before, "KO") - 2
    assert Decimal(after["cash"]) == Decimal(before["cash"]) + Decimal("122.98")
    told = {row["activityId"] for row in sign_in(sandbox).transactions(after["hash"]).json()}
    assert int(row["activity_id"]) in told
    assert row["activity_id"] not in {row["activity_id"] for row in before["transactions"]}


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "gift"},
        {"symbol": "NOPE1"},
        {"traded_on": "2999-01-01"},
        {"traded_on": "soon"},
        {"quantity": "many"},
        {"quantity": "NaN"},
        {"kind": "deposit", "currency": "XXX"},
    ],
)
def test_a_row_that_cannot_be_is_refused_with_a_sentence(sandbox: Sandbox, facts: dict[str, str]) -> None:
    body = {"login": "maria", "account": ACCOUNT, "backdated": facts}
    answer = requests.post(f"{sandbox.base_url}/_control/corrections", json=body, timeout=LIMIT)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_strangers_have_no_truth(sandbox: Sandbox) -> None:
    answer = requests.get(f"{sandbox.base_url}/_control/truth/nobody", timeout=LIMIT)
    assert answer.status_code == 404


def test_the_clock_is_set_advanced_and_made_real_again(sandbox: Sandbox) -> None:
    moment = datetime(2027, 3, 1, 12, tzinfo=UTC)
    sandbox.set_now(moment)
    sandbox.advance(3_600)
    now = datetime.fromisoformat(sandbox.truth("james")["now"])
    assert 3_600 <= (now - moment).total_seconds() < 3_660
    assert sandbox.control("clock", real=True)["offset_seconds"] == 0


def test_moving_the_clock_moves_prices_and_no_transaction(sandbox: Sandbox) -> None:
    before = account_of(sandbox)
    sandbox.advance(20 * 86_400)
    after = account_of(sandbox)
    assert after["transactions"] == before["transactions"]
    assert after["cash"] == before["cash"]
    assert after["value"] != before["value"]


def test_tokens_end_for_one_person_only(sandbox: Sandbox) -> None:
    maria, james = sign_in(sandbox), sign_in(sandbox, "james")
    assert sandbox.end_tokens("maria", expire=True, revoke=True) == {"expired": 1, "revoked": 1}
    assert maria.get("/trader/v1/accounts").status_code == 401
    assert refresh(sandbox, maria.token["refresh_token"]).status_code == 400
    assert james.get("/trader/v1/accounts").status_code == 200


def test_the_log_names_each_call_and_holds_no_secret(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    app.get("/trader/v1/accounts")
    refresh(sandbox, app.token["refresh_token"])
    calls = sandbox.calls()
    assert [call["operation"] for call in calls] == ["authorize"] * 3 + ["token", "accounts", "token"]
    assert {call["login"] for call in calls[-3:]} == {"maria"}
    log = requests.get(f"{sandbox.base_url}/_control/calls", timeout=LIMIT).text
    for name in ("access_token", "refresh_token", "id_token"):
        assert app.token[name] not in log
    assert "sandboxsecret001" not in log


def test_an_invented_person_has_as_many_transactions_as_asked_the_same_each_time(sandbox: Sandbox) -> None:
    sandbox.invent("crowd", transactions=5_000, seed=3)
    first = account_of(sandbox, "crowd")
    sandbox.invent("crowd", transactions=5_000, seed=3)
    assert account_of(sandbox, "crowd") == first
    assert len(first["transactions"]) == 5_000
    assert Decimal(first["cash"]) == sum(Decimal(row["net_amount"]) for row in first["transactions"])


def test_the_limit_can_be_lifted(sandbox: Sandbox) -> None:
    sandbox.limit(1)
    app = sign_in(sandbox)
    assert app.get("/trader/v1/accounts").status_code == 429
    sandbox.limit(None)
    assert app.get("/trader/v1/accounts").status_code == 200


def test_another_callback_can_be_registered_until_the_next_reset(sandbox: Sandbox) -> None:
    callback = "http://127.0.0.1:54321/connections/callback/schwab"
    sandbox.register_callback(callback)
    query = f"client_id=sandbox0schwab0app0key0000000001&redirect_uri={callback}"
    url = f"{sandbox.schwab_url}/v1/oauth/authorize?{query}"
    assert sandbox.sign_in(url).startswith(f"{callback}?code=")
    sandbox.reset()
    assert requests.get(url, timeout=LIMIT).status_code == 401


def test_an_unknown_lever_value_is_refused(sandbox: Sandbox) -> None:
    for lever, body in (
        ("faults", {"kind": "meteor"}),
        ("faults", {"kind": "500", "operation": "orders"}),
        ("clock", {}),
        ("maintenance", {"broker": "nobody"}),
    ):
        answer = requests.post(f"{sandbox.base_url}/_control/{lever}", json=body, timeout=LIMIT)
        assert answer.status_code == 400, lever
