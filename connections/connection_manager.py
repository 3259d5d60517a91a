"""The life of a connection: begin, sign in, renew, note what happens, disconnect.

The only module that moves a connection's state; the only one, with `tokens.py`, that writes credentials.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from connections import authorizations, signals
from connections.brokers import BROKERS, BrokerEntry
from connections.brokers.base import (
    AppCredentialsRefused,
    BrokerError,
    BrokerUnavailable,
    Connector,
    Grant,
    KeysRefused,
    NeedsReauth,
    RateLimited,
    Refused,
)
from connections.brokers.records import AccountRecord, AuthMethod, Broker
from connections.errors import ConsentDenied, DifferentLogin, SignInFailed
from connections.models import Account, Connection, ConnectionEvent, ConnectionQuerySet
from connections.revocation import Revocation, revoke
from connections.states import ConnectionState
from connections.tokens import RENEW_AHEAD, FreshGrant, StoredGrants, read_grant

log = structlog.get_logger(__name__)

EXPIRING_AHEAD = timedelta(hours=48)
MENDED_BY_RENEWAL = {"renewal_delayed", "app_credentials_refused"}  # reasons that only the token endpoint gives
PROOFS = {"code", "oauth_verifier"}  # what a broker sends along when the person agreed
S = ConnectionState


def list_connections(user: User) -> ConnectionQuerySet:
    return Connection.objects.for_user(user).for_cards()


def entry_for(connection: Connection) -> BrokerEntry:
    return BROKERS[AuthMethod(connection.method)]


def _lock(user: User) -> User:
    """Sign-ins and new connections of one person are settled in turn; rows that only refer to the person go on."""
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


# --- Begin ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_connection(*, user: User, broker: Broker, method: AuthMethod, label: str = "") -> Connection:
    """A connection that waits for its sign-in. One that already waits for the same broker is taken up again."""
    entry = BROKERS.get(method)
    if entry is None or entry.broker != broker:
        raise HubError(f"{broker.label} cannot be connected that way.")
    entry.sign_in()  # fails here, with a sentence, when the broker is not set up
    _lock(user)
    waiting = Connection.objects.for_user(user).filter(
        broker=broker, method=method, environment=settings.ENVIRONMENT, state=S.PENDING_AUTH, broker_user_key=""
    )
    connection = waiting.first()
    if connection is None:
        connection = Connection.objects.create(
            user=user,
            broker=broker,
            method=method,
            environment=settings.ENVIRONMENT,
            label=label or Connection.objects.for_user(user).free_label(broker),
        )
        _note(connection, "created", actor=user, to_state=S.PENDING_AUTH)
    return connection


@transaction.atomic
def ensure_file_connection(*, user: User, broker: Broker, label: str) -> Connection:
    """The connection that holds the accounts a user keeps by file at this broker; one that was left opens again."""
    _lock(user)
    connection, made = Connection.objects.get_or_create(
        user=user,
        broker=broker,
        method=AuthMethod.FILE,
        environment=settings.ENVIRONMENT,
        label=label,
        defaults={"state": S.CONNECTED, "reason_code": ""},
    )
    if made:
        _note(connection, "created", actor=user, to_state=S.CONNECTED)
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
    _same_environment(connection)
    sign_in = entry_for(connection).sign_in()
    return authorizations.begin(connection=connection, sign_in=sign_in, session_nonce=session_nonce)


# --- Come back --------------------------------------------------------------------------------------------------------


def complete_oauth(*, user: User, answer: Mapping[str, str], session_nonce: str = "", broker: str = "") -> Connection:
    """Finish a sign-in: exchange what came back, see whose login it is, store, and tell who listens.

    `answer` is the query the person came back with; `broker` is whose way back it was: another broker's answer is
    refused (RFC 9700 section 4.4, mix-up). The same login signed in before comes back as the connection it was.
    Raises SignInFailed, ConsentDenied, DifferentLogin or BrokerError; nothing is stored then.
    """
    key, error = answer.get("state") or answer.get("oauth_token", ""), answer.get("error", "")
    authorization = authorizations.redeem(user=user, broker=broker, key=key, session_nonce=session_nonce)
    connection = authorization.connection
    name = connection.get_broker_display()
    if error not in ("", "access_denied"):
        raise SignInFailed(f"{name} ended the sign-in with an error on its side. Please connect once more later.")
    if error or not PROOFS & answer.keys():
        if connection.state == S.PENDING_AUTH:
            move(connection, S.PENDING_AUTH, reason_code="consent_denied", action="consent_denied", actor=user)
        raise ConsentDenied(f"You declined access on {name}'s page, so nothing was connected. You can try again.")
    entry = entry_for(connection)
    kept = authorizations.kept_by(authorization)
    grant = entry.sign_in().complete(answer=answer, kept=kept, at=timezone.now())
    connector = entry.connector(connection.pk, FreshGrant(grant))
    identity, accounts = connector.identity(), connector.accounts()
    if not accounts:
        raise SignInFailed(f"No account was ticked on {name}'s page. Please connect once more and tick at least one.")
    return _store_sign_in(connection, grant, identity.broker_user_key, accounts, actor=user)


def connect_with_keys(
    *, user: User, method: AuthMethod, keys: Mapping[str, str], connection: Connection | None = None
) -> Connection:
    """Connect, or renew `connection`, with keys the person typed; they are tried at the broker before anything is kept.

    Raises KeysRefused, DifferentLogin or another BrokerError; nothing is stored then.
    """
    entry = BROKERS[method]
    grant = entry.sign_in().complete(answer=keys, kept={}, at=timezone.now())
    connector = entry.connector(connection.pk if connection else None, FreshGrant(grant))
    try:
        identity, accounts = connector.identity(), connector.accounts()
    except NeedsReauth as error:
        raise KeysRefused(str(error)) from error
    if not accounts:
        raise KeysRefused(f"{entry.broker.label} shows no account for these keys.")
    target = connection or create_connection(user=user, broker=entry.broker, method=method)
    return _store_sign_in(target, grant, identity.broker_user_key, accounts, actor=user)


@transaction.atomic
def _store_sign_in(
    connection: Connection, grant: Grant, broker_user_key: str, accounts: list[AccountRecord], *, actor: User
) -> Connection:
    user = _lock(connection.user)
    locked = Connection.objects.select_for_update().filter(pk=connection.pk).first()
    if locked is None:  # erased, or another sign-in of the same login took its place
        raise SignInFailed("The connection was removed during the sign-in. Please connect once more.")
    connection = locked
    if connection.broker_user_key and connection.broker_user_key != broker_user_key:
        old = ", ".join(f"...{account.mask}" for account in connection.accounts.all())
        new = ", ".join(f"...{account.number_mask}" for account in accounts)
        raise DifferentLogin(f"That is another login: it has {new}, this connection has {old}. Nothing was changed.")
    known = (
        Connection.objects.for_user(user)
        .filter(
            broker=connection.broker,
            method=connection.method,
            environment=connection.environment,
            broker_user_key=broker_user_key,
        )
        .exclude(pk=connection.pk)
        .first()
    )
    if known is not None:
        connection.delete()  # never signed in: it holds nothing
        connection = known
    first = not connection.broker_user_key
    connection.broker_user_key = broker_user_key
    connection.access_expires_at = grant.access_expires_at
    connection.authorization_expires_at = grant.authorization_expires_at
    connection.seal_credentials(grant.secrets)
    connection.save()
    save_accounts(connection, accounts)
    move(connection, S.CONNECTED, action="signed_in" if first else "signed_in_again", actor=actor)
    transaction.on_commit(lambda: signals.connected.send(sender=Connection, connection=connection, first=first))
    return connection


def save_accounts(connection: Connection, records: list[AccountRecord]) -> list[Account]:
    """Bring the stored accounts up to date; one the broker no longer names stays, with its history."""
    saved = []
    for record in records:
        said = {"mask": record.number_mask, "name": record.name, "kind": record.kind, "currency": record.currency}
        account, _ = Account.objects.update_or_create(
            connection=connection, external_id=record.external_id, defaults=said | {"closed_on": None}
        )
        saved.append(account)
    return saved


# --- Use --------------------------------------------------------------------------------------------------------------


def _same_environment(connection: Connection) -> None:
    if connection.environment != settings.ENVIRONMENT:
        raise NotAllowed(f"This connection belongs to the {connection.environment} environment and is not used here.")


def connector_for(connection: Connection) -> Connector:
    """A connector that renews its own access. Raises NotAllowed for a connection that cannot be called."""
    if connection.is_file or not connection.status.may_sync:
        raise NotAllowed(f"{connection.label} cannot be synced: {connection.get_state_display().lower()}.")
    _same_environment(connection)
    return entry_for(connection).connector(connection.pk, StoredGrants(connection.pk))


def refresh_credentials(connection: Connection) -> None:
    """Renew access ahead of its end, once over all processes. Failures move the state and are raised.

    Being over the rate limit moves nothing: access is still good, and the next minute tries again.
    """
    if connection.is_file:
        raise NotAllowed("Accounts kept by file have no access to renew.")
    _same_environment(connection)
    try:
        grant = read_grant(connection)
        StoredGrants(connection.pk).renew(refused=grant)
    except BrokerError as error:
        if isinstance(error, BrokerUnavailable) and not isinstance(error, RateLimited):
            _settle(connection, S.ERROR, "renewal_delayed", until=error.retry_at)
        elif not isinstance(error, RateLimited):
            note_failure(connection, error)
        raise
    connection.refresh_from_db()
    if connection.reason_code in MENDED_BY_RENEWAL:
        _settle_working(connection)


def renew_due() -> int:
    """Renew what ends soon and note what has run out; how many were renewed. One failure does not stop the others."""
    renewed = 0
    for connection in Connection.objects.renewable(within=RENEW_AHEAD).iterator():
        try:
            refresh_credentials(connection)
            renewed += 1
        except HubError as error:
            log.warning("renewal_failed", connection_id=str(connection.pk), code=error.code)
    return renewed


def note_success(connection: Connection, *, failing_parts: dict[str, str] | None = None) -> None:
    """After a sync: connected, ending soon, or degraded with the parts that failed ({part: since when})."""
    Connection.objects.filter(pk=connection.pk).update(
        last_success_at=timezone.now(), degraded_parts=failing_parts or {}
    )
    connection.refresh_from_db()  # a sign-in during the sync has moved the end of its authorisation
    _settle_working(connection)


def _settle_working(connection: Connection) -> None:
    ends = connection.authorization_expires_at
    if connection.degraded_parts:
        _settle(connection, S.DEGRADED, "parts_failing")
    elif ends is not None and ends - timezone.now() < EXPIRING_AHEAD:
        _settle(connection, S.EXPIRING, "authorization_expiring", until=ends)
    else:
        _settle(connection, S.CONNECTED, "")


def note_expiring(connection: Connection) -> None:
    """The sign-in ends soon: said in the state of a connection that otherwise works."""
    if connection.state == S.CONNECTED:
        _settle(connection, S.EXPIRING, "authorization_expiring", until=connection.authorization_expires_at)


def note_reminder(connection: Connection) -> None:
    _note(connection, "reminded", reason_code="authorization_expiring")


def note_failure(connection: Connection, error: BrokerError) -> None:
    """Show in the connection's state what a failed call means for it."""
    if isinstance(error, NeedsReauth):
        _settle(connection, S.NEEDS_REAUTH, error.reason_code)
    elif isinstance(error, RateLimited):
        _settle(connection, S.RATE_LIMITED, "rate_limit", until=error.retry_at)
    elif isinstance(error, BrokerUnavailable):
        _settle(connection, S.ERROR, "broker_unavailable", until=error.retry_at)
    elif isinstance(error, AppCredentialsRefused):
        _settle(connection, S.ERROR, "app_credentials_refused")
    else:
        _settle(connection, S.ERROR, "refused" if isinstance(error, Refused) else "unexpected_reply")


@transaction.atomic
def _settle(connection: Connection, state: ConnectionState, reason_code: str, *, until: datetime | None = None) -> None:
    """Move after a call, unless the person has meanwhile disconnected or has to sign in: that stands."""
    locked = Connection.objects.select_for_update().filter(pk=connection.pk).first()
    if locked is None:
        log.info("connection_gone", connection_id=str(connection.pk), instead_of=state.value)
        return
    now_in = locked.status
    if now_in.may_become(state) and not (now_in is S.NEEDS_REAUTH or now_in is S.DISCONNECTED):
        move(connection, state, reason_code=reason_code, until=until, action="synced" if not reason_code else "failed")
    else:
        log.info("connection_state_kept", connection_id=str(connection.pk), state=now_in.value, instead_of=state.value)
        connection.refresh_from_db()


@transaction.atomic
def move(
    connection: Connection,
    state: ConnectionState,
    *,
    reason_code: str = "",
    until: datetime | None = None,
    action: str,
    actor: User | None = None,
) -> None:
    """Move to `state` if the table allows it, and write it down when anything changed. Raises NotAllowed."""
    locked = Connection.objects.select_for_update().get(pk=connection.pk)
    old = locked.status
    if not old.may_become(state):
        raise NotAllowed(f"A connection that is {old.label.lower()} cannot become {state.label.lower()}.")
    changed = (old, locked.reason_code) != (state, reason_code)
    if changed:
        locked.state, locked.reason_code, locked.state_since = state, reason_code, timezone.now()
    locked.state_until = until
    locked.save(update_fields=["state", "reason_code", "state_since", "state_until"])
    if changed:
        _note(locked, action, actor=actor, from_state=old, to_state=state, reason_code=reason_code)
        log.info("connection_moved", connection_id=str(locked.pk), to_state=state.value, reason=reason_code)
    connection.refresh_from_db()


@transaction.atomic
def rename(*, connection: Connection, label: str, actor: User) -> None:
    connection.label = label
    connection.save(update_fields=["label"])
    _note(connection, "renamed", actor=actor, detail=label)


def _note(connection: Connection, action: str, *, actor: User | None = None, **words: Any) -> None:
    ConnectionEvent.objects.create(connection=connection, action=action, actor=actor, **words)


# --- Leave ------------------------------------------------------------------------------------------------------------


def disconnect_counts(connection: Connection) -> dict[str, int]:
    """What erasing would delete: {"transactions": 812, ...}."""
    return _erase_rows(connection, dry_run=True)


def _erase_rows(connection: Connection, *, dry_run: bool) -> dict[str, int]:
    counts = {"accounts": connection.accounts.count()}
    answers: list[tuple[Any, Any]] = signals.erasing.send(sender=Connection, connection=connection, dry_run=dry_run)
    for _receiver, counted in answers:
        counts.update(counted)
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a disconnect has done: rows kept or erased, and what became of the access at the broker."""

    rows: dict[str, int]
    revocation: Revocation


def disconnect(*, connection: Connection, actor: User, keep_history: bool = True) -> Receipt:
    """End the access at the broker where that is possible, delete the keys, keep the history read-only or erase it.

    Idempotent. What is left to do where a broker has no revocation, or it failed, is in `after_disconnect`.
    """
    revocation = revoke(connection)  # before the transaction: no row is held while the broker answers
    return Receipt(rows=_leave(connection, actor=actor, keep_history=keep_history), revocation=revocation)


@transaction.atomic
def _leave(connection: Connection, *, actor: User, keep_history: bool) -> dict[str, int]:
    signals.leaving.send(sender=Connection, connection=connection)
    try:  # a second click waits here and finds what the first has done
        connection.refresh_from_db(from_queryset=Connection.objects.select_for_update())
    except Connection.DoesNotExist:
        raise NotAllowed("This connection has been removed already.") from None
    counts = disconnect_counts(connection)
    if connection.state != S.DISCONNECTED:
        move(connection, S.DISCONNECTING, reason_code="by_user", action="disconnecting", actor=actor)
        connection.seal_credentials({})
        connection.access_expires_at = connection.authorization_expires_at = None
        connection.save(update_fields=["sealed_credentials", "access_expires_at", "authorization_expires_at"])
        connection.authorizations.all().delete()
        move(connection, S.DISCONNECTED, reason_code="by_user", action="disconnected", actor=actor)
    if not keep_history:
        _erase_rows(connection, dry_run=False)
        log.info("connection_erased", connection_id=str(connection.pk), **counts)
        connection.delete()
    return counts
