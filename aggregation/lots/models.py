"""Which lots a person picked for a sale. Everything else about lots is worked out from the ledger."""

from typing import ClassVar, Self

from django.db import models

from aggregation.models import QuantityField
from brokerhub.kernel.models import User
from connections.models import Account


class LotPickQuerySet(models.QuerySet["LotPick"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)


class LotPick(models.Model):
    """`quantity` units (positive) of the lot that the row `lot` opened go with the row `sale`."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="lot_picks")
    sale = models.ForeignKey("aggregation.Transaction", on_delete=models.CASCADE, related_name="picked_lots")
    lot = models.ForeignKey("aggregation.Transaction", on_delete=models.CASCADE, related_name="picked_for")
    quantity = QuantityField()
    picked_at = models.DateTimeField(auto_now=True)

    objects = LotPickQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["sale", "lot"], name="a_lot_is_picked_once_per_sale")]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} of {self.lot_id} for {self.sale_id}"
