"""After a run: have the accounts of its connection compared, with what only the sync knows of them."""

from django.db.models import Count

from aggregation.reconciliation import comparing
from connections.models import Connection
from sync.models import ParkedRow, SyncCursor


def request(connection: Connection) -> None:
    """Call inside the transaction that ends the run: the comparison becomes due together with what it compares."""
    accounts = list(connection.accounts.values_list("pk", flat=True))
    cursors = SyncCursor.objects.filter(account__in=accounts).values_list("account_id", "covered_from", "covered_to")
    waiting = ParkedRow.objects.waiting().filter(account__in=accounts).order_by().values("account_id")
    comparing.request(
        accounts,
        covered={account: (first, last) for account, first, last in cursors},
        parked=dict(waiting.annotate(rows=Count("pk")).values_list("account_id", "rows")),
    )
