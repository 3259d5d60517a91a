"""Accounts and balances for programs: as they are now or as they were on a day, and in another currency on demand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import django_filters as filters
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView

from aggregation.account_aggregator import AccountSummary, counted_accounts, zone_of
from aggregation.filters import own_accounts
from aggregation.history.lines import CARRY
from aggregation.ledger import BALANCE_FACTS
from aggregation.models import Balance, BalancePoint, PointBasis
from aggregation.newest import ACCOUNTS_ONCE
from aggregation.rates.exchange import BrokerRates, Exchange, Gap, Quote
from aggregation.rates.names import NAMES
from aggregation.rates.totals import broker_rates
from aggregation.serializers import (
    AccountConnectionSerializer,
    AccountRefSerializer,
    Amount,
    Row,
    account_ref,
    moment,
    plain,
)
from brokerhub.kernel.models import Scope
from connections.brokers.records import AccountKind, Broker
from connections.models import Account

Converted = dict[str, Any]
READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}
SAID_BY = ("broker", "hand", "file")


# --- What is asked ----------------------------------------------------------------------------------------------------
class Asked(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    currency = filters.ChoiceFilter(
        choices=list(NAMES.items()), method="as_it_is", label="Say the amounts in this currency as well."
    )
    as_of = filters.DateFilter(method="as_it_is", label="As it was at the end of this day, instead of now.")

    def as_it_is(self, found: QuerySet[Any], _name: str, _value: Any) -> QuerySet[Any]:
        """Narrows nothing: it changes what is said of each row."""
        return found


class AskedAccounts(Asked):
    account = filters.ModelChoiceFilter(queryset=own_accounts, method="by_account")
    broker = filters.ChoiceFilter(field_name="connection__broker", choices=Broker.choices)

    @extend_schema_field({"type": "integer"})
    def by_account(self, found: QuerySet[Account], _name: str, account: Account) -> QuerySet[Account]:
        return found.filter(pk=account.pk)


class AskedBalances(Asked):
    account = filters.ModelChoiceFilter(queryset=own_accounts)
    broker = filters.ChoiceFilter(field_name="account__connection__broker", choices=Broker.choices)


# --- What is answered -------------------------------------------------------------------------------------------------
class ConvertedSerializer(serializers.Serializer[Any]):
    """The same amounts in the currency that was asked for. Without a rate they are null and `why` says so."""

    currency = serializers.CharField()
    cash = Amount(allow_null=True)
    market_value = Amount(allow_null=True)
    net_asset_value = Amount(allow_null=True)
    rate = Amount(allow_null=True, help_text="Units of `currency` for one of the row's own.")
    rate_source = serializers.ChoiceField(
        choices=["ecb", *Broker.values], allow_null=True, help_text="Who said the rate; null for the same currency."
    )
    rate_on = serializers.DateField(allow_null=True)
    rate_late_days = serializers.IntegerField(help_text="By how many days the rate is older than it should be.")
    why = serializers.CharField(allow_null=True, help_text="Why there is no rate.")


class BalanceSerializer(Row):
    """One account's money in one currency, as it was said at `as_of`. Of a day gone by, cash and value are known."""

    id = serializers.IntegerField()
    account = AccountRefSerializer()
    currency = serializers.CharField()
    cash = Amount(allow_null=True)
    settled_cash = Amount(allow_null=True)
    market_value = Amount(allow_null=True)
    net_asset_value = Amount(allow_null=True, help_text="Everything in the account, cash included.")
    buying_power = Amount(allow_null=True)
    margin_used = Amount(allow_null=True)
    accrued_interest = Amount(allow_null=True)
    as_of = serializers.DateTimeField()
    on = serializers.DateField(allow_null=True, help_text="With `as_of`: the day this is of, up to four days before.")
    basis = serializers.ChoiceField(choices=PointBasis.choices, help_text="How it is known.")
    converted = ConvertedSerializer(allow_null=True, help_text="With `currency`.")

    @staticmethod
    def row(instance: Balance | BalancePoint) -> dict[str, Any]:
        return {"id": instance.pk, "account": account_ref(instance.account), **_money(instance)}


class AccountBalanceSerializer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    cash = Amount(allow_null=True)
    net_asset_value = Amount(allow_null=True)
    as_of = serializers.DateTimeField()


class NotCountedSerializer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    net_asset_value = Amount(allow_null=True)
    why = serializers.CharField()


class AccountTotalSerializer(serializers.Serializer[Any]):
    """All of the account in the currency that was asked for, without what is in `not_counted`."""

    currency = serializers.CharField()
    cash = Amount(allow_null=True)
    net_asset_value = Amount(allow_null=True)
    not_counted = NotCountedSerializer(many=True)


class AccountSerializer(Row):
    """One account with its money per currency, and how fresh that is: `as_of` is null when nobody ever said."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    mask = serializers.CharField(help_text="The last characters of the account number.")
    broker = serializers.ChoiceField(choices=Broker.choices)
    kind = serializers.ChoiceField(choices=AccountKind.choices)
    currency = serializers.CharField()
    closed_on = serializers.DateField(allow_null=True)
    kept_by = serializers.ChoiceField(choices=SAID_BY, help_text="Who says what it holds; a file does not say it.")
    connection = AccountConnectionSerializer()
    balances = AccountBalanceSerializer(many=True)
    total = AccountTotalSerializer(allow_null=True, help_text="With `currency`.")
    as_of = serializers.DateTimeField(allow_null=True)

    @staticmethod
    def row(instance: Account) -> dict[str, Any]:
        connection, balances = instance.connection, balances_of(instance)
        return {
            **account_ref(instance),
            "kind": instance.kind,
            "currency": instance.currency,
            "closed_on": None if instance.closed_on is None else instance.closed_on.isoformat(),
            "kept_by": "broker" if not connection.is_file else "hand" if balances else "file",
            "connection": {
                "id": str(connection.pk),
                "label": connection.label,
                "state": connection.state,
                "last_success_at": moment(connection.last_success_at),
            },
            "balances": [
                {
                    "currency": balance.currency,
                    "cash": plain(balance.cash),
                    "net_asset_value": plain(balance.net_asset_value),
                    "as_of": moment(balance.as_of),
                }
                for balance in balances
            ],
            "total": getattr(instance, "total", None),
            "as_of": moment(max((balance.as_of for balance in balances), default=None)),
        }


def balances_of(account: Account) -> Sequence[Balance | BalancePoint]:
    """Those of now, or of the day that was asked for."""
    of_day: list[BalancePoint] | None = getattr(account, "points_of_day", None)
    return list(account.balances.all()) if of_day is None else of_day


def _money(row: Balance | BalancePoint) -> dict[str, Any]:
    return {
        "currency": row.currency,
        **{name: plain(getattr(row, name, None)) for name in BALANCE_FACTS if name != "exchange_rate"},
        "market_value": plain(_in_positions(row)),
        "as_of": moment(row.as_of),
        "on": row.on.isoformat() if isinstance(row, BalancePoint) else None,
        "basis": row.basis if isinstance(row, BalancePoint) else PointBasis.OBSERVED.value,
        "converted": getattr(row, "converted", None),
    }


def _in_positions(row: Balance | BalancePoint) -> Decimal | None:
    if isinstance(row, Balance):
        told: Decimal | None = row.market_value
        return told
    return None if row.cash is None or row.net_asset_value is None else row.net_asset_value - row.cash


# --- In another currency ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Wish:
    """The currency (None: each its own) and the day (None: now) that were asked for."""

    currency: str | None
    on: date | None
    zone: ZoneInfo

    def exchange(self, rows: Iterable[Balance | BalancePoint], accounts: Iterable[Account]) -> Exchange:
        """One query, none when nothing is to be converted."""
        if self.currency is None:
            return Exchange.load([])
        currencies = {self.currency, *(row.currency for row in rows), *(account.currency for account in accounts)}
        return Exchange.load(currencies, last=self.on)


def _converted(row: Balance | BalancePoint, wish: Wish, exchange: Exchange, broker: BrokerRates | None) -> Converted:
    assert wish.currency is not None
    quote = exchange.quote(row.currency, wish.currency, broker=broker)
    rate = None if isinstance(quote, Gap) else quote.rate
    amounts = {
        "cash": row.cash,
        "market_value": _in_positions(row),
        "net_asset_value": row.net_asset_value,
    }
    return {
        "currency": wish.currency,
        **{name: plain(None if rate is None or amount is None else amount * rate) for name, amount in amounts.items()},
        "rate": plain(rate),
        "rate_source": quote.source or None if isinstance(quote, Quote) else None,
        "rate_on": quote.on.isoformat() if isinstance(quote, Quote) else None,
        "rate_late_days": quote.late if isinstance(quote, Quote) else 0,
        "why": quote.why if isinstance(quote, Gap) else None,
    }


def _total(account: Account, wish: Wish, exchange: Exchange) -> dict[str, Any]:
    assert wish.currency is not None
    rates = _rates_of(account, wish)
    sums: dict[str, Decimal | None] = {}
    missing = []
    for row in balances_of(account):
        quote = exchange.quote(row.currency, wish.currency, broker=rates)
        if isinstance(quote, Gap):
            missing.append({"currency": row.currency, "net_asset_value": plain(row.net_asset_value), "why": quote.why})
            continue
        for name in ("cash", "net_asset_value"):
            amount, before = getattr(row, name), sums.get(name, Decimal(0))
            sums[name] = None if amount is None or before is None else before + amount * quote.rate
    return {
        "currency": wish.currency,
        "cash": plain(sums.get("cash")),
        "net_asset_value": plain(sums.get("net_asset_value")),
        "not_counted": missing,
    }


def _rates_of(account: Account, wish: Wish) -> BrokerRates | None:
    """The broker's rates are of now: on a day gone by the reference rates of that day count."""
    if wish.on is not None:
        return None
    return broker_rates(AccountSummary(account, list(account.balances.all()), []), wish.zone)


class _InCurrency:
    """What both lists share: they read the wish, and say it of the rows of a page."""

    def wish(self) -> Wish:
        request: Any = self.request  # type: ignore[attr-defined]
        asked = Asked(request.query_params, BalancePoint.objects.none(), request=request)
        if not asked.is_valid():
            return Wish(None, None, zone_of(request.user))  # the list itself answers with what is wrong
        said = asked.form.cleaned_data
        if said["as_of"] is not None and said["as_of"] > timezone.localdate():
            raise ValidationError({"as_of": "This day is still to come."})
        return Wish(said["currency"] or None, said["as_of"], zone_of(request.user))


def points_on(on: date, accounts: QuerySet[Account]) -> QuerySet[BalancePoint]:
    """The newest daily value of each account and currency, of `on` or up to `CARRY` before."""
    points = BalancePoint.objects.filter(account__in=accounts, on__lte=on, on__gt=on - CARRY)
    newest = points.order_by("account_id", "currency", "-on").distinct("account_id", "currency")
    return BalancePoint.objects.filter(pk__in=newest.values("pk"))


@extend_schema(tags=["portfolio"])
class AccountList(_InCurrency, ListAPIView[Account]):
    """Your accounts at all brokers and those kept by hand, each with its money per currency, its connection's state and
    its freshness; with `currency` what each comes to, with `as_of` what was in it at the end of that day."""

    queryset = Account.objects.none()
    serializer_class = AccountSerializer
    filterset_class = AskedAccounts
    required_scopes: ClassVar = READ
    ordering = ("pk",)

    def get_queryset(self) -> QuerySet[Account]:
        wish, own = self.wish(), Account.objects.for_user(self.request.user)  # type: ignore[arg-type]
        money = Prefetch("balances", queryset=Balance.objects.order_by("currency").defer("raw"))
        accounts = own.select_related("connection").prefetch_related(money)
        if wish.on is None:
            return accounts
        of_day = Prefetch("points", queryset=points_on(wish.on, own).order_by("currency"), to_attr="points_of_day")
        return accounts.prefetch_related(of_day)

    def paginate_queryset(self, queryset: Any) -> Any:
        page, wish = super().paginate_queryset(queryset), self.wish()
        if page and wish.currency:
            exchange = wish.exchange([row for account in page for row in balances_of(account)], page)
            for account in page:
                account.total = _total(account, wish, exchange)
        return page


@extend_schema(tags=["portfolio"])
class BalanceList(_InCurrency, ListAPIView[Balance]):
    """What your accounts have in money, one row per account and currency; with `as_of` at the end of that day, where
    cash and value are known and the rest is null; with `currency` also in that one, by the rate that is named."""

    queryset = Balance.objects.none()
    serializer_class = BalanceSerializer
    filterset_class = AskedBalances
    required_scopes: ClassVar = READ
    ordering = ("pk",)

    def get_queryset(self) -> QuerySet[Any]:
        """Of one account its figures, whatever became of it; else those of which the portfolio's totals consist."""
        user: Any = self.request.user
        wish, one = self.wish(), self.request.query_params.get("account")
        accounts = Account.objects.for_user(user) if one else counted_accounts(user)
        if wish.on is not None:
            return points_on(wish.on, accounts).prefetch_related(ACCOUNTS_ONCE)
        rows = Balance.objects.filter(account__in=accounts) if not one else Balance.objects.for_user(user)
        return rows.prefetch_related(ACCOUNTS_ONCE).defer("raw")

    def paginate_queryset(self, queryset: Any) -> Any:
        page, wish = super().paginate_queryset(queryset), self.wish()
        if page and wish.currency:
            exchange = wish.exchange(page, [row.account for row in page])
            told = self._told(page, wish)
            for row in page:
                row.converted = _converted(row, wish, exchange, told.get(row.account_id))
        return page

    @staticmethod
    def _told(page: Sequence[Any], wish: Wish) -> dict[int, BrokerRates]:
        """By account, the rates its broker told with the balances of the page."""
        found: dict[int, BrokerRates] = {}
        for row in page if wish.on is None else []:
            if row.exchange_rate is not None:
                on, account = row.as_of.astimezone(wish.zone).date(), row.account
                known = found.get(account.pk) or BrokerRates(account.connection.broker, account.currency, on, {})
                rates = {**known.rates, row.currency: row.exchange_rate}
                found[account.pk] = replace(known, on=min(known.on, on), rates=rates)
        return found
