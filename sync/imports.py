"""Files a person uploads: checked and kept at once, read and booked by a worker. The same ledger as for a sync."""

import hashlib
import re
import uuid
from pathlib import PurePosixPath

from django.db import transaction

from aggregation import ledger
from aggregation.models import Source
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers.records import Broker
from connections.models import Account, AccountQuerySet, Connection
from sync import importers
from sync.holds import Counts, Hold, PartState
from sync.importers import reader
from sync.importers.base import FileNotRead, ParsedFile
from sync.models import ImportFile, Mode, RunState, SyncRun, Trigger
from sync.parking import park, resolve, split
from sync.sending import nudge

FILE = "file"


def importable_accounts(user: User) -> AccountQuerySet:
    """Accounts of `user` that can take a file: those of open connections, by API or by file."""
    accounts = Account.objects.for_user(user).filter(connection__in=Connection.objects.for_user(user).open())
    return accounts.select_related("connection").order_by("connection__created_at", "id")


@transaction.atomic
def open_file_account(*, user: User, broker: Broker, name: str, institution: str = "") -> Account:
    """A new account kept by file, or the one of that name which is there already."""
    whose = institution if institution and broker is Broker.OTHER else broker.label
    connection = connection_manager.ensure_file_connection(user=user, broker=broker, label=f"{whose}, by file")
    known = connection.accounts.filter(name=name).first()
    if known is not None:
        return known
    account: Account = connection.accounts.create(external_id=f"file-{uuid.uuid4()}", name=name)
    return account


@transaction.atomic
def request_import(*, user: User, account: Account, name: str, content: bytes, format: str = "") -> SyncRun:
    """Check `content`, keep it, and queue its import into `account`.

    Raises NotAllowed for an account that takes no files, FileUnreadable or FileNotRead for a file we cannot use.
    """
    if not importable_accounts(user).filter(pk=account.pk).exists():
        raise NotAllowed("This account takes no files: its connection was removed, or it is not yours.")
    chosen, match = importers.detect(reader.read(content, name), format_key=format)
    digest = hashlib.sha256(content).hexdigest()
    warnings = [match.reason]
    earlier = (
        ImportFile.objects.filter(account=account, sha256=digest, run__state=RunState.SUCCEEDED)
        .select_related("run")
        .order_by("-run__finished_at")
        .first()
    )
    if earlier is not None:
        warnings.append(f"The same file was imported on {earlier.run.finished_at:%Y-%m-%d}; nothing new is expected.")
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
        name=_plain_name(name),
        format=chosen.key,
        size=len(content),
        sha256=digest,
        content=content,
    )
    transaction.on_commit(nudge)
    return run


@transaction.atomic
def request_import_into_new(*, user: User, account_name: str, name: str, content: bytes, format: str = "") -> SyncRun:
    """As `request_import`, into an account kept by file, made if need be. A refused file leaves none behind."""
    chosen, _ = importers.detect(reader.read(content, name), format_key=format)
    account = open_file_account(user=user, broker=chosen.broker, name=account_name, institution=chosen.institution)
    return request_import(user=user, account=account, name=name, content=content, format=format)


def run_import(hold: Hold) -> None:
    """Book the run's file: all of it in one database transaction, so a crash leaves nothing and the next try is whole.

    All rows go to the ledger in one call, because equal rows are told apart by counting them within their file.
    """
    if hold.is_done(FILE):
        return
    file = ImportFile.objects.select_related("account__connection").get(run=hold.run)
    hold.write(step=f"Reading {file.name}")
    source = reader.read(bytes(file.content), file.name)
    chosen, _ = importers.detect(source, format_key=file.format)
    parsed = chosen.parse(source)
    _refuse_what_needs_an_answer(parsed)
    records, parked = split(parsed.records)
    hold.write(step=f"Booking {len(parsed.records)} rows of {file.name}", total=len(parsed.records))
    with transaction.atomic():
        hold.write()
        booked = ledger.book(account=file.account, records=records, source=Source.CSV, run_id=hold.run.pk)
        park(run=hold.run, account=file.account, parked=parked)
        resolve(file.account, records)
        counts = Counts(
            fetched=booked.fetched + len(parked),
            inserted=booked.inserted,
            matched=booked.matched,
            superseded=booked.superseded,
            parked=len(parked),
        )
        hold.add(counts, done=len(parsed.records))
        hold.part(FILE, PartState.DONE, chosen.label)
        hold.warn(*parsed.warnings)


def _refuse_what_needs_an_answer(parsed: ParsedFile) -> None:
    """Raises FileNotRead for a file that could be read in two ways, or whose rows belong to several accounts."""
    if parsed.questions:
        first = parsed.questions[0]
        raise FileNotRead(f"{first.question} It cannot be told from {', '.join(first.examples)}. Export more rows.")
    if len(parsed.accounts) > 1:
        raise FileNotRead(f"The file has rows of {len(parsed.accounts)} accounts. Export each account by itself.")


def _plain_name(name: str) -> str:
    """The last part of the name the browser sent, without control characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[\x00-\x1f\x7f]", "", last)[-255:] or "file.csv"
