"""Booking rows against what PostgreSQL itself needs for the same rows."""

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.db import connection, transaction

from aggregation import ledger
from aggregation.instruments import resolve
from aggregation.models import Source
from aggregation.staging import json_text
from bench.measure import Ratio, in_turns, seconds
from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind, TransactionRecord
from connections.models import Account, Connection

COLUMNS = (
    "account_id, kind, subtype, traded_on, instrument_id, quantity, price, gross_amount, fees, taxes, net_amount, "
    "currency, description, group_id, source, external_id, content_key, occurrence, fingerprint, stated, status, raw, "
    "booked_at"
)
INSTRUMENTS = [
    InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=f"B{number:03}", name=f"Bench {number}")
    for number in range(200)
]


def records(rows: int, *, first: int = 0, on: date | None = None) -> list[TransactionRecord]:
    """Ten years of fills, or those of one day; each with the broker's id and a raw form as large as Schwab's."""
    return [_record(number, on) for number in range(first, first + rows)]


def _record(number: int, on: date | None) -> TransactionRecord:
    price = Decimal(10_000 + number % 9_000) / 100
    gross = -10 * price
    raw = {
        "activityId": 7_000_000_000 + number,
        "accountNumber": "12344321",
        "type": "TRADE",
        "status": "VALID",
        "subAccount": "MARGIN",
        "netAmount": str(gross),
        "transferItems": [{"instrument": {"assetType": "EQUITY", "symbol": f"B{number % 200:03}"}, "amount": "10"}],
    }
    return TransactionRecord(
        external_id=str(7_000_000_000 + number),
        kind=TransactionKind.BUY,
        traded_on=on or date(2016, 1, 4) + timedelta(days=number % 3650),
        instrument=INSTRUMENTS[number % 200],
        quantity=Decimal(10),
        price=price,
        gross_amount=gross,
        fees=Decimal("0.04"),
        net_amount=gross - Decimal("0.04"),
        currency="USD",
        description=f"Bought 10 B{number % 200:03} @ {price}",
        raw=raw,
    )


def an_account(owner: Connection) -> Account:
    return Account.objects.create(connection=owner, external_id=uuid4().hex, name="Bench", mask="4321")


def _prepared(account: Account, rows: list[TransactionRecord], ids: dict[InstrumentRecord, int]) -> list[Any]:
    """The finished columns, identities included: the floors get for nothing what we have to work out."""
    return [
        (
            account.pk,
            row.kind,
            row.subtype,
            row.traded_on,
            ids[row.instrument] if row.instrument else None,
            row.quantity,
            row.price,
            row.gross_amount,
            row.fees,
            row.taxes,
            row.net_amount,
            row.currency,
            row.description,
            row.group_id,
            "api",
            row.external_id,
            hashlib.sha256(row.external_id.encode()).digest(),
            1,
            hashlib.sha256(row.external_id.encode()).digest(),
            "posted",
            "posted",
            json_text(row.raw),
            "2026-01-01T00:00:00Z",
        )
        for row in rows
    ]


def _copy(table: str, rows: list[Any]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _stage(rows: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE floor (LIKE aggregation_transaction) ON COMMIT DROP")
        cursor.execute("ALTER TABLE floor ALTER id DROP NOT NULL")
    _copy("floor", rows)


@transaction.atomic
def _bare(rows: list[Any]) -> None:
    _copy("aggregation_transaction", rows)


@transaction.atomic
def on_conflict(rows: list[Any]) -> None:
    _stage(rows)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO aggregation_transaction ({COLUMNS}) SELECT {COLUMNS} FROM floor ON CONFLICT DO NOTHING"
        )


BY_ID = "known.external_id = floor.external_id AND known.external_id <> ''"
BY_CONTENT = "known.content_key = floor.content_key AND known.occurrence = floor.occurrence"


@transaction.atomic
def anti_join(rows: list[Any], identity: str = BY_ID) -> None:
    _stage(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE floor (external_id, content_key)")
        cursor.execute(
            f"INSERT INTO aggregation_transaction ({COLUMNS}) SELECT {COLUMNS} FROM floor WHERE NOT EXISTS ("
            "SELECT FROM aggregation_transaction AS known WHERE known.account_id = floor.account_id "
            f"AND known.source = floor.source AND {identity} AND known.status <> 'superseded') ON CONFLICT DO NOTHING"
        )


def _book(account: Account, rows: list[TransactionRecord]) -> ledger.Booked:
    with transaction.atomic():
        return ledger.book(account=account, records=rows, source=Source.API, run_id=None)


def measure(owner: Connection, rows: int) -> Iterator[Ratio]:
    """All new, each time into a fresh account of the same table; then the same rows again."""
    batch = records(rows)
    ids = resolve(INSTRUMENTS)

    def ours() -> float:
        account = an_account(owner)
        return seconds(lambda: _book(account, batch))

    def floor(work: Any) -> Any:
        def run() -> float:
            prepared = _prepared(an_account(owner), batch, ids)
            return seconds(lambda: work(prepared))

        return run

    name = f"book {rows:,} rows, all new"
    floors = {"bare COPY into the table": (floor(_bare), None), "staging + ON CONFLICT": (floor(on_conflict), 2.0)}
    yield from in_turns(name, ours, floors)

    booked = an_account(owner)
    assert _book(booked, batch).inserted == rows
    known = _prepared(booked, batch, ids)

    again_floors = {
        "bare COPY into the table": (floor(_bare), None),
        "staging + anti-join": (lambda: seconds(lambda: anti_join(known)), 2.5),
    }
    yield from in_turns(
        f"book {rows:,} rows again, none new", lambda: seconds(lambda: _book(booked, batch)), again_floors
    )
