"""From when on a broker's calls are called trouble. Defaults are in the code; administrators change them by broker."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from connections.brokers.records import Broker
from health.verdicts import USUAL, Bars

SHARE = (MinValueValidator(0.01), MaxValueValidator(1.0))
GRACE = timedelta(hours=1)  # for a sync that the schedule wanted


def _share(name: str, words: str) -> Any:
    usual = f"{getattr(USUAL, name):.0%}".replace("%", " %")
    help_text = f"{words} 0.01 to 1. Empty: {getattr(USUAL, name)} ({usual})."
    return models.FloatField(null=True, blank=True, validators=SHARE, help_text=help_text)


class Thresholds(models.Model):
    """How one broker is judged. What is empty is as the code has it."""

    broker = models.CharField(
        max_length=20, unique=True, choices=[each for each in Broker.choices if each[0] != Broker.OTHER]
    )
    trouble = _share("trouble", "Degraded when surely more than this share of calls fails.")
    calm = _share("calm", "Over when surely less than this share fails.")
    partial = _share("partial", "A partial outage from this share of failing calls on.")
    outage = _share("outage", "A major outage from this share of failing calls on.")
    in_a_row = models.PositiveSmallIntegerField(
        "failures in a row",
        null=True,
        blank=True,
        validators=[MinValueValidator(2), MaxValueValidator(50)],
        help_text=f"With nothing else between, so many are a major outage. 2 to 50. Empty: {USUAL.in_a_row}.",
    )
    slow = _share("slow", "Degraded when surely more than this share of answers is slow.")
    slow_after = models.FloatField(
        "slow after",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.05), MaxValueValidator(120)],
        help_text="Seconds after which an answer is slow. 0.05 to 120. Empty: learned from the last week.",
    )
    late_after = models.DurationField(
        null=True,
        blank=True,
        help_text="A scheduled sync that has not brought data so long after its turn is late. Empty: 1 hour.",
    )

    class Meta:
        verbose_name = verbose_name_plural = "thresholds"

    def __str__(self) -> str:
        return f"Thresholds of {self.get_broker_display()}"

    def clean(self) -> None:
        """Each pair in its order, whichever of the two is left to the code."""
        bars = self.bars
        if bars.calm >= bars.trouble:
            raise ValidationError({"calm": "Less than the share from which it is trouble."})
        if bars.partial >= bars.outage:
            raise ValidationError({"partial": "Less than the share from which it is a major outage."})
        if self.late_after is not None and not timedelta(minutes=1) <= self.late_after <= timedelta(days=7):
            raise ValidationError({"late_after": "Between a minute and seven days."})

    @property
    def bars(self) -> Bars:
        names = ("trouble", "calm", "partial", "outage", "slow", "in_a_row")
        return Bars(**{name: getattr(self, name) for name in names if getattr(self, name) is not None})

    @property
    def grace(self) -> timedelta:
        return GRACE if self.late_after is None else self.late_after
