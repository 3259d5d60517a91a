"""A person's own rules for words in files: "always treat ADR Mgmt Adj as a fee".

A rule is for the files of one house (a broker, or an institution the hub knows only by its files) and, where it moves
money only, for the broker's feed as well. It counts from then on; rows booked before are for `rereading.py`.
"""

from django.db import transaction
from django.db.models import QuerySet

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.records import Broker, TransactionKind
from sync import word_rules
from sync.importers.base import Format
from sync.importers.reading import MAX_WORD
from sync.importers.rules import MEANT_KINDS
from sync.importers.words import fold
from sync.models import WordRule
from sync.word_rules import Applied

KINDS = MEANT_KINDS


def house_of(format: Format) -> tuple[Broker, str]:
    """Whose words they are; the institution matters only where the broker does not tell."""
    return format.broker, format.institution if format.broker is Broker.OTHER else ""


def known_to(user: User, format: Format) -> dict[str, TransactionKind]:
    """What the person said of words in such files, by the folded word."""
    return {fold(rule.word): TransactionKind(rule.kind) for rule in rules_of(user, format)}


def rules_of(user: User, format: Format) -> QuerySet[WordRule]:
    broker, institution = house_of(format)
    return WordRule.objects.filter(user=user, broker=broker, institution=institution, field="")


@transaction.atomic
def remember(user: User, format: Format, word: str, kind: TransactionKind) -> tuple[WordRule, Applied]:
    """Make the rule that rows with `word` are of `kind`, and book the rows of the feed that wait for it.

    Raises NotAllowed for what cannot be a rule.
    """
    word = " ".join(word.split())
    if not word or len(word) > MAX_WORD or "\0" in word:
        raise NotAllowed(f"A word has 1 to {MAX_WORD} characters.")
    if kind not in KINDS:
        raise NotAllowed(f"A word can mean one of these: {', '.join(kind.label for kind in KINDS)}.")
    broker, institution = house_of(format)
    same = [rule for rule in rules_of(user, format) if fold(rule.word) == fold(word)]
    rule = same[0] if same else WordRule(user=user, broker=broker, institution=institution, field="", word=word)
    rule.kind = kind
    rule.save()
    return rule, word_rules.apply(rule)
