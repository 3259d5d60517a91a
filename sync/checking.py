"""What an import would do, row by row, before anything is written: the preview and the dry run."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aggregation import review
from aggregation.foreseeing import MATCHED, SUPERSEDED, Foreseen, Resemblance, foresee
from aggregation.models import Source
from aggregation.replacing import replaceable
from aggregation.serializers import plain
from brokerhub.kernel.garbage import search_paused
from brokerhub.kernel.models import User
from connections.brokers.records import ParkedRecord, TransactionRecord
from connections.models import Account
from sync.import_models import RowState
from sync.importers.base import FileRow, ParsedFile, Record
from sync.imports import importable_accounts

KNOWN = "The books have this row already."
REPLACES = "It replaces an earlier version of the same row."
RETOLD = "It takes the place of the row that was kept as “other” before your rule."
PARTLY_KNOWN = "The books have a part of this row already."


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRow:
    """One row of a file and what would become of it."""

    line: int
    account: str  # as the file names it
    state: RowState
    notes: tuple[str, ...]
    told: tuple[Record, ...]
    resembles: tuple[dict[str, Any], ...] = ()  # rows of the books that may be the same event, and why
    word: str = ""  # what the row calls itself, where nobody said yet what that means
    text: str = ""  # the row as it stands, where it cannot be read
    is_left_out: bool = False

    @property
    def records(self) -> tuple[dict[str, Any], ...]:
        """What is booked, amounts as texts; of a large file few rows are looked at."""
        return tuple(facts(record) for record in self.told if isinstance(record, TransactionRecord))


@search_paused()
def check_rows(
    parsed: ParsedFile, accounts: Mapping[str, Account | None], left_out: Iterable[int] = ()
) -> Iterator[CheckedRow]:
    """Every row of the file with its state, made while they are asked for.

    `accounts` says where the rows of each name in the file go; None is an account not made yet, whose books are empty.
    A row that is left out has the state it would have if it were not.
    """
    unwanted = set(left_out)
    outcomes: dict[int, list[Foreseen]] = {}
    by_account: dict[int, list[FileRow]] = {}
    places = {account.pk: account for account in accounts.values() if account is not None}
    for row in parsed.rows:
        account = accounts.get(row.account_hint)
        if account is not None:
            by_account.setdefault(account.pk, []).append(row)
    replaced: set[int] = set()
    for pk, rows in by_account.items():
        replaced |= _replaced(places[pk], rows)
        pairs = [(row.line, record) for row in rows for record in row.records if isinstance(record, TransactionRecord)]
        foreseen = foresee(account=places[pk], records=[record for _, record in pairs], source=Source.CSV)
        for (line, _), one in zip(pairs, foreseen, strict=True):
            outcomes.setdefault(line, []).append(one)
    return (
        _checked(row, outcomes.get(row.line, []), row.line in unwanted, row.line in replaced) for row in parsed.rows
    )


def _replaced(account: Account, rows: Iterable[FileRow]) -> set[int]:
    """Lines of rows read by the person's own rule that the books have by what they were called before."""
    told = [(row.line, before) for row in rows for before, _ in row.retold]
    if not told:
        return set()
    found = replaceable(account, [before for _, before in told])
    return {line for (line, _), is_there in zip(told, found, strict=True) if is_there}


def _checked(row: FileRow, foreseen: Sequence[Foreseen], is_left_out: bool, is_replaced: bool) -> CheckedRow:
    resembles = [resemblance(found) for one in foreseen for found in one.resembles]
    state, notes = _judge(row, [one.outcome for one in foreseen], bool(resembles))
    if is_replaced and state in (RowState.VALID, RowState.WARNING):
        state, notes = RowState.WARNING, (RETOLD, *notes)
    return CheckedRow(
        line=row.line,
        account=row.account_hint[:200],
        state=state,
        notes=notes,
        told=row.records,
        resembles=tuple(resembles),
        word=row.word,
        text=_as_it_stands(row) if row.is_parked else "",
        is_left_out=is_left_out and state is not RowState.DUPLICATE,
    )


def _judge(row: FileRow, outcomes: Sequence[str], is_like_another: bool) -> tuple[RowState, tuple[str, ...]]:
    if row.is_parked:
        return RowState.ERROR, tuple(record.reason for record in row.records if isinstance(record, ParkedRecord))
    if outcomes and all(outcome == MATCHED for outcome in outcomes):
        return RowState.DUPLICATE, (KNOWN,)
    notes = row.warnings
    if SUPERSEDED in outcomes:
        notes = (REPLACES, *notes)
    if MATCHED in outcomes:
        notes = (PARTLY_KNOWN, *notes)
    if is_like_another:
        return RowState.POSSIBLE, notes
    return (RowState.WARNING if notes else RowState.VALID), notes


def facts(record: TransactionRecord) -> dict[str, Any]:
    """What a person looks at to see whether a row was understood; amounts as texts."""
    return {
        "date": record.traded_on.isoformat(),
        "kind": record.kind.value,
        "subtype": record.subtype,
        "symbol": record.instrument.symbol if record.instrument is not None else "",
        "quantity": plain(record.quantity),
        "price": plain(record.price),
        "net_amount": plain(record.net_amount),
        "fees": plain(record.fees),
        "taxes": plain(record.taxes),
        "currency": record.currency,
        "description": record.description[:120],
    }


def resemblance(found: Resemblance) -> dict[str, Any]:
    """The row of the books as a person looks at it beside the file's; amounts as texts, reasons in words."""
    row = found.row
    return {
        "id": row.pk,
        "date": row.traded_on.isoformat(),
        "kind": row.kind,
        "symbol": row.instrument.symbol if row.instrument is not None else "",
        "quantity": plain(row.quantity),
        "net_amount": plain(row.net_amount),
        "currency": row.currency,
        "source": row.source,
        "reasons": [review.REASONS[reason] for reason in found.reasons],
    }


def _as_it_stands(row: FileRow) -> str:
    return " · ".join(str(value) for record in row.records[:1] for value in record.raw.values() if value)[:300]


def counts_of(rows: Iterable[CheckedRow]) -> dict[str, int]:
    """How many rows are in each state; those left out by the person count as that and nothing else."""
    counted = Counter("left_out" if row.is_left_out else row.state.value for row in rows)
    return {name: counted[name] for name in (*RowState.values, "left_out")}


def propose_account(user: User, hint: str, broker: str) -> Account | None:
    """The account a file most likely belongs to; None when it is not clear, or there is none.

    By what the file calls it: as an earlier file did, or by the broker's number; without a name the only one there.
    """
    accounts = importable_accounts(user)
    if not hint:
        at_broker = list(accounts.filter(connection__broker=broker)[:2])
        return at_broker[0] if len(at_broker) == 1 else None
    earlier = accounts.filter(files__hints__contains=[hint]).order_by("-files__pk").first()
    if earlier is not None:
        return earlier
    digits = "".join(sign for sign in hint if sign.isalnum())[-4:]
    found = [
        account
        for account in accounts.filter(connection__broker=broker)
        if hint in (account.external_id, account.name, *account.aliases)
        or (len(digits) >= 3 and account.mask and digits.endswith(account.mask[-4:]))
    ]
    return found[0] if len(found) == 1 else None
