"""Taking a run back and applying it again, all of it in one transaction.

Nothing is deleted. The run's deliveries are marked, and the rows they told are worked out anew from the deliveries that
stand: a row that nobody tells any more is `undone`, of several versions the one told last counts, and a file's row
that the broker no longer tells counts itself. The same rule in both directions, so applying again brings the same back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from aggregation import near_matches, standing
from aggregation.ledger import hold
from aggregation.models import Delivery, Transaction
from aggregation.staging import ACCOUNT, RANK, Scope
from brokerhub.kernel.errors import NotAllowed
from connections.models import Account

# Nothing counts the rows of a temporary table by itself, and guessing them few makes every join a loop: each is counted
# before it is joined.
TOUCHED = """
CREATE TEMP TABLE touched ON COMMIT DROP AS
SELECT DISTINCT row.source, row.external_id,
    CASE WHEN row.external_id = '' THEN row.content_key END AS content_key,
    CASE WHEN row.external_id = '' THEN row.occurrence END AS occurrence
FROM aggregation_delivery AS delivery CROSS JOIN unnest(delivery.rows) AS told (id)
JOIN aggregation_transaction AS row ON row.id = told.id
WHERE delivery.account_id = %(account)s AND delivery.run_id = %(run)s
"""
# Every version of every row that the run told, with the last delivery that stands and tells it. All of the account is
# read for it, and never in a loop: where the first rows of their kind came since the last statistics, one would be
# expected, and each row of the run compared with each of them.
NO_LOOPS, AS_USUAL = "SET LOCAL enable_nestloop = off", "SET LOCAL enable_nestloop TO DEFAULT"
VERSIONS = f"""
CREATE TEMP TABLE versions ON COMMIT DROP AS
WITH mine AS (  -- by id and by content, each by an equality: rows without ids all have the same empty one
    SELECT row.id, row.source, row.external_id, row.content_key, row.occurrence
    FROM touched JOIN aggregation_transaction AS row USING (source, external_id)
    WHERE row.account_id = {ACCOUNT} AND external_id <> ''
    UNION ALL
    SELECT row.id, row.source, row.external_id, row.content_key, row.occurrence
    FROM touched JOIN aggregation_transaction AS row USING (source, external_id, content_key, occurrence)
    WHERE row.account_id = {ACCOUNT} AND external_id = ''
), last AS (
    SELECT told.id, max(delivery.id) AS delivery FROM aggregation_delivery AS delivery
    CROSS JOIN unnest(delivery.rows) AS told (id)
    WHERE delivery.account_id = %(account)s AND delivery.undone_at IS NULL
        AND told.id IN (SELECT id FROM mine)
    GROUP BY told.id
)
SELECT mine.id, content_key, last.delivery IS NOT NULL AS is_told, first_value(mine.id) OVER (
    PARTITION BY source, external_id, CASE WHEN external_id = '' THEN content_key END,
        CASE WHEN external_id = '' THEN occurrence END
    ORDER BY last.delivery DESC NULLS LAST, mine.id DESC) AS current_id
FROM mine LEFT JOIN last ON last.id = mine.id
"""
# First what goes, then what comes: a unique index looks at each row as it changes.
GO = """
UPDATE aggregation_transaction AS row SET status = CASE WHEN is_told THEN 'superseded' ELSE 'undone' END,
    superseded_by_id = CASE WHEN is_told THEN current_id END
FROM versions WHERE row.id = versions.id AND (row.id <> current_id OR NOT is_told)
"""
COME = """
UPDATE aggregation_transaction AS row SET status = row.stated, superseded_by_id = NULL
FROM versions WHERE row.id = versions.id AND row.id = current_id AND is_told
    AND row.status IN ('superseded', 'undone')
"""
CONTENTS = """
CREATE TEMP TABLE contents ON COMMIT DROP AS SELECT DISTINCT content_key FROM versions
"""
COUNT_TOUCHED, COUNT_VERSIONS, COUNT_CONTENTS = "ANALYZE touched", "ANALYZE versions", "ANALYZE contents"
# Rows with ids are told apart by them; their numbers pair them with another source's and leave no gap.
NUMBER = f"""
UPDATE aggregation_transaction AS row SET occurrence = ranked.number
FROM (
    SELECT source, content_key, external_id,
        row_number() OVER (PARTITION BY source, content_key ORDER BY min(occurrence), min(id)) AS number
    FROM aggregation_transaction JOIN contents USING (content_key)
    WHERE account_id = {ACCOUNT} AND external_id <> '' AND status <> 'undone'
    GROUP BY source, content_key, external_id
) AS ranked
WHERE row.account_id = {ACCOUNT} AND row.source = ranked.source AND row.content_key = ranked.content_key
    AND row.external_id = ranked.external_id AND row.status <> 'undone' AND row.occurrence <> ranked.number
"""
CLAIM = f"""
WITH told AS (
    SELECT row.*, {RANK.format(row="row")} AS rank FROM aggregation_transaction AS row JOIN contents USING (content_key)
    WHERE account_id = {ACCOUNT} AND status <> 'undone' AND part_of_id IS NULL
), claim AS (
    SELECT DISTINCT ON (content_key, occurrence, rank) content_key, occurrence, rank, id FROM told
    WHERE rank > 1 ORDER BY content_key, occurrence, rank, status = 'superseded', id DESC
), verdict AS (
    SELECT row.id, coalesce(broker.id, file.id) AS claimed_by FROM told AS row
    LEFT JOIN claim AS broker ON broker.content_key = row.content_key AND broker.occurrence = row.occurrence
        AND broker.rank = 3
    LEFT JOIN claim AS file ON file.content_key = row.content_key AND file.occurrence = row.occurrence
        AND file.rank = 2 AND row.rank = 1
    WHERE row.rank < 3 AND row.status <> 'superseded'
        AND (broker.id IS NOT NULL OR file.id IS NOT NULL OR row.status = 'duplicate')
)
UPDATE aggregation_transaction AS row SET superseded_by_id = claimed_by,
    status = CASE WHEN claimed_by IS NULL THEN row.stated ELSE 'duplicate' END
FROM verdict WHERE row.id = verdict.id
"""


TAKE_BACK = """
UPDATE aggregation_transaction SET status = 'undone', superseded_by_id = NULL
WHERE account_id = %(account)s AND id = ANY (%(rows)s) AND source = 'manual' AND part_of_id IS NULL
"""
TAKE_BACK_DELIVERY = """
UPDATE aggregation_delivery SET undone_at = now()
WHERE account_id = %(account)s AND source = 'manual' AND undone_at IS NULL AND rows <@ %(rows)s::bigint[]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What undoing a run does, or applying it again. `edited` rows carry a note, tag, exclusion or parts: kept."""

    rows: int = 0
    leaving: int = 0
    returning: int = 0
    staying: int = 0
    edited: int = 0


def is_undone(run_id: int) -> bool:
    return Delivery.objects.filter(run_id=run_id).exclude(undone_at=None).exists()


def can_be_undone(run_id: int) -> bool:
    return Delivery.objects.filter(run_id=run_id, undone_at=None).exists()


@transaction.atomic
def undo(run_id: int) -> Effect:
    """Take back what the run told. Rows that another run told as well stay. Raises NotAllowed when there is nothing."""
    if not can_be_undone(run_id):
        raise NotAllowed("There is nothing to take back: this run booked nothing, or it was taken back already.")
    return _mark(run_id, is_undone=True)


@transaction.atomic
def reapply(run_id: int) -> Effect:
    """Bring back what the run told, in its old place among the others. Raises NotAllowed when it was not taken back."""
    if not is_undone(run_id):
        raise NotAllowed("This run was not taken back, so there is nothing to apply again.")
    return _mark(run_id, is_undone=False)


def preview_undo(run_id: int) -> Effect:
    """What `undo` would do now: done, counted and rolled back."""
    with transaction.atomic():
        effect = undo(run_id)
        transaction.set_rollback(True)
    return effect


def preview_reapply(run_id: int) -> Effect:
    with transaction.atomic():
        effect = reapply(run_id)
        transaction.set_rollback(True)
    return effect


def _mark(run_id: int, *, is_undone: bool) -> Effect:
    deliveries = Delivery.objects.filter(run_id=run_id)
    accounts = Account.objects.filter(pk__in=deliveries.values("account")).order_by("pk")
    for account in accounts:
        hold(account)
    deliveries.update(undone_at=timezone.now() if is_undone else None)
    return _sum(_settle(account.pk, run_id) for account in accounts)


def _sum(effects: Iterable[Effect]) -> Effect:
    every = [asdict(effect) for effect in effects]
    return Effect(**{name: sum(effect[name] for effect in every) for name in Effect.__slots__})


def _settle(account_id: int, run_id: int) -> Effect:
    scope = {"account": account_id, "run": run_id}
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS touched, versions, contents")
        before = _counting(account_id)
        for statement in (TOUCHED, COUNT_TOUCHED, NO_LOOPS, VERSIONS, AS_USUAL, COUNT_VERSIONS, GO, COME):
            cursor.execute(statement, scope)
        for statement in (CONTENTS, COUNT_CONTENTS, NUMBER, CLAIM):
            cursor.execute(statement, scope)
        standing.uphold(cursor, account_id)
        cursor.execute("SELECT array_agg(id) FROM versions")
        versions = set((cursor.fetchone() or (None,))[0] or ())
        near_matches.find_again(cursor, account_id, list(versions))
        cursor.execute("SELECT count(*) FROM aggregation_useredit JOIN versions ON versions.id = transaction_id")
        edited = (cursor.fetchone() or (0,))[0]
        after = _counting(account_id)
    return Effect(
        rows=len(versions),
        leaving=len(before - after),
        returning=len(after - before),
        staying=len(versions & before & after),
        edited=edited,
    )


def take_back(cursor: CursorWrapper, account_id: int, rows: Sequence[int]) -> None:
    """Let rows that were booked by hand count no longer. Call inside the transaction that holds the account."""
    scope: Scope = {"account": account_id, "rows": list(rows)}
    cursor.execute(TAKE_BACK, scope)
    cursor.execute(TAKE_BACK_DELIVERY, scope)
    standing.uphold(cursor, account_id)


def _counting(account_id: int) -> set[int]:
    return set(Transaction.objects.in_books().filter(account=account_id).values_list("pk", flat=True))
