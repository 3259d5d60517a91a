"""Looking back: which runs, what they did and were sent, and what of them is kept."""

import csv
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from aggregation import ledger
from aggregation.models import Source, Transaction
from brokerhub.kernel.models import User
from connections.models import Connection
from sync import history, tasks
from sync.models import RunEntry, RunState, SyncRun, Trigger
from tests.aggregation.factories import a_connection, a_record, an_account
from tests.journey.books import sync


@pytest.fixture
def web(person: User, sign_up: Callable[[User], Client]) -> Client:
    return sign_up(person)


def a_run(connection: Connection, days_ago: int = 0, **fields: object) -> SyncRun:
    at = timezone.now() - timedelta(days=days_ago)
    given: dict[str, object] = {"trigger": Trigger.MANUAL, "mode": "incremental", "state": RunState.SUCCEEDED}
    run = SyncRun.objects.create(connection=connection, started_at=at, finished_at=at, **given | fields)
    SyncRun.objects.filter(pk=run.pk).update(created_at=at)
    run.entries.create(text="Started")
    return run


def body(answer: object) -> str:
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def test_runs_are_found_by_what_they_were_and_exported_as_found(web: Client, person: User) -> None:
    schwab, other = a_connection(person), a_connection(person, label="Other")
    old, failed = a_run(schwab, 40), a_run(other, state=RunState.FAILED, error="=It is odd", error_code="odd")
    a_run(a_connection())
    for query, found in (
        ({}, [failed, old]),
        ({"state": "failed"}, [failed]),
        ({"connection": f"{schwab.pk}"}, [old]),
        ({"since": f"{timezone.now() - timedelta(days=2):%Y-%m-%d}"}, [failed]),
        ({"mode": "repair"}, []),
    ):
        page = web.get("/sync/", query).content.decode()
        shown = [run for run in (failed, old) if f"/sync/runs/{run.pk}/" in page]
        assert shown == found, query
        rows = json.loads(body(web.get("/sync/runs.json", query)))
        assert [row["id"] for row in rows] == [run.pk for run in found]
    table = list(csv.DictReader(body(web.get("/sync/runs.csv", {"state": "failed"})).splitlines()))
    assert (table[0]["connection"], table[0]["error"]) == ("Other", "'=It is odd")
    assert web.get("/sync/runs.exe").status_code == 404


def test_a_run_leads_to_its_rows_payloads_and_log(
    web: Client, person: User, connect: Callable[..., Connection], token_client: Callable[..., APIClient], unpaced: None
) -> None:
    run = sync(connect(person))
    page = web.get(f"/sync/runs/{run.pk}/").content.decode()
    assert f"/portfolio/transactions/?run={run.pk}" in page
    assert "window 1 of" in page
    row = Transaction.objects.filter(run=run).first()
    assert row is not None
    assert f"/sync/runs/{run.pk}/" in web.get(f"/portfolio/transactions/{row.pk}/").content.decode()
    text = body(web.get(f"/sync/runs/{run.pk}/payloads.json"))
    sent = json.loads(text)
    assert len(sent) == run.inserted
    assert sent[0]["raw"]["activityId"]
    for account in run.connection.accounts.all():
        assert all(number not in text for number in (account.external_id, *account.aliases))
    log = token_client(person).get(f"/api/v1/brokerage/sync/runs/{run.pk}/log").json()["results"]
    assert log[0]["text"] == "Succeeded."


def test_a_stranger_sees_nothing_of_it(stranger: User, sign_up: Callable[[User], Client]) -> None:
    run, web = a_run(a_connection()), sign_up(stranger)
    assert web.get(f"/sync/runs/{run.pk}/payloads.json").status_code == 404
    assert json.loads(body(web.get("/sync/runs.json"))) == []


def test_logs_are_kept_for_ever_unless_the_person_says_otherwise(web: Client, person: User) -> None:
    connection = a_connection(person)
    account, empty, brought = (
        an_account(connection),
        a_run(connection, 50),
        a_run(connection, 45, fetched=1, inserted=1),
    )
    ledger.book(account=account, records=[a_record("1")], source=Source.API, run_id=brought.pk)
    last, others = a_run(connection, 40), a_run(a_connection(), 50)
    tasks.remove_old()
    assert RunEntry.objects.count() == SyncRun.objects.count() == 4
    assert "7 and 3650" in web.post("/sync/history", {"keep_days": "3"}, follow=True).content.decode()
    assert "Logs are kept for 30 days" in web.post("/sync/history", {"keep_days": "30"}, follow=True).content.decode()
    tasks.remove_old()
    assert list(SyncRun.objects.order_by("pk")) == [brought, last, others]
    assert [entry.run for entry in RunEntry.objects.all()] == [others]
    assert not SyncRun.objects.filter(pk=empty.pk).exists()
    assert Transaction.objects.get().run == brought
    assert history.keep_for(person, None).keep_days is None
