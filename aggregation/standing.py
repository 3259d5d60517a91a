"""What people decided stands, whatever is booked or taken back later.

Edits, parts and pairs point at a row. When that row is replaced or taken back they go on to its heir: the row that now
has the same identity, or else another teller's with the same content and number. Then the rows are made to
say again what was decided. All of it touches only the few rows of an account that people have ever decided about.
"""

from django.db.backends.utils import CursorWrapper

from aggregation.corporate_actions import standing as corporate_actions

HAS_ANY = f"""
SELECT EXISTS (SELECT FROM aggregation_useredit WHERE account_id = %(account)s)
    OR EXISTS (SELECT FROM aggregation_possibleduplicate WHERE account_id = %(account)s)
    OR EXISTS ({corporate_actions.HAS_ANY})
"""

_SAME_SOURCE = """
    SELECT id, content_key, source, 1 AS rank FROM aggregation_transaction AS row
    WHERE row.account_id = old.account_id AND row.source = old.source AND row.external_id = old.external_id
        AND row.external_id <> '' AND row.status <> 'superseded' AND row.status <> 'undone' AND row.id <> old.id
    UNION ALL
    SELECT id, content_key, source, 1 FROM aggregation_transaction AS row
    WHERE row.account_id = old.account_id AND row.content_key = old.content_key AND row.occurrence = old.occurrence
        AND row.source = old.source AND row.external_id = '' AND old.external_id = '' AND row.id <> old.id
        AND row.status <> 'superseded' AND row.status <> 'undone'
"""
_OTHER_TELLER = """
    SELECT id, content_key, source, 2 FROM aggregation_transaction AS row
    WHERE row.account_id = old.account_id AND row.content_key = old.content_key AND row.occurrence = old.occurrence
        AND (row.source <> old.source OR (row.external_id = '') <> (old.external_id = ''))
        AND row.status NOT IN ('superseded', 'undone', 'duplicate')
"""
_HEIR = f"LATERAL (SELECT * FROM ({_SAME_SOURCE} UNION ALL {_OTHER_TELLER}) AS found ORDER BY rank LIMIT 1) AS heir"
MOVE_PARTS = f"""
UPDATE aggregation_transaction AS part SET part_of_id = moved.heir_id
FROM (
    SELECT old.id, heir.id AS heir_id FROM aggregation_useredit AS edit
    JOIN aggregation_transaction AS old ON old.id = edit.transaction_id CROSS JOIN {_HEIR}
    WHERE edit.account_id = %(account)s AND old.status IN ('superseded', 'undone', 'duplicate')
        AND heir.content_key = old.content_key
) AS moved WHERE part.part_of_id = moved.id AND part.status <> 'superseded'
"""
MOVE_EDITS = f"""
UPDATE aggregation_useredit AS edit SET transaction_id = moved.heir_id
FROM (
    SELECT DISTINCT ON (heir.id) edit.id, heir.id AS heir_id FROM aggregation_useredit AS edit
    JOIN aggregation_transaction AS old ON old.id = edit.transaction_id CROSS JOIN {_HEIR}
    WHERE edit.account_id = %(account)s AND old.status IN ('superseded', 'undone', 'duplicate')
    ORDER BY heir.id, edit.id DESC
) AS moved
WHERE edit.id = moved.id
    AND NOT EXISTS (SELECT FROM aggregation_useredit AS own WHERE own.transaction_id = moved.heir_id)
"""
# The heir has an edit of its own: whether the row is left out goes on into that one.
JOIN_EDITS = f"""
WITH moved AS (
    SELECT DISTINCT ON (heir.id) edit.id, heir.id AS heir_id FROM aggregation_useredit AS edit
    JOIN aggregation_transaction AS old ON old.id = edit.transaction_id CROSS JOIN {_HEIR}
    WHERE edit.account_id = %(account)s AND edit.is_excluded AND old.status IN ('superseded', 'undone', 'duplicate')
    ORDER BY heir.id, edit.id DESC
)
UPDATE aggregation_useredit AS edit SET is_excluded = edit.transaction_id = moved.heir_id FROM moved
WHERE edit.id = moved.id OR edit.transaction_id = moved.heir_id
"""
# Not to a row that the other one's own teller told: what a person said of one of them was not said of both.
_MOVE_PAIRS = f"""
UPDATE aggregation_possibleduplicate AS pair SET
    first_id = least(moved.heir_id, moved.other_id), second_id = greatest(moved.heir_id, moved.other_id),
    kept_id = CASE WHEN pair.kept_id = moved.old_id THEN moved.heir_id ELSE pair.kept_id END,
    whole_id = CASE WHEN pair.whole_id = moved.old_id THEN moved.heir_id ELSE pair.whole_id END
FROM (
    SELECT DISTINCT ON (least(heir.id, pair.{{other}}), greatest(heir.id, pair.{{other}}))
        pair.id, old.id AS old_id, heir.id AS heir_id, pair.{{other}} AS other_id
    FROM aggregation_possibleduplicate AS pair
    JOIN aggregation_transaction AS old ON old.id = pair.{{side}}
    JOIN aggregation_transaction AS other ON other.id = pair.{{other}} CROSS JOIN {_HEIR}
    WHERE pair.account_id = %(account)s AND old.status IN ('superseded', 'undone', 'duplicate')
        AND heir.id <> pair.{{other}} AND (heir.rank = 1 OR NOT (heir.source = 'api' AND other.source = 'api')
            AND NOT EXISTS (
                SELECT FROM aggregation_delivery WHERE account_id = %(account)s AND source = 'csv'
                    AND other.source = 'csv' AND heir.source = 'csv' AND undone_at IS NULL
                    AND rows @> ARRAY[heir.id, other.id]))
    ORDER BY least(heir.id, pair.{{other}}), greatest(heir.id, pair.{{other}}), pair.id DESC
) AS moved
WHERE pair.id = moved.id AND NOT EXISTS (
    SELECT FROM aggregation_possibleduplicate AS own
    WHERE own.first_id = least(moved.heir_id, moved.other_id)
        AND own.second_id = greatest(moved.heir_id, moved.other_id))
"""
EXCLUDE = """
UPDATE aggregation_transaction AS row SET status = 'excluded' FROM aggregation_useredit AS edit
WHERE edit.account_id = %(account)s AND edit.is_excluded AND row.id = edit.transaction_id
    AND row.status IN ('posted', 'pending', 'void')
"""
SPLIT = """
UPDATE aggregation_transaction AS row SET status = 'split' FROM aggregation_useredit AS edit
WHERE edit.account_id = %(account)s AND row.id = edit.transaction_id AND row.status IN ('posted', 'pending')
    AND EXISTS (SELECT FROM aggregation_transaction AS part WHERE part.part_of_id = row.id
        AND part.status <> 'superseded')
"""
PARTS = """
UPDATE aggregation_transaction AS part
SET status = CASE WHEN row.status = 'split' THEN 'posted' ELSE 'undone' END
FROM aggregation_useredit AS edit JOIN aggregation_transaction AS row ON row.id = edit.transaction_id
WHERE edit.account_id = %(account)s AND part.part_of_id = row.id AND part.status IN ('posted', 'undone')
    AND (part.status = 'posted') <> (row.status = 'split')
"""
# What was decided, pair by pair. Several rows count for the one they add up to while they are complete: when one of
# them is gone, the one counts for those that are left.
_VERDICTS = """(
    SELECT pair.id, first_id, second_id, decision, CASE WHEN broken.question IS NULL THEN kept_id ELSE whole_id END
        AS kept_id
    FROM aggregation_possibleduplicate AS pair
    LEFT JOIN (
        SELECT DISTINCT coalesce(part.leader_id, part.id) AS question FROM aggregation_possibleduplicate AS part
        JOIN aggregation_transaction AS gone ON gone.id = part.kept_id
        WHERE part.account_id = %(account)s AND part.whole_id IS NOT NULL AND part.kept_id <> part.whole_id
            AND gone.status IN ('superseded', 'undone')
    ) AS broken ON broken.question = coalesce(pair.leader_id, pair.id)
    WHERE account_id = %(account)s AND kept_id IS NOT NULL
) AS verdict"""
MERGE = f"""
UPDATE aggregation_transaction AS row SET status = 'duplicate', superseded_by_id = merged.kept_id
FROM (
    SELECT DISTINCT ON (loser_id) loser_id, kept_id FROM {_VERDICTS}
    CROSS JOIN LATERAL (SELECT CASE WHEN kept_id = first_id THEN second_id ELSE first_id END AS loser_id) AS side
    WHERE decision = 'merged' ORDER BY loser_id, verdict.id
) AS merged JOIN aggregation_transaction AS kept ON kept.id = merged.kept_id
WHERE row.id = merged.loser_id AND row.status IN ('posted', 'pending') AND kept.status NOT IN ('superseded', 'undone')
"""
# Rows merged by a decision that holds no longer, or whose counterpart another row tells now: those are merged again
# with that one. What is a duplicate by its content and number stays so.
PART_AGAIN = f"""
UPDATE aggregation_transaction AS row SET status = row.stated, superseded_by_id = NULL
FROM {_VERDICTS}
CROSS JOIN LATERAL (VALUES (first_id, second_id), (second_id, first_id)) AS side (row_id, other_id),
    aggregation_transaction AS counts
WHERE row.id = side.row_id AND row.status = 'duplicate' AND counts.id = row.superseded_by_id
    AND (counts.content_key <> row.content_key OR counts.occurrence <> row.occurrence)
    AND (counts.status IN ('superseded', 'undone', 'duplicate')
        OR counts.id = side.other_id AND NOT (verdict.decision = 'merged' AND verdict.kept_id = counts.id))
"""
STATEMENTS = (
    *corporate_actions.STATEMENTS,
    MOVE_PARTS,
    MOVE_EDITS,
    JOIN_EDITS,
    _MOVE_PAIRS.format(side="first_id", other="second_id"),
    _MOVE_PAIRS.format(side="second_id", other="first_id"),
    # Sides stand by age, so that the first statement may have turned a pair of two replaced rows round.
    _MOVE_PAIRS.format(side="first_id", other="second_id"),
    PART_AGAIN,
    EXCLUDE,
    SPLIT,
    PARTS,
    MERGE,
)


CHANGED = """
INSERT INTO aggregation_accounthistory (account_id, changed_at, unexplained) VALUES (%(account)s, now(), '{}')
ON CONFLICT (account_id) DO UPDATE SET changed_at = excluded.changed_at
"""


def uphold(cursor: CursorWrapper, account_id: int) -> None:
    """Make the account's rows say what people decided, and have its daily history worked out anew.

    Whoever has changed rows calls this. Twice changes nothing. Call inside a transaction.
    """
    changed(cursor, account_id)
    if has_any(cursor, account_id):
        for statement in STATEMENTS:
            cursor.execute(statement, {"account": account_id})


def changed(cursor: CursorWrapper, account_id: int) -> None:
    """Have the account's daily history worked out anew when it is quiet."""
    cursor.execute(CHANGED, {"account": account_id})


def has_any(cursor: CursorWrapper, account_id: int) -> bool:
    """Whether people ever decided anything about the account's rows, or are asked to."""
    cursor.execute(HAS_ANY, {"account": account_id})
    return bool(cursor.fetchone() == (True,))
