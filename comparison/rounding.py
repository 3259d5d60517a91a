"""How a plan rounds what it hands on: each line first, then the sum."""

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from comparison.terms import CENT, ZERO, PassThrough, Rounding


def display(amount: Decimal) -> Decimal:
    """To the cent, half up, as the page shows it."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def up(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_CEILING)


def rounded(how: PassThrough, amount: Decimal) -> Decimal:
    """`amount` as the plan charges it: floor to zero, rounding, minimum, in this order. No fee stays no fee."""
    if not amount or (how.zero_if_below is not None and amount < how.zero_if_below):
        return ZERO
    if how.rounding is Rounding.UP:
        amount = up(amount)
    elif how.rounding is Rounding.NEAREST:
        amount = display(amount)
    return amount if how.minimum is None or amount >= how.minimum else how.minimum


def words(how: PassThrough) -> str:
    """The rounding in words, for the formula of a line."""
    said = {
        Rounding.UP: "rounded up to the cent",
        Rounding.NEAREST: "rounded to the cent",
        Rounding.UNKNOWN: "rounding not published",
        Rounding.NONE: "",
    }[how.rounding]
    if how.minimum is not None:
        said = f"{said}, at least {how.minimum}" if said else f"at least {how.minimum}"
    return said
