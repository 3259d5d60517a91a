"""Imports in the making: an upload is looked at, asked about, mended and chosen from; only `confirm` books it.

Each change counts up the draft's version and asks for a check; a check of an older version writes nothing. Small files
are checked within the request, large ones by a worker.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import RedisError

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.garbage import search_paused
from brokerhub.kernel.models import User
from brokerhub.kernel.outages import NoRoom, naming_no_room
from connections.models import AccountQuerySet
from sync import importers
from sync.checking import CheckedRow, check_rows, propose_account
from sync.columns import template_for
from sync.import_models import DraftRow, DraftState, ImportDraft, RowState
from sync.importers import reader
from sync.importers.base import FileNotRead, Format, Match
from sync.imports import house_of, importable_accounts, known_account, plain_name, request_imports
from sync.mending import check_fix, without_remarks
from sync.models import ParkedRow, SyncRun
from sync.reading import MAPPED, FileRead, read

logger = logging.getLogger(__name__)
MOST_DRAFTS = 20
NO_ROOM = (
    "The hub's disk is full, so that the check of your file waits. Whoever runs the hub has to make room; "
    "then it goes on by itself."
)
MOST_CHECKS = 3  # of one version; a check that never ends is no use
MOST_SHOWN = 100  # skipped rows and warnings of one file
NEW, KNOWN = "new", "account"
SAVED_AT_ONCE = 5_000
_as_json = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make an encoder for each cell
ROW_FACTS = ("line", "account", "state", "is_left_out", "notes", "records", "resembles", "word", "text")


# --- Begin and end ----------------------------------------------------------------------------------------------------
@transaction.atomic
def begin(*, user: User, name: str, content: bytes) -> ImportDraft:
    """A draft of importing `content`, with its format if the file tells it.

    Raises FileUnreadable or FileNotRead for a file nobody can import, NotAllowed when too many drafts wait.
    """
    if ImportDraft.objects.for_user(user).count() >= MOST_DRAFTS:
        raise NotAllowed(f"{MOST_DRAFTS} imports are unfinished. Finish or discard one of them, then upload this file.")
    source, _ = without_remarks(reader.read(content, name))
    found = candidates(source)
    mapping = None
    if not found:
        importers.refuse_lookalike(source)
        if source.is_markup:
            raise FileNotRead(
                "The hub does not know this file's layout, and it is no table whose columns you could name."
            )
        template = template_for(user, source)
        mapping = template.mapping if template else None
    draft = ImportDraft.objects.create(
        user=user,
        name=plain_name(name),
        format=_surest(found) or (MAPPED if mapping else ""),
        mapping=mapping,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=content,
    )
    request_check(draft)
    return draft


def candidates(source: reader.Source) -> list[tuple[Format, Match]]:
    """The formats that recognise the file, the surest first. Raises FileUnreadable."""
    return importers.candidates(source)


def _surest(found: Sequence[tuple[Format, Match]]) -> str:
    """ "" when none does, or two do equally well and the person has to say."""
    if not found or (len(found) > 1 and found[0][1].score == found[1][1].score):
        return ""
    return found[0][0].key


@transaction.atomic
def confirm(draft: ImportDraft) -> list[SyncRun]:
    """Queue the import of the draft into its accounts, one run each, and end the draft. Raises NotAllowed."""
    draft = _locked(ImportDraft.objects.all(), draft)
    if draft.state != DraftState.READY:
        raise NotAllowed("This import is not ready yet: the file has not been checked as it now is.")
    runs = request_imports(user=draft.user, file=draft, places=draft.accounts)
    draft.delete()
    return runs


def _locked(drafts: QuerySet[ImportDraft], draft: ImportDraft) -> ImportDraft:
    """The draft as it is now. Raises NotAllowed when it ended meanwhile: confirmed twice at once, or discarded."""
    current = drafts.select_for_update().filter(pk=draft.pk).first()
    if current is None:
        raise NotAllowed("This import was confirmed or discarded already. The Sync page shows what became of it.")
    return current


def delete_abandoned() -> int:
    """Remove drafts nobody has touched for a day; how many there were."""
    old = ImportDraft.objects.abandoned()
    count = old.count()
    old.delete()
    return count


# --- Changes ----------------------------------------------------------------------------------------------------------
def say(
    draft: ImportDraft,
    *,
    format: str,
    choices: Mapping[str, str],
    accounts: Mapping[str, Mapping[str, Any]],
) -> None:
    """Take the person's answers about the whole file. Another format drops what was said about rows and columns."""
    if format != draft.format:
        draft.fixes, draft.left_out = {}, []
    draft.format = format
    draft.choices = {name: value for name, value in choices.items() if value}
    draft.accounts = {hint: dict(place) for hint, place in accounts.items()}
    request_check(draft)


def map_columns(draft: ImportDraft, mapping: Mapping[str, Any]) -> None:
    draft.format, draft.mapping = MAPPED, dict(mapping)
    draft.choices, draft.fixes, draft.left_out = {}, {}, []
    request_check(draft)


def mend(draft: ImportDraft, line: int, cells: Mapping[int, str], original: Sequence[str]) -> None:
    """Keep mended cells of one row beside the file; a cell that is again as it came is mended no more.

    Raises FileNotRead for what no cell can hold.
    """
    fixes = {
        f"{at}": check_fix(text)
        for at, text in cells.items()
        if text.strip() != (original[at] if at < len(original) else "").strip()
    }
    draft.fixes = {key: value for key, value in draft.fixes.items() if key != f"{line}"}
    if fixes:
        draft.fixes[f"{line}"] = fixes
    request_check(draft)


@transaction.atomic
def leave_out(draft: ImportDraft, rows: Q, *, is_left_out: bool) -> int:
    """Leave rows out, or take them in again; how many. Rows the books have stay as they are: they add nothing.

    Leaving one out changes the state of no other: equal rows that are known come first among their equals.
    """
    draft = _locked(ImportDraft.objects.defer("content"), draft)
    chosen = draft.rows.filter(rows).exclude(state=RowState.DUPLICATE).exclude(is_left_out=is_left_out)
    count = chosen.update(is_left_out=is_left_out)
    draft.left_out = list(draft.rows.filter(is_left_out=True).values_list("line", flat=True))
    draft.touched_at = timezone.now()
    draft.save(update_fields=["left_out", "touched_at"])
    return count


# --- Checking ---------------------------------------------------------------------------------------------------------
@transaction.atomic
def request_check(draft: ImportDraft) -> None:
    """Save the draft as it now is and have it checked: at once when it is small, else by a worker."""
    draft.state, draft.error, draft.attempts = DraftState.CHECKING, "", 0
    draft.version += 1
    draft.touched_at = draft.sent_at = timezone.now()
    draft.save()
    if draft.size <= settings.IMPORT_CHECK_AT_ONCE_BYTES:
        _check(draft.pk)
        draft.refresh_from_db(fields=["state", "error", "accounts", "found", "attempts"])
    else:
        transaction.on_commit(lambda: _send(draft))


def _send(draft: ImportDraft) -> None:
    """Best effort: what is lost is sent again by `check_overdue`."""
    try:
        current_app.send_task("sync.check_draft", args=(f"{draft.pk}",), retry=False)
    except (BrokerDown, RedisError, OSError):
        logger.warning("sync.check_not_sent: the queue is not reachable; it is sent again soon", exc_info=True)


def check_overdue() -> int:
    """Send the checks again whose message or worker was lost; how many."""
    overdue = list(ImportDraft.objects.unchecked().only("pk"))
    ImportDraft.objects.filter(pk__in=[draft.pk for draft in overdue]).update(sent_at=timezone.now())
    for draft in overdue:
        _send(draft)
    return len(overdue)


def check(draft_id: UUID | str) -> None:
    """Read the draft's file, compare it with the books and keep what was found. Twice does no harm.

    Raises NoRoom; whoever waits for the check is told so, and it does not count as one.
    """
    try:
        with naming_no_room():
            _check(draft_id)
    except NoRoom:
        ImportDraft.objects.filter(pk=draft_id, state=DraftState.CHECKING).update(attempts=0, error=NO_ROOM)
        raise


@search_paused()
def _check(draft_id: UUID | str) -> None:
    ImportDraft.objects.filter(pk=draft_id, state=DraftState.CHECKING).update(attempts=F("attempts") + 1)
    draft = ImportDraft.objects.select_related("user").filter(pk=draft_id, state=DraftState.CHECKING).first()
    if draft is None:
        return
    draft.error = ""
    try:
        if draft.attempts > MOST_CHECKS:
            raise HubError("Checking this file was interrupted again and again. Upload a shorter period.")
        found, rows = _look(draft)
    except HubError as error:
        found, rows = {}, None
        draft.error = str(error)[:500]
    is_ready = bool(draft.format) and not draft.error and not found.get("questions") and bool(draft.accounts)
    with transaction.atomic():
        current = ImportDraft.objects.select_for_update().filter(pk=draft.pk, version=draft.version)
        if not current.values_list("pk"):
            return  # changed in the meantime, or discarded
        draft.rows.all().delete()
        if rows is not None:
            _save_rows(draft, rows)
        draft.left_out = list(draft.rows.filter(is_left_out=True).values_list("line", flat=True))
        draft.found = found if rows is None else {**found, "counts": count_rows(draft)}
        draft.state = DraftState.READY if is_ready else DraftState.CHOOSING
        draft.save(update_fields=["state", "error", "found", "accounts", "left_out"])


def _look(draft: ImportDraft) -> tuple[dict[str, Any], Iterator[CheckedRow] | None]:
    """What the file says, and its rows when nothing is left to ask. Raises HubError."""
    if not draft.format:
        return {}, None
    read_file = read(draft, draft.user)
    hints = list(read_file.parsed.accounts)
    found: dict[str, Any] = {
        "reason": read_file.match.reason,
        "is_markup": read_file.source.is_markup,
        "hints": hints,
        "rows": len(read_file.parsed.rows),
        "questions": [asdict(question) for question in read_file.parsed.questions],
        "warnings": list(read_file.parsed.warnings[:MOST_SHOWN]),
        "skipped": [asdict(skipped) for skipped in read_file.parsed.skipped[:MOST_SHOWN]],
        "skipped_count": len(read_file.parsed.skipped),
    }
    if not hints:
        raise FileNotRead("The file has no transactions: below its header there is nothing the hub could book.")
    if found["questions"] or set(hints) - draft.accounts.keys():
        draft.accounts = {hint: place for hint, place in draft.accounts.items() if hint in hints}
        found["proposals"] = _proposals(draft.user, read_file)
        draft.accounts = {} if set(hints) - draft.accounts.keys() else draft.accounts
        return found, None
    draft.accounts = {hint: draft.accounts[hint] for hint in hints}
    house = house_of(read_file.format)
    places = {hint: known_account(draft.user, place, house) for hint, place in draft.accounts.items()}
    return found, check_rows(read_file.parsed, places, draft.left_out)


def _save_rows(draft: ImportDraft, rows: Iterator[CheckedRow]) -> None:
    """By COPY, some thousand at a time: while that goes on nothing else may be asked of the database."""
    statement = f"COPY {DraftRow._meta.db_table} (draft_id, {', '.join(ROW_FACTS)}) FROM STDIN"
    while piece := list(islice(rows, SAVED_AT_ONCE)):
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in piece:
                facts = (getattr(row, name) for name in ROW_FACTS)
                told = (_as_json(fact) if isinstance(fact, tuple) else fact for fact in facts)
                copy.write_row((draft.pk, *told))


def _proposals(user: User, read_file: FileRead) -> dict[str, int]:
    """The most likely account for each name in the file that has one; of rows handed back the one they wait in."""
    likely = {hint: propose_account(user, hint, read_file.format.broker) for hint in read_file.parsed.accounts}
    known = {hint: account.pk for hint, account in likely.items() if account is not None}
    return known | _handed_back_from(user, read_file)


def _handed_back_from(user: User, read_file: FileRead) -> dict[str, int]:
    parked = ParkedRow.objects.for_user(user).filter(pk__in=read_file.numbers.values())
    parked = parked.filter(account__in=importable_accounts(user))
    places = dict(parked.values_list("pk", "account_id"))
    found: dict[str, set[int]] = {}
    for row in read_file.parsed.rows:
        if (pk := places.get(read_file.numbers.get(row.line, 0))) is not None:
            found.setdefault(row.account_hint, set()).add(pk)
    return {hint: accounts.pop() for hint, accounts in found.items() if len(accounts) == 1}


def accounts_of(draft: ImportDraft) -> AccountQuerySet:
    """The known accounts the draft goes into."""
    chosen = [place[KNOWN] for place in draft.accounts.values() if KNOWN in place]
    return importable_accounts(draft.user).filter(pk__in=chosen)


# --- Looking ----------------------------------------------------------------------------------------------------------
def count_rows(draft: ImportDraft) -> dict[str, int]:
    """Rows by state; those left out count as that and nothing else."""
    kept = draft.rows.filter(is_left_out=False).values_list("state").annotate(count=Count("pk"))
    counted = dict(kept.order_by())
    left_out = draft.rows.filter(is_left_out=True).count()
    return {**{state: counted.get(state, 0) for state in RowState.values}, "left_out": left_out}
