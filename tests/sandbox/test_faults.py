"""Each fault does what its name says, as often as it was told, and nothing once it is taken away."""

from typing import Any

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.schwab_app import App, refresh, sign_in

ACCOUNTS = "/trader/v1/accounts/accountNumbers"


@pytest.fixture
def app(sandbox: Sandbox) -> App:
    return sign_in(sandbox)


@pytest.fixture
def rows(app: App) -> list[int]:
    """Ids of the last year, as told without a fault."""
    return ids(app.transactions(app.hashes()["40012345"]))


def ids(answer: requests.Response) -> list[int]:
    return [row["activityId"] for row in answer.json()]


@pytest.mark.parametrize("status", ["401", "403", "410", "429", "500", "503"])
def test_a_status_is_answered_as_often_as_told(sandbox: Sandbox, app: App, status: str) -> None:
    sandbox.fault(status, "account_numbers", times=2)
    assert [app.get(ACCOUNTS).status_code for _ in range(3)] == [int(status), int(status), 200]


def test_a_fault_can_wait_for_some_calls_to_pass(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("500", "account_numbers", times=1, after=2)
    assert [app.get(ACCOUNTS).status_code for _ in range(4)] == [200, 200, 500, 200]


def test_a_fault_without_a_count_stays_until_it_is_taken_away(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("503", "account_numbers")
    assert [app.get(ACCOUNTS).status_code for _ in range(3)] == [503, 503, 503]
    sandbox.clear_faults()
    assert app.get(ACCOUNTS).status_code == 200


def test_a_fault_strikes_its_operation_only(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("500", "quotes")
    assert app.get(ACCOUNTS).status_code == 200
    assert app.get("/marketdata/v1/quotes", symbols="KO").status_code == 500


@pytest.mark.parametrize(("params", "header"), [({}, "30"), ({"retry_after": 7}, "7"), ({"retry_after": None}, None)])
def test_too_many_may_say_when_to_come_back(
    sandbox: Sandbox, app: App, params: dict[str, Any], header: str | None
) -> None:
    sandbox.fault("429", "account_numbers", times=1, **params)
    assert app.get(ACCOUNTS).headers.get("Retry-After") == header


def test_html_comes_instead_of_json(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("html", "account_numbers", times=1)
    answer = app.get(ACCOUNTS)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_missing_route_is_plain_text(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("route_missing", "account_numbers", times=1)
    answer = app.get(ACCOUNTS)
    assert answer.status_code == 404
    assert answer.text.startswith("404 Not Found: Requested route")


def test_truncated_json_cannot_be_read(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("truncated_json", "account_numbers", times=1)
    with pytest.raises(requests.JSONDecodeError):
        app.get(ACCOUNTS).json()


def test_a_reset_closes_the_connection_without_an_answer(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("reset", "account_numbers", times=1)
    with pytest.raises(requests.ConnectionError):
        app.get(ACCOUNTS)
    assert app.get(ACCOUNTS).status_code == 200
    assert [call["status"] for call in sandbox.calls("account_numbers")] == [None, 200]


def test_a_hanging_call_outlasts_the_clients_patience(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("timeout", "account_numbers", times=1)
    headers = {"Authorization": f"Bearer {app.token['access_token']}"}
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{sandbox.schwab_url}{ACCOUNTS}", headers=headers, timeout=0.2)


def test_latency_delays_the_right_answer(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("latency", "account_numbers", times=1, seconds=0.01)
    assert app.get(ACCOUNTS).status_code == 200
    assert sandbox.calls("account_numbers")[-1]["faults"] == ["latency"]


def test_a_page_can_be_empty_doubled_or_shuffled(sandbox: Sandbox, app: App, rows: list[int]) -> None:
    account = app.hashes()["40012345"]
    sandbox.fault("empty_page", "transactions", times=1)
    assert ids(app.transactions(account)) == []
    sandbox.fault("duplicate_page", "transactions", times=1)
    assert ids(app.transactions(account)) == rows * 2
    sandbox.fault("reordered", "transactions", times=1)
    shuffled = ids(app.transactions(account))
    assert shuffled != rows
    assert sorted(shuffled) == sorted(rows)


@pytest.mark.parametrize(
    ("params", "has", "lacks"),
    [
        ({"change": "rename", "field": "netAmount", "to": "amountNet"}, "amountNet", "netAmount"),
        ({"change": "add", "to": "novelty"}, "novelty", "nothing"),
    ],
)
def test_the_schema_can_drift(sandbox: Sandbox, app: App, params: dict[str, Any], has: str, lacks: str) -> None:
    sandbox.fault("schema_drift", "transactions", times=1, **params)
    row = app.transactions(app.hashes()["40012345"]).json()[0]
    assert has in row
    assert lacks not in row


def test_a_field_can_change_its_type(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("schema_drift", "transactions", times=1, change="type", field="netAmount")
    row = app.transactions(app.hashes()["40012345"]).json()[0]
    assert isinstance(row["netAmount"], dict)


def test_an_access_token_can_expire_early_and_be_renewed(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("expired_token", "account_numbers", times=1)
    assert [app.get(ACCOUNTS).status_code for _ in range(2)] == [401, 401]
    renewed = App(sandbox, refresh(sandbox, app.token["refresh_token"]).json())
    assert renewed.get(ACCOUNTS).status_code == 200


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("2026", "Refresh token is invalid, expired or revoked"),
        ("2024", "refresh_token_authentication_error"),
        ("oldest", "refresh token invalid"),
    ],
)
def test_a_refresh_token_can_die_with_each_of_schwabs_wordings(
    sandbox: Sandbox, app: App, form: str, words: str
) -> None:
    sandbox.fault("revoked_token", "token", times=1, form=form)
    answer = refresh(sandbox, app.token["refresh_token"])
    assert answer.status_code == 400
    assert words in answer.json()["error_description"]
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 400


def test_a_rotated_refresh_token_replaces_the_old_one(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("rotate_refresh_token", "token", times=1)
    renewed = refresh(sandbox, app.token["refresh_token"]).json()["refresh_token"]
    assert renewed != app.token["refresh_token"]
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 400
    assert refresh(sandbox, renewed).json()["refresh_token"] == renewed


def test_a_replaced_refresh_token_can_stay_good_for_a_while(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("rotate_refresh_token", "token", times=1, grace=30)
    renewed = refresh(sandbox, app.token["refresh_token"]).json()["refresh_token"]
    assert refresh(sandbox, app.token["refresh_token"]).json()["refresh_token"] == renewed
    sandbox.advance(30)
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 400
    assert refresh(sandbox, renewed).ok


def test_a_lost_answer_was_given_all_the_same(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("rotate_refresh_token", "token", times=1)
    sandbox.fault("lost_answer", "token", times=1)
    with pytest.raises(requests.ConnectionError):
        refresh(sandbox, app.token["refresh_token"])
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 400


def test_the_token_endpoint_can_fail_as_well(sandbox: Sandbox, app: App) -> None:
    sandbox.fault("503", "token", times=1)
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 503
    sandbox.fault("html", "token", times=1, status=502)
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 502
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 200


def test_maintenance_closes_everything_with_a_page(sandbox: Sandbox, app: App) -> None:
    sandbox.maintenance()
    assert {app.get(path).status_code for path in (ACCOUNTS, "/marketdata/v1/quotes")} == {503}
    assert refresh(sandbox, app.token["refresh_token"]).status_code == 503
    sandbox.maintenance(on=False)
    assert app.get(ACCOUNTS).status_code == 200
