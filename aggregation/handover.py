"""Where the files of an account end and the broker's feed begins, and what both told."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Max, Min

from aggregation.models import BookStatus, Delivery, Source
from connections.models import Account


@dataclass(frozen=True, slots=True)
class Handover:
    """First and last trade dates told by files and by the feed; None where a source told nothing. `told_twice` rows
    came from both and count once."""

    account_id: int
    files_from: date | None
    files_to: date | None
    feed_from: date | None
    feed_to: date | None
    told_twice: int

    @property
    def has_both(self) -> bool:
        return self.files_from is not None and self.feed_from is not None

    @property
    def overlaps(self) -> bool:
        """Whether files and feed have days in common."""
        if self.files_from is None or self.files_to is None or self.feed_from is None or self.feed_to is None:
            return False
        return self.files_from <= self.feed_to and self.feed_from <= self.files_to


def handover(account: Account) -> Handover:
    """Two queries at most, the second only for an account with files and a feed."""
    days: dict[str, tuple[date, date]] = {
        source: (first, last)
        for source, first, last in Delivery.objects.filter(account=account, undone_at=None)
        .values("source")
        .annotate(first=Min("first_on"), last=Max("last_on"))
        .values_list("source", "first", "last")
    }
    files, feed = days.get(Source.CSV, (None, None)), days.get(Source.API, (None, None))
    twice = 0
    if Source.CSV in days and Source.API in days:
        told_by_both = {"status": BookStatus.DUPLICATE, "superseded_by__source": Source.API}
        twice = account.transactions.filter(source=Source.CSV, **told_by_both).count()
    return Handover(
        account_id=account.pk,
        files_from=files[0],
        files_to=files[1],
        feed_from=feed[0],
        feed_to=feed[1],
        told_twice=twice,
    )
