"""What moves cash without an order: dividends, transfers, interest, fees; and splits and shares from elsewhere."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from connections.sandbox.book import ZERO, Account, Event, Nature, Status
from connections.sandbox.gate import Exchange, operation
from connections.sandbox.robinhood.holdings import selected
from connections.sandbox.robinhood.listing import account_url, share_id, share_url
from connections.sandbox.robinhood.orders import dividend_id, order_id
from connections.sandbox.robinhood.side import ROBINHOOD
from connections.sandbox.robinhood.wire import api, day, instant, money, number, page, since, uid
from connections.sandbox.world import WORLD

TRANSFERS_PER_PAGE = 50
ACH, WIRES, RECEIVED = (Nature.ACH_IN, Nature.ACH_OUT), (Nature.WIRE_IN, Nature.WIRE_OUT), (Nature.ELECTRONIC_IN,)
TRANSFER_TYPES = {
    **dict.fromkeys(ACH, "originated_ach"),
    **dict.fromkeys(WIRES, "wire"),
    **dict.fromkeys(RECEIVED, "received_ach"),
}
SHARES_MOVED = (Nature.SHARES_IN, Nature.SHARES_OUT)
Writer = Callable[[HttpRequest, Account, Event], dict[str, Any]]


def _events(request: HttpRequest, *natures: Nature) -> Iterator[tuple[Account, Event]]:
    """Newest first within each account, of the time asked for."""
    start = since(request, "updated_at", "created_at")
    for account in selected(request):
        for event in reversed(account.events):
            if event.nature in natures and event.of is None and (start is None or event.updated_at >= start):
                yield account, event


def _listed(request: HttpRequest, write: Writer, *natures: Nature, size: int = 100) -> dict[str, Any]:
    rows = [write(request, account, event) for account, event in _events(request, *natures)]
    return page(request, rows, size=size)


def _is_posted(event: Event) -> bool:
    return event.status is Status.POSTED


# Dividends


@operation(ROBINHOOD, "dividends")
def dividends(request: HttpRequest, exchange: Exchange) -> Any:
    """Not sorted by date, and no filter by time works."""
    rows = []
    for account in selected(request):
        reinvested, withheld = _same_day(account, Nature.REINVESTMENT), _same_day(account, Nature.WITHHOLDING)
        for event, held in _with_held(account, Nature.DIVIDEND):
            key = event.symbol, event.traded_on
            rows.append(_dividend(request, account, event, held, withheld.get(key), reinvested.get(key)))
    return page(request, sorted(rows, key=lambda row: row["id"]))


def _same_day(account: Account, nature: Nature) -> dict[tuple[str | None, date], Event]:
    return {(event.symbol, event.traded_on): event for event in account.events if event.nature is nature}


def _with_held(account: Account, nature: Nature) -> Iterator[tuple[Event, Decimal]]:
    """Events of this nature with what was held of their symbol just before."""
    held: defaultdict[str | None, Decimal] = defaultdict(Decimal)
    for event in sorted(account.events, key=lambda event: (event.at, event.id)):
        if event.nature is nature:
            yield event, held[event.symbol]
        if _is_posted(event):
            held[event.symbol] += event.quantity


def _dividend(
    request: HttpRequest, account: Account, event: Event, held: Decimal, tax: Event | None, drip: Event | None
) -> dict[str, Any]:
    """`amount` is what was credited: the gross amount less what was withheld."""
    assert event.symbol is not None
    withheld = -tax.cash if tax else ZERO
    row: dict[str, Any] = {
        "id": dividend_id(account, event), "url": api(request, f"/dividends/{dividend_id(account, event)}/"),
        "account": account_url(request, account), "instrument": share_url(request, event.symbol),
        "amount": number(event.cash - withheld, 2), "gross_amount": number(event.cash, 2),
        "rate": number(WORLD.market.dividend(event.symbol, event.traded_on), 10), "position": number(held, 8),
        "withholding": number(withheld, 2), "nra_withholding": "0.00", "fee": "0.00",
        "record_date": day(event.traded_on - timedelta(days=12)),
        "ex_dividend_date": day(event.traded_on - timedelta(days=12)), "payable_date": day(event.traded_on),
        "paid_at": None if event.status is Status.PENDING else instant(event.at),
        "state": _dividend_state(event, drip), "drip_enabled": drip is not None,
        "cash_dividend_id": uid("cash dividend", event.symbol, event.traded_on), "is_early_dividend": False,
        "days_early": None, "related_adjustments": [], "is_primary_account": True, "active_instrument_id": None,
        "fx_order_id": None,
    }  # fmt: skip
    if drip:
        row |= {
            "drip_order_id": order_id(account, [drip]), "drip_order_state": "filled",
            "drip_order_quantity": number(drip.quantity, 6), "drip_order_execution_price": money(drip.price or ZERO),
        }  # fmt: skip
    return row


def _dividend_state(event: Event, drip: Event | None) -> str:
    if not _is_posted(event):
        return "pending" if event.status is Status.PENDING else "voided"
    return "reinvested" if drip else "paid"


# Transfers


@operation(ROBINHOOD, "ach_transfers")
def ach_transfers(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(request, _ach, *ACH, size=TRANSFERS_PER_PAGE)


@operation(ROBINHOOD, "ach_transfers")
def received_transfers(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(request, _simple_transfer, *RECEIVED, size=TRANSFERS_PER_PAGE)


@operation(ROBINHOOD, "wires")
def wires(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(request, _simple_transfer, *WIRES, size=TRANSFERS_PER_PAGE)


def _transfer_id(account: Account, event: Event) -> str:
    return uid(account.number, "transfer", event.id)


def _simple_transfer(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    return {
        "id": _transfer_id(account, event), "account": account_url(request, account),
        "amount": number(abs(event.cash), 2), "direction": _direction(event),
        "state": _transfer_state(account, event), "created_at": instant(event.at),
        "updated_at": instant(event.updated_at),
    }  # fmt: skip


def _transfer_state(account: Account, event: Event) -> str:
    """One that was reversed has counted, until a row of the book took it back."""
    if not _is_posted(event):
        return "pending" if event.status is Status.PENDING else "failed"
    return "reversed" if any(other.of == event.id for other in account.events) else "completed"


def _direction(event: Event) -> str:
    return "deposit" if event.cash > 0 else "withdraw"


def _bank(account: Account) -> str:
    return uid(account.number, "bank")


def _ach(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    row = _simple_transfer(request, account, event)
    early = row["amount"] if event.cash > 0 and _is_posted(event) else "0.00"
    return row | {
        "ref_id": uid("ref", row["id"]), "url": api(request, f"/ach/transfers/{row['id']}/"), "cancel": None,
        "ach_relationship": api(request, f"/ach/relationships/{_bank(account)}/"), "rhs_state": "submitted",
        "fees": "0.00", "status_description": "Returned by the bank" if event.status is Status.INVALID else "",
        "scheduled": False, "expected_landing_date": day(event.settled_on), "early_access_amount": early,
        "investment_schedule_id": None,
    }  # fmt: skip


@operation(ROBINHOOD, "ach_transfers")
def relationships(request: HttpRequest, exchange: Exchange) -> Any:
    rows = [
        {
            "id": _bank(account), "url": api(request, f"/ach/relationships/{_bank(account)}/"),
            "account": account_url(request, account), "bank_account_nickname": "Checking",
            "bank_account_number": "4321", "bank_account_type": "checking", "verified": True, "state": "approved",
            "created_at": instant(account.events[0].at), "unlinked_at": None,
        }
        for account in selected(request)
    ]  # fmt: skip
    return page(request, rows)


@operation(ROBINHOOD, "unified_transfers")
def unified_transfers(request: HttpRequest, exchange: Exchange) -> Any:
    """All of them in one list. For ACH this side is named originating whatever the direction."""
    return _listed(request, _unified, *TRANSFER_TYPES, size=TRANSFERS_PER_PAGE)


def _unified(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    kind, amount = TRANSFER_TYPES[event.nature], number(abs(event.cash), 2)
    own, bank = (account.number, "rhs_account"), (_bank(account), "ach_relationship")
    sender, receiver = (bank, own) if kind != "originated_ach" and event.cash > 0 else (own, bank)
    return {
        "id": _transfer_id(account, event), "ref_id": uid("ref", _transfer_id(account, event)), "transfer_type": kind,
        "amount": amount, "net_amount": amount, "currency": "usd", "direction": "pull" if event.cash > 0 else "push",
        "state": _transfer_state(account, event), "service_fee": "0.00",
        "originating_account_id": sender[0], "originating_account_type": sender[1],
        "receiving_account_id": receiver[0], "receiving_account_type": receiver[1],
        "details": {"direction": _direction(event), "enoki_amount": None, "purpose": None}, "description": "",
        "originating_transfer_account_info": {"account_name_title": sender[1], "account_name_inline": sender[1]},
        "receiving_transfer_account_info": {"account_name_title": receiver[1], "account_name_inline": receiver[1]},
        "record_date": day(event.traded_on), "created_at": instant(event.at), "updated_at": instant(event.updated_at),
        "completed_at": instant(event.posted_at) if _is_posted(event) else None,
    }  # fmt: skip


@operation(ROBINHOOD, "acats")
def acats(request: HttpRequest, exchange: Exchange) -> Any:
    """Shares that came of one day are one transfer. The envelope says `prev` here."""
    grouped: dict[tuple[str, date], list[tuple[Account, Event]]] = {}
    for account, event in _events(request, *SHARES_MOVED):
        grouped.setdefault((account.number, event.traded_on), []).append((account, event))
    whole = page(request, [_acat(moved) for moved in grouped.values()])
    return {"next": whole["next"], "prev": whole["previous"], "results": whole["results"]}


def _acat(moved: list[tuple[Account, Event]]) -> dict[str, Any]:
    account, first = moved[0]
    direction = "incoming" if first.quantity > 0 else "outgoing"
    worth = sum((abs(event.quantity) * (event.basis or ZERO) for _, event in moved), ZERO)
    identity, owner = uid(account.number, "acats", first.traded_on), WORLD.people.owner_of(account.number)
    holder = f"{owner.first_name} {owner.last_name}" if owner else ""
    return {
        "id": identity, "direction": direction, "transfer_type": "partial", "phase": "completed",
        "requested_at": instant(first.at - timedelta(days=6)), "estimated_settlement_date": day(first.settled_on),
        "settlement_date": day(first.settled_on), "last_activity_at": instant(first.posted_at),
        "market_value": money(worth), "contra_account_name": holder, "contra_account_number": "",
        "contra_broker_name": first.note, "contra_dtcc_number": "0534",
        "control_number": f"{first.traded_on:%Y%m%d}0001", "rhs_account_number": account.number,
        "reject_reason": None,
        "assets": [
            {
                "asset_type": "equity", "asset_id": uid(identity, event.id),
                "instrument_id": share_id(event.symbol or ""), "iso_currency_code": None,
                "quantity": number(abs(event.quantity), 8), "direction": direction,
            }
            for _, event in moved
        ],
    }  # fmt: skip


# Interest and fees


@operation(ROBINHOOD, "interest")
def sweeps(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(request, _sweep, Nature.BANK_INTEREST)


def _sweep(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    return {
        "id": uid(account.number, "sweep", event.id), "account_number": account.number,
        "amount": money(abs(event.cash)), "direction": "credit" if event.cash > 0 else "debit",
        "pay_date": day(event.traded_on), "pay_period_start": day(event.traded_on - timedelta(days=30)),
        "pay_period_end": day(event.traded_on), "payout_type": "eom_payment",
        "reason": "interest_payment" if _is_posted(event) else "interest_payment_voided",
    }  # fmt: skip


@operation(ROBINHOOD, "interest")
def stock_loans(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(request, _stock_loan, Nature.LENDING_INTEREST)


def _stock_loan(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    return {
        "id": uid(account.number, "stock loan", event.id), "account_number": account.number,
        "amount": money(event.cash), "description": "Stock lending", "instrument_id": share_id(event.symbol or ""),
        "symbol": event.symbol, "record_date": day(event.traded_on), "created_at": instant(event.at),
        "updated_at": instant(event.updated_at),
    }  # fmt: skip


@operation(ROBINHOOD, "interest")
def margin_interest(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(request, _margin, Nature.MARGIN_INTEREST)


def _margin(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    identity, amount = uid(account.number, "margin interest", event.id), number(abs(event.cash), 2)
    return {
        "id": identity, "url": api(request, f"/cash_journal/margin_interest_charges/{identity}/"),
        "account": account_url(request, account), "amount": amount, "credit": "0.00", "margin_interest": amount,
        "average_amount_borrowed": number(abs(event.cash) * 12 / Decimal("0.115"), 2),
        "billing_start_date": day(event.traded_on - timedelta(days=30)), "billing_due_date": day(event.traded_on),
        "description": "Margin interest", "created_at": instant(event.at),
    }  # fmt: skip


@operation(ROBINHOOD, "fees")
def gold_fees(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(request, _gold, Nature.SERVICE_FEE)


def _gold(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    identity = uid(account.number, "gold", event.id)
    return {
        "id": identity, "url": api(request, f"/subscription/subscription_fees/{identity}/"),
        "subscription": api(request, f"/subscription/subscriptions/{uid(account.number, 'gold')}/"),
        "account_number": account.number, "amount": number(-event.cash, 2), "credit": "0.00",
        "carry_forward_credit": "0.00", "date": day(event.traded_on),
        "state": "posted" if _is_posted(event) else "voided", "refunds": [], "created_at": instant(event.at),
    }  # fmt: skip


@operation(ROBINHOOD, "fees")
def adr_fees(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(request, _adr, Nature.RECEIPT_FEE)


def _adr(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    return {
        "id": uid(account.number, "adr", event.id), "account": account_url(request, account),
        "amount": money(-event.cash), "rate": money(Decimal("0.02")),
        "instrument": share_url(request, event.symbol or ""), "position": None, "record_date": day(event.traded_on),
        "paid_at": instant(event.at), "state": "paid" if _is_posted(event) else "voided",
        "corp_action_id": uid("adr fee", event.symbol, event.traded_on), "sales_taxes": [],
    }  # fmt: skip


@operation(ROBINHOOD, "splits")
def split_payments(request: HttpRequest, exchange: Exchange) -> Any:
    rows = [
        _split(account, event, held)
        for account in selected(request)
        for event, held in _with_held(account, Nature.SPLIT)
    ]
    return page(request, rows)


def _split(account: Account, event: Event, held: Decimal) -> dict[str, Any]:
    after, identity = held + event.quantity, share_id(event.symbol or "")
    return {
        "id": uid(account.number, "split", event.id), "account_number": account.number,
        "old_shares": number(held, 8), "new_shares": number(after, 8), "fractional_remainder": "0.00",
        "paid_at": instant(event.at), "state": "paid" if _is_posted(event) else "voided", "is_primary_account": True,
        "updated_at": instant(event.updated_at),
        "split": {
            "id": uid("split", event.symbol, event.traded_on), "direction": "forward",
            "multiplier": number(after / held, 8), "divisor": "1.00000000", "effective_date": day(event.traded_on),
            "old_instrument_id": identity, "new_instrument_id": identity, "updated_at": instant(event.at),
        },
    }  # fmt: skip


@operation(ROBINHOOD, "history")
def nothing(request: HttpRequest, exchange: Exchange) -> Any:
    """Lists that exist and have no rows for anyone here: card spending, deposit boosts, option corporate actions."""
    selected(request)
    return page(request, [])
