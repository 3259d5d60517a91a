"""What a rating may say, and how an average is made of many. Pure: no database."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

PRIOR_WEIGHT = Decimal(20)  # as if so many average ratings had been given before the first
PRIOR_WHILE_FEW = Decimal("3.5")  # the average to begin with, until there are enough ratings to take their own
ENOUGH_FOR_PRIOR = 50
ENOUGH_TO_SHOW = 5
UNVERIFIED_WEIGHT = Decimal("0.5")
STARS = (5, 4, 3, 2, 1)

_LINK = re.compile(
    r"(?:https?|ftp)://|\bwww\.|\b[\w-]+\.(?:com|net|org|io|co|info|biz|app|me|ru|cn|xyz|link|ly|dev|site)\b", re.I
)
_ADDRESS = re.compile(r"\S+@\S+\.\w")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b")
_NUMBER = re.compile(r"(?:\d[ .-]?){6,}\d")  # account and phone numbers; amounts have commas or fewer digits


def cleaned(text: str) -> str:
    """Plain text: line breaks as \\n, no other control or direction-changing characters, no blanks at the ends."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(
        letter for letter in text if letter == "\n" or unicodedata.category(letter) not in {"Cc", "Cf", "Cs"}
    ).strip()


def objection(text: str) -> str:
    """What the rules have against the text, in words; "" when nothing. An opinion is never against the rules."""
    if _LINK.search(text):
        return "Leave out links and addresses of web sites."
    if _ADDRESS.search(text):
        return "Leave out e-mail addresses."
    if _NUMBER.search(_DATE.sub("", text)):
        return "Leave out account numbers and phone numbers; write large amounts with commas."
    return ""


def bayesian(prior: Decimal, total: Decimal, weight: Decimal) -> Decimal:
    """(prior x 20 + sum of weighted stars) / (20 + sum of weights): few ratings move it little."""
    return (prior * PRIOR_WEIGHT + total) / (PRIOR_WEIGHT + weight)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the hub's users think of one broker. Under five ratings only their number is told."""

    count: int
    verified: int
    mean: Decimal | None
    average: Decimal | None  # Bayesian
    histogram: Mapping[int, int]  # stars: ratings, five first; empty when too few
    aspects: Mapping[str, Decimal]  # plain means of those rated by enough

    @property
    def is_enough(self) -> bool:
        return self.average is not None


NOBODY = Standing(0, 0, None, None, {}, {})
