"""What happens elsewhere in the hub, heard in the transaction in which it happens and written into the outbox."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models.signals import post_save, pre_save

from aggregation.reconciliation.models import Break
from brokerhub.webhooks import facts, outbox
from brokerhub.webhooks.event_types import EventType as E
from brokerhub.webhooks.models import Endpoint, Event
from connections import signals as connection_signals
from connections.brokers.records import Broker
from connections.models import Account, Connection, ConnectionEvent, OfferedAccount
from connections.states import ConnectionState as S
from health.health_monitor import BrokerHealth
from health.incident_models import Incident
from health.maintenance_models import Moment, Occurrence
from health.signals import maintenance_moment, status_changed
from health.verdicts import Status
from sync.holds import PartState
from sync.models import SyncRun
from sync.signals import run_ended, run_progressed

MOMENTS = {Moment.BEFORE: E.MAINTENANCE_SCHEDULED, Moment.START: E.MAINTENANCE_STARTED, Moment.END: E.MAINTENANCE_ENDED}
NO_MOVE = {
    "renamed": E.CONNECTION_UPDATED,
    "method_changed": E.CONNECTION_UPDATED,
    "history_added": E.CONNECTION_UPDATED,
    "reminded": E.CONNECTION_EXPIRING,
}


def connect() -> None:
    post_save.connect(connection_event, sender=ConnectionEvent, dispatch_uid="webhooks.connection")
    pre_save.connect(remember_account, sender=Account, dispatch_uid="webhooks.account_before")
    post_save.connect(account_saved, sender=Account, dispatch_uid="webhooks.account")
    post_save.connect(account_offered, sender=OfferedAccount, dispatch_uid="webhooks.offer")
    pre_save.connect(remember_break, sender=Break, dispatch_uid="webhooks.break_before")
    post_save.connect(break_saved, sender=Break, dispatch_uid="webhooks.break")
    run_progressed.connect(progressed, dispatch_uid="webhooks.progress")
    run_ended.connect(ended, dispatch_uid="webhooks.end")
    maintenance_moment.connect(maintenance, dispatch_uid="webhooks.maintenance")
    status_changed.connect(health_changed, dispatch_uid="webhooks.health")
    connection_signals.erasing.connect(erase_events, dispatch_uid="webhooks.erase")


# --- Connections ------------------------------------------------------------------------------------------------------
def connection_event(*, instance: ConnectionEvent, created: bool, raw: bool = False, **_: Any) -> None:
    """Every move of a connection leaves an event in its audit trail, in the transaction of the move."""
    event_type = None if raw or not created else meaning(instance)
    if event_type is not None:
        said = {"connection": facts.of_connection(instance.connection), "previous_state": instance.from_state or None}
        outbox.record(instance.connection.user_id, event_type, said)


def meaning(event: ConnectionEvent) -> E | None:
    """The type of what the audit trail says; None where programs are not told."""
    if not event.to_state:
        return NO_MOVE.get(event.action)
    before, after = S(event.from_state) if event.from_state else None, S(event.to_state)
    match after:
        case S.PENDING_AUTH:
            return E.CONNECTION_FAILED if event.reason_code == "consent_denied" else E.CONNECTION_ATTEMPTED
        case S.DISCONNECTING:
            return None
        case S.DISCONNECTED:
            return E.CONNECTION_DELETED
        case S.NEEDS_REAUTH:
            return E.CONNECTION_UPDATED if before is S.NEEDS_REAUTH else E.CONNECTION_BROKEN
    if before in (None, S.PENDING_AUTH, S.DISCONNECTED):
        return E.CONNECTION_FAILED if after is S.ERROR else E.CONNECTION_ADDED
    return E.CONNECTION_FIXED if before is S.NEEDS_REAUTH else E.CONNECTION_UPDATED


# --- Accounts ---------------------------------------------------------------------------------------------------------
def remember_account(*, instance: Account, raw: bool = False, **_: Any) -> None:
    """How it was before: None for one that is new."""
    if not raw and instance.pk:
        before = Account.objects.filter(pk=instance.pk).first()
        instance._was_there = None if before is None else _is_there(before)  # type: ignore[attr-defined]


def account_saved(*, instance: Account, raw: bool = False, **_: Any) -> None:
    was, now = getattr(instance, "_was_there", None), _is_there(instance)
    if not raw and was is not now and (now or was):
        event_type = E.ACCOUNT_ADDED if now else E.ACCOUNT_REMOVED
        outbox.record(instance.connection.user_id, event_type, {"account": facts.of_account(instance)})
    instance._was_there = now  # type: ignore[attr-defined]


def _is_there(account: Account) -> bool:
    return account.closed_on is None and account.unlisted_since is None


def account_offered(*, instance: OfferedAccount, created: bool, raw: bool = False, **_: Any) -> None:
    if created and not raw:
        outbox.record(instance.connection.user_id, E.ACCOUNT_AVAILABLE, {"account": facts.of_offer(instance)})


# --- Syncs ------------------------------------------------------------------------------------------------------------
def progressed(*, run_id: int, **_: Any) -> None:
    run = SyncRun.objects.select_related("connection").get(pk=run_id)
    outbox.record(run.connection.user_id, E.SYNC_PROGRESS, {"run": facts.of_run(run)})


def ended(*, run_id: int, **_: Any) -> None:
    run = SyncRun.objects.select_related("connection").get(pk=run_id)
    for account_id in _with_holdings(run):
        outbox.record(run.connection.user_id, E.HOLDINGS_UPDATED, facts.of_holdings(run, account_id))
    outbox.record(run.connection.user_id, E.SYNC_FINISHED, {"run": facts.of_run(run)})


def _with_holdings(run: SyncRun) -> Iterable[int]:
    for part, result in run.parts.items():
        name, _, account = part.partition(":")
        if name == "holdings" and account and result["state"] == PartState.DONE:
            yield int(account)


# --- Books ------------------------------------------------------------------------------------------------------------
def remember_break(*, instance: Break, raw: bool = False, **_: Any) -> None:
    if not raw:
        was = bool(instance.pk) and Break.objects.alarming().filter(pk=instance.pk).exists()
        instance._was_alarming = was  # type: ignore[attr-defined]


def break_saved(*, instance: Break, raw: bool = False, **_: Any) -> None:
    """When somebody has to see to it who had not before: it is new, not harmless any more, or was ignored until now."""
    if raw or instance._was_alarming:  # type: ignore[attr-defined]
        return
    if Break.objects.alarming().filter(pk=instance.pk).exists():
        outbox.record(instance.account.connection.user_id, E.BREAK_FOUND, {"break": facts.of_break(instance)})


# --- Brokers ----------------------------------------------------------------------------------------------------------
def maintenance(*, occurrence: Occurrence, moment: Moment, **_: Any) -> None:
    """What comes all the time is no news, as for mails; nor is its end to who came after it."""
    if not occurrence.is_routine:
        said = {"maintenance": facts.of_maintenance(occurrence)}
        _tell_all(occurrence.broker, MOMENTS[moment], said, there_before=occurrence.ends_at)


def health_changed(*, health: BrokerHealth, before: Status, incident: Incident | None, **_: Any) -> None:
    _tell_all(health.broker, E.HEALTH_CHANGED, {"health": facts.of_health(health, before, incident)})


def _tell_all(broker: Broker, event_type: E, data: dict[str, Any], *, there_before: datetime | None = None) -> None:
    """Everybody who has this broker connected (since before that time) and wants to know."""
    connected = Connection.objects.by_api().open().filter(broker=broker)
    if there_before is not None:
        connected = connected.filter(created_at__lt=there_before)
    people = Endpoint.objects.wanting(event_type).filter(user__in=connected.values("user"), user__is_active=True)
    for user_id in sorted(set(people.values_list("user_id", flat=True))):
        outbox.record(user_id, event_type, data)


# --- Erased -----------------------------------------------------------------------------------------------------------
def erase_events(*, connection: Connection, dry_run: bool, **_: Any) -> dict[str, int]:
    """What was told of a connection that is erased goes with it, but for the news that it is gone."""
    ids = list(connection.accounts.values_list("pk", flat=True))
    told = Event.objects.filter(user=connection.user_id).exclude(type=E.CONNECTION_DELETED.value)
    about = (
        told.filter(data__connection__id=str(connection.pk))
        | told.filter(data__connection=str(connection.pk))
        | told.filter(data__run__connection=str(connection.pk))
        | told.filter(data__account__connection=str(connection.pk))
        | told.filter(data__break__account__in=ids)
    )
    count = about.count()
    if not dry_run:
        about.delete()
    return {"webhook events": count} if count else {}
