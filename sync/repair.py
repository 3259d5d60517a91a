"""Comparing the books with what the broker tells now. What differs, the ledger supersedes; the rest is said here."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from django.db import transaction
from django.db.models import QuerySet

from aggregation import ledger
from aggregation.instruments import as_record
from aggregation.models import BookStatus, Source, Transaction
from connections.brokers.base import Connector
from connections.brokers.records import ParkedRecord, RecordStatus, TransactionRecord
from connections.brokers.records import TransactionKind as Kind
from connections.models import Account
from sync.holds import Hold
from sync.scope import MARGIN, Scope

FEW = 3  # rows may always have been taken back; of more, at most one in FOURTH of those the books have
FOURTH = 4


@dataclass(slots=True)
class Comparison:
    """Of one account's days.

    A run that compares names what is missing. Any other run takes out what is missing of the last days, which it reads
    again each time, where a broker is known to take rows back by no longer telling them. Rows without an id of the
    broker are left out: nothing says which of several equal ones was told.
    """

    scope: Scope
    account: Account
    connector: Connector
    since: date
    until: date
    seen: set[str] = field(default_factory=set)
    parked: set[str] = field(default_factory=set)

    def note(self, records: Iterable[TransactionRecord | ParkedRecord]) -> None:
        for record in records:
            (self.parked if isinstance(record, ParkedRecord) else self.seen).add(record.external_id)

    def report(self, hold: Hold) -> None:
        if self.scope.compares:
            self._name_missing(hold)
        elif self.connector.drops_rows:
            self._take_out(hold)

    def _missing(self, first: date, last: date) -> tuple[list[Transaction], int]:
        """The counting rows of these days that were not told, newest first, and how many rows there are."""
        booked: QuerySet[Transaction] = Transaction.objects.filter(
            account=self.account,
            source=Source.API,
            status__in=[BookStatus.POSTED, BookStatus.PENDING],
            traded_on__range=(first, last),
        ).exclude(external_id="")
        rows = list(booked.select_related("instrument").order_by("-traded_on", "-pk"))
        return [row for row in rows if not self._was_told(row.external_id)], len(rows)

    def _was_told(self, name: str) -> bool:
        """A row that is parked now stands for all its legs, whose names begin with its own."""
        words = name.split(":")
        return name in self.seen or any(":".join(words[:end]) in self.parked for end in range(1, len(words) + 1))

    def _name_missing(self, hold: Hold) -> None:
        """They stay: who is right about days long ago is for the person to say."""
        first, last = self.scope.from_on or self.since + MARGIN, self.scope.to_on or self.until
        missing, _ = self._missing(first, last)
        hold.note(f"{self.account}: compared {first} to {last}; {len(missing)} booked rows were not told again")
        if missing:
            hold.write(missing=sorted({*hold.run.missing, *(row.pk for row in missing)}))
            hold.warn(f"{self.account}: {_told_no_more(hold, missing)} {_they(missing)} kept.")

    def _take_out(self, hold: Hold) -> None:
        """Book what is missing of the days just read as cancelled. Told again, it counts again.

        An answer that lacks much at once is doubted: it is rather cut short than so much was taken back.
        """
        missing, of = self._missing(max(self.since, self.until - self.connector.look_back), self.until)
        if not missing:
            return
        if len(missing) > max(FEW, of // FOURTH):
            hold.warn(f"{self.account}: {_told_no_more(hold, missing)} So many at once are doubted: they are kept.")
            return
        with transaction.atomic():
            hold.write()
            records = [taken_back(row) for row in missing]
            ledger.book(account=self.account, records=records, source=Source.API, run_id=hold.run.pk)
            hold.note(f"{self.account}: {_told_no_more(hold, missing)} {_they(missing)} cancelled.")
            if posted := [row for row in missing if row.status == BookStatus.POSTED]:
                hold.warn(f"{self.account}: {_told_no_more(hold, posted)} {_they(posted)} kept as cancelled.")


def _told_no_more(hold: Hold, rows: list[Transaction]) -> str:
    broker, one = hold.run.connection.get_broker_display(), len(rows) == 1
    return f"{len(rows)} booked transaction{' was' if one else 's were'} not told by {broker} any more."


def _they(rows: list[Transaction]) -> str:
    return "It is" if len(rows) == 1 else "They are"


def taken_back(row: Transaction) -> TransactionRecord:
    """The row as it was told last, cancelled."""
    return TransactionRecord(
        external_id=row.external_id,
        kind=Kind(row.kind),
        traded_on=row.traded_on,
        settled_on=row.settled_on,
        occurred_at=row.occurred_at,
        instrument=as_record(row.instrument) if row.instrument else None,
        quantity=row.quantity,
        price=row.price,
        gross_amount=row.gross_amount,
        fees=row.fees,
        taxes=row.taxes,
        net_amount=row.net_amount,
        currency=row.currency,
        description=row.description,
        subtype=row.subtype,
        group_id=row.group_id,
        status=RecordStatus.VOID,
        raw=row.raw,
    )
