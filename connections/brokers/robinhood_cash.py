"""What Robinhood's app tells of everything but orders: income, transfers, fees, splits. Pure; no request, no database.

Field names and words are those that public clients have seen; most lists of states are known to be incomplete. A word
that is not in a table parks its row; amounts that do not add up do so too.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from connections.brokers.records import (
    InstrumentRecord,
    ParkedRecord,
    RecordStatus,
    TransactionKind,
    TransactionRecord,
)
from connections.brokers.robinhood_orders import NEW_YORK, Records, moment_of, read_each
from connections.brokers.robinhood_rows import ZERO, NotUnderstood, Row, coin, maybe, number, share

POSTED, PENDING, VOID = RecordStatus.POSTED, RecordStatus.PENDING, RecordStatus.VOID
Kind = TransactionKind
Named = Callable[[str], InstrumentRecord]  # the share with this id; raises NotUnderstood

DIVIDEND_STATES = {"paid": POSTED, "reinvested": POSTED, "pending": PENDING, "voided": VOID}
TRANSFER_STATES = {
    "completed": POSTED,
    "reversed": POSTED,  # and then taken back
    "pending": PENDING,
    "cancelled": VOID,
    "canceled": VOID,
    "failed": VOID,
    "rejected": VOID,
}
FEE_STATES = {"posted": POSTED, "paid": POSTED, "pending": PENDING, "voided": VOID}
SPLIT_STATES = {"paid": POSTED, "pending": PENDING, "voided": VOID}
ACATS_PHASES = {"completed": POSTED, "settled": POSTED, "rejected": VOID, "cancelled": VOID, "canceled": VOID}
DIRECTIONS = {"deposit": 1, "withdraw": -1}
SPLIT_SHARES = ("old_instrument_id", "new_instrument_id")
ACATS_DIRECTIONS = {"incoming": 1, "outgoing": -1}
SWEEP_DIRECTIONS = {"credit": 1, "debit": -1}
SURE = ("account_number", "rhs_account_number", "account_id")
UNSURE = ("originating_account_id", "receiving_account_id")  # an account, or a bank, a card, an account elsewhere

Word = TypeVar("Word")


def _word(row: Row, name: str, table: dict[str, Word]) -> Word:
    word = row[name]
    if word not in table:
        raise NotUnderstood(f"unknown {name} {word!r}")
    return table[word]


def _dollars(value: Any) -> Decimal:
    """An amount: text, or text with its currency."""
    if isinstance(value, dict):
        if value["currency_code"] != "USD":
            raise NotUnderstood(f"an amount in {value['currency_code']}")
        value = value["amount"]
    return number(value)


def _day(text: str) -> date:
    """The day in New York, of a time or of a day."""
    return date.fromisoformat(text) if len(text) == len("2026-01-05") else moment_of(text).astimezone(NEW_YORK).date()


def _moves(row: Row, external_id: str, kind: TransactionKind, amount: Decimal, on: str, **more: Any) -> Any:
    """A record that moves `amount`, signed. `on` is a time or a day."""
    return TransactionRecord(
        external_id=external_id,
        kind=kind,
        traded_on=_day(on),
        occurred_at=None if len(on) == len("2026-01-05") else moment_of(on),
        gross_amount=amount,
        net_amount=amount,
        currency="USD",
        raw=row,
        **more,
    )


def tail(url: str) -> str:
    """The id at the end of one of Robinhood's addresses, by which rows refer to each other."""
    return url.rstrip("/").rpartition("/")[2]


def accounts_named(row: Row) -> tuple[set[str], set[str]]:
    """(what is surely an account's number or id, what may be one). Filters by account are not heeded everywhere."""
    sure = {str(row[name]) for name in SURE if row.get(name)}
    if row.get("account"):
        sure.add(tail(row["account"]))
    return sure, {str(row[name]) for name in UNSURE if row.get(name)}


# --- Dividends --------------------------------------------------------------------------------------------------------


def dividends(rows: Iterable[Row], named: Named) -> Records:
    return read_each("dividends", rows, partial(_dividend, named=named), prefix="dividend:")


def _dividend(row: Row, *, named: Named) -> list[TransactionRecord]:
    """The gross amount, and what was kept back of it. `amount` is what was credited."""
    status, credited = _word(row, "state", DIVIDEND_STATES), number(row["amount"])
    tax = (maybe(row, "withholding") or ZERO) + (maybe(row, "nra_withholding") or ZERO)
    fee = maybe(row, "fee") or ZERO
    gross = maybe(row, "gross_amount")
    if gross is None:
        gross = credited + tax + fee
    if gross - tax - fee != credited:
        raise NotUnderstood("what was credited is not the gross amount less what was kept back")
    own = f"dividend:{row['id']}"
    moves = partial(
        _moves,
        row,
        on=row.get("paid_at") or row["payable_date"],
        instrument=named(tail(row["instrument"])),
        status=status,
        group_id=row.get("drip_order_id") or row["id"],  # what was reinvested belongs together
    )
    records = [moves(own, Kind.DIVIDEND, gross)]
    if tax:
        records.append(moves(f"{own}:tax", Kind.TAX, -tax, subtype="withholding"))
    if fee:
        records.append(moves(f"{own}:fee", Kind.FEE, -fee))
    return records


# --- Transfers of money -----------------------------------------------------------------------------------------------


def transfers(rows: Iterable[Row], account: str, own: Collection[str]) -> Records:
    """`own` are all the numbers of `account`."""
    return read_each("transfers", rows, partial(_transfer, account=account, own=own), prefix="transfer:")


def _transfer(row: Row, *, account: str, own: Collection[str]) -> list[TransactionRecord]:
    status, details = _word(row, "state", TRANSFER_STATES), row.get("details") or {}
    if str(row.get("currency") or "usd").lower() != "usd":
        raise NotUnderstood(f"a transfer in {row['currency']}")
    amount, fee = number(row["amount"]), maybe(row, "service_fee", "fees") or ZERO
    net = maybe(row, "net_amount")
    if net is not None and amount - fee != net:
        raise NotUnderstood("its amounts do not add up")
    kind_in, kind_out, name = Kind.DEPOSIT, Kind.WITHDRAWAL, f"transfer:{row['id']}"
    if row.get("transfer_type") == "internal":
        kind_in, kind_out = Kind.TRANSFER_IN, Kind.TRANSFER_OUT
        sign = _internal_sign(row, own)
        name += f":{account}"  # it is in the books of both accounts
    else:
        sign = _transfer_sign(details.get("direction") or row.get("direction"))
    moves = partial(
        _moves,
        row,
        status=status,
        on=row.get("record_date") or row["created_at"],
        subtype=row.get("transfer_type") or "",
        group_id=row["id"],
    )
    # A fee is taken out of the amount: what arrives, here or at the bank, is less by it.
    records = [moves(name, kind_in if sign > 0 else kind_out, amount if sign > 0 else fee - amount)]
    if fee:
        records.append(moves(f"{name}:fee", Kind.FEE, -fee))
    if details.get("enoki_amount") is not None and (match := _dollars(details["enoki_amount"])):
        records.append(moves(f"{name}:match", Kind.OTHER, match, subtype="match"))
    if row["state"] == "reversed":
        if len(records) > 1:
            raise NotUnderstood("reversed, with a fee or a match")
        back = moves(f"{name}:reversed", kind_out if sign > 0 else kind_in, -records[0].net_amount)
        records.append(replace(back, traded_on=_day(row["updated_at"]), occurred_at=moment_of(row["updated_at"])))
    return records


def _transfer_sign(direction: Any) -> int:
    if direction not in DIRECTIONS:
        raise NotUnderstood(f"unknown direction {direction!r}")
    return DIRECTIONS[direction]


def _internal_sign(row: Row, own: Collection[str]) -> int:
    sender, receiver = (str(row[name]) in own for name in UNSURE)
    if sender == receiver:
        raise NotUnderstood("it does not say from which account to which")
    return -1 if sender else 1


def told_already(row: Row, unified: Iterable[Row]) -> bool:
    """Whether a wire or a transfer begun at the bank is also among the unified ones, under the same id or another."""
    same = row["id"], row.get("ref_id") or row["id"]
    return any(
        other["id"] in same
        or other.get("ref_id") in same
        or (
            number(other["amount"]) == number(row["amount"])
            and ((other.get("details") or {}).get("direction") or other.get("direction")) == row["direction"]
            and _day(other["created_at"]) == _day(row["created_at"])
        )
        for other in unified
    )


def boosts(rows: Iterable[Row]) -> Records:
    def read(row: Row) -> list[TransactionRecord]:
        amount = _dollars(row["amount"])
        text = str(row.get("title") or "")
        return [
            _moves(row, f"boost:{row['id']}", Kind.OTHER, amount, row["created_at"], subtype="boost", description=text)
        ]

    return read_each("deposit boosts", rows, read, prefix="boost:")


# --- Interest and fees ------------------------------------------------------------------------------------------------


def sweeps(rows: Iterable[Row]) -> Records:
    def read(row: Row) -> list[TransactionRecord]:
        amount = _word(row, "direction", SWEEP_DIRECTIONS) * _dollars(row["amount"])
        status = VOID if str(row.get("reason") or "").endswith("_voided") else POSTED
        return [_moves(row, f"sweep:{row['id']}", Kind.INTEREST, amount, row["pay_date"], status=status)]

    return read_each("interest", rows, read, prefix="sweep:")


def stock_loans(rows: Iterable[Row]) -> Records:
    def read(row: Row) -> list[TransactionRecord]:
        on, thing = row.get("record_date") or row["created_at"], share(row["symbol"]) if row.get("symbol") else None
        amount = _dollars(row["amount"])
        more = {"subtype": "lending", "instrument": thing, "description": row.get("description") or ""}
        return [_moves(row, f"stockloan:{row['id']}", Kind.INTEREST, amount, on, **more)]

    return read_each("payments for lent shares", rows, read, prefix="stockloan:")


def margin_interest(rows: Iterable[Row]) -> Records:
    def read(row: Row) -> list[TransactionRecord]:
        amount = (maybe(row, "credit") or ZERO) - number(row["amount"])
        on = row.get("billing_due_date") or row["created_at"]
        return [_moves(row, f"margin_int:{row['id']}", Kind.INTEREST, amount, on, subtype="margin")]

    return read_each("margin interest", rows, read, prefix="margin_int:")


def gold_fees(rows: Iterable[Row]) -> Records:
    def read(row: Row) -> list[TransactionRecord]:
        if row.get("refunds"):
            raise NotUnderstood("a fee with a refund")
        status, amount = _word(row, "state", FEE_STATES), (maybe(row, "credit") or ZERO) - number(row["amount"])
        more = {"status": status, "subtype": "gold", "description": "Robinhood Gold"}
        return [_moves(row, f"gold:{row['id']}", Kind.FEE, amount, row["date"], **more)]

    return read_each("Gold fees", rows, read, prefix="gold:")


def adr_fees(rows: Iterable[Row], named: Named) -> Records:
    def read(row: Row) -> list[TransactionRecord]:
        status, on = _word(row, "state", FEE_STATES), row.get("paid_at") or row["record_date"]
        more = {"status": status, "subtype": "adr", "instrument": named(tail(row["instrument"]))}
        return [_moves(row, f"adr:{row['id']}", Kind.FEE, -_dollars(row["amount"]), on, **more)]

    return read_each("fees of receipts", rows, read, prefix="adr:")


# --- Shares and coins that move without an order ----------------------------------------------------------------------


def splits(rows: Iterable[Row], named: Named) -> Records:
    return read_each("splits", rows, partial(_split, named=named), prefix="split:")


def _split(row: Row, *, named: Named) -> list[TransactionRecord]:
    """One row for the shares that came or went; two when the shares became those of another instrument."""
    status, about, name = _word(row, "state", SPLIT_STATES), row["split"], f"split:{row['id']}"
    if maybe(row, "fractional_remainder"):
        raise NotUnderstood("a fraction of a share was left over")
    old, new = number(row["old_shares"]), number(row["new_shares"])
    moves = partial(
        _moves, row, amount=ZERO, on=about.get("effective_date") or row["paid_at"], status=status, group_id=row["id"]
    )
    before, after = (named(about[name]) for name in SPLIT_SHARES)
    if before == after:
        return [moves(name, Kind.SPLIT, instrument=after, quantity=new - old)]
    return [
        moves(f"{name}:old", Kind.CORPORATE_ACTION, instrument=before, quantity=-old, subtype="split"),
        moves(name, Kind.CORPORATE_ACTION, instrument=after, quantity=new, subtype="split"),
    ]


def acats(rows: Iterable[Row], named: Named) -> Records:
    """Assets moved from or to another broker: no cost and no gain is told."""
    return read_each("transfers from other brokers", rows, partial(_acat, named=named), prefix="acats:")


def _acat(row: Row, *, named: Named) -> list[TransactionRecord | ParkedRecord]:
    status, on = _word(row, "phase", ACATS_PHASES), row.get("settlement_date") or row["requested_at"]
    moved: list[TransactionRecord | ParkedRecord] = []
    for place, asset in enumerate(row["assets"]):
        name = f"acats:{row['id']}:{asset.get('asset_id') or place}"
        moves = partial(
            _moves, row, name, on=on, status=status, group_id=row["id"], description=row.get("contra_broker_name") or ""
        )
        try:
            moved.append(_asset(asset, moves, named))
        except NotUnderstood as odd:
            moved.append(ParkedRecord(external_id=name, reason=str(odd), raw=row))
    return moved


def _asset(asset: Row, moves: Callable[..., Any], named: Named) -> Any:
    sign, size = _word(asset, "direction", ACATS_DIRECTIONS), number(asset["quantity"])
    kind = Kind.TRANSFER_IN if sign > 0 else Kind.TRANSFER_OUT
    if currency := asset.get("iso_currency_code"):
        if currency != "USD":
            raise NotUnderstood(f"money in {currency}")
        return moves(kind, sign * size, subtype="acats")
    if asset["asset_type"] != "equity":
        raise NotUnderstood(f"unknown asset_type {asset['asset_type']!r}")
    return moves(kind, ZERO, instrument=named(asset["instrument_id"]), quantity=sign * size, subtype="acats")


def coin_transfers(rows: Iterable[Row]) -> Records:
    """Coins sent to or received from a wallet. Its amount is believed where it is one of the coin itself."""

    def read(row: Row) -> list[TransactionRecord]:
        state = ((row.get("history_view_model") or {}).get("item_state") or {}).get("state")
        status, amount = _word({"state": state}, "state", TRANSFER_STATES), row["amount"]
        sign = _word(row, "direction", {"receive": 1, "send": -1, **DIRECTIONS, **ACATS_DIRECTIONS})
        if amount["currency_code"] != row["currency_code"] or state == "reversed":
            raise NotUnderstood("it does not say how many coins moved")
        more = {"instrument": coin(row["currency_code"]), "quantity": sign * number(amount["amount"]), "status": status}
        kind = Kind.TRANSFER_IN if sign > 0 else Kind.TRANSFER_OUT
        return [_moves(row, f"cryptoxfer:{row['id']}", kind, ZERO, row["created_at"], **more)]

    return read_each("transfers of coins", rows, read, prefix="cryptoxfer:")


def option_actions(rows: Iterable[Row]) -> Records:
    """What companies did to options: nothing is known of what the rows mean, so each is kept for people to see."""

    def read(row: Row) -> list[TransactionRecord]:
        raise NotUnderstood(f"an option changed by its company ({row.get('type') or 'of no kind'})")

    return read_each("changes of options", rows, read, prefix="optcorp:")
