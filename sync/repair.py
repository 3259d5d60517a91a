"""Comparing the books with what the broker tells now. What differs, the ledger supersedes; the rest is said here."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from aggregation.models import BookStatus, Source, Transaction
from connections.brokers.records import ParkedRecord, TransactionRecord
from connections.models import Account
from sync.holds import Hold
from sync.scope import MARGIN, Scope


@dataclass(slots=True)
class Comparison:
    """Of one account's days. It does nothing in a run that does not compare.

    Rows without an id of the broker are left out: nothing says which of several equal ones was told.
    """

    scope: Scope
    account: Account
    since: date
    until: date
    seen: set[str] = field(default_factory=set)

    def note(self, records: Iterable[TransactionRecord | ParkedRecord]) -> None:
        if self.scope.compares:
            self.seen.update(record.external_id for record in records)

    def report(self, hold: Hold) -> None:
        """Name the rows of the books that the broker did not tell. They stay: who is right is for the person to say."""
        if not self.scope.compares:
            return
        first, last = self.scope.from_on or self.since + MARGIN, self.scope.to_on or self.until
        booked = Transaction.objects.filter(
            account=self.account,
            source=Source.API,
            status__in=[BookStatus.POSTED, BookStatus.PENDING],
            traded_on__range=(first, last),
        ).exclude(external_id="")
        names = booked.order_by("-traded_on", "-pk").values_list("pk", "external_id")
        missing = [pk for pk, name in names if name not in self.seen and name.partition(":")[0] not in self.seen]
        hold.note(f"{self.account}: compared {first} to {last}; {len(missing)} booked rows were not told again")
        if missing:
            hold.write(missing=sorted({*hold.run.missing, *missing}))
            one = len(missing) == 1
            hold.warn(
                f"{self.account}: {len(missing)} booked transaction{' was' if one else 's were'} not told by "
                f"{hold.run.connection.get_broker_display()} any more. {'It is' if one else 'They are'} kept."
            )
