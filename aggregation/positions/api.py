"""REST endpoint of positions: row by row as brokers say them, or put together and grouped as on the page; now or on a
day gone by."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aggregation import account_aggregator
from aggregation.account_aggregator import Portfolio, counted_accounts, zone_of
from aggregation.history.api import OwnAccount
from aggregation.models import Position
from aggregation.newest import ACCOUNTS_ONCE
from aggregation.positions import reading
from aggregation.positions.choices import things_among
from aggregation.positions.entries import Entry, Row, times
from aggregation.positions.reading import Held
from aggregation.positions.table import GROUP_LABELS, Asked, Section
from aggregation.rates.exchange import Gap, Quote
from aggregation.serializers import (
    AccountRefSerializer,
    Amount,
    ConvertedPositionSerializer,
    InstrumentRefSerializer,
    PositionSerializer,
    account_ref,
    instrument_ref,
    moment,
    plain,
)
from brokerhub.kernel.models import Scope, User
from connections.brokers.records import Broker
from connections.models import Account

# The API's words for the groupings of the table.
GROUP_BY = {"instrument": "instrument", "asset_class": "class"} | {
    name: name for name in GROUP_LABELS if name not in ("", "class")
}


class PositionQuery(serializers.Serializer[Any]):
    currency = serializers.RegexField(r"^[A-Z]{3}$", required=False, help_text="Say the amounts in this one as well.")
    as_of = serializers.DateField(required=False, help_text="As it was on the evening of this day, instead of now.")
    group_by = serializers.ChoiceField(
        choices=sorted(GROUP_BY), required=False, help_text="Put together, cash included, in one currency."
    )
    account = OwnAccount(required=False, help_text="One account; also one that is left out of the totals.")
    broker = serializers.ChoiceField(choices=Broker.choices, required=False)

    def validate_as_of(self, on: date) -> date:
        if on >= timezone.now().astimezone(zone_of(self.context["request"].user)).date():
            raise serializers.ValidationError("This day has no evening yet; leave as_of away for what is held now.")
        return on


# --- What is answered -------------------------------------------------------------------------------------------------
class PositionPartSerializer(serializers.Serializer[Any]):
    """What one account has of it."""

    account = AccountRefSerializer()
    quantity = Amount(allow_null=True)
    average_cost = Amount(allow_null=True, help_text="Per unit.")
    cost = Amount(allow_null=True, help_text="Of all units.")
    price = Amount(allow_null=True)
    market_value = Amount(allow_null=True)
    unrealised_gain = Amount(allow_null=True)
    day_change = Amount(allow_null=True)
    as_of = serializers.DateTimeField()


class UnifiedPositionSerializer(serializers.Serializer[Any]):
    """One instrument over the accounts of its group, or one currency's cash; amounts are in `currency`."""

    instrument = InstrumentRefSerializer(allow_null=True, help_text="Null for cash.")
    title = serializers.CharField()
    currency = serializers.CharField()
    quantity = Amount(allow_null=True)
    average_cost = Amount(allow_null=True, help_text="Per unit; null when unknown, or held both long and short.")
    cost = Amount(allow_null=True, help_text="Of all units.")
    price = Amount(allow_null=True)
    price_source = serializers.ChoiceField(choices=Broker.choices, allow_null=True)
    market_value = Amount(allow_null=True)
    unrealised_gain = Amount(allow_null=True)
    gain_fraction = Amount(allow_null=True, help_text="Of the cost; 0.1 is 10 %.")
    day_change = Amount(allow_null=True)
    converted = ConvertedPositionSerializer()
    weight = Amount(allow_null=True, help_text="Of everything held, cash included, 0 to 1.")
    accounts = PositionPartSerializer(many=True)


class PositionGroupSerializer(serializers.Serializer[Any]):
    """One group, in one currency. Each sum is of what is known; `unknown_values` counts what it lacks."""

    key = serializers.CharField(help_text="Stable; empty for what belongs to no group.")
    label = serializers.CharField()  # type: ignore[assignment]  # hides a property of the class itself
    currency = serializers.CharField()
    market_value = Amount(allow_null=True, help_text="Null when none is known.")
    unknown_values = serializers.IntegerField()
    unrealised_gain = Amount(allow_null=True)
    unknown_gains = serializers.IntegerField()
    day_change = Amount(allow_null=True)
    unknown_day_changes = serializers.IntegerField()
    weight = Amount(allow_null=True)
    positions = UnifiedPositionSerializer(many=True)


def _converted(quote: Quote | Gap, into: str, **amounts: Decimal | None) -> dict[str, Any]:
    rate = None if isinstance(quote, Gap) else quote.rate
    return {
        "currency": into,
        **{name: plain(times(amount, rate)) for name, amount in amounts.items()},
        "rate": plain(rate),
        "rate_source": quote.source or None if isinstance(quote, Quote) else None,
        "rate_on": quote.on.isoformat() if isinstance(quote, Quote) else None,
        "why": quote.why if isinstance(quote, Gap) else None,
    }


def _part(entry: Entry) -> dict[str, Any]:
    is_cash = entry.instrument is None
    return {
        "account": account_ref(entry.account),
        "quantity": plain(entry.quantity),
        "average_cost": plain(entry.average_cost),
        "cost": None if is_cash else plain(entry.cost),
        "price": plain(entry.price),
        "market_value": plain(entry.value),
        "unrealised_gain": None if is_cash else plain(entry.gain),
        "day_change": None if is_cash else plain(entry.day_change),
        "as_of": moment(entry.as_of),
    }


def _unified(row: Row, into: str) -> dict[str, Any]:
    quote = row.gap or row.latest.quote
    return {
        "instrument": instrument_ref(row.instrument) if row.instrument else None,
        "title": row.title,
        "currency": row.currency,
        "quantity": plain(row.quantity),
        "average_cost": plain(row.average_cost),
        "cost": None if row.is_cash else plain(row.cost),
        "price": plain(row.price),
        "price_source": None if row.price is None else row.latest.broker,
        "market_value": plain(row.value),
        "unrealised_gain": None if row.is_cash else plain(row.gain),
        "gain_fraction": None if row.is_cash else plain(row.gain_share),
        "day_change": None if row.is_cash else plain(row.day_change),
        "converted": _converted(quote, into)
        | {
            "market_value": plain(row.worth),
            "unrealised_gain": None if row.is_cash else plain(row.gain_worth),
            "day_change": None if row.is_cash else plain(row.day_worth),
        },
        "weight": plain(row.weight),
        "accounts": [_part(entry) for entry in row.parts],
    }


def _group(section: Section, into: str) -> dict[str, Any]:
    sums = section.sums
    return {
        "key": section.key,
        "label": section.label,
        "currency": into,
        "market_value": plain(sums.known_value),
        "unknown_values": sums.value_unknown,
        "unrealised_gain": plain(sums.known_gain),
        "unknown_gains": sums.gain_unknown,
        "day_change": plain(sums.known_day_change),
        "unknown_day_changes": sums.day_unknown,
        "weight": plain(section.weight),
        "positions": [_unified(row, into) for row in section.rows],
    }


# --- The view ---------------------------------------------------------------------------------------------------------
ANSWERS = PolymorphicProxySerializer(
    component_name="PositionOrGroup",
    serializers=[PositionSerializer, PositionGroupSerializer],
    resource_type_field_name=None,
    many=True,
)


class PositionList(ListAPIView[Position]):
    """What your accounts hold, one row per account and instrument, as each broker says it.

    With `currency` the amounts are told in that one as well. With `as_of` it is what was held on the evening of that
    day, with `id` and costs null. With `group_by` the rows are put together over your accounts, cash included, and
    grouped as on the page, in `currency` or else in yours; then, and with `as_of`, all comes in one answer.
    """

    queryset = Position.objects.none()
    serializer_class = PositionSerializer
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}
    ordering = ("pk",)

    @extend_schema(tags=["portfolio"], parameters=[PositionQuery], responses=ANSWERS)
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        query = PositionQuery(data=request.query_params, context={"request": request})
        query.is_valid(raise_exception=True)
        self.asked: dict[str, Any] = query.validated_data
        user: Any = request.user
        if "group_by" in self.asked:
            return self._grouped(user)
        if "as_of" in self.asked:
            rows = _of_day(user, self.asked)
            return _whole([PositionSerializer.row(row) for row in rows])
        return super().get(request, *args, **options)

    def get_queryset(self) -> QuerySet[Position]:
        """Of one account its positions, whatever became of it; else those of which the portfolio's totals consist."""
        user: Any = self.request.user
        held = Position.objects.for_user(user).held().filter(account__in=_accounts(user, self.asked))
        return held.select_related("instrument").prefetch_related(ACCOUNTS_ONCE).defer("raw")

    def paginate_queryset(self, queryset: Any) -> Any:
        page, into = super().paginate_queryset(queryset), self.asked.get("currency")
        if page and into:
            user: Any = self.request.user
            _tell_in(page, reading.quotes(_now(user, self.asked), into), into)
        return page

    def _grouped(self, user: User) -> Response:
        into = self.asked.get("currency") or user.currency
        held = _held(user, self.asked, into)
        table = held.table(Asked(group=GROUP_BY[self.asked["group_by"]], broker=self.asked.get("broker", "")))
        return _whole([_group(section, into) for section in table.sections])


def _whole(rows: list[dict[str, Any]]) -> Response:
    return Response({"next": None, "previous": None, "results": rows})


def _accounts(user: User, asked: dict[str, Any]) -> QuerySet[Account]:
    found = Account.objects.filter(pk=asked["account"].pk) if "account" in asked else counted_accounts(user)
    return found.filter(connection__broker=asked["broker"]) if "broker" in asked else found


def _now(user: User, asked: dict[str, Any]) -> Portfolio:
    if "account" not in asked:
        return account_aggregator.portfolio(user)
    summary = account_aggregator.account_summary(asked["account"])
    things = things_among(user, {lot.position.instrument for lot in summary.lots})
    return Portfolio([summary], zone_of(user), things)


def _held(user: User, asked: dict[str, Any], into: str) -> Held:
    if "as_of" not in asked:
        return reading.held(_now(user, asked), into)
    accounts = _accounts(user, asked).select_related("connection").defer("connection__sealed_credentials")
    return reading.held_on(user, list(accounts.order_by("pk")), asked["as_of"], into)


def _of_day(user: User, asked: dict[str, Any]) -> Iterable[Position]:
    """As positions, though nothing of that day but units, price and value is known."""
    into = asked.get("currency")
    for entry in _held(user, asked, into or user.currency).pieces:
        if entry.instrument is not None and entry.quantity is not None:
            position = Position(
                account=entry.account,
                instrument=entry.instrument,
                quantity=entry.quantity,
                price=entry.price,
                market_value=entry.value,
                currency=entry.currency,
                as_of=entry.as_of,
            )
            if into:
                _tell(position, entry.quote, into)
            yield position


def _tell_in(page: Sequence[Position], quote_of: reading.ByAccount, into: str) -> None:
    for position in page:
        _tell(position, quote_of(position.account_id, position.currency), into)


def _tell(position: Position, quote: Quote | Gap, into: str) -> None:
    gain = PositionSerializer.gain(position)
    amounts = {"market_value": position.market_value, "unrealised_gain": gain, "day_change": position.day_change}
    position.converted = _converted(quote, into, **amounts)  # type: ignore[attr-defined]
