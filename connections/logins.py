"""Which of a person's connections a login belongs to that has just signed in."""

from dataclasses import dataclass

from connections import app_keys
from connections.brokers import BrokerEntry
from connections.brokers.base import AppKeys, Grant
from connections.brokers.records import AccountRecord
from connections.errors import CountedTwice, DifferentLogin
from connections.models import AppCredentials, Connection


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that has just succeeded, with the app it was given to."""

    entry: BrokerEntry
    keys: AppKeys
    app: AppCredentials | None
    grant: Grant


def known_login(
    connection: Connection, signed: SignedIn, broker_user_key: str, accounts: list[AccountRecord]
) -> Connection | None:
    """Another connection of the login that has signed in for `connection`, locked; None when `connection` is its own.

    Raises DifferentLogin, or CountedTwice when the accounts of two connections have come together in one login.
    """
    if connection.broker_user_key and not _is_login(connection, signed, broker_user_key, accounts):
        raise different_login(connection, accounts)
    others = Connection.objects.for_user(connection.user).select_for_update().exclude(pk=connection.pk)
    others = others.filter(broker=connection.broker, environment=connection.environment).exclude(broker_user_key="")
    same = [one for one in others if _is_login(one, signed, broker_user_key, accounts)]
    same.sort(key=lambda one: one.broker_user_key != broker_user_key)
    if not connection.broker_user_key:
        return same[0] if same else None
    if same and (signed.entry.key_is_account or connection.broker_user_key != broker_user_key):
        raise CountedTwice(
            f"This login also opens the accounts of {same[0].label}, and each account is kept only once. Share no more "
            f"than those of {connection.label}, or disconnect {same[0].label} and erase its history first."
        )
    return None


def _is_login(connection: Connection, signed: SignedIn, broker_user_key: str, accounts: list[AccountRecord]) -> bool:
    """Whether `connection` belongs to the login that has just signed in.

    Where the key is the lowest of the accounts shared, it changes with them: more or fewer of the same are the same
    login. Where all ids of a broker change with the app registration, only what people see of the accounts can tell.
    """
    if connection.broker_user_key == broker_user_key:
        return True
    if signed.entry.key_is_account:
        before = set(connection.accounts.current().values_list("external_id", flat=True))
        now = {account.external_id for account in accounts}
        return bool(before) and (before <= now or now <= before)
    is_same_app = connection.ids_given_to == app_keys.digest(signed.entry, signed.keys)
    if is_same_app or not signed.entry.ids_per_app or connection.method != signed.entry.method:
        return False
    old = {(account.mask, account.kind) for account in connection.accounts.current()}
    new = {(account.number_mask, account.kind.value) for account in accounts}
    return bool(old) and (old <= new or new <= old)


def different_login(connection: Connection, accounts: list[AccountRecord]) -> DifferentLogin:
    old = ", ".join(f"...{account.mask}" for account in connection.accounts.all())
    new = ", ".join(f"...{account.number_mask}" for account in accounts)
    return DifferentLogin(f"That is another login: it has {new}, this connection has {old}. Nothing was changed.")
