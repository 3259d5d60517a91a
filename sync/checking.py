"""What an import would do, row by row, before anything is written: the preview and the dry run."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aggregation.foreseeing import MATCHED, SUPERSEDED, foresee
from aggregation.models import Source
from aggregation.serializers import plain
from brokerhub.kernel.models import User
from connections.brokers.records import ParkedRecord, TransactionRecord
from connections.models import Account
from sync.import_models import RowState
from sync.importers.base import FileRow, ParsedFile
from sync.imports import importable_accounts

KNOWN = "The books have this row already."
REPLACES = "It replaces an earlier version of the same row."
PARTLY_KNOWN = "The books have a part of this row already."


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRow:
    """One row of a file and what would become of it."""

    line: int
    account: str  # as the file names it
    state: RowState
    notes: tuple[str, ...]
    records: tuple[dict[str, Any], ...]  # what is booked, amounts as texts
    text: str = ""  # the row as it stands, where it cannot be read
    is_left_out: bool = False


def check_rows(
    parsed: ParsedFile, accounts: Mapping[str, Account | None], left_out: Iterable[int] = ()
) -> list[CheckedRow]:
    """Every row of the file with its state. `accounts` says where the rows of each name in the file go; None is an
    account not made yet, whose books are empty."""
    unwanted = set(left_out)
    outcomes: dict[int, list[str]] = {}
    by_account: dict[int, list[FileRow]] = {}
    places = {account.pk: account for account in accounts.values() if account is not None}
    for row in parsed.rows:
        account = accounts.get(row.account_hint)
        if account is not None and row.line not in unwanted:
            by_account.setdefault(account.pk, []).append(row)
    for pk, rows in by_account.items():
        pairs = [(row.line, record) for row in rows for record in row.records if isinstance(record, TransactionRecord)]
        foreseen = foresee(account=places[pk], records=[record for _, record in pairs], source=Source.CSV)
        for (line, _), outcome in zip(pairs, foreseen, strict=True):
            outcomes.setdefault(line, []).append(outcome)
    return [_checked(row, outcomes.get(row.line, []), row.line in unwanted) for row in parsed.rows]


def _checked(row: FileRow, outcomes: Sequence[str], is_left_out: bool) -> CheckedRow:
    state, notes = _judge(row, outcomes)
    return CheckedRow(
        line=row.line,
        account=row.account_hint[:200],
        state=state,
        notes=notes,
        records=tuple(facts(record) for record in row.records if isinstance(record, TransactionRecord)),
        text=_as_it_stands(row) if row.is_parked else "",
        is_left_out=is_left_out and state is not RowState.DUPLICATE,
    )


def _judge(row: FileRow, outcomes: Sequence[str]) -> tuple[RowState, tuple[str, ...]]:
    if row.is_parked:
        return RowState.ERROR, tuple(record.reason for record in row.records if isinstance(record, ParkedRecord))
    if outcomes and all(outcome == MATCHED for outcome in outcomes):
        return RowState.DUPLICATE, (KNOWN,)
    notes = row.warnings
    if SUPERSEDED in outcomes:
        notes = (REPLACES, *notes)
    if MATCHED in outcomes:
        notes = (PARTLY_KNOWN, *notes)
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
