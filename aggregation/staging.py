"""Records into a temporary table by COPY, and there told apart from what the books hold, all in SQL.

SQL is the one author of `content_key` and `fingerprint`. What a row is called by its source (`external_id`) may be
missing; then it is known by its content and by being the n-th of its kind.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any, Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.backends.utils import CursorWrapper

from connections.brokers.records import InstrumentRecord, TransactionRecord

Scope = Mapping[str, Any]  # account, source, run and instruments of a batch

# As `_row` gives them.
COLUMNS = """
    line external_id kind subtype traded_on settled_on occurred_at instrument quantity price gross_amount
    fees taxes net_amount currency description group_id status raw
""".split()  # noqa: SIM905 (one name a line says no more)

_amounts = attrgetter("net_amount", "quantity", "price", "gross_amount", "fees", "taxes")

CREATE = """
CREATE TEMP TABLE staged (
    line integer, external_id text, kind text, subtype text, traded_on date, settled_on date,
    occurred_at timestamptz, instrument integer,
    quantity numeric(38, 18), price numeric(28, 10), gross_amount numeric(28, 10),
    fees numeric(28, 10), taxes numeric(28, 10), net_amount numeric(28, 10),
    currency text, description text, group_id text, status text, raw text
)
"""
# Instruments are numbered as they come, from 1, and looked up in the array of their ids when the batch is whole.
_INSTRUMENT = "(%(instruments)s::bigint[])[instrument]"

# Texts are joined by the unit separator, numbers written without trailing zeros, days and times as numbers: the same
# row gives the same digest whatever the session's settings. No units and zero units are the same content.
# `instrument_id` and not its symbol, because a symbol may be learnt later.
_CONTENT = """
    kind, (traded_on - date '2000-01-01')::text, coalesce(instrument_id::text, ''),
    coalesce(trim_scale(nullif(quantity, 0))::text, ''), trim_scale(net_amount)::text, currency
"""
_DETAILS = """
    subtype, coalesce((settled_on - date '2000-01-01')::text, ''), coalesce(extract(epoch FROM occurred_at)::text, ''),
    coalesce(trim_scale(price)::text, ''), coalesce(trim_scale(gross_amount)::text, ''), trim_scale(fees)::text,
    trim_scale(taxes)::text, description, group_id, status
"""

# What is looked up in the books is looked up row by row, by index (`OFFSET 0` keeps the planner from making a
# join of it that reads the whole account), so a page costs the same however large the books are. What then remains is
# joined among temporary tables whose sizes the planner knows. It is not told which account it is about: of one that
# came to be since the last statistics it would expect a single row, and read all of them for each that is looked up.
ACCOUNT = "(SELECT %(account)s)"
_FINGERPRINT = f"sha256(content_key || convert_to(concat_ws(chr(31), {_DETAILS}), 'UTF8'))"
_NAMED = f"""(
    SELECT *, sha256(convert_to(concat_ws(chr(31), {_CONTENT}), 'UTF8')) AS content_key
    FROM (SELECT *, {_INSTRUMENT} AS instrument_id FROM staged) AS known OFFSET 0
) AS named"""
KEY = f"""
CREATE TEMP TABLE keyed ON COMMIT DROP AS
SELECT row.*, prior.id AS prior_id, prior.status AS prior_status, prior.content_key = row.content_key AS same_content,
    prior.fingerprint = row.fingerprint AS is_known, NULL::bigint AS number
FROM (
    SELECT line, external_id, status, content_key, {_FINGERPRINT} AS fingerprint,
        -- a broker's id twice in one batch is a page sent twice: the last one is the broker's newest word
        row_number() OVER (
            PARTITION BY external_id COLLATE "C", CASE WHEN external_id = '' THEN line END ORDER BY line DESC) AS copy
    FROM {_NAMED}
) AS row
LEFT JOIN LATERAL (
    SELECT id, status, content_key, fingerprint FROM aggregation_transaction
    WHERE account_id = {ACCOUNT} AND source = %(source)s AND external_id = row.external_id
        AND external_id <> '' AND status <> 'superseded' AND status <> 'undone' OFFSET 0
) AS prior ON true
WHERE row.copy = 1
"""

# Where no row has an id, each is known by its content and number alone: most rows of a file that comes again need no
# closer look, and no fingerprint.
KEY_BY_CONTENT = f"""
CREATE TEMP TABLE keyed ON COMMIT DROP AS
SELECT row.*, prior.id AS prior_id, prior.status AS prior_status, true AS same_content, prior.id IS NOT NULL AS is_known
FROM (
    SELECT line, external_id, status, content_key, NULL::bytea AS fingerprint,
        row_number() OVER (PARTITION BY content_key ORDER BY line) AS number
    FROM {_NAMED}
) AS row
LEFT JOIN LATERAL (
    SELECT id, status FROM aggregation_transaction
    WHERE account_id = {ACCOUNT} AND source = %(source)s AND content_key = row.content_key
        AND occurrence = row.number AND stated = row.status
        AND external_id = '' AND status <> 'superseded' AND status <> 'undone' OFFSET 0
) AS prior ON true
"""

# Everything the account has ever had, and still has, with one of the contents that are not simply known by their id.
LOOK_AROUND = f"""
CREATE TEMP TABLE near ON COMMIT DROP AS
SELECT found.* FROM (SELECT DISTINCT content_key FROM keyed WHERE is_known IS NOT TRUE) AS content
CROSS JOIN LATERAL (
    SELECT id, source, external_id, content_key, occurrence, status, stated FROM aggregation_transaction
    WHERE account_id = {ACCOUNT} AND content_key = content.content_key AND status <> 'undone' OFFSET 0
) AS found
"""

# Who is believed before whom when two tell the same: the broker, then a file that knows the row by an id, then one
# that does not.
RANK = "CASE WHEN {row}.source = 'api' THEN 3 WHEN {row}.external_id <> '' THEN 2 ELSE 1 END"
_OWN_RANK = "CASE WHEN %(source)s = 'api' THEN 3 WHEN {row}.external_id <> '' THEN 2 ELSE 1 END"

# Each row that is not simply known gets its `outcome`: inserted, matched or superseded (it replaces `prior_id`, or the
# row of one who is believed less). A row that one who is believed more has told before is matched, and kept beside
# that one as proof (`claimed_by`): the books are the same whichever of the two came first, and if one is taken back
# the other stands. One file tells two rows when it tells the same with an id and without: the latter count on.
CLASSIFY = f"""
CREATE TEMP TABLE booking ON COMMIT DROP AS
WITH top AS (
    SELECT content_key, max(occurrence) AS own FROM near
    WHERE source = %(source)s AND external_id <> '' GROUP BY content_key
), held AS (  -- an id that has had this content before keeps its number
    SELECT external_id, content_key, max(occurrence) AS occurrence
    FROM near WHERE source = %(source)s AND external_id <> '' GROUP BY external_id, content_key
), with_id AS (
    SELECT content_key, count(*) AS rows FROM keyed
    WHERE external_id <> '' AND EXISTS (SELECT FROM keyed WHERE external_id = '') GROUP BY content_key
), numbered AS (
    SELECT keyed.*, {_OWN_RANK.format(row="keyed")} AS rank, coalesce(keyed.number, held.occurrence,
        CASE WHEN keyed.external_id = '' THEN coalesce(with_id.rows, 0) ELSE coalesce(top.own, 0) END
        + row_number() OVER (
            PARTITION BY keyed.content_key, keyed.external_id = '', held.occurrence IS NULL ORDER BY line)
        ) AS occurrence
    FROM keyed
    LEFT JOIN top ON top.content_key = keyed.content_key
    LEFT JOIN held ON held.external_id = keyed.external_id AND held.content_key = keyed.content_key
    LEFT JOIN with_id ON with_id.content_key = keyed.content_key
    WHERE is_known IS NOT TRUE
), by_content AS (  -- the row without an id that is known by its content and number
    SELECT id, content_key, occurrence, status, stated FROM near
    WHERE source = %(source)s AND external_id = '' AND status <> 'superseded'
), ranked AS (
    SELECT near.*, {RANK.format(row="near")} AS rank FROM near
), teller AS (
    SELECT DISTINCT {_OWN_RANK.format(row="keyed")} AS rank FROM keyed WHERE is_known IS NOT TRUE
), rival AS (  -- what was told before by one who is believed less
    SELECT content_key, occurrence, teller.rank, bool_or(status = 'excluded') AS excluded,
        bool_or(status = 'split') AS split
    FROM ranked JOIN teller ON ranked.rank < teller.rank
    WHERE status <> 'superseded' GROUP BY content_key, occurrence, teller.rank
), claim AS (  -- what was told before by one who is believed more
    SELECT DISTINCT ON (content_key, occurrence, teller.rank) content_key, occurrence, teller.rank, id
    FROM ranked JOIN teller ON ranked.rank > teller.rank
    ORDER BY content_key, occurrence, teller.rank, ranked.rank DESC, status = 'superseded', id DESC
), verdict AS (
    SELECT line, numbered.external_id, numbered.content_key, fingerprint, numbered.occurrence, claim.id AS claimed_by,
        coalesce(prior_id, by_content.id) AS prior_id, rival.content_key IS NOT NULL AS has_rival,
        CASE
            WHEN claim.id IS NOT NULL THEN 'duplicate'
            WHEN coalesce(prior_status, by_content.status) = 'excluded' OR rival.excluded THEN 'excluded'
            WHEN prior_status = 'split' AND same_content OR by_content.status = 'split' OR rival.split THEN 'split'
            ELSE numbered.status
        END AS book_status,
        coalesce(prior_status, by_content.status) = 'split' OR coalesce(rival.split, false) AS was_split,
        by_content.stated = numbered.status AS is_told,
        CASE
            WHEN prior_id IS NOT NULL THEN 'superseded'
            WHEN by_content.stated = numbered.status THEN 'matched'
            WHEN by_content.id IS NOT NULL THEN 'superseded'
            WHEN claim.id IS NOT NULL THEN 'matched'
            WHEN rival.content_key IS NOT NULL THEN 'superseded'
            ELSE 'inserted'
        END AS outcome
    FROM numbered
    LEFT JOIN by_content ON numbered.external_id = '' AND by_content.content_key = numbered.content_key
        AND by_content.occurrence = numbered.occurrence
    LEFT JOIN rival ON rival.content_key = numbered.content_key AND rival.occurrence = numbered.occurrence
        AND rival.rank = numbered.rank
    LEFT JOIN claim ON claim.content_key = numbered.content_key AND claim.occurrence = numbered.occurrence
        AND claim.rank = numbered.rank
    ORDER BY line
)
SELECT *, CASE WHEN is_told IS NOT TRUE
    THEN nextval(pg_get_serial_sequence('aggregation_transaction', 'id')) END AS new_id
FROM verdict
"""
# Rows with and without ids in one batch: what was not in the books when they were compared with these.
HAS_BOTH = """
SELECT EXISTS (SELECT FROM booking WHERE external_id = '') AND EXISTS (SELECT FROM booking WHERE external_id <> '')
"""
CLAIM_WITHIN = """
UPDATE booking SET claimed_by = taker.new_id, book_status = 'duplicate',
    outcome = CASE WHEN booking.outcome = 'inserted' THEN 'matched' ELSE booking.outcome END
FROM booking AS taker
WHERE booking.external_id = '' AND booking.new_id IS NOT NULL AND booking.claimed_by IS NULL
    AND taker.external_id <> '' AND taker.content_key = booking.content_key AND taker.occurrence = booking.occurrence
"""

COUNT = """
SELECT outcome, count(*), count(new_id), count(*) FILTER (WHERE was_split) FROM booking GROUP BY outcome
"""

# Two statements before the insert, because a unique index looks at each row as it comes, not at the end.
SUPERSEDE = (
    """
UPDATE aggregation_transaction AS old SET status = 'superseded', superseded_by_id = booking.new_id
FROM booking WHERE old.id = booking.prior_id AND booking.outcome = 'superseded'
""",
    f"""
UPDATE aggregation_transaction AS old SET status = 'duplicate', superseded_by_id = booking.new_id
FROM booking WHERE booking.has_rival AND booking.new_id IS NOT NULL AND booking.claimed_by IS NULL
    AND old.account_id = {ACCOUNT} AND old.content_key = booking.content_key
    AND old.occurrence = booking.occurrence AND old.source <> 'api' AND (%(source)s = 'api' OR old.external_id = '')
    AND old.status <> 'superseded' AND old.status <> 'undone'
""",
)

_BOOKED = [column for column in COLUMNS if column not in {"line", "status", "instrument"}]
INSERT = f"""
INSERT INTO aggregation_transaction ({", ".join(_BOOKED)},
    instrument_id, stated, id, status, superseded_by_id, content_key, fingerprint, occurrence, account_id, source,
    run_id, booked_at)
SELECT {", ".join("staged." + column for column in _BOOKED)}::jsonb, {_INSTRUMENT}, staged.status,
    new_id, book_status, claimed_by, content_key, coalesce(fingerprint, {_FINGERPRINT}), occurrence,
    %(account)s, %(source)s, %(run)s, now()
FROM staged JOIN booking USING (line) WHERE new_id IS NOT NULL ORDER BY line
"""

# The parts of a row go on to its correction of the same content; another amount is whole again.
PARTS = """
UPDATE aggregation_transaction AS part SET
    part_of_id = CASE WHEN booking.book_status = 'split' THEN booking.new_id ELSE part.part_of_id END,
    status = CASE WHEN booking.book_status = 'split' THEN part.status ELSE 'superseded' END,
    superseded_by_id = CASE WHEN booking.book_status = 'split' THEN NULL ELSE booking.new_id END
FROM booking JOIN aggregation_transaction AS old ON old.superseded_by_id = booking.new_id
WHERE booking.was_split AND part.part_of_id = old.id AND part.status <> 'superseded'
"""

# Who told what: for each line the row it is in its own source, known or new.
DELIVER = """
INSERT INTO aggregation_delivery (account_id, run_id, source, rows, first_on, last_on, created_at)
SELECT %(account)s, %(run)s, %(source)s, told.rows, days.first_on, days.last_on, now()
FROM (SELECT min(traded_on) AS first_on, max(traded_on) AS last_on FROM staged) AS days, (
    SELECT coalesce(array_agg(id ORDER BY id), '{}') AS rows FROM (
        SELECT prior_id AS id FROM keyed WHERE is_known UNION ALL {news}) AS each
) AS told
"""
NEWS = "SELECT coalesce(new_id, prior_id) FROM booking"
NO_NEWS = "SELECT NULL::bigint WHERE false"


class Batch:
    """Records on their way into the books: in the temporary table `staged`, to which they are copied in as many pieces
    as one likes. Inside a transaction or before one; there is one batch at a time, and each begins with a fresh table.
    """

    def __init__(self, *, with_raw: bool = True) -> None:
        """`with_raw`: whether the rows take their raw form along, which decides nothing."""
        self.with_raw = with_raw
        self.rows = 0
        self.has_ids = False
        self.instruments: dict[InstrumentRecord, int] = {}  # each with its number, from 1
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS staged, keyed, near, booking")
            cursor.execute(CREATE)

    @classmethod
    def of(cls, records: Iterable[TransactionRecord], *, with_raw: bool = True) -> Self:
        batch = cls(with_raw=with_raw)
        batch.add(records)
        return batch

    def __len__(self) -> int:
        return self.rows

    def add(self, records: Iterable[TransactionRecord]) -> None:
        """Raises ValueError for an amount that is not a finite number, django.db.DataError for one that does not fit.

        Nothing else may be asked of the database while `records` is gone through.
        """
        statement = f"COPY staged ({', '.join(COLUMNS)}) FROM STDIN"
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
            for record in records:
                copy.write_row(self._row(record))
                self.rows += 1
                self.has_ids = self.has_ids or record.external_id != ""

    def drop(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS staged")

    def _row(self, record: TransactionRecord) -> tuple[Any, ...]:
        for amount in _amounts(record):
            if amount is not None and not amount.is_finite():  # NUMERIC would take NaN
                raise ValueError(f"row {self.rows + 1} of the batch has an amount that is not a finite number")
        instrument = record.instrument
        return (
            self.rows,
            record.external_id,
            record.kind,
            _text(record.subtype, 40),
            record.traded_on,
            record.settled_on,
            record.occurred_at,
            None if instrument is None else self.instruments.setdefault(instrument, len(self.instruments) + 1),
            record.quantity,
            record.price,
            record.gross_amount,
            record.fees,
            record.taxes,
            record.net_amount,
            record.currency,
            _text(record.description, 300),
            _text(record.group_id, 80),
            record.status,
            json_text(record.raw) if self.with_raw else "{}",
        )


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How many rows of a batch became what; `written` also counts rows kept as proof beside the broker's."""

    inserted: int = 0
    superseded: int = 0
    written: int = 0
    split: int = 0


def classify(cursor: CursorWrapper, scope: Scope, *, has_ids: bool) -> Verdicts | None:
    """Fill the table `booking` from `staged`; rows that are simply known are not in it. None when all of them are.

    `has_ids`: whether any row of the batch has one.
    """
    cursor.execute(KEY if has_ids else KEY_BY_CONTENT, scope)
    cursor.execute("SELECT 1 FROM keyed WHERE is_known IS NOT TRUE LIMIT 1")
    if cursor.fetchone() is None:
        return None
    cursor.execute("ANALYZE keyed (external_id, content_key, is_known)")
    cursor.execute(LOOK_AROUND, scope)
    cursor.execute("ANALYZE near")
    cursor.execute(CLASSIFY, scope)
    cursor.execute(HAS_BOTH)
    if cursor.fetchone() == (True,):
        cursor.execute(CLAIM_WITHIN)
    cursor.execute(COUNT)
    counts = {outcome: (rows, written, split) for outcome, rows, written, split in cursor.fetchall()}
    return Verdicts(
        inserted=counts.get("inserted", (0, 0, 0))[0],
        superseded=counts.get("superseded", (0, 0, 0))[0],
        written=sum(written for _, written, _ in counts.values()),
        split=sum(split for _, _, split in counts.values()),
    )


def write(cursor: CursorWrapper, scope: Scope, verdicts: Verdicts | None) -> None:
    """Carry out what `classify` found, and note who told it."""
    if verdicts is None:
        cursor.execute(DELIVER.replace("{news}", NO_NEWS), scope)
        return
    if verdicts.superseded:
        for statement in SUPERSEDE:
            cursor.execute(statement, scope)
    if verdicts.written:
        cursor.execute(INSERT, scope)
    if verdicts.split:
        cursor.execute(PARTS)
    cursor.execute(DELIVER.replace("{news}", NEWS), scope)


def _text(text: str, length: int) -> str:
    return text.replace("\0", "")[:length]


class _RawEncoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        return str(o) if isinstance(o, Decimal) else super().default(o)  # asked first: a broker's row has many


_encode = _RawEncoder(ensure_ascii=False).encode


def json_text(raw: Mapping[str, Any]) -> str:
    """`raw` as PostgreSQL's JSON takes it: without the character NUL, which it cannot hold."""
    text = _encode(raw)
    return _encode(_without_nul(json.loads(text))) if "\\u0000" in text else text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return [_without_nul(item) for item in value] if isinstance(value, list) else value
