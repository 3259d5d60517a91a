"""Transactions of several accounts, newest first, in pages that cost the same however deep they lie.

PostgreSQL reads one account newest first straight from the index, but sorts everything as soon as several accounts are
asked for. So each account gives at most one page of keys, and only the newest of those are fetched.
"""

from collections.abc import Sequence
from typing import Any, Self

from django.db.models import Prefetch, Q

from aggregation.models import Transaction, TransactionQuerySet
from brokerhub.kernel.paging import beyond
from connections.models import Account

ORDER = ("-traded_on", "-pk")
# One query for the few accounts of many rows; joined, each row would build an account and a connection of its own.
ACCOUNTS_ONCE = Prefetch(
    "account", Account.objects.select_related("connection").defer("connection__sealed_credentials")
)
UNREAD = ("raw", "content_key", "fingerprint")  # large, and on no list


class NewestFirst:
    """As much of a queryset as a paginator needs: `filter`, `order_by` and a slice from the start."""

    def __init__(self, found: TransactionQuerySet, accounts: Sequence[int], order: Sequence[str] = ORDER) -> None:
        """`found` holds what is asked for but for the accounts; those are `accounts`, ids of the user's own."""
        self.found = found
        self.accounts = accounts
        self.order = order

    def filter(self, *conditions: Q) -> Self:
        return type(self)(self.found.filter(*conditions), self.accounts, self.order)

    def order_by(self, *order: str) -> Self:
        return type(self)(self.found, self.accounts, order)

    def after(self, position: Sequence[Any] | None) -> Self:
        """What comes after the row with these values of `order`; all of it without."""
        return self if position is None else self.filter(beyond(self.order, position))

    def __getitem__(self, page: slice) -> list[Transaction]:
        order = ["-id" if name == "-pk" else "id" if name == "pk" else name for name in self.order]
        each = [
            self.found.filter(account=account).order_by(*order).values_list("id", "traded_on")[: page.stop]
            for account in self.accounts
        ]
        if not each:
            return []
        keys = each[0] if len(each) == 1 else each[0].union(*each[1:], all=True).order_by(*order)[: page.stop]
        rows = Transaction.objects.filter(pk__in=[pk for pk, _ in keys])
        return list(
            rows.select_related("instrument", "edit").prefetch_related(ACCOUNTS_ONCE).defer(*UNREAD).order_by(*order)
        )
