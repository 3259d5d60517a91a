"""What accounts were paid and paid themselves: dividends, interest, taxes kept back, by month and instrument."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property

from django.db.models import Q, QuerySet, TextChoices

from aggregation.lots.asking import Asked
from aggregation.lots.events import ZERO
from aggregation.lots.rows import REPAID
from aggregation.models import Instrument, Transaction
from aggregation.rates.exchange import Exchange, Gap
from connections.brokers.records import TransactionKind as Kind
from connections.models import Account

WITHHELD = Q(kind=Kind.TAX) & (Q(instrument__isnull=False) | Q(subtype__icontains="withh"))
FIELDS = (
    "pk", "account_id", "instrument_id", "kind", "subtype", "description", "traded_on", "net_amount", "fees", "taxes",
    "currency",
)  # fmt: skip


class What(TextChoices):
    """The columns in which income is told."""

    DIVIDENDS = "dividends", "Dividends"
    INTEREST = "interest", "Interest"
    INTEREST_PAID = "interest_paid", "Interest paid"
    TAX = "tax", "Taxes and fees"
    REPAID = "capital_returned", "Capital returned"  # no income: it lowers the cost of what is held


COUNTING = (What.DIVIDENDS, What.INTEREST, What.INTEREST_PAID, What.TAX)


@dataclass(frozen=True, slots=True)
class Payment:
    """One amount, signed: what was paid, or kept back, is negative. `instrument` None: interest on cash."""

    key: int
    account: int
    instrument: int | None
    on: date
    what: What
    amount: Decimal
    currency: str


@dataclass(slots=True)
class Line:
    """Amounts by column in one currency; `net` is what counts as income after tax. `unknown` had no rate."""

    currency: str
    columns: Sequence[What]  # those in which the report has anything
    amounts: dict[What, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    unknown: int = 0
    gaps: dict[str, str] = field(default_factory=dict)

    @property
    def net(self) -> Decimal:
        return sum((self.amounts.get(what, ZERO) for what in COUNTING), ZERO)

    @property
    def cells(self) -> list[tuple[str, Decimal | None]]:
        """Label and amount of each column, None where there was nothing."""
        return [(what.label, self.amounts.get(what)) for what in self.columns]

    def add(self, payment: Payment, exchange: Exchange) -> None:
        """At the rate of the day it was paid."""
        told = exchange.convert(payment.amount, payment.currency, self.currency, on=payment.on)
        if isinstance(told, Gap):
            self.unknown += 1
            self.gaps[told.currency] = told.why
        else:
            self.amounts[payment.what] += told.amount


def payments(accounts: Iterable[Account]) -> list[Payment]:
    """Newest first. One query. A row that tells the tax inside its amount is told as two."""
    found = _rows([account.pk for account in accounts]).values_list(*FIELDS)
    paid: list[Payment] = []
    for key, account, instrument, kind, subtype, text, on, net, fees, taxes, currency in found:
        gross = net if kind == Kind.TAX else net + fees + taxes
        parts = [(_what(kind, subtype, text, gross), gross)]
        if kind != Kind.TAX:
            parts.append((What.TAX, net - gross))
        paid += [Payment(key, account, instrument, on, what, amount, currency) for what, amount in parts if amount]
    return paid


def _rows(accounts: list[int]) -> QuerySet[Transaction]:
    kinds = Q(kind__in=(Kind.DIVIDEND, Kind.INTEREST)) | WITHHELD
    return Transaction.objects.in_books().filter(kinds, account__in=accounts).order_by("-traded_on", "-pk")


def _what(kind: str, subtype: str, text: str, amount: Decimal) -> What:
    if kind == Kind.TAX:
        return What.TAX
    if kind == Kind.INTEREST:
        return What.INTEREST if amount > 0 else What.INTEREST_PAID
    return What.REPAID if REPAID.search(subtype) or REPAID.search(text) else What.DIVIDENDS


@dataclass
class IncomeReport:
    """Of the year asked for; `years` are those in which anything was paid, newest first."""

    asked: Asked
    all_payments: list[Payment]

    @cached_property
    def years(self) -> list[int]:
        return sorted({payment.on.year for payment in self.all_payments}, reverse=True)

    @cached_property
    def payments(self) -> list[Payment]:
        year = self.asked.year
        return [payment for payment in self.all_payments if year is None or payment.on.year == year]

    @cached_property
    def columns(self) -> list[What]:
        present = {payment.what for payment in self.payments}
        return [what for what in What if what in present]

    @property
    def is_converted(self) -> bool:
        return any(payment.currency != self.asked.currency for payment in self.payments)

    def line(self) -> Line:
        return Line(self.asked.currency, self.columns)

    @cached_property
    def exchange(self) -> Exchange:
        days = [payment.on for payment in self.payments]
        currencies = {payment.currency for payment in self.payments} | {self.asked.currency}
        return Exchange.load(currencies, first=min(days, default=None), last=max(days, default=None))

    @cached_property
    def accounts(self) -> dict[int, Account]:
        return {account.pk: account for account in self.asked.accounts}

    @cached_property
    def instruments(self) -> dict[int, Instrument]:
        return Instrument.objects.in_bulk({payment.instrument for payment in self.payments if payment.instrument})

    @cached_property
    def total(self) -> Line:
        line = self.line()
        for payment in self.payments:
            line.add(payment, self.exchange)
        return line

    @cached_property
    def per_month(self) -> list[tuple[date, Line]]:
        """Every month from the first to the last with a payment, oldest first; a month without one is empty."""
        lines: dict[date, Line] = {}
        for payment in reversed(self.payments):
            month = payment.on.replace(day=1)
            while lines and (following := _next(max(lines))) < month:
                lines[following] = self.line()
            lines.setdefault(month, self.line()).add(payment, self.exchange)
        return list(lines.items())

    @property
    def newest_months(self) -> list[tuple[date, Line]]:
        return self.per_month[::-1]

    @cached_property
    def per_instrument(self) -> list[tuple[Instrument | None, Line]]:
        """Most income first; interest on cash, which belongs to no instrument, among them as None."""
        lines: dict[int | None, Line] = defaultdict(self.line)
        for payment in self.payments:
            lines[payment.instrument].add(payment, self.exchange)
        named = [(self.instruments[pk] if pk else None, line) for pk, line in lines.items()]
        return sorted(named, key=lambda each: each[1].net, reverse=True)

    @cached_property
    def per_account(self) -> list[tuple[Account, Line]]:
        lines: dict[int, Line] = {}
        for payment in self.payments:
            line = lines.setdefault(payment.account, self.line())
            line.add(payment, self.exchange)
        return [(self.accounts[pk], lines[pk]) for pk in self.accounts if pk in lines]


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
