"""Who told a row: the broker, or one file after another. Each is trusted in itself: what it told as two are two."""

# For each of `{rows}` the tellers of it, of an earlier version of it, and of a row that is it in other hands: by its
# content and number, or because a person said so. 0 is the broker, every other teller a delivery of a file that stands.
TELLERS = """
CREATE TEMP TABLE tellers ON COMMIT DROP AS
WITH RECURSIVE member AS (
    SELECT asked.id AS row_id, row.id, row.source
    FROM ({rows}) AS asked (id) JOIN aggregation_transaction AS row ON row.id = asked.id
    UNION
    SELECT member.row_id, row.id, row.source
    FROM member JOIN aggregation_transaction AS row ON row.superseded_by_id = member.id
    WHERE row.status IN ('superseded', 'duplicate')
)
SELECT row_id, 0::bigint AS teller FROM member WHERE source = 'api'
UNION
SELECT member.row_id, delivery.id FROM aggregation_delivery AS delivery
CROSS JOIN unnest(delivery.rows) AS told (id) JOIN member ON member.id = told.id
WHERE delivery.account_id = %(account)s AND delivery.source = 'csv' AND delivery.undone_at IS NULL
"""
# Whether one teller told both.
TOLD_BY_ONE = """
    EXISTS (SELECT FROM tellers AS one JOIN tellers AS other USING (teller)
        WHERE one.row_id = {one} AND other.row_id = {other})
"""
