"""What happens in the hub, told to a program of the person it happens to: each thing once, and nobody else of it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from aggregation import ledger
from aggregation.models import Instrument, Source, Transaction
from aggregation.reconciliation.models import Break, BreakState
from brokerhub.webhooks import endpoints, tasks
from brokerhub.webhooks.event_types import EventType
from brokerhub.webhooks.models import Event
from connections import connection_manager
from connections.brokers.records import Broker
from connections.models import Account, Connection
from connections.reminders import remind_due
from connections.states import ConnectionState as S
from health import alerts
from health.maintenance_models import once
from health.models import Incident
from sync import sync_service
from sync.models import RunState, SyncRun
from tests.aggregation.factories import a_connection, a_record, an_account
from tests.health import calls
from tests.health.test_watching import MINUTE, minute
from tests.sync.runs import ask, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def listening(hooked):
    """The person's program hears everything."""
    return hooked


def told(person):
    """The types of the person's events, in the order in which they happened."""
    return list(Event.objects.filter(user=person).order_by("pk").values_list("type", flat=True))


def last(person, event_type):
    return Event.objects.filter(user=person, type=event_type).latest("pk").data


# --- Connections ------------------------------------------------------------------------------------------------------
def test_a_sign_in_and_its_first_sync_are_told_from_beginning_to_end(
    listening, person, connect, sandbox, receiver, unpaced, django_capture_on_commit_callbacks
):
    connection = connect(person, "james")
    assert told(person) == ["connection.attempted", "account.added", "connection.added"]
    said = last(person, "connection.added")
    assert said["connection"]["id"] == str(connection.pk)
    assert (said["connection"]["state"], said["previous_state"]) == ("connected", "pending_auth")
    assert last(person, "account.added")["account"]["mask"]

    run = work(ask(connection))
    tasks.dispatch()
    types = told(person)[3:]
    assert types[0] == "sync.progress"
    assert types[-3:] == ["holdings.updated", "sync.finished", "transactions.initial_update"]
    [account] = connection.accounts.all()
    assert last(person, "holdings.updated") == {
        "account": account.pk,
        "connection": str(connection.pk),
        "broker": "schwab",
        "run": run.pk,
        "parts": {"holdings": "done", "transactions": "done"},
    }
    finished = last(person, "sync.finished")["run"]
    assert (finished["id"], finished["state"], finished["inserted"]) == (run.pk, "succeeded", run.inserted)
    assert last(person, "transactions.initial_update") == {
        "account": account.pk,
        "connection": str(connection.pk),
        "added": run.inserted,
        "modified": 0,
        "removed": 0,
    }
    assert receiver.types == told(person)
    assert [got.event["number"] for got in receiver.got] == list(range(1, len(receiver.got) + 1))
    for got in receiver.got:
        got.verified(listening.secret)

    work(ask(connection))
    tasks.dispatch()
    assert "transactions.updated" not in told(person), "the second sync brought nothing new"


def test_broken_fixed_expiring_renamed_and_left(listening, person):
    connection = a_connection(person, authorization_expires_at=timezone.now() + timedelta(hours=11))
    connection_manager.move(connection, S.NEEDS_REAUTH, reason_code="refresh_refused", action="failed")
    connection_manager.move(connection, S.CONNECTED, action="signed_in_again", actor=person)
    connection_manager.move(connection, S.RATE_LIMITED, reason_code="rate_limit", action="failed")
    connection_manager.move(connection, S.CONNECTED, action="synced")
    connection_manager.rename(connection=connection, label="Mine", actor=person)
    remind_due()
    remind_due()
    connection_manager.disconnect(connection=connection, actor=person)
    assert told(person) == [
        "connection.broken",
        "connection.fixed",
        "connection.updated",
        "connection.updated",
        "connection.updated",
        "connection.updated",  # its state says that its end is near
        "connection.expiring",
        "connection.deleted",
    ]
    broken = Event.objects.get(type="connection.broken").data
    assert (broken["connection"]["reason"], broken["previous_state"]) == ("refresh_refused", "connected")
    assert last(person, "connection.expiring")["connection"]["label"] == "Mine"


def test_access_that_is_declined_is_a_failure(listening, person):
    connection = a_connection(person, state=S.PENDING_AUTH, reason_code="not_signed_in")
    connection_manager.move(connection, S.PENDING_AUTH, reason_code="consent_denied", action="consent_denied")
    assert told(person) == ["connection.failed"]


def test_accounts_that_come_go_and_come_back(listening, person):
    account = an_account(a_connection(person))
    account.save()
    account.unlisted_since = timezone.now()
    account.save()
    account = Account.objects.get()
    account.closed_on = timezone.localdate()
    account.save()
    account.closed_on = account.unlisted_since = None
    account.save()
    assert told(person) == ["account.added", "account.removed", "account.added"]


def test_no_secret_and_no_account_number_is_in_what_is_told(listening, person, connect, sandbox, unpaced):
    connection = connect(person, "james")
    secrets = set(connection.read_credentials().values())
    work(ask(connection))
    tasks.dispatch()
    said = "".join(str(event.data) for event in Event.objects.all())
    assert not [secret for secret in secrets if secret in said]
    assert "70355128" not in said
    assert connection.broker_user_key not in said


def test_a_person_hears_only_of_what_is_theirs(listening, person, stranger, receiver):
    connection = a_connection(stranger)
    connection_manager.move(connection, S.NEEDS_REAUTH, reason_code="refresh_refused", action="failed")
    tasks.dispatch()
    assert receiver.got == []
    assert not Event.objects.exists()


def test_what_is_erased_is_told_no_more(listening, person):
    connection = a_connection(person)
    account = an_account(connection)
    Break.objects.create(
        account=account, currency="USD", reported=1, derived=0, difference=1, explained=1, cause="unknown", findings=[]
    )
    other = a_connection(person, label="Other")
    connection_manager.rename(connection=other, label="Another", actor=person)
    counts = connection_manager.disconnect_counts(connection)
    assert counts["webhook events"] == 2
    connection_manager.disconnect(connection=connection, actor=person, keep_history=False)
    assert told(person) == ["connection.updated", "connection.deleted"]


# --- Syncs and books --------------------------------------------------------------------------------------------------
def test_a_cancelled_sync_is_over_as_well(listening, person):
    connection = a_connection(person)
    sync_service.cancel(ask(connection))
    assert last(person, "sync.finished")["run"]["state"] == "cancelled"
    sync_service.cancel_all(connection)
    assert told(person).count("sync.finished") == 1


def test_changed_books_are_told_once_whoever_changed_them(listening, person):
    account = an_account(a_connection(person))
    ledger.book(account=account, records=[a_record("1"), a_record("2")], source=Source.API, run_id=None)
    tasks.dispatch()
    tasks.dispatch()
    corrected = a_record("2", net_amount=Decimal("-1803.50"))
    ledger.book(account=account, records=[corrected, a_record("3")], source=Source.API, run_id=None)
    tasks.dispatch()
    Transaction.objects.filter(external_id="1").update(status="excluded")
    tasks.dispatch()
    rows = Event.objects.filter(type__startswith="transactions.").order_by("pk")
    assert [(row.type, row.data["added"], row.data["modified"], row.data["removed"]) for row in rows] == [
        ("transactions.initial_update", 2, 0, 0),
        ("transactions.updated", 2, 0, 1),
        ("transactions.updated", 0, 1, 0),
    ]


def test_books_that_were_there_before_the_webhook_are_no_news(person, receiver):
    account = an_account(a_connection(person))
    ledger.book(account=account, records=[a_record("1")], source=Source.API, run_id=None)
    endpoints.create(user=person, url=receiver.url)
    tasks.dispatch()
    assert receiver.got == []
    ledger.book(account=account, records=[a_record("2")], source=Source.API, run_id=None)
    tasks.dispatch()
    assert receiver.types == ["transactions.updated"]


def test_while_a_sync_reads_nothing_is_told_and_of_a_first_one_not_while_it_waits(listening, person):
    account = an_account(a_connection(person))
    run = ask(account.connection)
    ledger.book(account=account, records=[a_record("1")], source=Source.API, run_id=run.pk)
    for state in (RunState.RUNNING, RunState.WAITING):
        SyncRun.objects.update(state=state)
        tasks.dispatch()
        assert "transactions.initial_update" not in told(person)
    SyncRun.objects.update(state=RunState.SUCCEEDED)
    tasks.dispatch()
    assert told(person)[-1] == "transactions.initial_update"


def test_a_difference_is_told_when_it_becomes_one_to_see_to(listening, person):
    account = an_account(a_connection(person))
    apple = Instrument.objects.create(key="security:AAPL:USD", asset_class="equity", symbol="AAPL", currency="USD")
    found = Break.objects.create(
        account=account, instrument=apple, currency="USD", reported=Decimal("12.500"), derived=Decimal(10),
        difference=Decimal("2.5"), explained=Decimal(0), cause="unsettled", findings=[],
    )  # fmt: skip
    assert "reconciliation.break_found" not in told(person), "it is harmless"
    found.cause = "unknown"
    found.save()
    found.save()
    found.state = BreakState.IGNORED
    found.save()
    found.state = BreakState.OPEN
    found.save()
    assert told(person).count("reconciliation.break_found") == 2
    said = last(person, "reconciliation.break_found")["break"]
    assert (said["instrument"], said["reported"], said["derived"], said["difference"]) == ("AAPL", "12.5", "10", "2.5")


# --- Brokers ----------------------------------------------------------------------------------------------------------
def test_planned_maintenance_is_told_before_at_its_beginning_and_at_its_end_once_each(listening, person, stranger):
    now = timezone.now().replace(microsecond=0)
    a_connection(person)
    a_connection(person, label="A second one")
    Connection.objects.filter(label="A second one").update(broker_user_key="2")
    once(Broker.SCHWAB, "Upgrade", now + timedelta(hours=2), now + timedelta(hours=4)).save()
    once(Broker.SCHWAB, "Each night", now + timedelta(hours=5), now + timedelta(hours=6), is_routine=True).save()
    once(Broker.IBKR, "Not mine", now + timedelta(hours=2), now + timedelta(hours=4)).save()
    for hours in (0, 0, 2, 3, 4.5, 4.6):
        alerts.send_due(now + timedelta(hours=hours))
    assert told(person) == ["maintenance.scheduled", "maintenance.started", "maintenance.ended"]
    said = last(person, "maintenance.started")["maintenance"]
    assert (said["broker"], said["title"], said["starts_at"]) == (
        "schwab", "Upgrade", (now + timedelta(hours=2)).isoformat().replace("+00:00", "Z"),
    )  # fmt: skip


def test_the_end_of_maintenance_is_not_told_to_who_connected_after_it(listening, person):
    now = timezone.now()
    connection = a_connection(person)
    once(Broker.SCHWAB, "Upgrade", now - timedelta(hours=3), now - timedelta(hours=1)).save()
    alerts.send_due(now)  # the hub was away until now
    assert told(person) == []
    Connection.objects.filter(pk=connection.pk).update(created_at=now - timedelta(hours=2))
    once(Broker.SCHWAB, "Another upgrade", now - timedelta(hours=3), now - timedelta(hours=1)).save()
    alerts.send_due(now)
    assert told(person) == ["maintenance.ended"]


def test_only_the_moments_that_were_chosen_are_told(listening, person):
    endpoints.change(listening.endpoint, events=[EventType.MAINTENANCE_ENDED])
    now = timezone.now()
    a_connection(person)
    once(Broker.SCHWAB, "Upgrade", now + timedelta(hours=2), now + timedelta(hours=4)).save()
    for hours in (0, 2, 4.5):
        alerts.send_due(now + timedelta(hours=hours))
    assert told(person) == ["maintenance.ended"]


def test_a_broker_that_fails_and_recovers_is_told_with_its_incident(listening, person):
    a_connection(person)
    for n, (good, failed) in enumerate([(30, 0), (0, 30), (0, 30)]):
        minute(calls.NOW + n * MINUTE, good=good, failed=failed)
    for n in (20, 21, 22):  # after a silence in which nobody knows
        minute(calls.NOW + n * MINUTE, good=30)
    said = [event.data["health"] for event in Event.objects.filter(type="health.changed").order_by("pk")]
    assert [(each["previous_status"], each["status"]) for each in said] == [
        ("operational", "outage"),
        ("outage", "operational"),
    ]
    assert said[0]["incident"]["id"] == Incident.objects.get().pk
    assert "Charles Schwab" in said[0]["message"]
    assert said[1]["incident"] is None
