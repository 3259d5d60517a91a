"""From what a person came back with to a connection: by a broker's page, by keys, or by question and answer."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from connections import app_keys, authorizations, credentials, revocation, signals
from connections.account_list import refuse_double, save_accounts
from connections.brokers import BROKERS, BrokerEntry
from connections.brokers.base import (
    AppKeys,
    Dialogue,
    Grant,
    KeysRefused,
    NeedsReauth,
    PreparesKeys,
    Question,
    Shown,
    closing,
)
from connections.brokers.records import AccountRecord, AuthMethod, Broker
from connections.errors import ConsentDenied, SignInFailed
from connections.leaving import owed_for
from connections.logins import SignedIn, different_login, known_login
from connections.models import EPOCH, Connection, UnfinishedRevocation
from connections.moves import move, note
from connections.states import ConnectionState
from connections.tokens import HISTORY, FreshGrant

DIALOGUE = timedelta(minutes=15)
S = ConnectionState


def lock(user: User) -> User:
    """Sign-ins and new connections of one person are settled in turn; rows that only refer to the person go on."""
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


@transaction.atomic
def create_connection(*, user: User, broker: Broker, method: AuthMethod, label: str = "") -> Connection:
    """A connection that waits for its sign-in. One that already waits for the same broker is taken up again."""
    entry = BROKERS.get(method)
    if entry is None or entry.broker != broker or not entry.is_offered():
        raise HubError(f"{broker.label} cannot be connected that way.")
    app_keys.for_sign_in(user=user, entry=entry)  # fails here, with a sentence, when the broker is not set up
    lock(user)
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
        note(connection, "created", actor=user, to_state=S.PENDING_AUTH)
    return connection


def same_environment(connection: Connection) -> None:
    """Raises NotAllowed for a live connection in the sandbox, and the other way round."""
    if connection.environment != settings.ENVIRONMENT:
        raise NotAllowed(f"This connection belongs to the {connection.environment} environment and is not used here.")


def may_sign_in(connection: Connection) -> None:
    """Raises NotAllowed for a connection of another environment, and for a way this hub offers no more."""
    same_environment(connection)
    if not BROKERS[AuthMethod(connection.method)].is_offered():
        raise NotAllowed(f"This hub no longer offers this way to connect {connection.get_broker_display()}.")


# --- By the broker's page ---------------------------------------------------------------------------------------------


@sensitive_variables()
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
    entry = BROKERS[AuthMethod(connection.method)]
    if answer.get(entry.comes_back_with.name) != key:
        raise SignInFailed(authorizations.AGAIN)
    if error or not answer.get(entry.comes_back_with.proof):
        if connection.state == S.PENDING_AUTH:
            move(connection, S.PENDING_AUTH, reason_code="consent_denied", action="consent_denied", actor=user)
        raise ConsentDenied(f"You declined access on {name}'s page, so nothing was connected. You can try again.")
    keys = app_keys.stored_or_environment(entry.method, authorization.app)
    kept = authorizations.kept_by(authorization)
    grant = entry.sign_in(keys).complete(answer=answer, kept=kept, at=timezone.now())
    return _finish(connection, SignedIn(entry, keys, authorization.app, grant), actor=user)


def _finish(connection: Connection, signed: SignedIn, *, actor: User) -> Connection:
    """Access that is not kept is handed back: nobody would have it any more."""
    try:
        with closing(signed.entry.connector(connection.pk, FreshGrant(signed.grant), signed.keys)) as connector:
            identity, accounts = connector.identity(), connector.accounts()
        if not accounts:
            name = connection.get_broker_display()
            raise SignInFailed(f"No account was ticked on {name}'s page. Please connect again and tick at least one.")
        return _store(connection, signed, identity.broker_user_key, accounts, actor=actor)
    except HubError:
        if owed := revocation.owe(connection, signed.grant.secrets, app=signed.app):
            revocation.settle(owed)
        raise


# --- By keys ----------------------------------------------------------------------------------------------------------


def prepare_keys(*, connection: Connection) -> tuple[Shown, ...]:
    """What the hub has made for this sign-in and the person copies to the broker's page; nothing for most ways.

    The same again for a week, so that a person may leave the page and come back; another when it cannot be read any
    more. Raises NotAllowed.
    """
    may_sign_in(connection)
    entry = BROKERS[AuthMethod(connection.method)]
    sign_in = entry.sign_in(AppKeys())
    if not isinstance(sign_in, PreparesKeys):
        return ()
    with transaction.atomic():
        lock(connection.user)
        kept = _prepared(connection)
        if kept is None:
            kept = sign_in.prepare()
            authorizations.prepare(connection, kept)
    return sign_in.shown(kept)


def _prepared(connection: Connection) -> dict[str, str] | None:
    waiting = authorizations.prepared(connection)
    try:
        return authorizations.kept_by(waiting) if waiting else None
    except SignInFailed:  # the hub's key that sealed it is gone
        return None


@sensitive_variables()
def connect_with_keys(
    *, user: User, method: AuthMethod, keys: Mapping[str, str], connection: Connection | None = None
) -> Connection:
    """Connect, or renew `connection`, with keys the person typed; they are tried at the broker before anything is kept.

    Raises KeysRefused, DifferentLogin, CountedTwice or another HubError; nothing is stored then.
    """
    entry = BROKERS[method]
    if connection is not None:
        may_sign_in(connection)
    sign_in, prepared, kept = entry.sign_in(AppKeys()), None, {}
    if isinstance(sign_in, PreparesKeys):
        prepared = authorizations.prepared(connection) if connection else None
        if prepared is None:
            raise SignInFailed("The key pair for this sign-in is older than a week. Open the page again for a new one.")
        kept = authorizations.kept_by(prepared)
    grant = sign_in.complete(answer=keys, kept=kept, at=timezone.now())
    accounts, identity = _tried(entry, grant, connection)
    with transaction.atomic():
        if connection is None:
            connection = create_connection(user=user, broker=entry.broker, method=method)
        stored = _store(connection, SignedIn(entry, AppKeys(), None, grant), identity, accounts, actor=user)
        if prepared is not None:
            prepared.delete()
    return stored


@sensitive_variables()
def add_history(*, connection: Connection, keys: Mapping[str, str], actor: User) -> Connection:
    """Let a connection that knows no transactions read them by its broker's other way, with keys of their own.

    Raises KeysRefused, DifferentLogin or another BrokerError; nothing is stored then.
    """
    method = BROKERS[AuthMethod(connection.method)].history_by
    if method is None or connection.state in (S.PENDING_AUTH, S.DISCONNECTING, S.DISCONNECTED):
        raise NotAllowed("This connection has no use for keys of that kind.")
    may_sign_in(connection)
    entry = BROKERS[method]
    grant = entry.sign_in(AppKeys()).complete(answer=keys, kept={}, at=timezone.now())
    accounts, _identity = _tried(entry, grant, connection)
    known = set(connection.accounts.values_list("external_id", flat=True))
    if not known & {account.external_id for account in accounts}:
        raise different_login(connection, accounts)
    with transaction.atomic():
        lock(connection.user)
        locked = Connection.objects.select_for_update().filter(pk=connection.pk).first()
        if locked is None:
            raise SignInFailed("The connection was removed meanwhile. Please connect once more.")
        return _keep_history(locked, grant, method, actor=actor)


def _tried(entry: BrokerEntry, grant: Grant, connection: Connection | None) -> tuple[list[AccountRecord], str]:
    try:
        with closing(entry.connector(connection.pk if connection else None, FreshGrant(grant), AppKeys())) as connector:
            identity, accounts = connector.identity(), connector.accounts()
    except NeedsReauth as error:
        raise KeysRefused(str(error)) from error
    if not accounts:
        raise KeysRefused(f"{entry.broker.label} shows no account for these keys.")
    return accounts, identity.broker_user_key


# --- By question and answer -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on its way to the person. `sealed` comes back with the answer; only the hub can open it."""

    question: Question
    sealed: str


@sensitive_variables()
def converse(*, user: User, connection: Connection, answer: Mapping[str, str], sealed: str = "") -> Connection | Asked:
    """One step of a sign-in by question and answer; `sealed` is empty at the first. What was typed is never stored.

    Raises SignInFailed when the answer came too late, KeysRefused or another BrokerError when it was wrong.
    """
    may_sign_in(connection)
    entry = BROKERS[AuthMethod(connection.method)]
    dialogue = entry.sign_in(AppKeys())
    if not isinstance(dialogue, Dialogue):
        raise NotAllowed("This connection is signed in otherwise.")
    owner = f"dialogue:{user.pk}:{connection.pk}"
    outcome = dialogue.reply(_opened(sealed, owner), answer) if sealed else dialogue.open(answer, _former(connection))
    if isinstance(outcome, Question):
        until = (timezone.now() + DIALOGUE).isoformat()
        secret = credentials.seal({"kept": outcome.kept, "until": until}, owner=owner)
        return Asked(outcome, base64.urlsafe_b64encode(secret).decode())
    return _finish(connection, SignedIn(entry, AppKeys(), None, outcome), actor=user)


@sensitive_variables()
def _opened(sealed: str, owner: str) -> dict[str, str]:
    try:
        content: dict[str, Any] = credentials.unseal(base64.urlsafe_b64decode(sealed), owner=owner)
    except (credentials.CredentialsUnreadable, ValueError) as error:
        raise SignInFailed("This sign-in cannot be continued. Please begin it once more.") from error
    if datetime.fromisoformat(content["until"]) < timezone.now():
        raise SignInFailed("The sign-in took longer than 15 minutes. Please begin it once more.")
    kept: dict[str, str] = content["kept"]
    return kept


# --- Store ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def _store(
    connection: Connection, signed: SignedIn, broker_user_key: str, accounts: list[AccountRecord], *, actor: User
) -> Connection:
    """Keep the sign-in with the connection of this login, which is the same whatever the way of signing in."""
    lock(connection.user)
    locked = Connection.objects.select_for_update().filter(pk=connection.pk).first()
    if locked is None:  # erased, or another sign-in of the same login took its place
        raise SignInFailed("The connection was removed during the sign-in. Please connect once more.")
    connection = locked
    known = known_login(connection, signed, broker_user_key, accounts)
    refuse_double(known or connection, accounts)
    if known is not None:
        connection.delete()  # never signed in: it holds nothing
        connection = known
    entry, first = signed.entry, not connection.broker_user_key
    is_usable = connection.status.may_sync or connection.status is S.NEEDS_REAUTH
    if is_usable and BROKERS[AuthMethod(connection.method)].history_by == entry.method:
        return _keep_history(connection, signed.grant, entry.method, actor=actor)
    anew = connection.method != entry.method
    if anew:
        _give_up_access(connection)
    connection.broker_user_key = broker_user_key
    connection.ids_given_to = app_keys.digest(entry, signed.keys)
    connection.access_expires_at = signed.grant.access_expires_at
    connection.authorization_expires_at = signed.grant.authorization_expires_at
    connection.app = signed.app
    connection.seal_credentials(signed.grant.secrets | _carried_over(connection, entry))
    connection.method = entry.method
    connection.refresh_held_until = EPOCH  # how a renewal of the sign-in before ends is of no account any more
    connection.save()
    save_accounts(connection, accounts, signed_in=True)
    if anew:
        note(connection, "method_changed", actor=actor, detail=f"Now by: {entry.method.label}")
    move(connection, S.CONNECTED, action="signed_in" if first else "signed_in_again", actor=actor)
    _tell(connection, first=first, anew=anew)
    return connection


def _give_up_access(connection: Connection) -> None:
    """End at the broker what another way of signing in takes the place of: nobody would have it any more."""
    owed = owed_for(connection)
    if isinstance(owed, UnfinishedRevocation):
        transaction.on_commit(lambda: revocation.settle(owed))


def _former(connection: Connection) -> dict[str, Any]:
    """The secrets of the sign-in before; none when there was none, or when they cannot be read any more."""
    try:
        return connection.read_credentials()
    except credentials.CredentialsUnreadable:
        return {}


@sensitive_variables()
def _carried_over(connection: Connection, entry: BrokerEntry) -> dict[str, Any]:
    """The keys for the history that stay with the connection, when its way of signing in is renewed or changed."""
    before = _former(connection)
    if entry.history_by and connection.method == entry.history_by and before:
        connection.history_method = connection.method
        return {HISTORY: before}
    if entry.history_by and connection.history_method == entry.history_by and HISTORY in before:
        return {HISTORY: before[HISTORY]}
    connection.history_method = ""
    return {}


@sensitive_variables()
def _keep_history(connection: Connection, grant: Grant, method: AuthMethod, *, actor: User) -> Connection:
    try:
        secrets = connection.read_credentials()
    except credentials.CredentialsUnreadable as error:
        raise NotAllowed(
            f"The stored sign-in of {connection.label} can no longer be read. Sign in there again first, then add this."
        ) from error
    if not secrets:
        raise NotAllowed(f"{connection.label} was disconnected meanwhile. Connect it again first.")
    connection.seal_credentials(secrets | {HISTORY: grant.secrets})
    connection.history_method = method
    connection.save(update_fields=["sealed_credentials", "history_method"])
    note(connection, "history_added", actor=actor, detail=f"Transactions by: {method.label}")
    _tell(connection, first=False, anew=True)
    return connection


def _tell(connection: Connection, *, first: bool, anew: bool) -> None:
    transaction.on_commit(
        lambda: signals.connected.send(sender=Connection, connection=connection, first=first, anew=anew)
    )
