"""The accounts of a connection, brought up to date with what its broker lists."""

from typing import Any

from django.db.models import Q

from connections.brokers.records import AccountRecord
from connections.errors import CountedTwice
from connections.models import Account, Connection


def save_accounts(connection: Connection, records: list[AccountRecord], *, signed_in: bool = False) -> list[Account]:
    """Bring the stored accounts up to date; one the broker no longer names stays, with its history."""
    saved = []
    for record in records:
        said: dict[str, Any] = {
            "mask": record.number_mask,
            "name": record.name,
            "kind": record.kind,
            "currency": record.currency,
        }
        said |= {"aliases": list(record.aliases)}
        account, _ = Account.objects.update_or_create(
            connection=connection, external_id=record.external_id, defaults=said | {"closed_on": None}
        )
        saved.append(account)
    return saved


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
