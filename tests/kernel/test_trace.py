"""One id leads from a request through the queue and the worker to the broker's call, in logs and in what is stored."""

import json
import logging

import pytest
import structlog
from celery import current_app
from celery.signals import before_task_publish
from django.conf import settings
from django_structlog.celery.receivers import CeleryReceiver

from brokerhub.kernel import trace, writes
from connections.models import ConnectionEvent
from health.models import FailedCall
from health.recording import recorder
from sync import sync_service, tasks
from sync.models import RunState, Schedule, SyncRun, Trigger

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def lines(monkeypatch):
    """What the hub prints, as JSON."""
    printed: list[dict[str, object]] = []
    line = settings.LOGGING["formatters"]["line"]

    class Printer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            printed.append(json.loads(self.format(record)))

    handler = Printer()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=line["foreign_pre_chain"],
            processors=[*line["processors"][:-1], structlog.processors.JSONRenderer()],
        )
    )
    logging.getLogger().addHandler(handler)
    yield printed
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def sent(monkeypatch):
    """Task messages as they are published: (task, its arguments, its headers)."""
    messages = []

    def note(sender=None, headers=None, body=None, **_):
        messages.append((sender, body[0], headers))

    before_task_publish.connect(note)
    yield messages
    before_task_publish.disconnect(note)


def work(message):
    """As the worker does: django-structlog takes the id out of the message's headers, then the task runs."""
    name, args, headers = message
    task = current_app.tasks[name]
    task.push_request(id=headers["id"], __django_structlog__=headers["__django_structlog__"])
    try:
        CeleryReceiver().receiver_task_prerun(task_id=headers["id"], task=task)
        task.run(*args)
    finally:
        structlog.contextvars.clear_contextvars()
        task.pop_request()


def messages_for(sent, name):
    return [message for message in sent if message[0] == name]


@pytest.mark.django_db(transaction=True)
def test_one_id_leads_from_a_post_to_the_brokers_call(web, person, connect, sandbox, unpaced, lines, sent):
    connection = connect(person, "james")
    SyncRun.objects.all().delete()
    sandbox.fault("500", "transactions", times=9)
    lines.clear()
    sent.clear()
    answer = web.post("/sync/start", {"connection": connection.pk}, headers={"X-Request-ID": "ask-4711"})
    assert (answer.status_code, answer["X-Request-ID"]) == (302, "ask-4711")
    work(messages_for(sent, "sync.dispatch")[0])
    work(messages_for(sent, "sync.run")[0])
    run = SyncRun.objects.get()
    recorder.flush()
    assert run.request_id == "ask-4711"
    assert [write.route for write in writes.of_request("ask-4711")] == ["/sync/start"]
    calls = [line for line in lines if line["event"] == "broker_call"]
    assert {call["operation"] for call in calls} >= {"accounts", "holdings", "transactions"}
    assert {call["request_id"] for call in calls} == {"ask-4711"}
    started = [line for line in lines if line["event"] == "task_started"]
    assert {line["request_id"] for line in started} == {"ask-4711"}
    failed = FailedCall.objects.filter(request_id="ask-4711")
    assert {(call.operation, call.status) for call in failed} == {("transactions", 500)}
    told = {call["correlation_id"] for call in sandbox.calls("transactions")}
    assert {call.correlation_id for call in failed} <= told, "the broker's own id leads on into its log"
    assert ConnectionEvent.objects.filter(request_id="ask-4711", connection=connection).exists()


@pytest.mark.django_db(transaction=True)
def test_a_run_keeps_its_own_id_whoever_rings_the_bell(person, connect, sandbox, unpaced, sent):
    connection = connect(person, "james")
    SyncRun.objects.all().delete()
    with trace.carrying("the-first"):
        run = sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL)
    sent.clear()
    with trace.carrying("somebody-else"):
        tasks.dispatch()
    [(_, args, headers)] = messages_for(sent, "sync.run")
    assert (args, headers["__django_structlog__"]["request_id"]) == ((run.pk,), "the-first")
    tasks.run(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    assert set(ConnectionEvent.objects.filter(connection=connection, action="synced").values_list("request_id")) <= {
        ("the-first",)
    }
    assert trace.current() == "", "what a task was known by ends with it"


def test_a_scheduled_task_is_known_by_its_own_id_and_each_run_it_plans_by_another(person, connect, unpaced, lines):
    for login in ("james", "maria"):
        connect(person, login)
    SyncRun.objects.all().delete()
    Schedule.objects.update(next_at="2026-01-01T00:00:00Z")
    tasks.plan_due()
    Schedule.objects.update(next_at="2026-01-01T00:00:00Z")
    headers = {"id": "c0ffee00-0000-4000-8000-000000000001", "__django_structlog__": {}}
    work(("sync.plan_due", (), headers))
    ids = set(SyncRun.objects.values_list("request_id", flat=True))
    assert len(ids) == 2
    assert "" not in ids
    assert {line["request_id"] for line in lines if line["event"] == "task_started"} == {headers["id"]}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": TRACEPARENT}, "4bf92f3577b34da6a3ce929d0e0e4736"),
        ({"X-Request-ID": "mine", "traceparent": TRACEPARENT}, "mine"),
        ({"X-Request-ID": "not a word", "traceparent": TRACEPARENT}, "4bf92f3577b34da6a3ce929d0e0e4736"),
    ],
)
def test_a_caller_that_traces_is_answered_with_its_own_id(client, headers, expected):
    assert client.get("/healthz", headers=headers)["X-Request-ID"] == expected


@pytest.mark.parametrize("bad", ["00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ff" + TRACEPARENT[2:], "x" * 400, ""])
def test_a_trace_that_cannot_be_read_is_replaced(client, bad):
    assert len(client.get("/healthz", headers={"traceparent": bad})["X-Request-ID"]) == 32


def test_only_writes_of_people_are_noted_and_never_their_address(web, client):
    web.get("/settings/", headers={"X-Request-ID": "read"})
    client.post("/accounts/login/", {"login": "x"}, headers={"X-Request-ID": "stranger"})
    web.post("/settings/?secret=canary", {"name": "Ada"}, headers={"X-Request-ID": "write"})
    assert (writes.of_request("read"), writes.of_request("stranger")) == ([], [])
    [write] = writes.of_request("write")
    assert (write.method, write.route, write.status) == ("POST", "/settings/", 200)


def test_of_one_id_only_so_many_writes_are_kept(web):
    for _ in range(writes.MOST + 2):
        web.post("/preferences/theme", {"theme": "dark"}, headers={"X-Request-ID": "same"})
    assert len(writes.of_request("same")) == writes.MOST
