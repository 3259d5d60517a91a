"""Money: an exact decimal with its currency. Amounts of two currencies never meet by accident."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Self

MINOR_UNITS = {"JPY": 0, "KRW": 0, "HUF": 2, "BHD": 3, "KWD": 3}  # ISO 4217; every other currency we meet has two


class CurrencyMismatch(TypeError):
    """Two currencies in one sum: a bug of ours, never a user's mistake."""


@dataclass(frozen=True, slots=True)
class Money:
    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"money is a Decimal, not {type(self.amount).__name__}")

    def _same(self, other: "Money") -> Decimal:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be added")
        return other.amount

    def __add__(self, other: "Money") -> Self:
        return type(self)(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> Self:
        return type(self)(self.amount - self._same(other), self.currency)

    def __neg__(self) -> Self:
        return type(self)(-self.amount, self.currency)

    def __bool__(self) -> bool:
        return bool(self.amount)

    def rounded(self) -> Self:
        """To the currency's minor unit, half to even. For showing, never for booking."""
        unit = Decimal(1).scaleb(-MINOR_UNITS.get(self.currency, 2))
        return type(self)(self.amount.quantize(unit, rounding=ROUND_HALF_EVEN), self.currency)
