"""Rows that two tellers may have told of the same event in other words. Found here, decided by a person.

A teller is the broker, or one file. Each is trusted in itself: **two rows are two when one teller told both**, whether
in these words or by a row known to be the same. All others that are alike are asked about. Set-based and limited to
the days of the batch; where nobody else told a row of these days, nothing is looked for.
"""

from collections.abc import Sequence

from django.db.backends.utils import CursorWrapper

from aggregation import sums, tellers
from aggregation.staging import ACCOUNT, Scope
from aggregation.tellers import TOLD_BY_ONE

CLEAR = "DROP TABLE IF EXISTS changed, told, fresh, alone, near_fresh, near_alone, alike, facing"
# The batch's own delivery is the account's newest.
HAS_OTHERS = """
SELECT EXISTS (
    SELECT FROM aggregation_delivery WHERE account_id = %(account)s AND undone_at IS NULL
        AND (source <> %(source)s OR source = 'csv'
            AND id < (SELECT max(id) FROM aggregation_delivery WHERE account_id = %(account)s))
) AND EXISTS (SELECT FROM booking WHERE new_id IS NOT NULL)
"""
HAS_TELLERS = """
SELECT EXISTS (SELECT FROM aggregation_delivery WHERE account_id = %(account)s AND undone_at IS NULL AND source = 'csv')
    AND (SELECT count(*) > 1 FROM aggregation_delivery WHERE account_id = %(account)s AND undone_at IS NULL)
"""
# The batch's rows, and those it knows to be the same: questions between them have answered themselves. `IS TRUE` has
# the answered ones hashed: as a join, a table that grew a moment ago is compared with itself row by row.
ANSWERED = """
DELETE FROM aggregation_possibleduplicate WHERE account_id = %(account)s AND (coalesce(leader_id, id) IN (
    WITH told AS (
        SELECT DISTINCT CASE WHEN row.status = 'duplicate' THEN row.superseded_by_id ELSE row.id END AS id
        FROM (
            SELECT prior_id AS id FROM keyed WHERE is_known UNION ALL {news}
        ) AS each JOIN aggregation_transaction AS row USING (id)
    )
    SELECT coalesce(pair.leader_id, pair.id) FROM aggregation_possibleduplicate AS pair
    JOIN told AS one ON one.id = pair.first_id JOIN told AS other ON other.id = pair.second_id
    WHERE pair.account_id = %(account)s AND pair.decision = 'open')) IS TRUE
"""
HAS_QUESTIONS = """
SELECT EXISTS (SELECT FROM aggregation_possibleduplicate WHERE account_id = %(account)s AND decision = 'open')
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
_LIVES = "row.status IN ('posted', 'pending') AND row.part_of_id IS NULL"
# The rows the batch told, as they stand or by one known to be the same: it is not asked about any two of these. By
# their ids, because each row of some days is looked up in them.
TOLD = "CREATE TEMP TABLE told (id bigint PRIMARY KEY) ON COMMIT DROP"
FILL_TOLD = """
INSERT INTO told SELECT id FROM (
    SELECT prior_id FROM keyed WHERE is_known
    UNION
    SELECT row.superseded_by_id FROM keyed JOIN aggregation_transaction AS row ON row.id = prior_id
    WHERE is_known AND prior_status = 'duplicate' AND row.status = 'duplicate'
    UNION
    SELECT unnest(ARRAY[prior_id, new_id, CASE WHEN new_id IS NOT NULL THEN claimed_by END]) FROM booking
) AS each (id) WHERE id IS NOT NULL
"""
_IS_STRANGE = "NOT EXISTS (SELECT FROM told WHERE told.id = row.id)"
_IS_OTHERS = f"NOT (row.source = 'api' AND %(source)s = 'api') AND {_LIVES} AND {_IS_STRANGE}"
# Whether the books have a row that another told and that may be like one of these: near its days, or with its id.
HAS_STRANGERS = f"""
WITH days AS MATERIALIZED (
    SELECT min(traded_on) - 5 AS first_on, max(traded_on) + 5 AS last_on
    FROM staged JOIN booking USING (line) WHERE new_id IS NOT NULL
)
SELECT EXISTS (
    SELECT FROM aggregation_transaction AS row
    WHERE account_id = {ACCOUNT} AND {_IS_OTHERS}
        AND traded_on BETWEEN (SELECT first_on FROM days) AND (SELECT last_on FROM days)
) OR EXISTS (
    SELECT FROM booking CROSS JOIN LATERAL (
        SELECT * FROM aggregation_transaction AS found
        WHERE found.account_id = {ACCOUNT} AND found.external_id = booking.external_id AND found.external_id <> ''
            AND found.source = CASE %(source)s WHEN 'api' THEN 'csv' ELSE 'api' END
            AND found.status <> 'superseded' AND found.status <> 'undone' OFFSET 0
    ) AS row WHERE booking.new_id IS NOT NULL AND {_IS_OTHERS}
)
"""
# All that counts of the contents of which something new was told: what is new may have taken another row's partner.
NEW_CONTENTS = """
CREATE TEMP TABLE changed ON COMMIT DROP AS SELECT DISTINCT content_key FROM booking WHERE new_id IS NOT NULL
"""
CONTENTS_OF = """
CREATE TEMP TABLE changed ON COMMIT DROP AS
SELECT DISTINCT content_key FROM aggregation_transaction WHERE id = ANY (%(rows)s)
"""
FRESH = f"""
CREATE TEMP TABLE fresh ON COMMIT DROP AS
SELECT {_FACTS} FROM changed CROSS JOIN LATERAL (
    SELECT * FROM aggregation_transaction AS found
    WHERE found.account_id = {ACCOUNT} AND found.content_key = changed.content_key OFFSET 0
) AS row WHERE {_LIVES}
"""
ALONE = f"""
CREATE TEMP TABLE alone ON COMMIT DROP AS
SELECT {_FACTS} FROM aggregation_transaction AS row
WHERE row.account_id = {ACCOUNT} AND {_LIVES}
    AND (row.source <> 'api' OR EXISTS (SELECT FROM fresh WHERE source <> 'api'))
    AND ({_IS_STRANGE} OR EXISTS (SELECT FROM fresh AS row WHERE {_IS_STRANGE}))
    AND row.traded_on BETWEEN (SELECT min(traded_on) - 5 FROM fresh) AND (SELECT max(traded_on) + 5 FROM fresh)
"""
# The same broker's id is asked about however far the days are apart.
BY_ID = f"""
INSERT INTO alone SELECT {_FACTS} FROM fresh CROSS JOIN LATERAL (
    SELECT * FROM aggregation_transaction AS found
    WHERE found.account_id = {ACCOUNT} AND found.external_id = fresh.external_id AND found.external_id <> ''
        AND found.source = CASE fresh.source WHEN 'api' THEN 'csv' ELSE 'api' END
        AND found.status <> 'superseded' AND found.status <> 'undone' OFFSET 0
) AS row
WHERE {_LIVES} AND NOT EXISTS (SELECT FROM alone WHERE alone.id = row.id)
"""
# Rows whose days may be near each other share a span of eleven days, so that equal lots of years are not all compared
# with one another: a row stands in the spans of its two dates, and one it is compared with in those five days around.
_SPAN = "({day} - date '2000-01-01') / 11"
_NEAR = """
CREATE TEMP TABLE near_{rows} ON COMMIT DROP AS
SELECT row.*, span FROM {rows} AS row CROSS JOIN LATERAL (SELECT DISTINCT unnest(ARRAY[{spans}])) AS days (span)
WHERE span IS NOT NULL
"""
_ON_SETTLEMENT = _SPAN.format(day="settled_on")
NEAR_FRESH = _NEAR.format(rows="fresh", spans=f"{_SPAN.format(day='traded_on')}, {_ON_SETTLEMENT}")
NEAR_ALONE = _NEAR.format(
    rows="alone", spans=f"{_SPAN.format(day='traded_on - 5')}, {_SPAN.format(day='traded_on + 5')}, {_ON_SETTLEMENT}"
)
# Five ways to be alike, each an equality the planner can hash: the same units of the same thing; the same units of a
# thing spelled differently, for the same money or on the same day; the same money without units (or all but a rounding
# of it, for the same thing); the same id of the broker.
_UNITS = "nullif(fresh.quantity, 0) = nullif(alone.quantity, 0)"
_NO_UNITS = "nullif(fresh.quantity, 0) IS NULL AND nullif(alone.quantity, 0) IS NULL"
_BOTH = "fresh.family = alone.family AND fresh.currency = alone.currency"
_APART = "abs(fresh.net_amount - alone.net_amount)"
# The difference of the amounts is a rounding, or just what one of them calls fees and taxes.
_SAME_MONEY = f"""(
    {_APART} <= 0.05 OR abs({_APART} - fresh.costs) <= 0.05 OR abs({_APART} - alone.costs) <= 0.05
    OR abs(fresh.gross_amount - alone.net_amount) <= 0.05 OR abs(fresh.net_amount - alone.gross_amount) <= 0.05)"""
_SAME_DAYS = """(
    fresh.traded_on = alone.traded_on OR alone.settled_on = fresh.traded_on OR fresh.settled_on = alone.traded_on
    OR abs(fresh.traded_on - alone.traded_on) <= CASE WHEN fresh.family = 'trade' THEN 1 ELSE 5 END)"""
_SAME_ID = "fresh.external_id = alone.external_id AND fresh.external_id <> '' AND fresh.source <> alone.source"
_TWO = "fresh.id <> alone.id AND NOT (fresh.source = 'api' AND alone.source = 'api')"
# Each pair once, the same content always on the same side.
_KEYS = "fresh.content_key AS fresh_key, alone.content_key AS alone_key"
_TURNED = "(alone_key, alone_id) < (fresh_key, fresh_id)"
ALIKE = f"""
CREATE TEMP TABLE alike ON COMMIT DROP AS
SELECT DISTINCT CASE WHEN {_TURNED} THEN alone_id ELSE fresh_id END AS one_id,
    CASE WHEN {_TURNED} THEN fresh_id ELSE alone_id END AS other_id
FROM (
SELECT fresh.id AS fresh_id, alone.id AS alone_id, {_KEYS} FROM near_fresh AS fresh JOIN near_alone AS alone
    ON {_BOTH} AND fresh.span = alone.span AND {_UNITS} AND fresh.instrument_id = alone.instrument_id
WHERE {_SAME_MONEY} AND {_SAME_DAYS} AND {_TWO}
UNION
SELECT fresh.id, alone.id, {_KEYS} FROM near_fresh AS fresh JOIN near_alone AS alone
    ON {_BOTH} AND fresh.span = alone.span AND {_UNITS} AND fresh.net_amount = alone.net_amount
WHERE {_SAME_DAYS} AND {_TWO}
UNION
SELECT fresh.id, alone.id, {_KEYS} FROM fresh JOIN alone
    ON {_BOTH} AND {_UNITS} AND fresh.traded_on = alone.traded_on WHERE {_SAME_MONEY} AND {_TWO}
UNION
SELECT fresh.id, alone.id, {_KEYS} FROM near_fresh AS fresh JOIN near_alone AS alone
    ON {_BOTH} AND fresh.span = alone.span AND fresh.net_amount = alone.net_amount
WHERE {_NO_UNITS} AND {_SAME_DAYS} AND {_TWO}
UNION
SELECT fresh.id, alone.id, {_KEYS} FROM fresh JOIN alone
    ON {_BOTH} AND fresh.instrument_id = alone.instrument_id AND fresh.traded_on = alone.traded_on
WHERE {_NO_UNITS} AND {_SAME_MONEY} AND {_TWO}
UNION
SELECT fresh.id, alone.id, {_KEYS} FROM fresh JOIN alone ON {_SAME_ID} WHERE fresh.content_key <> alone.content_key
) AS found
"""
FACING = "CREATE TEMP TABLE facing ON COMMIT DROP AS SELECT * FROM fresh UNION SELECT * FROM alone"
# The open questions a run leaves behind are looked at again together with what it brings.
STILL_OPEN = """
SELECT pair.first_id, pair.second_id FROM aggregation_possibleduplicate AS pair
WHERE pair.account_id = %(account)s AND pair.decision = 'open'
    AND (pair.first_id IN (SELECT id FROM fresh) OR pair.second_id IN (SELECT id FROM fresh))
"""
NO_QUESTION = "SELECT NULL::bigint, NULL::bigint WHERE false"
_OF_ALIKE = """
    SELECT one_id FROM alike UNION SELECT other_id FROM alike
    UNION SELECT unnest(ARRAY[first_id, second_id]) FROM ({open}) AS pair (first_id, second_id)
"""
PAIR = f"""
INSERT INTO aggregation_possibleduplicate (account_id, first_id, second_id, reasons, decision, created_at)
WITH judged AS (
    SELECT fresh.id AS one_id, alone.id AS other_id, fresh.content_key AS one_key, alone.content_key AS other_key,
        array_remove(ARRAY[
            CASE WHEN {_SAME_ID} THEN 'id' END,
            CASE WHEN fresh.content_key = alone.content_key THEN 'same' END,
            CASE WHEN fresh.traded_on <> alone.traded_on THEN
                CASE WHEN alone.settled_on = fresh.traded_on OR fresh.settled_on = alone.traded_on
                    THEN 'settlement' ELSE 'date' END END,
            CASE WHEN NOT {_SAME_MONEY} THEN 'amount' WHEN {_APART} > 0.05 THEN 'fees'
                WHEN {_APART} > 0 THEN 'rounding' END,
            CASE WHEN {_SAME_ID} AND fresh.quantity <> alone.quantity THEN 'units' END,
            CASE WHEN fresh.instrument_id IS DISTINCT FROM alone.instrument_id THEN 'symbol' END,
            CASE WHEN fresh.kind <> alone.kind THEN 'kind' END
        ], NULL) AS reasons
    FROM alike JOIN facing AS fresh ON fresh.id = one_id JOIN facing AS alone ON alone.id = other_id
    WHERE NOT {TOLD_BY_ONE.format(one="fresh.id", other="alone.id")}
), asked AS (  -- which row of a content each row is asked about with already
    SELECT DISTINCT row_id, other.content_key FROM aggregation_possibleduplicate AS pair
    CROSS JOIN LATERAL (VALUES (first_id, second_id), (second_id, first_id)) AS side (row_id, other_id)
    JOIN aggregation_transaction AS other ON other.id = other_id
    WHERE pair.account_id = %(account)s AND other.status IN ('posted', 'pending')
        AND row_id IN (SELECT one_id FROM judged UNION SELECT other_id FROM judged)
), free AS (
    SELECT judged.* FROM judged
    LEFT JOIN asked AS one ON one.row_id = one_id AND one.content_key = other_key
    LEFT JOIN asked AS other ON other.row_id = other_id AND other.content_key = one_key
    WHERE 'id' = ANY (reasons) OR one.row_id IS NULL AND other.row_id IS NULL
), numbered AS (  -- equal rows pair one to one: the first with the first
    SELECT free.*,
        dense_rank() OVER (PARTITION BY one_key, other_key ORDER BY one_id) AS one_number,
        dense_rank() OVER (PARTITION BY one_key, other_key ORDER BY other_id) AS other_number
    FROM free
)
SELECT %(account)s, least(one_id, other_id), greatest(one_id, other_id), reasons, 'open', now()
FROM numbered WHERE one_number = other_number OR 'id' = ANY (reasons)
ORDER BY 2, 3
ON CONFLICT (first_id, second_id) DO NOTHING
"""
ANSWERED_AGAIN = f"""
DELETE FROM aggregation_possibleduplicate AS question WHERE account_id = %(account)s AND (coalesce(leader_id, id) IN (
    SELECT coalesce(leader_id, id) FROM aggregation_possibleduplicate AS pair
    WHERE pair.account_id = %(account)s AND pair.decision = 'open'
        AND {TOLD_BY_ONE.format(one="pair.first_id", other="pair.second_id")})) IS TRUE
"""


def answer(cursor: CursorWrapper, scope: Scope, news: str) -> None:
    """Drop the open questions that the batch has answered by telling both rows. Reads the tables of the booking."""
    cursor.execute(HAS_QUESTIONS, scope)
    if cursor.fetchone() == (True,):
        cursor.execute(ANSWERED.replace("{news}", news), scope)


def find(cursor: CursorWrapper, scope: Scope) -> None:
    """Ask about what the batch just booked. Reads the temporary tables of the booking."""
    cursor.execute(HAS_OTHERS, scope)
    if cursor.fetchone() == (True,) and has_strangers(cursor, scope):
        cursor.execute(NEW_CONTENTS)
        _ask(cursor, scope, NO_QUESTION)


def has_strangers(cursor: CursorWrapper, scope: Scope) -> bool:
    """Whether another told a row that a new one of the batch may be like: if not, there is nothing to ask about.

    Reads the temporary tables of the booking, carried out or not.
    """
    cursor.execute(CLEAR)
    cursor.execute(TOLD)
    cursor.execute(FILL_TOLD)
    cursor.execute(HAS_STRANGERS, scope)
    return bool(cursor.fetchone() == (True,))


def find_again(cursor: CursorWrapper, account_id: int, rows: Sequence[int]) -> None:
    """Ask about all that counts of the contents of `rows`, because a run or a decision about them came or went.

    Open questions about them that have answered themselves are dropped.
    """
    scope: Scope = {"account": account_id}
    cursor.execute(HAS_TELLERS, scope)
    if cursor.fetchone() == (True,):
        cursor.execute(CLEAR)
        cursor.execute(TOLD)
        cursor.execute(CONTENTS_OF, {"rows": list(rows)})
        _ask(cursor, scope, STILL_OPEN)


def _ask(cursor: CursorWrapper, scope: Scope, still_open: str) -> None:
    for statement in (FRESH, ALONE, BY_ID):
        cursor.execute(statement, scope)
    cursor.execute("ANALYZE fresh (traded_on, instrument_id, quantity, net_amount)")
    cursor.execute("ANALYZE alone (traded_on, instrument_id, quantity, net_amount)")
    cursor.execute(NEAR_FRESH)
    cursor.execute(NEAR_ALONE)
    cursor.execute("ANALYZE near_fresh (span, instrument_id, quantity, net_amount)")
    cursor.execute("ANALYZE near_alone (span, instrument_id, quantity, net_amount)")
    cursor.execute(ALIKE)
    cursor.execute(f"SELECT EXISTS (SELECT FROM alike) OR EXISTS ({still_open})", scope)
    if cursor.fetchone() == (True,):
        tellers.find(cursor, scope, _OF_ALIKE.format(open=still_open))
        if still_open != NO_QUESTION:
            cursor.execute(ANSWERED_AGAIN, scope)
        cursor.execute(FACING)
        cursor.execute(PAIR, scope)
    sums.find(cursor, scope)
