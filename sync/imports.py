"""Files a person uploads: checked and kept at once, read and booked by a worker. The same ledger as for a sync."""

import hashlib
import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, TypedDict

from django.db import transaction

from aggregation import ledger, replacing
from aggregation.models import Source
from aggregation.staging import Batch
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.garbage import search_paused
from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers.records import Broker, ParkedRecord, TransactionRecord
from connections.models import Account, AccountQuerySet, Connection
from sync.holds import Counts, Hold, PartState
from sync.import_models import UploadedFile
from sync.importers.base import AS_PRINTED, Ambiguity, Choices, FileNotRead, FileRow, Format, ParsedFile
from sync.models import ImportFile, Mode, RunState, SyncRun, Trigger, WordRule
from sync.parking import Waiting, park
from sync.reading import MAPPED, find, format_of, recognise
from sync.sending import nudge
from sync.stored import open_stored

FILE = "file"
READ_AT_ONCE = 5_000  # rows; after each the run says how far it is, or learns that it was cancelled


class Place(TypedDict, total=False):
    """Where rows of a file go: a known account, or the name of a new one."""

    account: int
    new: str


def importable_accounts(user: User) -> AccountQuerySet:
    """Accounts of `user` that can take a file: those of open connections, by API or by file."""
    accounts = Account.objects.for_user(user).filter(connection__in=Connection.objects.for_user(user).open())
    return accounts.select_related("connection").order_by("connection__created_at", "id")


def find_file_account(*, user: User, broker: Broker, name: str, institution: str = "") -> Account | None:
    """The account of that name kept by file at this broker, if there is one."""
    label = _label(broker, institution)
    return importable_accounts(user).filter(connection__method="file", connection__label=label, name=name).first()


@transaction.atomic
def open_file_account(*, user: User, broker: Broker, name: str, institution: str = "") -> Account:
    """A new account kept by file, or the one of that name which is there already."""
    label = _label(broker, institution)
    connection = connection_manager.ensure_file_connection(user=user, broker=broker, label=label)
    known = connection.accounts.filter(name=name).first()
    if known is not None:
        return known
    account: Account = connection.accounts.create(external_id=f"file-{uuid.uuid4()}", name=name)
    return account


def _label(broker: Broker, institution: str) -> str:
    return f"{institution if institution and broker is Broker.OTHER else broker.label}, by file"


def house_of(format: Format) -> tuple[Broker, str]:
    """The broker and the institution accounts of this format are kept under; a mapped file does not say whose it is."""
    return format.broker, "" if format.key == MAPPED else format.institution


@transaction.atomic
def request_import(
    *,
    user: User,
    account: Account,
    name: str,
    content: bytes,
    format: str = "",
    choices: Choices = AS_PRINTED,
    mapping: dict[str, Any] | None = None,
    fixes: dict[str, dict[str, str]] | None = None,
    left_out: Sequence[int] = (),
    hints: Sequence[str] | None = None,
    rule: WordRule | None = None,
) -> SyncRun:
    """Check `content`, keep it with what the person said about it, and queue its import into `account`.

    `hints` are the accounts, as the file names them, whose rows are meant; None means all rows. `rule` is the one for
    whose sake a file is read again.
    Raises NotAllowed for an account that takes no files, FileUnreadable or FileNotRead for a file we cannot use.
    """
    if not importable_accounts(user).filter(pk=account.pk).exists():
        raise NotAllowed("This account takes no files: its connection was removed, or it is not yours.")
    chosen, match = recognise(content, name, format=format, mapping=mapping)
    digest = hashlib.sha256(content).hexdigest()
    again = [f"Read again for your rule: “{rule.word}” is treated as “{rule.get_kind_display()}”."] if rule else []
    warnings = [match.reason, *(again or already_imported(account, digest))]
    run = SyncRun.objects.create(
        connection=account.connection,
        trigger=Trigger.IMPORT,
        mode=Mode.IMPORT,
        requested_by=user,
        warnings=warnings,
    )
    ImportFile.objects.create(
        run=run,
        account=account,
        name=plain_name(name),
        format=chosen.key,
        size=len(content),
        sha256=digest,
        content=content,
        choices={key: value for key, value in asdict(choices).items() if value and key != "words"},
        mapping=mapping,
        fixes=fixes or {},
        left_out=sorted(left_out),
        hints=None if hints is None else list(hints),
        rule=rule,
    )
    transaction.on_commit(nudge)
    return run


@transaction.atomic
def request_import_into_new(*, user: User, account_name: str, name: str, content: bytes, **said: Any) -> SyncRun:
    """As `request_import`, into an account kept by file, made if need be. A refused file leaves none behind."""
    chosen, _ = recognise(content, name, format=said.get("format", ""), mapping=said.get("mapping"))
    broker, institution = house_of(chosen)
    account = open_file_account(user=user, broker=broker, name=account_name, institution=institution)
    return request_import(user=user, account=account, name=name, content=content, **said)


@transaction.atomic
def request_imports(*, user: User, file: UploadedFile, places: Mapping[str, Place]) -> list[SyncRun]:
    """Queue the import of `file` into several accounts, one run each; `places` is by account as the file names it.

    Raises what `request_import` does; then none of them is queued.
    """
    house = house_of(format_of(file))
    hints: dict[int, list[str]] = {}
    accounts: dict[int, Account] = {}
    for hint, place in places.items():
        account = known_account(user, place, house)
        if account is None:
            account = open_file_account(user=user, broker=house[0], name=place["new"], institution=house[1])
        accounts[account.pk] = account
        hints.setdefault(account.pk, []).append(hint)
    return [
        request_import(
            user=user,
            account=accounts[pk],
            name=file.name,
            content=bytes(file.content),
            format=file.format,
            choices=file.said,
            mapping=file.mapping,
            fixes=file.fixes,
            left_out=file.left_out,
            hints=names,
        )
        for pk, names in hints.items()
    ]


def known_account(user: User, place: Place, house: tuple[Broker, str]) -> Account | None:
    """The account of a place; None for one that is not made yet. Raises NotAllowed when it takes no files."""
    if "account" not in place:
        return find_file_account(user=user, broker=house[0], name=place["new"], institution=house[1])
    account = importable_accounts(user).filter(pk=place["account"]).first()
    if account is None:
        raise NotAllowed("The account you chose takes no files any more. Choose another one.")
    return account


def already_imported(account: Account, digest: str) -> list[str]:
    """A sentence when the very same file is in this account's books already."""
    earlier = (
        ImportFile.objects.filter(account=account, sha256=digest, run__state=RunState.SUCCEEDED, run__undone_at=None)
        .select_related("run")
        .defer("content")
        .order_by("-run__finished_at")
        .first()
    )
    if earlier is None:
        return []
    return [f"The same file was imported on {earlier.run.finished_at:%Y-%m-%d}; nothing new is expected."]


@search_paused()
def run_import(hold: Hold) -> None:
    """Book the run's file: all of it in one database transaction, so a crash leaves nothing and the next try is whole.

    Its rows are read some thousand at a time, and go to the ledger in one batch, because equal rows are told apart by
    counting them within their file.
    """
    if hold.is_done(FILE):
        return
    file = ImportFile.objects.select_related("account__connection__user").defer("content").get(run=hold.run)
    hold.write(step=f"Reading {file.name}")
    user = file.account.connection.user
    found = find(file, user, lambda: open_stored(file))
    passage = found.open()
    refuse_open_questions(passage.questions)
    batch, sieve, rows = Batch(), Sieve(file, found.numbers), iter(passage)
    while piece := list(islice(rows, READ_AT_ONCE)):
        batch.add(sieve.wanted(piece))
        hold.write(step=f"Reading {file.name}, row {sieve.total}")
    refuse_wrong_accounts(sieve.accounts, file.hints)
    hold.write(step=f"Booking {sieve.total} rows of {file.name}", total=sieve.total)
    with transaction.atomic():  # the run's row is written last, and free until then: a cancel waits for no booking
        booked = ledger.book(account=file.account, records=batch, source=Source.CSV, run_id=hold.run.pk)
        retold = replacing.replace(account=file.account, told=sieve.retold, user=user)
        park(run=hold.run, account=file.account, parked=sieve.parked)
        sieve.waiting.resolve(*sieve.mended, run=hold.run)
        counts = Counts(
            fetched=booked.fetched + len(sieve.parked) + sieve.left_out,
            inserted=booked.inserted,
            matched=booked.matched,
            superseded=booked.superseded,
            parked=len(sieve.parked),
            rejected=sieve.left_out,
        )
        hold.insist()
        hold.add(counts, done=sieve.total)
        hold.part(FILE, PartState.DONE, found.format.label)
        hold.warn(*passage.warnings, *_said_anew(retold))


def _said_anew(retold: int) -> list[str]:
    if not retold:
        return []
    rows = "1 row that was" if retold == 1 else f"{retold} rows that were"
    return [f"By your own rules {rows} kept as “other” before got another kind; taken back, this run puts them back."]


class Sieve:
    """The rows of a file on their way to the ledger: some are of other accounts, left out, or not understood."""

    def __init__(self, file: ImportFile, numbers: Mapping[int, int]) -> None:
        """`numbers`: parked rows that were handed back, by line; those understood now wait no longer."""
        self.hints, self.unwanted, self.numbers = file.hints, frozenset(file.left_out), numbers
        self.waiting = Waiting(file.account)
        self.accounts: set[str] = set()  # as the file names them
        self.parked: list[ParkedRecord] = []
        self.mended: list[int] = []
        self.retold: list[tuple[TransactionRecord, TransactionRecord]] = []  # before and by the person's own rule
        self.left_out = self.total = 0  # records

    def wanted(self, rows: Iterable[FileRow]) -> list[TransactionRecord]:
        """The records to book."""
        found: list[TransactionRecord] = []
        for row in rows:
            self.accounts.add(row.account_hint)
            if self.hints is not None and row.account_hint not in self.hints:
                continue
            self.total += len(row.records)
            if row.line in self.unwanted:
                self.left_out += len(row.records)
                continue
            for record in row.records:
                if isinstance(record, ParkedRecord):
                    self.parked.append(record)
                else:
                    found.append(record)
            if row.before:
                self.retold += row.retold
            if row.line in self.numbers and not row.is_parked:
                self.mended.append(self.numbers[row.line])
        self.waiting.note(found)
        return found


def refuse_what_needs_an_answer(parsed: ParsedFile, hints: Sequence[str] | None = None) -> None:
    """Raises FileNotRead for a file that could be read in two ways, or whose rows belong to several accounts."""
    refuse_open_questions(parsed.questions)
    refuse_wrong_accounts(parsed.accounts, hints)


def refuse_open_questions(questions: Sequence[Ambiguity]) -> None:
    """Raises FileNotRead for a file that could be read in two ways."""
    if questions:
        first = questions[0]
        raise FileNotRead(f"{first.question} It cannot be told from {', '.join(first.examples)}. Say {first.about}.")


def refuse_wrong_accounts(accounts: Collection[str], hints: Sequence[str] | None) -> None:
    """Raises FileNotRead when the file has rows of several accounts and nobody said whose they are."""
    if hints is None and len(accounts) > 1:
        raise FileNotRead(
            f"The file has rows of {len(accounts)} accounts. Say which account each belongs to, "
            "or export each account by itself."
        )


def refuse_forgotten_accounts(parsed: ParsedFile, hints: Collection[str]) -> None:
    """Raises FileNotRead when rows of the file would go nowhere because nobody said whose they are."""
    forgotten = [hint for hint in parsed.accounts if hint not in hints]
    if forgotten:
        named = ", ".join(f"“{hint[:40]}”" for hint in forgotten[:5])
        raise FileNotRead(f"Say also which account these rows belong to: {named}.")


def plain_name(name: str) -> str:
    """The last part of the name the browser sent, without control characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[\x00-\x1f\x7f]", "", last)[-255:] or "file.csv"
