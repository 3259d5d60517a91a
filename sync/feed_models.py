"""What changed in which transaction, in the order in which it became visible. Triggers in the database write it.

A number drawn from a sequence shows up in the order of commits, not of numbers, and a reader who has seen 7 may miss
the 6 that comes later. Here every account counts its changes in a row of its own: whoever writes a transaction of it
holds that row until the end of the writing transaction, so its numbers become visible one after the other.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models


class AccountFeed(models.Model):
    """The number of an account's last change. No foreign key to the account: what was erased is told as well."""

    account_id = models.BigIntegerField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"account {self.account_id}: {self.seq}"


class TransactionChange(models.Model):
    """The last change of one transaction. One row each, whatever happened to it how often."""

    transaction_id = models.BigIntegerField(primary_key=True)
    account_feed = models.ForeignKey(AccountFeed, on_delete=models.CASCADE, related_name="changes", db_index=False)
    seq = models.BigIntegerField()
    added_seq = models.BigIntegerField()
    is_erased = models.BooleanField(db_default=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["account_feed", "seq", "transaction_id"], name="changes_in_order")]

    def __str__(self) -> str:
        return f"transaction {self.transaction_id}: {self.seq}"
