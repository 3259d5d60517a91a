"""What a broker's word means: the table every format is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from connections.brokers.records import TransactionKind

K = TransactionKind


class Sign(Enum):
    """Where the sign of a row's quantity, or the direction of a movement, comes from."""

    IN = auto()  # always adds to the position, however it is printed
    OUT = auto()  # always takes from it
    PRINTED = auto()  # as it stands in the file
    NONE = auto()  # the row moves money only


@dataclass(frozen=True, slots=True)
class Rule:
    kind: TransactionKind
    sign: Sign = Sign.NONE
    subtype: str = ""
    outgoing: TransactionKind | None = None  # the kind when money or shares leave
    paired: bool = False  # one event in two rows
    cash: bool = True  # whether the amount is money that moves, and not a mere value
    skip: str = ""  # why rows with this word tell no transaction

    @property
    def needs_amount(self) -> bool:
        """Whether the row is about money, so that a missing amount is unknown and not nothing."""
        return self.cash and (self.sign is Sign.NONE or self.kind in (K.BUY, K.SELL))

    @property
    def takes_money(self) -> bool:
        """For brokers that print amounts without a sign: whether the kind says that money leaves."""
        return self.kind in (K.BUY, K.FEE, K.TAX, K.WITHDRAWAL, K.TRANSFER_OUT)


UNKNOWN = Rule(K.OTHER, Sign.PRINTED)

BUY = Rule(K.BUY, Sign.IN)
SELL = Rule(K.SELL, Sign.OUT)
REINVEST = Rule(K.BUY, Sign.IN, "reinvest")
DIVIDEND = Rule(K.DIVIDEND)
INTEREST = Rule(K.INTEREST)
FEE = Rule(K.FEE)
TAX = Rule(K.TAX)
SPLIT = Rule(K.SPLIT, Sign.PRINTED)
EXPIRED = Rule(K.OPTION_EXPIRATION, Sign.PRINTED)


def bank(subtype: str = "") -> Rule:
    """Money from or to a bank, by its sign."""
    return Rule(K.DEPOSIT, subtype=subtype, outgoing=K.WITHDRAWAL)


def transfer(subtype: str = "", sign: Sign = Sign.NONE) -> Rule:
    """Between accounts of the same owner or between brokers, cash or (with Sign.PRINTED) shares, by its sign."""
    return Rule(K.TRANSFER_IN, sign, subtype, outgoing=K.TRANSFER_OUT)


def corporate(subtype: str, *, paired: bool = False) -> Rule:
    return Rule(K.CORPORATE_ACTION, Sign.PRINTED, subtype, paired=paired)


def skipped(reason: str) -> Rule:
    return Rule(K.OTHER, skip=reason)


# What a word is when a person says its kind.
_MEANT = {
    **{rule.kind: rule for rule in (BUY, SELL, DIVIDEND, INTEREST, FEE, TAX, SPLIT, UNKNOWN)},
    **{kind: Rule(kind) for kind in (K.DEPOSIT, K.WITHDRAWAL)},
    **{kind: Rule(kind, Sign.PRINTED) for kind in (K.TRANSFER_IN, K.TRANSFER_OUT, K.CORPORATE_ACTION)},
}
MEANT_KINDS = tuple(sorted(_MEANT, key=list(K).index))


def meant(kind: TransactionKind, word: str) -> Rule:
    """A person's rule for `word`, which stays with the row. Raises KeyError for a kind outside MEANT_KINDS."""
    return replace(_MEANT[kind], subtype=word[:40])


def by_word(table: Mapping[str, Rule]) -> dict[str, Rule]:
    """Case-folded, the longest first, so that of prefixes the one that says the most is met first."""
    return {word.casefold(): table[word] for word in sorted(table, key=len, reverse=True)}
