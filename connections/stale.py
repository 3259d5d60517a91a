"""What of a connection is not up to date: which part, of which account, since when and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connections.models import Account, Connection

PARTS = {"accounts": "List of accounts", "holdings": "Positions and balances", "transactions": "Transactions"}


@dataclass(frozen=True, slots=True)
class StalePart:
    """`part` in words; `since` is when it was last up to date; `reason` is what its last attempt came to."""

    key: str  # as a run names its parts: accounts, holdings:7, transactions:7
    part: str
    account: "Account | None"
    since: datetime
    reason: str

    @property
    def kind(self) -> str:
        return self.key.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.part} of {self.account}" if self.account else self.part


def stale_parts(connection: "Connection") -> Iterator[StalePart]:
    """In the order of the accounts. A part of an account that is gone is left out."""
    accounts = {str(account.pk): account for account in connection.accounts.all()}
    for key, told in sorted(connection.degraded_parts.items()):
        kind, _, number = key.partition(":")
        if number and number not in accounts:
            continue
        if isinstance(told, str):  # as written before reasons were kept
            told = {"since": told, "reason": ""}
        since = datetime.fromisoformat(told["since"])
        yield StalePart(key, PARTS[kind], accounts.get(number), since, told["reason"])
