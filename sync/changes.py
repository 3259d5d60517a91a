"""The feed of changed transactions: page by page, in an order in which nothing can turn up behind the reader.

A cursor says for each account how far its reader is (`feed_models` says why by account), and in `base` how far it was
when this walk through the news began: what was added after that is "added", what was there before "modified" or
"removed". A reader that puts rows in by their id and takes removed ones out is right after every page.
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Self

from aggregation.models import NOT_SHOWN, Transaction
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.models import User
from sync.models import AccountFeed, TransactionChange

Places = dict[int, tuple[int, int]]  # account: (seq, transaction id) of the last row told


class BadCursor(HubError):
    """Not a cursor of this feed. Begin anew without one."""

    code = "invalid_cursor"


@dataclass(slots=True)
class Cursor:
    at: Places = field(default_factory=dict)
    base: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises BadCursor."""
        try:
            told = json.loads(base64.urlsafe_b64decode(text.encode()))
            at = {int(account): (int(seq), int(row)) for account, (seq, row) in told["at"].items()}
            numbers = [*at, *(number for place in at.values() for number in place)]
            base = {int(account): int(seq) for account, seq in told["base"].items()}
            if any(not 0 <= number < 2**63 for number in [*numbers, *base, *base.values()]):
                raise ValueError("out of range")
            return cls(at, base)
        except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
            raise BadCursor("This is not a cursor of the feed. Begin anew without one.") from error

    def __str__(self) -> str:
        text = json.dumps({"at": self.at, "base": self.base}, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode()


@dataclass(slots=True)
class Page:
    added: list[Transaction]
    modified: list[Transaction]
    removed: list[int]
    next_cursor: str
    has_more: bool


def page_after(user: User, cursor: Cursor, *, limit: int) -> Page:
    """The next changes of the user's transactions, at most `limit`."""
    told: list[tuple[TransactionChange, bool]] = []
    at, has_more = dict(cursor.at), False
    for account in AccountFeed.objects.filter(user=user).order_by("account_id").values_list("account_id", flat=True):
        found = _changes(account, at.get(account, (0, 0)), limit - len(told) + 1)
        has_more = len(found) > limit - len(told)
        for change in found[: limit - len(told)]:
            was_told = (change.added_seq, change.transaction_id) <= cursor.at.get(account, (0, 0))
            told.append((change, was_told))
            at[account] = (change.seq, change.transaction_id)
        if has_more:
            break
    base = cursor.base if has_more else {account: seq for account, (seq, _) in at.items()}
    return _page(told, cursor, str(Cursor(at, base)), has_more)


def _changes(account: int, place: tuple[int, int], limit: int) -> list[TransactionChange]:
    seq, row = place
    changes = TransactionChange.objects.filter(account_feed=account).order_by("seq", "transaction_id")
    rest = list(changes.filter(seq=seq, transaction_id__gt=row)[:limit])
    return rest + list(changes.filter(seq__gt=seq)[: limit - len(rest)])


def _page(told: list[tuple[TransactionChange, bool]], cursor: Cursor, next_cursor: str, has_more: bool) -> Page:
    rows: dict[int, Transaction] = (
        Transaction.objects.select_related("instrument", "account__connection")
        .defer("raw")
        .in_bulk([change.transaction_id for change, _ in told])
    )
    page = Page([], [], [], next_cursor, has_more)
    for change, was_told in told:
        row = rows.get(change.transaction_id)
        if row is None or row.status in NOT_SHOWN:
            if was_told:  # else it came and went before the reader has seen it
                page.removed.append(change.transaction_id)
        elif change.added_seq > cursor.base.get(change.account_feed_id, 0):
            page.added.append(row)
        else:
            page.modified.append(row)
    return page
