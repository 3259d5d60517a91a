"""Files read again because a person named a word's kind later: rows kept as "other" get the kind they are.

What the file tells now takes the place of what it told then (`aggregation.replacing`). Nothing is lost: taken back, the
run puts the earlier rows back.
"""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Count

from aggregation.models import Source, Transaction, TransactionQuerySet
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.records import TransactionKind
from sync import importers, undoing
from sync.file_words import house_of
from sync.importers.words import fold
from sync.imports import request_import
from sync.models import ImportFile, SyncRun, WordRule

SUBTYPE = 40  # characters of its word that stay with a booked row


def counts_of_earlier(user: User, rules: Iterable[WordRule]) -> dict[int, int]:
    """How many rows booked as "other" each rule would correct, by the rule's id. One query for all of them."""
    told = _kept_as_other(user).values_list("subtype", "run__file__format").annotate(rows=Count("pk")).order_by()
    said = list(told)
    return {rule.pk: sum(count for word, key, count in said if _has_word(rule, word, key)) for rule in rules}


@transaction.atomic
def reread(rule: WordRule) -> list[SyncRun]:
    """Import again the files that told the rows the rule would correct, one run each. Raises NotAllowed for none."""
    told = _kept_as_other(rule.user).values_list("subtype", "run__file__format", "run_id").distinct().order_by()
    run_ids = {run_id for word, key, run_id in told if _has_word(rule, word, key)}
    files = ImportFile.objects.filter(run__in=run_ids).select_related("account__connection").order_by("pk")
    if not files:
        raise NotAllowed("No row is kept as “other” with this word, so there is nothing to correct.")
    return [
        request_import(
            user=rule.user,
            account=file.account,
            name=file.name,
            content=bytes(file.content),
            format=file.format,
            choices=file.said,
            mapping=file.mapping,
            fixes=file.fixes,
            left_out=file.left_out,
            hints=file.hints,
            rule=rule,
        )
        for file in files
    ]


@transaction.atomic
def put_back(rule: WordRule, *, actor: User) -> int:
    """Take back the runs that read files again for the rule's sake; how many. Raises NotAllowed while one is open."""
    runs = SyncRun.objects.filter(file__rule=rule).select_related("connection").order_by("-pk")
    taken = [run for run in runs if run.is_open or undoing.standing(run).can_undo]
    for run in taken:
        undoing.undo(run, actor=actor)
    return len(taken)


def _kept_as_other(user: User) -> TransactionQuerySet:
    rows = Transaction.objects.for_user(user).in_books()
    return rows.filter(source=Source.CSV, kind=TransactionKind.OTHER).exclude(subtype="")


def _has_word(rule: WordRule, word: str, key: str | None) -> bool:
    """Whether a row of a file of this format, with this word, is one the rule speaks of."""
    format = importers.FORMATS.get(key or "")
    if format is None or rule.field or rule.kind == TransactionKind.OTHER:
        return False
    if house_of(format) != (rule.broker, rule.institution):
        return False
    said, known = fold(word), fold(rule.word[:SUBTYPE])
    return said.startswith(known) if getattr(format, "by_prefix", False) else said == known
