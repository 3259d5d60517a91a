"""The accounts: all of them side by side, one by itself, and as files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from aggregation import account_aggregator, exports
from aggregation.account_aggregator import AccountSummary, Portfolio
from aggregation.exports import Row
from aggregation.filters import TransactionFilter, newest_first
from aggregation.handover import handover
from aggregation.history import figures, service
from aggregation.history.service import Asked
from aggregation.manual import keeping
from aggregation.models import Balance, PossibleDuplicate, Transaction
from aggregation.rates import choice, totals
from aggregation.rates.totals import WholeTotal
from aggregation.serializers import plain
from aggregation.year_to_date import YearToDate, year_to_date
from brokerhub.kernel.htmx import HtmxRequest
from connections.models import Account

MONEY = (
    "cash",
    "settled_cash",
    "market_value",
    "net_asset_value",
    "margin_used",
    "buying_power",
    "accrued_interest",
)
ACCOUNT_COLUMNS = (
    "account",
    "broker",
    "connection",
    "connection_state",
    "kept",
    "kind",
    "account_currency",
    "total_value",
    "cash",
    "in_positions",
    "unrealised_gain",
    "currency",
    "not_counted",
    "as_of",
)
CONVERTED = ("converted", "converted_into", "rate", "rate_source", "rate_on")
BALANCE_COLUMNS = ("account", "broker", "currency", *MONEY, "as_of", *CONVERTED)


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account of the list: its summary, and what it comes to in the person's currency."""

    summary: AccountSummary
    total: WholeTotal

    @property
    def account(self) -> Account:
        return self.summary.account


@login_required
@require_GET
def accounts(request: HtmxRequest) -> HttpResponse:
    portfolio = account_aggregator.portfolio(request.user)
    whole, parts = totals.total_and_parts(portfolio, choice.chosen(request))
    context = {
        "portfolio": portfolio,
        "lines": [AccountLine(*part) for part in parts],
        "whole": whole,
        "currencies": choice.choices(request.user),
    }
    return TemplateResponse(request, "aggregation/accounts.html", context)


@login_required
@require_GET
def account(request: HtmxRequest, account_id: int) -> HttpResponse:
    own = Account.objects.for_user(request.user).select_related("connection__user")
    shown = get_object_or_404(own, pk=account_id)
    past = service.history([shown], Asked(currency=shown.currency))
    asked = TransactionFilter({"account": shown.pk}, Transaction.objects.all(), request=request)
    summary = account_aggregator.account_summary(shown)
    years = year_to_date([shown], timezone.localdate()).get(shown.pk, [])
    context = {
        "account": shown,
        "summary": summary,
        "money": _money(summary, years),
        "has_year": bool(years),
        "whole": totals.total(Portfolio([summary], account_aggregator.zone_of(request.user)), choice.chosen(request)),
        "may_keep": keeping.may_keep(shown),
        "is_by_hand": keeping.is_by_hand(shown),
        "figure": figures.value(past.points, shown.currency, {}).to_dict() if past.is_drawable else None,
        "points": [point for point in past.points if point.value is not None][-10:][::-1],
        "latest": newest_first(request.user, asked)[:10],
        "handover": handover(shown),
        "questions": PossibleDuplicate.objects.waiting().filter(account=shown).count(),
    }
    return TemplateResponse(request, "aggregation/account.html", context)


@dataclass(frozen=True, slots=True)
class MoneyIn:
    """One currency of an account: what there is now, and what came and went this year; either may be missing."""

    currency: str
    balance: Balance | None
    year: YearToDate | None


def _money(summary: AccountSummary, years: list[YearToDate]) -> list[MoneyIn]:
    """The account's own currency first."""
    balances = {balance.currency: balance for balance in summary.balances}
    by_year = {year.currency: year for year in years}
    own = summary.account.currency
    currencies = sorted({*balances, *by_year}, key=lambda currency: (currency != own, currency))
    return [MoneyIn(currency, balances.get(currency), by_year.get(currency)) for currency in currencies]


# --- As files ---------------------------------------------------------------------------------------------------------
@login_required
@require_GET
def export_accounts(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    _, parts = totals.total_and_parts(account_aggregator.portfolio(request.user), choice.chosen(request))
    rows = (_account_row(AccountLine(*part)) for part in parts)
    return exports.as_file(rows, ACCOUNT_COLUMNS, name="accounts", suffix=suffix)


def _account_row(line: AccountLine) -> Row:
    connection, as_of = line.account.connection, line.summary.as_of
    return {
        "account": str(line.account),
        "broker": connection.broker,
        "connection": connection.label,
        "connection_state": connection.state,
        "kept": kept(line.summary),
        "kind": line.account.kind,
        "account_currency": line.account.currency,
        "total_value": plain(line.total.net_asset_value),
        "cash": plain(line.total.cash),
        "in_positions": plain(line.total.market_value),
        "unrealised_gain": plain(line.total.gain),
        "currency": line.total.currency,
        "not_counted": "; ".join(f"{gap.currency}: {gap.why}" for gap in line.total.missing),
        "as_of": as_of.isoformat() if as_of else None,
    }


def kept(summary: AccountSummary) -> str:
    """By whom what the account holds is said: broker, hand, or file, which does not say it."""
    return "hand" if summary.is_by_hand else "file" if summary.is_file else "broker"


@login_required
@require_GET
def export_balances(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    portfolio, currency = account_aggregator.portfolio(request.user), choice.chosen(request)
    rows = _balance_rows(portfolio, currency)
    return exports.as_file(rows, BALANCE_COLUMNS, name="balances", suffix=suffix)


def _balance_rows(portfolio: Portfolio, currency: str) -> Iterator[Row]:
    for summary, balance, quote in totals.quoted_balances(portfolio, currency):
        converted: dict[str, Any] = dict.fromkeys(("converted", "rate", "rate_source", "rate_on"))
        if quote is not None:
            value = balance.net_asset_value
            converted = {
                "converted": plain(None if value is None else value * quote.rate),
                "rate": plain(quote.rate),
                "rate_source": quote.source or None,
                "rate_on": quote.on.isoformat(),
            }
        yield {
            "account": str(summary.account),
            "broker": summary.account.connection.broker,
            "currency": balance.currency,
            **{name: plain(getattr(balance, name)) for name in MONEY},
            "as_of": balance.as_of.isoformat(),
            "converted_into": currency,
            **converted,
        }
