"""The only writer of the books. Nothing booked is ever deleted: a correction replaces the old row and keeps it.

Who is who (DESIGN section 6). Within an account and a source a row is known by the source's own id; without one, by
its content and by being the n-th row with that content **of its batch**. Rows without ids must therefore come whole:
all of one file in one call. The n-th row of a content from the broker, the n-th in files with an id and the n-th in
files without are the same, whichever comes first: the broker's version counts, or else the one with an id; the others
are kept beside it as proof.

What a record becomes:

    inserted    nobody has told us of it; a row the broker cancelled before we saw it is kept too, counting nothing
    matched     the books have it already, whether it counts there or was excluded by a person; nothing is written
    superseded  it replaces the row we had: corrected, posted after pending, cancelled, or told by a file before.
                An excluded row's correction is excluded as well

Each batch is a `Delivery` that names the rows it told, so that a run can be taken back: see `undoing.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from aggregation import near_matches, staging, standing
from aggregation.history.observing import observe
from aggregation.instruments import resolve
from aggregation.models import Balance, Position, Source
from aggregation.staging import Batch
from aggregation.valuation import merged_positions
from connections.brokers.records import Broker, Holdings, TransactionRecord
from connections.models import Account

# What a record and its row call by the same name.
POSITION_FACTS = ("quantity", "average_cost", "price", "market_value", "day_change")
BALANCE_FACTS = (
    "cash",
    "settled_cash",
    "market_value",
    "net_asset_value",
    "buying_power",
    "margin_used",
    "accrued_interest",
    "exchange_rate",
)
NEW_YORK = ZoneInfo("America/New_York")
MARKET_ZONES = {Broker.SCHWAB: NEW_YORK, Broker.ROBINHOOD: NEW_YORK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What became of the records of one call; every record is counted once."""

    fetched: int = 0
    inserted: int = 0
    matched: int = 0
    superseded: int = 0


@transaction.atomic
def book(
    *, account: Account, records: Sequence[TransactionRecord] | Batch, source: Source, run_id: int | None
) -> Booked:
    """Book `records`; the same records again change nothing. Two calls for one account wait for each other.

    More records than one wants in memory are handed over as a `Batch`, filled piece by piece.
    Raises ValueError for an amount that is not a finite number and django.db.DataError for one that does not fit its
    column; then nothing of the call is booked.
    """
    if not records:
        return Booked()
    hold(account)
    batch = records if isinstance(records, Batch) else Batch.of(records)
    with connection.cursor() as cursor:
        scope, verdicts = classify(cursor, account, batch, source, run_id)
        carry_out(cursor, account, scope, verdicts)
    batch.drop()
    if verdicts is None:
        return Booked(fetched=len(batch), matched=len(batch))
    return Booked(
        fetched=len(batch),
        inserted=verdicts.inserted,
        superseded=verdicts.superseded,
        matched=len(batch) - verdicts.inserted - verdicts.superseded,  # copies of a page sent twice included
    )


def classify(
    cursor: CursorWrapper, account: Account, batch: Batch, source: Source, run_id: int | None
) -> tuple[staging.Scope, staging.Verdicts | None]:
    """What each row of the batch is to the books, in the table `booking`: see `staging.classify`."""
    ids = resolve(batch.instruments)
    instruments = [ids[instrument] for instrument in batch.instruments]
    scope = {"account": account.pk, "source": str(source), "run": run_id, "instruments": instruments}
    return scope, staging.classify(cursor, scope, has_ids=batch.has_ids)


def carry_out(cursor: CursorWrapper, account: Account, scope: staging.Scope, verdicts: staging.Verdicts | None) -> None:
    """Write what `classify` found, let decisions stand, and ask about what may be told twice."""
    staging.write(cursor, scope, verdicts)
    if verdicts is None:
        near_matches.answer(cursor, scope, staging.NO_NEWS)
    else:
        standing.uphold(cursor, account.pk)
        near_matches.answer(cursor, scope, staging.NEWS)
        near_matches.find(cursor, scope)


def hold(account: Account) -> None:
    """One writer per account: readers, and rows that only point at the account, are not held up."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)


@transaction.atomic
def record_holdings(*, account: Account, holdings: Holdings, run_id: int | None) -> None:
    """Make `holdings` the account's live positions and balances, and today's observed point of its history.

    A position the broker no longer reports keeps its row and gets `closed_at`; one it reports again is open again.
    """
    hold(account)
    positions = _record_positions(account, holdings, run_id)
    _record_balances(account, holdings, run_id)
    observe(account=account, holdings=holdings, positions=positions, on=market_date(account, holdings.as_of))


def _record_positions(account: Account, holdings: Holdings, run_id: int | None) -> list[Position]:
    ids = resolve(position.instrument for position in holdings.positions)
    rows = [
        Position(
            account=account,
            instrument_id=instrument_id,
            currency=held.currency,
            as_of=held.as_of or holdings.as_of,
            closed_at=None,
            run_id=run_id,
            raw=json.loads(staging.json_text(held.raw)),
            **{name: getattr(held, name) for name in POSITION_FACTS},
        )
        for instrument_id, held in merged_positions(
            (ids[position.instrument], position) for position in holdings.positions
        )
    ]
    Position.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "instrument"],
        update_fields=[*POSITION_FACTS, "currency", "as_of", "closed_at", "run", "raw"],
    )
    reported = [row.instrument_id for row in rows]
    Position.objects.filter(account=account, closed_at=None).exclude(instrument_id__in=reported).update(
        closed_at=holdings.as_of
    )
    return rows


def _record_balances(account: Account, holdings: Holdings, run_id: int | None) -> None:
    rows = [
        Balance(
            account=account,
            currency=balance.currency,
            as_of=balance.as_of or holdings.as_of,
            run_id=run_id,
            raw=json.loads(staging.json_text(balance.raw)),
            **{name: getattr(balance, name) for name in BALANCE_FACTS},
        )
        for balance in holdings.balances
    ]
    Balance.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "currency"],
        update_fields=[*BALANCE_FACTS, "as_of", "run", "raw"],
    )
    Balance.objects.filter(account=account).exclude(currency__in=[row.currency for row in rows]).delete()


def market_date(account: Account, at: datetime) -> date:
    """The date on the clock of the account's market; a Schwab day ends at midnight in New York."""
    broker = Broker(account.connection.broker)
    return at.astimezone(MARKET_ZONES.get(broker, NEW_YORK)).date()
