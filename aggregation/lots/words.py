"""The fixed words of lots: how a sale picks them, why a cost is not known, and how long a lot was held."""

from datetime import date, timedelta

from django.db.models import TextChoices


class Method(TextChoices):
    """Which lots a sale consumes first."""

    FIFO = "fifo", "First in, first out"
    LIFO = "lifo", "Last in, first out"
    HIGHEST = "highest", "Highest cost first"
    SPECIFIC = "specific", "Lots you pick"


class Why(TextChoices):
    """Why the cost of a lot, or the gain of a sale, is not known. Unknown is never 0."""

    KNOWN = "", ""
    BEFORE = "before", "Acquired before the history the hub has"
    UNTOLD = "untold", "The broker did not tell the amount"
    TRANSFERRED = "transferred", "Came from another account without its cost"
    DELIVERED = "delivered", "Came by an option whose premium is not known"
    NO_DELIVERY = "no_delivery", "The shares the option moved are not in the books"
    SPIN_OFF = "spin_off", "A spin-off took part of the cost; its share is not entered"
    EXCHANGED = "exchanged", "Exchanged in a corporate action whose values are not entered"
    FRACTION = "fraction", "Cash for a fraction whose size the broker did not tell"
    CURRENCY = "currency", "Bought and sold in different currencies"

    @property
    def remedy(self) -> str:
        """What the person can do about it."""
        return REMEDIES[self]


REMEDIES = {
    Why.KNOWN: "",
    Why.BEFORE: "Import a file that reaches back to the purchase.",
    Why.UNTOLD: "Import a file that has the amount.",
    Why.TRANSFERRED: "Connect the account it came from, or import its history.",
    Why.DELIVERED: "Import the option's purchase or sale.",
    Why.NO_DELIVERY: "Import a file that has the delivery of the shares.",
    Why.SPIN_OFF: "Enter the share of the cost under Corporate actions.",
    Why.EXCHANGED: "Enter the values under Corporate actions.",
    Why.FRACTION: "Enter the split with its ratio under Corporate actions.",
    Why.CURRENCY: "Compare the two amounts yourself.",
}


class Term(TextChoices):
    SHORT = "short", "Short term"
    LONG = "long", "Long term"
    UNKNOWN = "unknown", "Not known"


def term_of(opened_on: date | None, closed_on: date, *, is_short_sale: bool) -> Term:
    """Long when held for more than one year, counted from the day after it was acquired.

    A short sale, and an option sold to open, is short term however long it was open. Source: IRS Publication 550,
    "Holding Period" and "Short Sales". For information: what decides a person's tax is their own law.
    """
    if is_short_sale:
        return Term.SHORT
    if opened_on is None:
        return Term.UNKNOWN
    start = opened_on + timedelta(days=1)
    try:
        full_year = start.replace(year=start.year + 1)
    except ValueError:  # 29 February
        full_year = date(start.year + 1, 3, 1)
    return Term.LONG if closed_on >= full_year else Term.SHORT
