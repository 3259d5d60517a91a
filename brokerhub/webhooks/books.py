"""News of transactions, told from the feed of changes: whoever changed them, a sync, a file, a person or an undo.

The feed is what programs read next, and each account has a place in it up to which its owner's programs were told.
Place and event are written together, so nothing is told twice or lost, whenever the hub is killed.
"""

from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from aggregation.models import NOT_SHOWN, Transaction
from brokerhub.kernel.models import User
from brokerhub.webhooks import outbox
from brokerhub.webhooks.event_types import EventType
from brokerhub.webhooks.models import Endpoint, ToldChange
from connections.models import Account
from sync.models import AccountFeed, RunState, SyncRun, TransactionChange

BATCH = 200


def begin(user: User) -> None:
    """From now on: what was there before the first webhook is no news."""
    places = [ToldChange(account_id=feed.pk, user=user, seq=feed.seq) for feed in AccountFeed.objects.filter(user=user)]
    ToldChange.objects.bulk_create(
        places, update_conflicts=True, unique_fields=["account_id"], update_fields=["seq", "user"]
    )


def tell() -> int:
    """Write an event for each account with news; how many were written."""
    return sum(_tell(account_id) for account_id in list(_with_news().values_list("account_id", flat=True)[:BATCH]))


def _with_news() -> QuerySet[AccountFeed]:
    """Accounts of people who have webhooks, with changes they were not told of.

    While a sync is reading nobody is told, and of a history that is read for the first time not before its end: one
    event at the end of it says more than a hundred on the way.
    """
    told = ToldChange.objects.filter(account_id=OuterRef("account_id")).values("seq")
    of_account = Account.objects.filter(pk=OuterRef(OuterRef("account_id"))).values("connection")
    runs = SyncRun.objects.filter(connection__in=of_account)
    feeds = AccountFeed.objects.filter(user__in=Endpoint.objects.on().values("user"))
    feeds = feeds.annotate(told=Coalesce(Subquery(told), -1))
    feeds = feeds.filter(seq__gt=Coalesce(Subquery(told), 0))
    feeds = feeds.exclude(Exists(runs.filter(state=RunState.RUNNING)))
    return feeds.exclude(Q(told=-1) & Exists(runs.open()))


@transaction.atomic
def _tell(account_id: int) -> bool:
    """True when there was something to tell. Two at once wait for each other at the row of the place."""
    feed = AccountFeed.objects.filter(pk=account_id).first()
    if feed is None:
        return False
    place, is_first = ToldChange.objects.get_or_create(
        account_id=account_id, defaults={"user_id": feed.user_id, "seq": 0}
    )
    place = ToldChange.objects.select_for_update().get(pk=place.pk)
    if feed.seq <= place.seq:
        return False
    data = _facts(account_id, place.seq, feed.seq)
    place.seq = feed.seq
    place.save(update_fields=["seq"])
    if not (data["added"] or data["modified"] or data["removed"]):
        return False
    event_type = EventType.TRANSACTIONS_INITIAL_UPDATE if is_first else EventType.TRANSACTIONS_UPDATED
    return outbox.record(feed.user_id, event_type, data) is not None


def _facts(account_id: int, after: int, until: int) -> dict[str, Any]:
    """How many rows are new, changed or gone. A row that came and went in between is nothing."""
    changes = TransactionChange.objects.filter(account_feed=account_id, seq__gt=after, seq__lte=until)
    shown = Exists(Transaction.objects.filter(pk=OuterRef("transaction_id")).exclude(status__in=NOT_SHOWN))
    counts = changes.annotate(is_shown=shown).aggregate(
        added=Count("pk", filter=Q(is_shown=True, added_seq__gt=after)),
        modified=Count("pk", filter=Q(is_shown=True, added_seq__lte=after)),
        removed=Count("pk", filter=Q(is_shown=False, added_seq__lte=after)),
    )
    connection = Account.objects.filter(pk=account_id).values_list("connection_id", flat=True).first()
    return {"account": account_id, "connection": str(connection) if connection else None, **counts}
