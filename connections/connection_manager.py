"""The life of a connection: begin, sign in, renew, note what happens, disconnect. The way in for pages, API and tasks.

Coming back from a sign-in is in `signing_in.py`, moving the state in `moves.py`, leaving in `leaving.py`.
"""

import structlog
from django.conf import settings
from django.db import transaction

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from connections import app_keys, authorizations
from connections.account_list import add_offered, decline_offered, save_accounts
from connections.brokers import BROKERS, BrokerEntry
from connections.brokers.base import (
    BrokerError,
    BrokerUnavailable,
    Connector,
    RateLimited,
    SignInsRefused,
    UnderMaintenance,
)
from connections.brokers.records import AuthMethod, Broker
from connections.leaving import Receipt, disconnect, disconnect_counts, left_to_do
from connections.models import Connection, ConnectionQuerySet
from connections.moves import (
    move,
    note,
    note_expiring,
    note_failure,
    note_reminder,
    note_success,
    settle,
    settle_working,
)
from connections.signing_in import (
    Asked,
    add_history,
    complete_oauth,
    connect_with_keys,
    converse,
    create_connection,
    lock,
    may_sign_in,
    prepare_keys,
    same_environment,
)
from connections.states import ConnectionState
from connections.tokens import RENEW_AHEAD, StoredGrants, follow_clock, read_grant

__all__ = [
    "Asked",
    "Receipt",
    "add_history",
    "add_offered",
    "complete_oauth",
    "connect_with_keys",
    "connector_for",
    "converse",
    "create_connection",
    "decline_offered",
    "disconnect",
    "disconnect_counts",
    "ensure_file_connection",
    "entry_for",
    "left_to_do",
    "list_connections",
    "move",
    "note_expiring",
    "note_failure",
    "note_reminder",
    "note_success",
    "prepare_keys",
    "refresh_credentials",
    "rename",
    "renew_due",
    "renew_now",
    "save_accounts",
    "start_oauth",
]

log = structlog.get_logger(__name__)

MENDED_BY_RENEWAL = {  # reasons the token endpoint gives
    "renewal_delayed",
    "app_credentials_refused",
    "maintenance",
    "sign_ins_refused",
}
S = ConnectionState


def list_connections(user: User) -> ConnectionQuerySet:
    return Connection.objects.for_user(user).for_cards()


def entry_for(connection: Connection) -> BrokerEntry:
    return BROKERS[AuthMethod(connection.method)]


# --- Begin ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def ensure_file_connection(*, user: User, broker: Broker, label: str) -> Connection:
    """The connection that holds the accounts a user keeps by file at this broker; one that was left opens again."""
    lock(user)
    connection, made = Connection.objects.get_or_create(
        user=user,
        broker=broker,
        method=AuthMethod.FILE,
        environment=settings.ENVIRONMENT,
        label=label,
        defaults={"state": S.CONNECTED, "reason_code": ""},
    )
    if made:
        note(connection, "created", actor=user, to_state=S.CONNECTED)
    elif connection.state == S.DISCONNECTED:
        move(connection, S.CONNECTED, action="connected_again", actor=user)
    return connection


def start_oauth(*, connection: Connection, session_nonce: str = "") -> str:
    """The broker's sign-in address for this connection, with a state that is good once and for a quarter of an hour.

    With `session_nonce` (kept in the browser's session) only that session can finish; without, the user of the API.
    """
    if connection.is_file:
        raise NotAllowed("Accounts kept by file need no sign-in.")
    if entry_for(connection).fields:
        raise NotAllowed("This connection works with keys: enter them on its page in the hub.")
    if connection.state == S.DISCONNECTING:
        raise NotAllowed("This connection is being removed.")
    may_sign_in(connection)
    entry = entry_for(connection)
    keys, app = app_keys.for_sign_in(user=connection.user, entry=entry)
    return authorizations.begin(
        connection=connection, sign_in=entry.sign_in(keys), app=app, session_nonce=session_nonce
    )


# --- Use --------------------------------------------------------------------------------------------------------------


def _usable_here(connection: Connection) -> None:
    same_environment(connection)
    if connection.is_switched_off:
        raise NotAllowed(connection.reason.text)


def connector_for(connection: Connection) -> Connector:
    """A connector that renews its own access. Raises NotAllowed for a connection that cannot be called."""
    if connection.is_file or not connection.status.may_sync:
        raise NotAllowed(f"{connection.label} cannot be synced: {connection.get_state_display().lower()}.")
    _usable_here(connection)
    return entry_for(connection).connector(connection.pk, StoredGrants(connection.pk), app_keys.of(connection))


def refresh_credentials(connection: Connection) -> None:
    """Renew access ahead of its end, once over all processes. Failures move the state and are raised.

    Being over the rate limit moves nothing: access is still good, and the next minute tries again.
    """
    if connection.is_file:
        raise NotAllowed("Accounts kept by file have no access to renew.")
    _usable_here(connection)
    try:
        grant = read_grant(connection)
        StoredGrants(connection.pk).renew(refused=grant)
    except BrokerError as error:
        if isinstance(error, BrokerUnavailable) and not isinstance(
            error, RateLimited | SignInsRefused | UnderMaintenance
        ):
            settle(connection, S.ERROR, "renewal_delayed", until=error.retry_at)
        elif not isinstance(error, RateLimited):
            note_failure(connection, error)
        raise
    connection.refresh_from_db()
    if connection.reason_code in MENDED_BY_RENEWAL:
        settle_working(connection)


def renew_now(connection: Connection) -> None:
    """As `refresh_credentials`, because somebody asked. Raises NotAllowed where access is never renewed."""
    if not connection.is_file and not entry_for(connection).renews:
        raise NotAllowed(f"Access to {connection.get_broker_display()} needs no renewal here: it stays as it is.")
    refresh_credentials(connection)


def renew_due() -> int:
    """Renew what ends soon and note what has run out; how many were renewed. One failure does not stop the others."""
    follow_clock()
    renewed, bugs = 0, []
    for connection in Connection.objects.renewable(within=RENEW_AHEAD).iterator():
        try:
            refresh_credentials(connection)
            renewed += 1
        except HubError as error:
            log.warning("renewal_failed", connection_id=str(connection.pk), code=error.code)
        except Exception as error:  # raised below, after the others have had their turn
            bugs.append(error)
    if bugs:
        raise ExceptionGroup("renewals failed in a way the hub does not know", bugs)
    return renewed


@transaction.atomic
def rename(*, connection: Connection, label: str, actor: User) -> None:
    connection.label = label
    connection.save(update_fields=["label"])
    note(connection, "renamed", actor=actor, detail=label)
