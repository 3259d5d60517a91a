"""Reference rates as they were published. Only `reading.py` writes them."""

from typing import ClassVar

from django.db import models


class RatePublisher(models.TextChoices):
    ECB = "ecb", "European Central Bank"


class ReferenceRate(models.Model):
    """What one euro cost in a currency on a day, as its publisher said it. A day without a row has no rate."""

    publisher = models.CharField(max_length=8, choices=RatePublisher.choices, default=RatePublisher.ECB)
    currency = models.CharField(max_length=3)
    on = models.DateField()
    per_euro = models.DecimalField(max_digits=20, decimal_places=8)
    read_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["currency", "on", "publisher"], name="one_rate_per_currency_and_day")
        ]
        indexes: ClassVar = [models.Index(fields=["-on"], name="rates_newest_first")]

    def __str__(self) -> str:
        return f"1 EUR = {self.per_euro.normalize():f} {self.currency} on {self.on}"
