"""What a person decided about the identity of instruments. Instruments are shared; decisions are everybody's own."""

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from brokerhub.kernel.models import User
from connections.models import Account


class InstrumentChoiceQuerySet(models.QuerySet["InstrumentChoice"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)


class InstrumentChoice(models.Model):
    """Two instruments are the same or not (`other`), or what one account holds of one is another thing (`account`).

    Applied when reading, never to the books: so it outlives every sync, and undoing it is deleting it.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="instrument_choices")
    instrument = models.ForeignKey("aggregation.Instrument", on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey(
        "aggregation.Instrument", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    is_same = models.BooleanField()
    decided_at = models.DateTimeField(auto_now_add=True)

    objects = InstrumentChoiceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "instrument", "other"], name="one_choice_for_two_instruments"),
            models.UniqueConstraint(fields=["user", "instrument", "account"], name="one_choice_for_an_account"),
            models.CheckConstraint(
                condition=Q(account=None, instrument__lt=F("other"))
                | Q(other=None, is_same=False, account__isnull=False),
                name="about_two_or_one_account",
            ),
        ]

    def __str__(self) -> str:
        if self.account_id is not None:
            return f"{self.instrument} in {self.account} is something else"
        return f"{self.instrument} and {self.other} are {'the same' if self.is_same else 'different'}"
