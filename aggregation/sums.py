"""One row of one teller that is the sum of several of another: an order against its executions.

The same day, instrument, side and currency; units add up exactly, cash to 0.01 per execution, or 0.02 where one of the
two keeps its fees apart. Asked about as one question, never merged silently.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.backends.utils import CursorWrapper

from aggregation import tellers
from aggregation.staging import ACCOUNT, Scope

ROUNDING, ROUNDING_WITH_FEES = Decimal("0.01"), Decimal("0.02")
MOST = 500  # rows of one thing on one day; with more, sums are met by chance

# Only where two tellers have three rows or more of the same thing and day, none of them known to be the same. In two
# steps, because the planner has to know how many rows of these days there are before it counts them by thing.
OF_THE_DAYS = f"""
CREATE TEMP TABLE traded ON COMMIT DROP AS
WITH bucket AS (
    SELECT DISTINCT traded_on, instrument_id, kind, currency FROM fresh
    WHERE family = 'trade' AND quantity <> 0 AND instrument_id IS NOT NULL
)
SELECT row.* FROM (SELECT DISTINCT traded_on FROM bucket) AS day (day_on) CROSS JOIN LATERAL (
    SELECT id, traded_on, instrument_id, kind, currency, source, run_id, quantity, net_amount,
        fees + taxes AS costs, group_id, occurred_at
    FROM aggregation_transaction AS row
    WHERE account_id = {ACCOUNT} AND row.traded_on = day_on AND status IN ('posted', 'pending')
        AND part_of_id IS NULL AND kind IN ('buy', 'sell') AND quantity <> 0 OFFSET 0
) AS row JOIN bucket USING (traded_on, instrument_id, kind, currency)
"""
_ASKED = """
    SELECT unnest(ARRAY[first.id, second.id]) AS id FROM aggregation_possibleduplicate AS pair
    JOIN aggregation_transaction AS first ON first.id = pair.first_id
    JOIN aggregation_transaction AS second ON second.id = pair.second_id
    WHERE pair.account_id = %(account)s AND {which}
        AND first.status IN ('posted', 'pending') AND second.status IN ('posted', 'pending')"""
TRADES = f"""
CREATE TEMP TABLE trades ON COMMIT DROP AS
WITH counted AS MATERIALIZED (
    SELECT traded_on, instrument_id, kind, currency FROM traded
    GROUP BY traded_on, instrument_id, kind, currency
    HAVING count(*) BETWEEN 3 AND %(most)s AND bool_or(source <> 'api')
        AND (count(DISTINCT (source, run_id)) > 1 OR bool_or(run_id IS NULL))
), asked AS MATERIALIZED ({_ASKED.format(which="pair.whole_id IS NOT NULL")}
)
SELECT traded.* FROM traded JOIN counted USING (traded_on, instrument_id, kind, currency)
WHERE traded.id NOT IN (SELECT id FROM asked)
"""
# A row that may be just one other row is no sum: that is likelier.
ROWS = f"""
WITH asked AS MATERIALIZED ({_ASKED.format(which="pair.decision = 'open'")}
)
SELECT id, traded_on, instrument_id, kind, currency, quantity, net_amount, costs, group_id,
    coalesce(occurred_at::text, ''), coalesce(told_by, '{{}}'),
    id IN (SELECT asked.id FROM asked)
FROM trades LEFT JOIN tellers ON row_id = trades.id ORDER BY id
"""
ASK = """
INSERT INTO aggregation_possibleduplicate
    (account_id, first_id, second_id, reasons, decision, created_at, whole_id, leader_id)
VALUES (%s, %s, %s, ARRAY['sum'], 'open', now(), %s, %s) ON CONFLICT (first_id, second_id) DO NOTHING RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Trade:
    """A buy or sell that counts; `costs` are its fees and taxes, positive; `tellers` who told it."""

    id: int
    quantity: Decimal
    net_amount: Decimal
    costs: Decimal
    order: tuple[str, str, int]  # its order's name, its time, its place: executions of one order stand together
    tellers: frozenset[int]
    is_asked: bool = False  # it may be just one other row, which is likelier than a sum


@dataclass(frozen=True, slots=True)
class Sum:
    whole: Trade
    several: tuple[Trade, ...]


def sums(trades: Iterable[Trade]) -> Iterator[Sum]:
    """Which of `trades`, all of one day, thing and side, are the sum of several others; each trade is used once."""
    in_order = sorted(trades, key=lambda trade: trade.order)
    if len({trade.tellers for trade in in_order}) == 1:
        return
    free = {trade.id for trade in in_order}
    for whole in sorted(in_order, key=lambda trade: trade.id):
        if whole.id not in free or whole.is_asked:
            continue
        others = [other for other in in_order if other.id in free and not other.tellers & whole.tellers]
        several = next(_windows(whole, others), None)
        if several is not None:
            free -= {whole.id, *(trade.id for trade in several)}
            yield Sum(whole, several)


def _windows(whole: Trade, others: Sequence[Trade]) -> Iterator[tuple[Trade, ...]]:
    """Neighbours in `others` that add up to `whole` and that one teller told: first those that are just one order."""
    by_order: dict[tuple[str, int], list[Trade]] = defaultdict(list)
    by_teller: dict[int, list[Trade]] = defaultdict(list)
    for other in others:
        for teller in sorted(other.tellers):
            by_teller[teller].append(other)
            if other.order[0]:
                by_order[other.order[0], teller].append(other)
    yield from (tuple(rows) for rows in by_order.values() if len(rows) > 1 and adds_up(whole, rows))
    for rows in by_teller.values():
        start, units = 0, Decimal(0)
        for end, last in enumerate(rows, 1):
            units += last.quantity
            while abs(units) > abs(whole.quantity) and start < end:
                units -= rows[start].quantity
                start += 1
            if units == whole.quantity and end - start > 1 and adds_up(whole, rows[start:end]):
                yield tuple(rows[start:end])


def adds_up(whole: Trade, several: Sequence[Trade]) -> bool:
    """Whether units and cash of `several` are those of `whole`, with its fees or without."""
    if sum((trade.quantity for trade in several), Decimal(0)) != whole.quantity:
        return False
    net = sum((trade.net_amount for trade in several), Decimal(0))
    gross = net + sum((trade.costs for trade in several), Decimal(0))
    if abs(whole.net_amount - net) <= ROUNDING * len(several):
        return True
    before_fees = whole.net_amount + whole.costs
    apart = min(abs(before_fees - gross), abs(before_fees - net), abs(whole.net_amount - gross))
    has_costs = any(trade.costs for trade in (whole, *several))
    return has_costs and apart <= ROUNDING_WITH_FEES * len(several)


def find(cursor: CursorWrapper, scope: Scope) -> None:
    """Ask about the sums among the trades of the days of the temporary table `fresh`."""
    cursor.execute("DROP TABLE IF EXISTS traded, trades")
    cursor.execute(OF_THE_DAYS, scope)
    cursor.execute("ANALYZE traded")
    cursor.execute(TRADES, {**scope, "most": MOST})
    if cursor.rowcount == 0:
        return
    tellers.find(cursor, scope, "SELECT id FROM trades")
    cursor.execute(ROWS, scope)
    for trades in _buckets(cursor.fetchall()):
        for found in sums(trades):
            _ask(cursor, scope["account"], found)


def _buckets(rows: Iterable[tuple[Any, ...]]) -> Iterable[list[Trade]]:
    buckets: dict[tuple[Any, ...], list[Trade]] = defaultdict(list)
    for id_, on, instrument, kind, currency, quantity, net, costs, group, at, told_by, is_asked in rows:
        trade = Trade(id_, quantity, net, costs, (group, at, id_), frozenset(told_by), is_asked)
        buckets[on, instrument, kind, currency].append(trade)
    return buckets.values()


def _ask(cursor: CursorWrapper, account_id: int | str | None, found: Sum) -> None:
    """The first of the several leads the question, the others follow. Two of them that were asked about stay so."""
    leader: int | None = None
    for trade in found.several:
        first, second = sorted((found.whole.id, trade.id))
        cursor.execute(ASK, [account_id, first, second, found.whole.id, leader])
        asked = cursor.fetchone()
        if leader is None and asked is not None:
            leader = asked[0]
