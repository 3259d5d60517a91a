"""The accounts of a connection, brought up to date with what its broker lists: added, offered, closed, renumbered.

No account and none of its history is ever removed here, whatever a broker lists or leaves out.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections import signals
from connections.brokers import BROKERS
from connections.brokers.base import UnexpectedReply
from connections.brokers.records import AccountKind, AccountRecord, AuthMethod
from connections.errors import CountedTwice
from connections.models import Account, Connection, ListedAccount, OfferedAccount
from connections.moves import note
from connections.states import ConnectionState

LONGEST_NAME = 120  # characters that the hub keeps of what a broker, or the person there, calls an account
MARKET = ZoneInfo("America/New_York")
Listed = TypeVar("Listed", bound=ListedAccount)


@transaction.atomic
def save_accounts(connection: Connection, records: list[AccountRecord], *, signed_in: bool = False) -> list[Account]:
    """Bring the stored accounts up to date with the broker's whole list; those to be read, in its order.

    All of a first sign-in are added, and later those the person ticked on the broker's page at a sign-in. Others are
    offered. An account that is closed or not listed any more stays, with its history. An empty list is no truth while
    there are open accounts: UnexpectedReply, and nothing is changed.
    """
    Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)  # a sign-in and a sync may come at once
    known = list(connection.accounts.all())
    if not records and any(account.closed_on is None for account in known):
        raise UnexpectedReply(f"{connection.get_broker_display()} suddenly lists no account at all.")
    records = list({record.external_id: record for record in records}.values())
    pairs, new, missing = _paired(records, known)
    for record, account in pairs:
        _bring_up_to_date(account, record)
    for account in missing:
        _note_unlisted(account)
    chosen = signed_in and BROKERS[AuthMethod(connection.method)].accounts_chosen_there
    added = _add_or_offer(connection, new, add=chosen or not known, is_first=not known)
    by_number = {account.external_id: account for account in [*(account for _, account in pairs), *added]}
    listed = [by_number[record.external_id] for record in records if record.external_id in by_number]
    return [account for account in listed if account.closed_on is None]


# --- Which is which ---------------------------------------------------------------------------------------------------


def _paired(
    records: Iterable[AccountRecord], stored: Iterable[Listed]
) -> tuple[list[tuple[AccountRecord, Listed]], list[AccountRecord], list[Listed]]:
    """(records with the stored account each is, records that are new, stored accounts that are not listed).

    The same id is the same account; so is one of which the broker uses another number; so is one whose id the broker
    has changed, where mask, kind and currency leave no choice.
    """
    pairs: list[tuple[AccountRecord, Listed]] = []
    new, missing = list(records), list(stored)

    def take(record: AccountRecord, account: Listed) -> None:
        pairs.append((record, account))
        new.remove(record)
        missing.remove(account)

    for record in tuple(new):
        if same := [account for account in missing if account.external_id == record.external_id]:
            take(record, same[0])
    for record in tuple(new):
        numbers = _numbers(record)
        if same := [account for account in missing if numbers & {account.external_id, *account.aliases}]:
            take(record, same[0])
    alike: defaultdict[tuple[str, str, str], tuple[list[AccountRecord], list[Listed]]] = defaultdict(lambda: ([], []))
    for record in new:
        alike[record.number_mask, record.kind.value, record.currency][0].append(record)
    for account in missing:
        if getattr(account, "closed_on", None) is None:
            alike[account.mask, account.kind, account.currency][1].append(account)
    for (mask, _kind, _currency), (its_records, its_accounts) in alike.items():
        if mask and len(its_records) == len(its_accounts) == 1 and not its_records[0].closed:
            take(its_records[0], its_accounts[0])
    return pairs, new, missing


def _numbers(record: AccountRecord) -> set[str]:
    return {record.external_id, *record.aliases}


def _write(stored: ListedAccount, record: AccountRecord) -> None:
    stored.external_id, stored.mask, stored.name = record.external_id, record.number_mask, record.name[:LONGEST_NAME]
    stored.currency, stored.aliases = record.currency, list(record.aliases)
    if record.kind is not AccountKind.UNKNOWN:  # what the broker leaves out once is not forgotten
        stored.kind = record.kind


# --- Accounts the hub keeps -------------------------------------------------------------------------------------------


def _bring_up_to_date(account: Account, record: AccountRecord) -> None:
    connection, was_closed = account.connection, account.closed_on is not None
    if account.external_id != record.external_id:
        detail = f"{account} has another number at {connection.get_broker_display()}. Its history goes on."
        note(connection, "account_renumbered", detail=detail)
    _write(account, record)
    account.unlisted_since = None
    if record.closed and not was_closed:
        account.closed_on = timezone.localdate(timezone=MARKET)
        note(connection, "account_closed", detail=f"{account} is closed. Its history is kept.")
    elif was_closed and not record.closed:
        account.closed_on = None
        note(connection, "account_reopened", detail=f"{account} is open again.")
    account.save()


def _note_unlisted(account: Account) -> None:
    if account.closed_on is not None or account.unlisted_since is not None:
        return
    account.unlisted_since = timezone.now()
    account.save(update_fields=["unlisted_since"])
    connection = account.connection
    detail = f"{account} is not listed by {connection.get_broker_display()} any more. Its history is kept."
    note(connection, "account_unlisted", detail=detail)


# --- Accounts that are new --------------------------------------------------------------------------------------------


def _add_or_offer(
    connection: Connection, records: Sequence[AccountRecord], *, add: bool, is_first: bool
) -> list[Account]:
    """Add the new ones, or offer them. What the person has declined stays declined, and a closed one is neither."""
    pairs, new, gone = _paired(records, connection.offered_accounts.all())
    for offered in gone:
        if offered.declined_at is None:
            offered.delete()
    added = []
    for record, offered in pairs:
        if record.closed:
            offered.delete()
        elif add and offered.declined_at is None:
            added.append(_added(connection, record))
            offered.delete()
        else:
            _write(offered, record)
            offered.save()
    for record in new:
        if record.closed:
            continue
        if add:
            added.append(_added(connection, record, is_first=is_first))
            continue
        fresh = OfferedAccount(connection=connection)
        _write(fresh, record)
        fresh.save()
        note(connection, "account_offered", detail=f"{connection.get_broker_display()} lists {fresh}, which is new.")
    return added


def _added(connection: Connection, record: AccountRecord, *, is_first: bool = False) -> Account:
    account = Account(connection=connection)
    _write(account, record)
    account.save()
    if not is_first:
        note(connection, "account_added", detail=f"{account} was chosen at {connection.get_broker_display()}.")
    return account


@transaction.atomic
def add_offered(offered: OfferedAccount, actor: User) -> Account:
    """Add an account that was offered, declined before or not; its history is read next.

    Raises NotAllowed when it is gone meanwhile or the connection has been left, CountedTwice when another connection
    of the person brings it already.
    """
    offered = _locked(offered)
    connection = offered.connection
    record = AccountRecord(
        external_id=offered.external_id,
        number_mask=offered.mask,
        name=offered.name,
        kind=AccountKind(offered.kind),
        currency=offered.currency,
        aliases=tuple(offered.aliases),
    )
    refuse_double(connection, [record])
    account = Account(connection=connection)
    _write(account, record)
    account.save()
    offered.delete()
    note(connection, "account_added", actor=actor, detail=str(account))
    transaction.on_commit(lambda: signals.account_added.send(sender=Connection, connection=connection))
    return account


@transaction.atomic
def decline_offered(offered: OfferedAccount, actor: User) -> None:
    """Do not ask about this account again. It stays in the list of those that can be added. Raises NotAllowed."""
    offered = _locked(offered)
    if offered.declined_at is None:
        offered.declined_at = timezone.now()
        offered.save(update_fields=["declined_at"])
        note(offered.connection, "account_declined", actor=actor, detail=str(offered))


def _locked(offered: OfferedAccount) -> OfferedAccount:
    User.objects.select_for_update(no_key=True).get(pk=offered.connection.user_id)  # two connections may add the same
    connection = Connection.objects.select_for_update(no_key=True).get(pk=offered.connection_id)
    if connection.status in (ConnectionState.DISCONNECTING, ConnectionState.DISCONNECTED):
        raise NotAllowed("This connection has been left. Connect again to add its accounts.")
    found = connection.offered_accounts.filter(pk=offered.pk).first()
    if found is None:
        raise NotAllowed("This account is not offered any more. Look at the list once more.")
    return found


def refuse_double(connection: Connection, records: list[AccountRecord]) -> None:
    """Raise CountedTwice when another open connection of the person brings one of these accounts already."""
    numbers = {number for record in records for number in (record.external_id, *record.aliases)}
    others = Connection.objects.for_user(connection.user).open().by_api().exclude(pk=connection.pk)
    others = others.filter(broker=connection.broker, environment=connection.environment)
    twice = (
        Account.objects.filter(Q(external_id__in=numbers) | Q(aliases__overlap=list(numbers)), connection__in=others)
        .select_related("connection")
        .first()
    )
    if twice is not None:
        raise CountedTwice(
            f"{twice} is already part of {twice.connection.label}. Two ways to the same account would count everything "
            f"in it twice. Disconnect {twice.connection.label} first if you want to use this way instead."
        )
