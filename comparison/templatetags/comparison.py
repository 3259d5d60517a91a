"""What the comparison's pages need of Django's templates."""

from decimal import Decimal
from typing import Any

from django import template

from comparison import wording
from comparison.recommendation import CRITERIA
from comparison.rounding import display

register = template.Library()


@register.filter
def amount(value: Decimal | None) -> str:
    """A public amount to the cent, half up: 1,234.50. None stays empty: the template says what is unknown."""
    return "" if value is None else f"{display(value):,.2f}".replace("-", "\N{MINUS SIGN}")


@register.filter
def span(total: Any) -> str:
    """The amount of a total, or its range: 1.00 to 10.00."""
    low, high = amount(total.low), amount(total.high)
    return low if low == high else f"{low} to {high}"


@register.filter
def item_label(item: str) -> str:
    return wording.label_of(item)


@register.filter
def criterion(name: str) -> str:
    """A criterion within a sentence."""
    return f"\N{LEFT DOUBLE QUOTATION MARK}{CRITERIA[name]}\N{RIGHT DOUBLE QUOTATION MARK}"


@register.filter
def broker_of(ref: str) -> str:
    """The broker's key in broker:plan."""
    return ref.partition(":")[0]
