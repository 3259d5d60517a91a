"""What page, API and overview show of the comparison: every account, what agrees in it and what does not."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from aggregation.account_aggregator import counted_accounts
from aggregation.models import Transaction
from aggregation.reconciliation import transfers
from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.finding.search import Action
from aggregation.reconciliation.models import Break, BreakState, Correction, Reconciliation, TransferLink
from aggregation.serializers import moment, plain
from brokerhub.kernel.models import User
from connections.models import Account

COLUMNS = (
    "id",
    "account",
    "broker",
    "what",
    "reported",
    "derived",
    "difference",
    "currency",
    "cause",
    "explained",
    "explanation",
    "state",
    "found_at",
)
RECENT = 10


@dataclass(frozen=True, slots=True)
class Part:
    """One cause of a break, as a person reads it, with the rows it rests on."""

    number: int
    cause: Cause
    amount: Decimal
    text: str
    fixes: list[dict[str, Any]]
    evidence: list[Transaction]
    more: int

    @property
    def takes_cost(self) -> bool:
        """Whether a fix books units whose cost nobody has told."""
        rows = (row for fix in self.fixes for row in fix["book"])
        return any(row["subtype"] == "opening" and row["quantity"] and row["price"] is None for row in rows)


@dataclass(frozen=True, slots=True)
class Line:
    row: Break
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Group:
    """The breaks of one cause in an account."""

    cause: Cause
    lines: list[Line]

    @property
    def can_book_all(self) -> bool:
        """Whether one click books what all of them need."""
        firsts = [line.row.findings[0]["fixes"] for line in self.lines]
        return len(firsts) > 1 and all(any(fix["action"] == Action.BOOK for fix in fixes) for fixes in firsts)


@dataclass(slots=True)
class AccountStanding:
    account: Account
    state: Reconciliation | None
    groups: list[Group] = field(default_factory=list)
    quiet: list[Line] = field(default_factory=list)
    ignored: list[Line] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(len(group.lines) for group in self.groups)

    @property
    def is_compared(self) -> bool:
        return self.state is not None and self.state.compared_at is not None

    @property
    def is_due(self) -> bool:
        return self.state is not None and self.state.due_at is not None

    @property
    def agrees(self) -> bool:
        return self.is_compared and not self.count


@dataclass(slots=True)
class Standing:
    accounts: list[AccountStanding]
    corrections: list[Correction]
    links: list[TransferLink]
    undecided: int  # pairs that may be one transfer

    @property
    def compared(self) -> list[AccountStanding]:
        return [each for each in self.accounts if each.is_compared]

    @property
    def count(self) -> int:
        return sum(each.count for each in self.accounts)

    @property
    def items(self) -> int:
        return sum(each.state.items for each in self.compared if each.state)

    @property
    def troubled(self) -> int:
        return sum(1 for each in self.accounts if each.count)

    @property
    def oldest(self) -> datetime | None:
        return min(
            (each.state.compared_at for each in self.compared if each.state and each.state.compared_at), default=None
        )


def standing(user: User) -> Standing:
    """All of it in ten queries, whatever there is."""
    owned = counted_accounts(user).select_related("connection", "reconciliation")
    accounts = owned.defer("connection__sealed_credentials").order_by("connection__created_at", "pk")
    known = {each.pk: AccountStanding(each, getattr(each, "reconciliation", None)) for each in accounts}
    live = list(Break.objects.live().for_list().filter(account__in=known))
    evidence = _evidence(live)
    groups: dict[tuple[int, Cause], list[Line]] = defaultdict(list)
    for row in live:
        line = Line(row, list(_parts(row, evidence)))
        if row.state == BreakState.IGNORED:
            known[row.account_id].ignored.append(line)
        elif row.why.is_quiet:
            known[row.account_id].quiet.append(line)
        else:
            groups[row.account_id, row.why].append(line)
    for (account, cause), lines in groups.items():
        known[account].groups.append(Group(cause, lines))
    corrections = Correction.objects.for_user(user).standing().for_list()[:RECENT]
    links = TransferLink.objects.for_user(user).joined().for_list()[:RECENT]
    return Standing(list(known.values()), list(corrections), list(links), len(transfers.undecided(user)))


def _evidence(breaks: Iterable[Break]) -> dict[int, Transaction]:
    wanted = {pk for row in breaks for finding in row.findings for pk in finding["evidence"][:RECENT]}
    rows = Transaction.objects.select_related("instrument", "account").defer("raw", "content_key", "fingerprint")
    return rows.in_bulk(wanted)


def _parts(row: Break, evidence: dict[int, Transaction]) -> Iterator[Part]:
    for number, finding in enumerate(row.findings):
        ids = finding["evidence"]
        shown = [evidence[pk] for pk in ids[:RECENT] if pk in evidence]
        fixes = [{**fix, "number": place} for place, fix in enumerate(finding["fixes"])]
        yield Part(
            number=number,
            cause=Cause(finding["cause"]),
            amount=Decimal(finding["amount"]),
            text=finding["text"],
            fixes=fixes,
            evidence=shown,
            more=len(ids) - len(shown),
        )


def alarms(user: User) -> int:
    """How many differences wait for the person, in accounts that count."""
    return Break.objects.alarming().filter(account__in=counted_accounts(user)).count()


def exported(user: User) -> Iterator[dict[str, Any]]:
    """Everything that does not agree, one row each."""
    for row in Break.objects.live().for_list().filter(account__in=counted_accounts(user)):
        yield {
            "id": row.pk,
            "account": str(row.account),
            "broker": row.account.connection.broker,
            "what": row.instrument.symbol if row.instrument else "cash",
            "reported": plain(row.reported),
            "derived": plain(row.derived),
            "difference": plain(row.difference),
            "currency": row.currency,
            "cause": row.cause,
            "explained": plain(row.explained),
            "explanation": " ".join(finding["text"] for finding in row.findings),
            "state": row.state,
            "found_at": moment(row.found_at),
        }
