"""Rows booked by hand for a corporate action count as long as the action stands and no broker or file tells it too.

So what is told twice counts once, in whichever order it is told, and the rows by hand come back when the other teller's
are taken back. Two statements, run with the others of `aggregation.standing`.
"""

WITHIN_DAYS = 7  # brokers book a split on the day it holds, the day before or days after

HAS_ANY = "SELECT FROM aggregation_appliedaction WHERE account_id = %(account)s AND booked <> '{}'"
_RESTS = f"""(action.undone_at IS NOT NULL OR EXISTS (
    SELECT FROM aggregation_transaction AS told
    WHERE told.account_id = %(account)s AND told.status = 'posted' AND told.source <> 'manual'
        AND told.kind IN ('split', 'corporate_action')
        AND told.instrument_id IN (action.instrument_id, action.received_id)
        AND told.traded_on BETWEEN action.on - {WITHIN_DAYS} AND action.on + {WITHIN_DAYS}
))"""
_ROWS = """
FROM aggregation_appliedaction AS applied JOIN aggregation_corporateaction AS action ON action.id = applied.action_id
WHERE applied.account_id = %(account)s AND row.id = ANY (applied.booked)
"""
REST = f"UPDATE aggregation_transaction AS row SET status = 'undone' {_ROWS} AND row.status = 'posted' AND {_RESTS}"
COUNT = (
    f"UPDATE aggregation_transaction AS row SET status = 'posted' {_ROWS} AND row.status = 'undone' AND NOT {_RESTS}"
)
STATEMENTS = (REST, COUNT)
