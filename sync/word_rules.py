"""A person's own rules for rows that no rule of ours understands: "always treat ADR FEE as a fee".

A rule reads the row as it was kept, so it reaches rows far older than what a sync would read again. Of a broker's feed
it is for rows that move money only. What moves units is told by the feeds in nested lists of legs, with signs and
instruments whose meaning depends on the very word nobody knows yet (a merger names two shares, a journal none); booked
by a kind alone it would put units where none are. Such a row stays parked. A file has one row of plain columns for each
event, with its units and its security in known places: there a word may mean a purchase too, see `file_words.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from aggregation import ledger
from aggregation.models import Source
from aggregation.reconciliation import comparing
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.models import User
from connections.brokers.records import Broker, ParkedRecord, TransactionKind, TransactionRecord
from connections.models import Account
from sync.models import ParkedRow, Trigger, WordRule
from sync.planning import MARKET

K = TransactionKind
PAYS, GETS = (K.FEE, K.TAX, K.WITHDRAWAL), (K.DIVIDEND, K.INTEREST, K.DEPOSIT)
KINDS = (*PAYS, *GETS, K.OTHER)
LONGEST_WORD = 200


class NotReadable(HubError):
    """The row does not say in a known place when or how much, or it moves units."""

    code = "row_not_readable"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a broker's rows say what, the best place first. Only names; nothing is worked out."""

    words: Sequence[str]
    on: Sequence[str]
    amount: Sequence[str]
    units: Sequence[str]
    currency: str = "USD"  # of rows that name none
    signed: bool = True  # whether the amount says itself which way the money goes


PLACES = {
    # developer.schwab.com, Transaction: netAmount is signed
    Broker.SCHWAB: Places(("type", "description", "activityType"), ("tradeDate", "time"), ("netAmount",), ()),
    # docs.alpaca.markets, account activities: net_amount is signed
    Broker.ALPACA: Places(
        ("activity_type", "activity_sub_type", "description"), ("date", "transaction_time"), ("net_amount",), ("qty",)
    ),
    # ibkrguides.com, Flex cash transactions and statement of funds: amount and netCash are signed
    Broker.IBKR: Places(
        ("type", "activityCode", "transactionType", "activityDescription", "description"),
        ("tradeDate", "dateTime", "date", "reportDate", "settleDate"),
        ("netCash", "amount"),
        ("quantity", "tradeQuantity"),
    ),
    # its lists print amounts without a sign
    Broker.ROBINHOOD: Places(
        ("type", "transfer_type", "credit_type", "reason", "description", "state"),
        ("date", "paid_at", "created_at", "timestamp"),
        ("amount", "net_amount", "cash_amount"),
        ("quantity", "shares"),
        signed=False,
    ),
}  # fmt: skip


@dataclass(slots=True)
class Applied:
    booked: int = 0
    left: list[str] = field(default_factory=list)  # why rows with this word still wait


def words_of(row: ParkedRow) -> dict[str, str]:
    """The words of a row by which a rule may know it, by field; {} for a row that only a mended file can tell."""
    places = PLACES.get(Broker(row.account.connection.broker))
    if places is None or row.run.trigger == Trigger.IMPORT:
        return {}
    found = {name: row.raw.get(name) for name in places.words}
    return {name: word for name, word in found.items() if isinstance(word, str) and 0 < len(word) <= LONGEST_WORD}


def reading(broker: Broker, row: ParkedRecord | ParkedRow, kind: TransactionKind, word: str = "") -> TransactionRecord:
    """The row as money of `kind`. Raises NotReadable."""
    places, raw = PLACES[broker], row.raw
    if any(_decimal(raw.get(name)) for name in places.units) or _moves_units(raw):
        raise NotReadable("It moves units, and a word alone does not say what becomes of them.")
    amount = next((some for name in places.amount if (some := _decimal(raw.get(name))) is not None), None)
    on = next((day for name in places.on if (day := _day(raw.get(name))) is not None), None)
    if amount is None or on is None:
        raise NotReadable("It does not say in a known place when, or how much.")
    if not places.signed:
        if kind not in (*PAYS, *GETS):
            raise NotReadable("It does not say which way the money goes; choose a kind that does.")
        amount = -abs(amount) if kind in PAYS else abs(amount)
    currency = raw.get("currency") or raw.get("currency_code") or places.currency
    if not (isinstance(currency, str) and len(currency) == 3):
        raise NotReadable("It does not say in which currency.")
    return TransactionRecord(
        external_id=row.external_id,
        kind=kind,
        subtype=word[:40],
        traded_on=on,
        gross_amount=amount,
        net_amount=amount,
        currency=currency,
        description=str(raw.get("description") or word)[:300],
        raw=raw,
    )


def understood(
    account: Account, parked: Iterable[ParkedRecord], rules: Sequence[WordRule]
) -> tuple[list[TransactionRecord], list[ParkedRecord]]:
    """Parked records of one answer, divided by the person's rules into those that are understood and the others."""
    records, left = [], []
    for one in parked:
        rule = _rule_for(account, one.raw, rules)
        try:
            if rule is None:
                raise NotReadable("no rule")
            records.append(reading(Broker(rule.broker), one, K(rule.kind), rule.word))
        except NotReadable:
            left.append(one)
    return records, left


def rules_for(account: Account) -> list[WordRule]:
    connection = account.connection
    return list(WordRule.objects.filter(user=connection.user_id, broker=connection.broker, kind__in=KINDS))


@transaction.atomic
def remember(user: User, row: ParkedRow, *, field: str, kind: TransactionKind) -> tuple[WordRule, Applied]:
    """Make the rule that rows with the word of this row are of `kind`, and book all that wait. Raises NotReadable."""
    word = words_of(row).get(field)
    if word is None or kind not in KINDS:
        raise NotReadable("Choose one of the row's words, and a kind that moves money.")
    broker = Broker(row.account.connection.broker)
    reading(broker, row, kind, word)  # a rule that cannot even read this row would be of no use
    rule, _ = WordRule.objects.update_or_create(
        user=user, broker=broker, field=field, word=word, defaults={"kind": kind}
    )
    return rule, apply(rule)


@transaction.atomic
def apply(rule: WordRule) -> Applied:
    """Book the rows of the feed that wait and have the rule's word, each by the run that brought it."""
    applied, fields = Applied(), _fields(Broker(rule.broker), rule)
    if not fields or rule.kind not in KINDS:
        return applied
    has_word = Q(*(Q(**{f"raw__{name}__iexact": rule.word}) for name in fields), _connector=Q.OR)
    rows = ParkedRow.objects.for_user(rule.user).waiting().filter(has_word, account__connection__broker=rule.broker)
    waiting = rows.exclude(run__trigger=Trigger.IMPORT).select_related("account").order_by("account_id", "run_id", "pk")
    for (account, run_id), told in groupby(
        waiting.select_for_update(of=("self",)), lambda row: (row.account, row.run_id)
    ):
        records, understood = [], []
        for row in told:
            try:
                records.append(reading(Broker(rule.broker), row, K(rule.kind), rule.word))
                understood.append(row.pk)
            except NotReadable as odd:
                applied.left.append(str(odd))
        ledger.book(account=account, records=records, source=Source.API, run_id=run_id)
        ParkedRow.objects.filter(pk__in=understood).update(resolved_at=timezone.now(), resolved_by=run_id)
        applied.booked += len(records)
        comparing.request([account.pk])
    return applied


def _rule_for(account: Account, raw: Mapping[str, Any], rules: Iterable[WordRule]) -> WordRule | None:
    broker = Broker(account.connection.broker)
    return next((rule for rule in rules if any(_says(raw, name, rule) for name in _fields(broker, rule))), None)


def _fields(broker: Broker, rule: WordRule) -> Sequence[str]:
    """Where in a row of the feed the rule's word may stand."""
    return (rule.field,) if rule.field else PLACES[broker].words if broker in PLACES else ()


def _says(raw: Mapping[str, Any], name: str, rule: WordRule) -> bool:
    said = raw.get(name)
    return isinstance(said, str) and said.casefold() == rule.word.casefold()


def _moves_units(raw: Mapping[str, Any]) -> bool:
    """Schwab's items: one that is no currency and has an amount is units of something."""
    items = raw.get("transferItems") or []
    return any(
        (item.get("instrument") or {}).get("assetType") != "CURRENCY" and _decimal(item.get("amount"))
        for item in items
        if isinstance(item, dict)
    )


def _decimal(told: Any) -> Decimal | None:
    if isinstance(told, Mapping):  # Robinhood: {"amount": "1.00", "currency_code": "USD"}
        told = told.get("amount")
    try:
        number = Decimal(str(told))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _day(told: Any) -> date | None:
    """A date, or the market's day of a moment; compact dates as Interactive Brokers prints them."""
    if not isinstance(told, str):
        return None
    told = told.partition(";")[0]  # "20240607;202500": what follows is the market's own time
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        return None
    if len(told) <= len("2026-06-10"):
        return moment.date()
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(MARKET).date()
