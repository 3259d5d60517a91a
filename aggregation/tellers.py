"""Who told a row: the broker, or one file after another. Each is trusted in itself: what it told as two are two."""

from django.db.backends.utils import CursorWrapper

from aggregation.staging import Scope

# By the row's id, because many rows at once are looked up one by one.
CREATE = "CREATE TEMP TABLE tellers (row_id bigint PRIMARY KEY, told_by bigint[]) ON COMMIT DROP"
# For each of `{rows}` the tellers of it, of an earlier version of it, and of a row that is it in other hands: by its
# content and number, or because a person said so. 0 is the broker, every other teller a delivery of a file that stands.
FILL = """
INSERT INTO tellers WITH RECURSIVE member AS (
    SELECT asked.id AS row_id, row.id, row.source
    FROM ({rows}) AS asked (id) JOIN aggregation_transaction AS row ON row.id = asked.id
    UNION
    SELECT member.row_id, row.id, row.source
    FROM member JOIN aggregation_transaction AS row ON row.superseded_by_id = member.id
    WHERE row.status IN ('superseded', 'duplicate')
)
SELECT row_id, array_agg(DISTINCT teller) FROM (
    SELECT row_id, 0::bigint AS teller FROM member WHERE source = 'api'
    UNION ALL
    SELECT member.row_id, delivery.id FROM aggregation_delivery AS delivery
    CROSS JOIN unnest(delivery.rows) AS told (id) JOIN member ON member.id = told.id
    WHERE delivery.account_id = %(account)s AND delivery.source = 'csv' AND delivery.undone_at IS NULL
) AS told GROUP BY row_id
"""
# Whether one teller told both.
TOLD_BY_ONE = """coalesce(
    (SELECT told_by FROM tellers WHERE row_id = {one}) && (SELECT told_by FROM tellers WHERE row_id = {other}),
    false)"""


def find(cursor: CursorWrapper, scope: Scope, rows: str) -> None:
    """Fill the temporary table `tellers` for the ids that the query `rows` gives."""
    cursor.execute("DROP TABLE IF EXISTS tellers")
    cursor.execute(CREATE)
    cursor.execute(FILL.format(rows=rows), scope)
    cursor.execute("ANALYZE tellers")
