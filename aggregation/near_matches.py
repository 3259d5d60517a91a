"""Rows that two sources may have told of the same event in other words. Found here, decided by a person.

Asked only about rows that are still alone: neither told in the same words by the other source, nor replaced. A source
is trusted in itself: a broker's two ids are two events, and so are equal rows of one file. Set-based and limited to
the days of the batch; where an account has one source only, nothing is looked for.
"""

from django.db.backends.utils import CursorWrapper

from aggregation.staging import Scope

HAS_OTHERS = """
SELECT EXISTS (
    SELECT FROM aggregation_delivery WHERE account_id = %(account)s AND undone_at IS NULL
        AND (source <> %(source)s OR source = 'csv' AND run_id IS DISTINCT FROM %(run)s)
) AND EXISTS (SELECT FROM booking WHERE outcome <> 'matched' AND book_status IN ('posted', 'pending'))
"""

_FACTS = """
    row.id, row.source, row.external_id, row.content_key, row.traded_on, row.settled_on, row.kind, row.instrument_id,
    row.quantity, row.net_amount, coalesce(row.gross_amount, row.net_amount) AS gross_amount,
    row.fees + row.taxes AS costs, row.currency,
    CASE
        WHEN row.kind IN ('buy', 'sell') THEN 'trade'
        WHEN row.kind IN ('dividend', 'interest') THEN 'income'
        WHEN row.kind IN ('fee', 'tax') THEN 'cost'
        WHEN row.kind IN ('deposit', 'withdrawal', 'transfer_in', 'transfer_out') THEN 'transfer'
        ELSE row.kind
    END AS family
"""
_NO_TWIN = """
    NOT EXISTS (SELECT FROM aggregation_transaction AS twin
        WHERE twin.superseded_by_id = row.id AND twin.status = 'duplicate')
"""
FRESH = f"""
CREATE TEMP TABLE fresh ON COMMIT DROP AS
SELECT {_FACTS} FROM booking JOIN aggregation_transaction AS row ON row.id = booking.new_id
WHERE booking.outcome <> 'matched' AND row.status IN ('posted', 'pending') AND {_NO_TWIN}
"""
# What the batch itself tells is no candidate: it would be the source's own second row.
ALONE = f"""
CREATE TEMP TABLE alone ON COMMIT DROP AS
SELECT {_FACTS} FROM aggregation_transaction AS row
WHERE row.account_id = %(account)s AND row.status IN ('posted', 'pending') AND row.part_of_id IS NULL
    AND (row.source <> %(source)s OR row.source = 'csv' AND row.run_id IS DISTINCT FROM %(run)s)
    AND row.traded_on BETWEEN (SELECT min(traded_on) - 5 FROM fresh) AND (SELECT max(traded_on) + 5 FROM fresh)
    AND NOT EXISTS (SELECT FROM keyed WHERE keyed.prior_id = row.id)
    AND NOT EXISTS (SELECT FROM booking WHERE booking.prior_id = row.id) AND {_NO_TWIN}
"""
# Three ways to be alike, each an equality the planner can hash: the same units of the same thing; the same units and
# money of a thing spelled differently; the same money without units (or all but a rounding of it, for the same thing).
_UNITS = "nullif(fresh.quantity, 0) = nullif(alone.quantity, 0)"
_NO_UNITS = "nullif(fresh.quantity, 0) IS NULL AND nullif(alone.quantity, 0) IS NULL"
_BOTH = "fresh.family = alone.family AND fresh.currency = alone.currency"
_APART = "abs(fresh.net_amount - alone.net_amount)"
# The difference of the amounts is a rounding, or just what one of them calls fees and taxes.
_SAME_MONEY = f"""(
    {_APART} <= 0.05 OR abs({_APART} - fresh.costs) <= 0.05 OR abs({_APART} - alone.costs) <= 0.05
    OR abs(fresh.gross_amount - alone.net_amount) <= 0.05 OR abs(fresh.net_amount - alone.gross_amount) <= 0.05)"""
PAIR = f"""
INSERT INTO aggregation_possibleduplicate (account_id, first_id, second_id, reasons, decision, created_at)
WITH alike AS (
    SELECT fresh.id AS fresh_id, alone.id AS alone_id FROM fresh JOIN alone
        ON {_BOTH} AND {_UNITS} AND fresh.instrument_id = alone.instrument_id WHERE {_SAME_MONEY}
    UNION
    SELECT fresh.id, alone.id FROM fresh JOIN alone
        ON {_BOTH} AND {_UNITS} AND fresh.net_amount = alone.net_amount
    UNION
    SELECT fresh.id, alone.id FROM fresh JOIN alone
        ON {_BOTH} AND fresh.net_amount = alone.net_amount WHERE {_NO_UNITS}
    UNION
    SELECT fresh.id, alone.id FROM fresh JOIN alone
        ON {_BOTH} AND fresh.instrument_id = alone.instrument_id AND fresh.traded_on = alone.traded_on
    WHERE {_NO_UNITS} AND {_SAME_MONEY}
), judged AS (
    SELECT fresh.id AS fresh_id, alone.id AS alone_id, fresh.content_key AS fresh_key, alone.content_key AS alone_key,
        array_remove(ARRAY[
            CASE WHEN fresh.content_key = alone.content_key THEN 'same' END,
            CASE WHEN fresh.traded_on <> alone.traded_on THEN
                CASE WHEN alone.settled_on = fresh.traded_on OR fresh.settled_on = alone.traded_on
                    THEN 'settlement' ELSE 'date' END END,
            CASE WHEN {_APART} > 0.05 THEN 'fees' WHEN {_APART} > 0 THEN 'rounding' END,
            CASE WHEN fresh.instrument_id IS DISTINCT FROM alone.instrument_id THEN 'symbol' END,
            CASE WHEN fresh.kind <> alone.kind THEN 'kind' END
        ], NULL) AS reasons
    FROM alike JOIN fresh ON fresh.id = fresh_id JOIN alone ON alone.id = alone_id
    WHERE fresh.traded_on = alone.traded_on OR alone.settled_on = fresh.traded_on OR fresh.settled_on = alone.traded_on
        OR abs(fresh.traded_on - alone.traded_on) <= CASE WHEN fresh.family = 'trade' THEN 1 ELSE 5 END
), numbered AS (  -- equal rows pair one to one: the first with the first
    SELECT judged.*,
        dense_rank() OVER (PARTITION BY fresh_key, alone_key ORDER BY fresh_id) AS fresh_number,
        dense_rank() OVER (PARTITION BY fresh_key, alone_key ORDER BY alone_id) AS alone_number
    FROM judged
)
SELECT %(account)s, least(fresh_id, alone_id), greatest(fresh_id, alone_id), reasons, 'open', now()
FROM numbered WHERE fresh_number = alone_number
ON CONFLICT (first_id, second_id) DO NOTHING
"""


def find(cursor: CursorWrapper, scope: Scope) -> int:
    """Ask about what the batch just booked; how many questions it made. Reads the temporary tables of the booking."""
    cursor.execute(HAS_OTHERS, scope)
    if cursor.fetchone() != (True,):
        return 0
    cursor.execute("DROP TABLE IF EXISTS fresh, alone")
    cursor.execute(FRESH)
    cursor.execute(ALONE, scope)
    cursor.execute("ANALYZE fresh")
    cursor.execute("ANALYZE alone")
    cursor.execute(PAIR, scope)
    return int(cursor.rowcount)
