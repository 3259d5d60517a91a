"""What is said of each thing in a payload: ids and facts. Never a secret; amounts are strings, unknown is null."""

from typing import Any

from aggregation.reconciliation.models import Break
from aggregation.serializers import moment, plain
from connections.models import Account, Connection, ListedAccount, OfferedAccount
from health.health_monitor import BrokerHealth
from health.incident_models import Incident
from health.maintenance_models import Occurrence
from health.verdicts import Status
from sync.models import SyncRun


def of_connection(connection: Connection) -> dict[str, Any]:
    return {
        "id": str(connection.pk),
        "broker": connection.broker,
        "label": connection.label,
        "state": connection.state,
        "reason": connection.reason_code,
        "environment": connection.environment,
        "authorization_expires_at": moment(connection.authorization_expires_at),
    }


def of_account(account: Account) -> dict[str, Any]:
    return _of_listed(account) | {
        "closed_on": account.closed_on.isoformat() if account.closed_on else None,
        "unlisted_since": moment(account.unlisted_since),
    }


def of_offer(offered: OfferedAccount) -> dict[str, Any]:
    return _of_listed(offered)


def _of_listed(listed: ListedAccount) -> dict[str, Any]:
    connection: Connection = listed.connection  # type: ignore[attr-defined]  # both kinds have one
    return {
        "id": listed.pk,
        "connection": str(connection.pk),
        "broker": connection.broker,
        "name": listed.name,
        "mask": listed.mask,
        "kind": listed.kind,
        "currency": listed.currency,
    }


def of_run(run: SyncRun) -> dict[str, Any]:
    """Of a sync or an import; `parts` says what became of each part, `transactions:7` is that of account 7."""
    counts = ("done", "total", "fetched", "inserted", "matched", "superseded", "parked", "rejected")
    return {
        "id": run.pk,
        "connection": str(run.connection_id),
        "broker": run.connection.broker,
        "trigger": run.trigger,
        "mode": run.mode,
        "state": run.state,
        "step": run.step,
        **{name: getattr(run, name) for name in counts},
        "parts": {part: result["state"] for part, result in run.parts.items()},
        "wait_until": moment(run.wait_until),
        "wait_reason": run.wait_reason,
        "error_code": run.error_code,
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
    }


def of_holdings(run: SyncRun, account_id: int) -> dict[str, Any]:
    """That an account's positions and balances were fetched, and what became of its other parts in the same run."""
    own = {part.partition(":")[0]: part for part in run.parts if part.endswith(f":{account_id}")}
    return {
        "account": account_id,
        "connection": str(run.connection_id),
        "broker": run.connection.broker,
        "run": run.pk,
        "parts": {name: run.parts[part]["state"] for name, part in own.items()},
    }


def of_break(found: Break) -> dict[str, Any]:
    """`instrument` is null for cash; `reported` is null where the broker does not report it."""
    return {
        "id": found.pk,
        "account": found.account_id,
        "instrument": found.instrument.symbol if found.instrument else None,
        "currency": found.currency,
        "reported": plain(found.reported),
        "derived": plain(found.derived),
        "difference": plain(found.difference),
        "cause": found.cause,
        "found_at": moment(found.found_at),
    }


def of_health(health: BrokerHealth, before: Status, incident: Incident | None) -> dict[str, Any]:
    return {
        "broker": health.broker.value,
        "status": health.status.value,
        "previous_status": before.value,
        "message": health.sentence,
        "incident": None
        if incident is None
        else {
            "id": incident.pk,
            "opened_at": moment(incident.opened_at),
            "first_failure_at": moment(incident.first_failure_at),
            "operations": incident.operations,
        },
    }


def of_maintenance(occurrence: Occurrence) -> dict[str, Any]:
    return {
        "broker": occurrence.broker.value,
        "title": occurrence.title,
        "starts_at": moment(occurrence.starts_at),
        "ends_at": moment(occurrence.ends_at),
        "pauses_syncs": occurrence.pauses_syncs,
    }
