"""Syncs and imports as programs meet them."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from aggregation.models import Instrument, Transaction
from brokerhub.kernel.models import Scope, User
from connections.brokers.records import ParkedRecord
from connections.models import Account, Connection
from connections.states import ConnectionState
from sync import tasks
from sync.models import ParkedRow, RunState, SyncRun
from sync.parking import park
from tests.aggregation.factories import a_connection, an_account
from tests.sync.samples import fixture

ROOT = "/api/v1/brokerage"
MakeClient = Callable[..., APIClient]


@pytest.fixture
def program(person: User, token_client: MakeClient) -> APIClient:
    return token_client(person)


def start(program: APIClient, connection: Connection | None = None) -> Any:
    return program.post(f"{ROOT}/sync", {"connection": str(connection.pk)} if connection else {})


def upload(program: APIClient, name: str = "schwab-brokerage.csv", **fields: Any) -> Any:
    file = SimpleUploadedFile(name, fixture(name), content_type="text/csv")
    return program.post(f"{ROOT}/import", {"file": file, **fields}, format="multipart")


def test_a_sync_is_accepted_and_its_run_is_followed_to_the_end(
    program: APIClient, person: User, connect: Callable[..., Connection]
) -> None:
    connection = connect(person)
    answer = start(program, connection)
    assert answer.status_code == 202
    (run,) = answer.json()["runs"]
    assert (run["state"], run["is_open"], run["progress"]["text"]) == ("queued", True, "Waiting for its turn")
    status = program.get(f"{ROOT}/sync/status").json()
    assert status["syncing"]
    assert [row["run"]["id"] for row in status["connections"]] == [run["id"]]
    tasks.run(run["id"])
    run = program.get(f"{ROOT}/sync/runs/{run['id']}").json()
    counts = run["counts"]
    assert (run["state"], run["error"], run["wait"]) == ("succeeded", None, None)
    assert counts["fetched"] == counts["inserted"] > 1000
    assert [part["part"] for part in run["parts"]] == ["accounts", *["holdings"] * 2, *["transactions"] * 2]
    assert {part["state"] for part in run["parts"]} == {"done"}
    status = program.get(f"{ROOT}/sync/status", {"run": run["id"]}).json()
    assert not status["syncing"]
    assert status["connections"][0]["run"] == run
    assert status["connections"][0]["last_success_at"] is not None


def test_all_connections_are_synced_when_none_is_named(program: APIClient, person: User) -> None:
    a_connection(person), a_connection(person)
    a_connection(person, state=ConnectionState.NEEDS_REAUTH)
    first, second = start(program).json(), start(program).json()
    assert len(first["runs"]) == 2
    assert first == second


def test_a_connection_never_synced_has_no_run(program: APIClient, person: User) -> None:
    connection = a_connection(person)
    status = program.get(f"{ROOT}/sync/status").json()
    assert status == {
        "version": status["version"],
        "syncing": False,
        "connections": [
            {
                "connection": str(connection.pk),
                "label": "Schwab",
                "state": "connected",
                "last_success_at": None,
                "run": None,
            }
        ],
    }


def test_a_wait_is_told_with_its_end_and_reason(program: APIClient, person: User) -> None:
    (run,) = start(program, a_connection(person)).json()["runs"]
    until = timezone.now() + timedelta(minutes=5)
    SyncRun.objects.filter(pk=run["id"]).update(state=RunState.WAITING, wait_until=until, wait_reason="rate limit")
    wait = program.get(f"{ROOT}/sync/runs/{run['id']}").json()["wait"]
    assert wait["reason"] == "rate limit"
    assert wait["until"].startswith(f"{until:%Y-%m-%dT%H:%M:%S}")


def test_a_run_is_cancelled_once(program: APIClient, person: User) -> None:
    (run,) = start(program, a_connection(person)).json()["runs"]
    assert program.post(f"{ROOT}/sync/runs/{run['id']}/cancel").json()["state"] == "cancelled"
    again = program.post(f"{ROOT}/sync/runs/{run['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_a_connection_that_cannot_sync_is_a_conflict(program: APIClient, person: User) -> None:
    answer = start(program, a_connection(person, state=ConnectionState.NEEDS_REAUTH))
    assert answer.status_code == 409
    assert "Sign in again" in answer.json()["detail"]


def test_runs_are_listed_newest_first_in_pages_and_by_state(program: APIClient, person: User) -> None:
    connection = a_connection(person)
    for state in ["succeeded", "failed"] * 3:
        SyncRun.objects.create(connection=connection, trigger="manual", mode="initial", state=state)
    first = program.get(f"{ROOT}/sync/runs", {"limit": 4}).json()
    rest = program.get(first["next"]).json()
    ids = [run["id"] for run in first["results"] + rest["results"]]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), rest["next"]) == (6, None)
    failed = program.get(f"{ROOT}/sync/runs", {"state": "failed", "connection": str(connection.pk)}).json()
    assert {run["state"] for run in failed["results"]} == {"failed"}


def test_a_file_is_accepted_and_imported(program: APIClient, person: User) -> None:
    account = an_account(a_connection(person))
    answer = upload(program, account=account.pk)
    assert answer.status_code == 202
    run = answer.json()
    assert answer.headers["Location"].endswith(f"{ROOT}/sync/runs/{run['id']}")
    assert run["file"] == {
        "name": "schwab-brokerage.csv",
        "format": "schwab_brokerage",
        "size": len(fixture("schwab-brokerage.csv")),
        "account": account.pk,
    }
    tasks.import_file(run["id"])
    assert program.get(f"{ROOT}/sync/runs/{run['id']}").json()["counts"]["inserted"] == 10


def test_a_file_is_imported_into_a_new_account(program: APIClient, person: User) -> None:
    assert upload(program, account_name="Old account").status_code == 202
    assert Account.objects.get(connection__user=person).name == "Old account"


@pytest.mark.parametrize(
    ("name", "fields", "code"),
    [
        ("schwab-brokerage.csv", {}, "required"),
        ("schwab-brokerage.csv", {"account": 0}, "does_not_exist"),
        ("schwab-brokerage.csv", {"account_name": "New", "format": "paper"}, "invalid_choice"),
        ("unknown.csv", {"account_name": "New"}, "file_not_read"),
        ("schwab-positions.csv", {"account_name": "New"}, "file_not_read"),
    ],
)
def test_an_import_that_cannot_be_is_refused_with_a_code(
    program: APIClient, name: str, fields: dict[str, Any], code: str
) -> None:
    answer = upload(program, name, **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not SyncRun.objects.exists()


# --- Dry runs, mappings, several accounts -----------------------------------------------------------------------------
MIXED = (
    b'"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
    b'"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n'
    b'"13/45/2026","Service Fee","","=2+3","","","","-$3.00"\n'
    b'"06/11/2026","Odd Word","","X","","","","$2.00"\n'
)


def send(program: APIClient, content: bytes, query: str = "", **fields: Any) -> Any:
    return program.post(
        f"{ROOT}/import{query}", {"file": SimpleUploadedFile("a.csv", content), **fields}, format="multipart"
    )


def test_a_dry_run_says_what_would_become_of_each_row_and_writes_nothing(program: APIClient, person: User) -> None:
    account = an_account(a_connection(person))
    run = send(program, MIXED.splitlines(keepends=True)[0] + MIXED.splitlines(keepends=True)[1], account=account.pk)
    tasks.import_file(run.json()["id"])
    before = (SyncRun.objects.count(), Transaction.objects.count(), Instrument.objects.count())
    answer = send(program, MIXED, "?dry_run=1", account=account.pk)
    assert answer.status_code == 200
    tried = answer.json()
    assert (tried["format"], tried["questions"]) == ("schwab_brokerage", [])
    assert [(row["line"], row["state"]) for row in tried["rows"]] == [(2, "duplicate"), (3, "error"), (4, "warning")]
    assert tried["rows"][1]["notes"] == ["“13/45/2026” is not a date like 12/31/2025."]
    assert tried["rows"][2]["records"][0] | {"description": ""} == {
        "date": "2026-06-11",
        "kind": "other",
        "subtype": "Odd Word",
        "symbol": "",
        "quantity": None,
        "price": None,
        "net_amount": "2",
        "fees": "0",
        "taxes": "0",
        "currency": "USD",
        "description": "",
    }
    assert tried["counts"] == {"valid": 0, "warning": 1, "error": 1, "duplicate": 1, "possible": 0, "left_out": 0}
    assert [row["line"] for row in send(program, MIXED, "?dry_run=1&offset=1&limit=1").json()["rows"]] == [3]
    assert (SyncRun.objects.count(), Transaction.objects.count(), Instrument.objects.count()) == before


UNKNOWN = b"When;What;Paper;Units;Money\n03/04/2026;Kauf;KO;2;-120,00\n"
MAPPING = {
    "columns": {"date": "When", "word": "What", "symbol": "Paper", "quantity": "Units", "amount": "Money"},
    "words": {"Kauf": "buy"},
}


def test_an_unknown_table_comes_with_its_mapping_and_what_it_leaves_open_is_asked(program: APIClient) -> None:
    said = {"mapping": json.dumps(MAPPING), "account_name": "Depot"}
    asked = send(program, UNKNOWN, "?dry_run=1", **said).json()["questions"]
    assert {question["about"] for question in asked} == {"date_order", "currency"}
    refused = send(program, UNKNOWN, **said)
    assert (refused.status_code, refused.json()["code"]) == (400, "file_not_read")
    assert "Say date_order" in refused.json()["detail"]
    assert not SyncRun.objects.exists()
    run = send(program, UNKNOWN, date_order="dmy", currency="EUR", **said).json()
    tasks.import_file(run["id"])
    booked = Transaction.objects.get()
    assert (f"{booked.traded_on}", booked.kind) == ("2026-04-03", "buy")
    assert (booked.net_amount, booked.currency) == (-120, "EUR")


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ("{", "invalid"),
        ("[]", "invalid"),
        ("[" * 100_000, "invalid"),
        ('{"columns": {"amount": "Money"}}', "mapping_refused"),
        ('{"columns": {"date": "Elsewhere", "amount": "Money"}}', "file_not_read"),
        ('{"columns": 5}', "mapping_refused"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(program: APIClient, mapping: str, code: str) -> None:
    answer = send(program, UNKNOWN, mapping=mapping, account_name="Depot")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Account.objects.exists()


def test_a_file_of_several_accounts_goes_where_each_belongs(program: APIClient, person: User) -> None:
    account = an_account(a_connection(person))
    file = fixture("two-accounts.csv")
    assert send(program, file, "?dry_run=1").json()["accounts"] == ["X11112222", "Z33334444"]
    assert "rows of 2 accounts" in send(program, file, account=account.pk).json()["detail"]
    forgotten = send(program, file, accounts=json.dumps({"X11112222": account.pk}))
    assert "“Z33334444”" in forgotten.json()["detail"]
    foreign = send(program, file, accounts=json.dumps({"X11112222": 0, "Z33334444": "B"}))
    assert foreign.json()["code"] == "does_not_exist"
    places = {"X11112222": account.pk, "Z33334444": "Second"}
    runs = send(program, file, accounts=json.dumps(places)).json()["runs"]
    for run in runs:
        tasks.import_file(run["id"])
    assert sorted(Transaction.objects.values_list("account__name", "net_amount")) == [
        (account.name, 5),
        (account.name, 5),
        ("Second", 7),
    ]


def test_rows_that_were_not_booked_are_fetched_as_a_file(program: APIClient, token_client: MakeClient) -> None:
    run = send(program, MIXED, account_name="New").json()
    tasks.import_file(run["id"])
    for accept in ("*/*", "text/csv"):
        answer = program.get(f"{ROOT}/sync/runs/{run['id']}/rejected", headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.getvalue().decode().splitlines()[1].endswith("'=2+3,,,,'-$3.00")
    assert send(program, MIXED, "?dry_run=nonsense").status_code == 400


def a_parked_row(account: Account, number: str) -> ParkedRow:
    run = SyncRun.objects.create(
        connection=account.connection, trigger="schedule", mode="incremental", state="succeeded"
    )
    raw = {"activityId": number, "accountNumber": "4001234599", "type": "NEW_WORD"}
    park(run=run, account=account, parked=[ParkedRecord(external_id=number, reason="unknown type", raw=raw)])
    return ParkedRow.objects.get(run=run)


def test_parked_rows_are_listed_raw_without_account_numbers(program: APIClient, person: User) -> None:
    account = an_account(a_connection(person))
    waiting, resolved = a_parked_row(account, "1"), a_parked_row(account, "2")
    ParkedRow.objects.filter(pk=resolved.pk).update(resolved_at=timezone.now())
    answer = program.get(f"{ROOT}/parked", {"resolved": "false"})
    (row,) = answer.json()["results"]
    assert (row["id"], row["reason"], row["raw"]["type"]) == (waiting.pk, "unknown type", "NEW_WORD")
    assert "4001234599" not in answer.content.decode()
    assert [row["id"] for row in program.get(f"{ROOT}/parked", {"resolved": "true"}).json()["results"]] == [resolved.pk]


def test_strangers_find_nothing(program: APIClient, person: User, stranger: User, token_client: MakeClient) -> None:
    account = an_account(a_connection(person))
    (run,) = start(program, account.connection).json()["runs"]
    a_parked_row(account, "1")
    other = token_client(stranger)
    assert start(other, account.connection).status_code == 404
    assert other.get(f"{ROOT}/sync/runs/{run['id']}").status_code == 404
    assert other.get(f"{ROOT}/sync/status", {"run": run["id"]}).status_code == 404
    assert other.post(f"{ROOT}/sync/runs/{run['id']}/cancel").status_code == 404
    assert upload(other, account=account.pk).json()["code"] == "does_not_exist"
    assert other.get(f"{ROOT}/sync/status").json()["connections"] == []
    assert other.get(f"{ROOT}/sync/runs").json()["results"] == []
    assert other.get(f"{ROOT}/sync/runs", {"connection": str(account.connection_id)}).json()["results"] == []
    assert other.get(f"{ROOT}/parked").json()["results"] == []
    assert start(other).json() == {"runs": []}


def test_reading_and_starting_need_their_own_scopes(person: User, token_client: MakeClient) -> None:
    reader, starter = token_client(person, Scope.PORTFOLIO_READ), token_client(person, Scope.SYNC_WRITE)
    run = SyncRun.objects.create(connection=a_connection(person), trigger="manual", mode="initial")
    assert reader.get(f"{ROOT}/sync/status").status_code == 200
    for address in (f"{ROOT}/sync", f"{ROOT}/import", f"{ROOT}/sync/runs/{run.pk}/cancel"):
        assert reader.post(address).json()["code"] == "scope_missing"
    for address in (f"{ROOT}/sync/status", f"{ROOT}/sync/runs", f"{ROOT}/sync/runs/{run.pk}", f"{ROOT}/parked"):
        assert starter.get(address).json()["code"] == "scope_missing"
    assert starter.post(f"{ROOT}/sync").status_code == 202


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"connection": "nonsense"}, "connection"),
        ({"connection": []}, "connection"),
        ({"mode": "range"}, "from_on"),
        ({"mode": "repair", "to_on": "2026-03-01"}, "from_on"),
        ({"from_on": "2026-03-02", "to_on": "2026-03-01"}, "to_on"),
    ],
)
def test_nonsense_is_refused_in_the_one_shape(program: APIClient, body: dict[str, Any], attr: str) -> None:
    answer = program.post(f"{ROOT}/sync", body)
    assert answer.status_code == 400
    assert answer.json()["attr"] == attr
    assert program.get(f"{ROOT}/sync/status", {"run": "x"}).status_code == 400
    assert program.post(f"{ROOT}/sync", {"connection": str(uuid.uuid4())}).status_code == 404


@pytest.mark.parametrize("number", ["99999999999999999999", "1e30", "-1", "0.5"])
@pytest.mark.parametrize("address", ["parked?run=", "parked?account=", "transactions?run="])
def test_a_number_that_no_row_has_finds_nothing(program: APIClient, address: str, number: str) -> None:
    answer = program.get(f"{ROOT}/{address}{number}")
    assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_lists_cost_the_same_queries_for_one_row_as_for_fifty(program: APIClient, person: User) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(database) as seen:
            assert program.get(address).status_code == 200
        return len(seen)

    def one_more(number: int) -> None:
        account = an_account(a_connection(person))
        start(program, account.connection)
        upload(program, account=account.pk)
        a_parked_row(account, str(number))

    addresses = [f"{ROOT}/{name}" for name in ("sync/status", "sync/runs", "parked")]
    one_more(0)
    few = {address: queries(address) for address in addresses}
    for number in range(1, 20):
        one_more(number)
    assert {address: queries(address) for address in addresses} == few
