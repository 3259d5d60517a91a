"""The books as integrators see them: money and quantities as strings with a currency beside them, unknown as null.

Rows are written by hand in `to_representation`: field by field through the framework costs twice as much on a page of
hundreds. The declared fields describe the same rows in the schema; a test holds the two together.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aggregation.models import BookStatus, Instrument, Position, Source, Transaction, UserEdit
from aggregation.redaction import masked
from aggregation.valuation import cost_of, difference
from connections.brokers.records import AssetClass, Broker, TransactionKind
from connections.models import Account
from connections.states import ConnectionState


def plain(amount: Decimal | None) -> str | None:
    """Exactly, without an exponent and without trailing zeros; None stays None."""
    if amount is None:
        return None
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


@extend_schema_field({"type": "string", "format": "decimal", "example": "1802.5"})
class Amount(serializers.Field[Any, Any, Any, Any]):
    """A decimal number as a string."""


class Row(serializers.Serializer[Any]):
    """One row of a list, written out by `row`."""

    @staticmethod
    def row(instance: Any) -> dict[str, Any]:
        raise NotImplementedError

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return self.row(instance)


class AccountRefSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    mask = serializers.CharField(help_text="The last characters of the account number.")
    broker = serializers.ChoiceField(choices=Broker.choices)


class InstrumentRefSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    symbol = serializers.CharField(help_text="Options in OSI form, 21 characters.")
    title = serializers.CharField(help_text="For people: options are spelled out.")
    name = serializers.CharField()
    asset_class = serializers.ChoiceField(choices=AssetClass.choices)
    cusip = serializers.CharField(allow_null=True)
    isin = serializers.CharField(allow_null=True)
    multiplier = Amount(help_text="Value of one unit = price x multiplier.")


def instrument_ref(instrument: Instrument) -> dict[str, Any]:
    return {
        "id": instrument.pk,
        "symbol": instrument.symbol,
        "title": instrument.title,
        "name": instrument.name,
        "asset_class": instrument.asset_class,
        "cusip": instrument.cusip or None,
        "isin": instrument.isin or None,
        "multiplier": plain(instrument.multiplier),
    }


def account_ref(account: Account) -> dict[str, Any]:
    return {
        "id": account.pk,
        "name": account.name,
        "mask": account.mask,
        "broker": account.connection.broker,
    }


class ConvertedPositionSerializer(serializers.Serializer[Any]):
    """The same amounts in the currency that was asked for. Without a rate they are null and `why` says so."""

    currency = serializers.CharField()
    market_value = Amount(allow_null=True)
    unrealised_gain = Amount(allow_null=True)
    day_change = Amount(allow_null=True)
    rate = Amount(allow_null=True, help_text="Units of `currency` for one of the row's own.")
    rate_source = serializers.ChoiceField(
        choices=["ecb", *Broker.values], allow_null=True, help_text="Who said the rate; null for the same currency."
    )
    rate_on = serializers.DateField(allow_null=True)
    why = serializers.CharField(allow_null=True, help_text="Why there is no rate.")


class PositionSerializer(Row):
    """What one account holds of one instrument, as the broker said at `as_of`."""

    id = serializers.IntegerField(allow_null=True, help_text="Null on a day gone by.")
    account = AccountRefSerializer()
    instrument = InstrumentRefSerializer()
    quantity = Amount(help_text="Negative when sold short.")
    average_cost = Amount(allow_null=True, help_text="Per unit.")
    cost = Amount(allow_null=True, help_text="Of all units; negative when sold short.")
    price = Amount(allow_null=True)
    market_value = Amount(allow_null=True)
    unrealised_gain = Amount(allow_null=True)
    day_change = Amount(allow_null=True)
    currency = serializers.CharField()
    as_of = serializers.DateTimeField()
    converted = ConvertedPositionSerializer(allow_null=True, help_text="With `currency`.")

    @staticmethod
    def cost_of(instance: Position) -> Decimal | None:
        return cost_of(instance.quantity, instance.average_cost, instance.instrument.multiplier)

    @staticmethod
    def gain(instance: Position) -> Decimal | None:
        return difference(instance.market_value, PositionSerializer.cost_of(instance))

    @staticmethod
    def row(instance: Position) -> dict[str, Any]:
        return {
            "id": instance.pk,
            "account": account_ref(instance.account),
            "instrument": instrument_ref(instance.instrument),
            "quantity": plain(instance.quantity),
            "average_cost": plain(instance.average_cost),
            "cost": plain(PositionSerializer.cost_of(instance)),
            "price": plain(instance.price),
            "market_value": plain(instance.market_value),
            "unrealised_gain": plain(PositionSerializer.gain(instance)),
            "day_change": plain(instance.day_change),
            "currency": instance.currency,
            "as_of": moment(instance.as_of),
            "converted": getattr(instance, "converted", None),
        }


class AccountConnectionSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]  # hides a property of the class itself
    state = serializers.ChoiceField(choices=ConnectionState.choices)
    last_success_at = serializers.DateTimeField(allow_null=True)


class TransactionSerializer(Row):
    """One movement in one account. `net_amount` is the cash effect: negative when money left the account."""

    id = serializers.IntegerField()
    account = AccountRefSerializer()
    kind = serializers.ChoiceField(choices=TransactionKind.choices)
    subtype = serializers.CharField()
    traded_on = serializers.DateField(help_text="The broker's market date.")
    settled_on = serializers.DateField(allow_null=True)
    occurred_at = serializers.DateTimeField(allow_null=True)
    symbol = serializers.CharField(allow_null=True)
    quantity = Amount(allow_null=True, help_text="Signed: negative when units left the account.")
    price = Amount(allow_null=True)
    gross_amount = Amount(allow_null=True)
    fees = Amount()
    taxes = Amount()
    net_amount = Amount()
    currency = serializers.CharField()
    description = serializers.CharField()
    group_id = serializers.CharField(allow_null=True, help_text="Legs of one event share it.")
    status = serializers.ChoiceField(choices=BookStatus.choices)
    source = serializers.ChoiceField(choices=Source.choices)  # type: ignore[assignment]
    external_id = serializers.CharField(allow_null=True, help_text="The broker's own id.")
    booked_at = serializers.DateTimeField()

    @staticmethod
    def row(instance: Transaction) -> dict[str, Any]:
        return {
            "id": instance.pk,
            "account": account_ref(instance.account),
            "kind": instance.kind,
            "subtype": instance.subtype,
            "traded_on": instance.traded_on.isoformat(),
            "settled_on": None if instance.settled_on is None else instance.settled_on.isoformat(),
            "occurred_at": moment(instance.occurred_at),
            "symbol": None if instance.instrument is None else instance.instrument.symbol,
            "quantity": plain(instance.quantity),
            "price": plain(instance.price),
            "gross_amount": plain(instance.gross_amount),
            "fees": plain(instance.fees),
            "taxes": plain(instance.taxes),
            "net_amount": plain(instance.net_amount),
            "currency": instance.currency,
            "description": instance.description,
            "group_id": instance.group_id or None,
            "status": instance.status,
            "source": instance.source,
            "external_id": instance.external_id or None,
            "booked_at": moment(instance.booked_at),
        }


class ListedTransactionSerializer(TransactionSerializer):
    """With what its person wrote about it."""

    note = serializers.CharField(help_text="Yours.")
    tags = serializers.ListField(child=serializers.CharField(), help_text="Yours.")

    @staticmethod
    def row(instance: Transaction) -> dict[str, Any]:
        edit: UserEdit | None = getattr(instance, "edit", None)
        written = {"note": edit.note if edit else "", "tags": edit.tags if edit else []}
        return {**TransactionSerializer.row(instance), **written}


class TransactionDetailSerializer(ListedTransactionSerializer):
    """With where it came from: the run that fetched it, what the broker sent, and the versions it replaced."""

    run = serializers.IntegerField(allow_null=True, help_text="The sync run that booked it.")
    superseded_by = serializers.IntegerField(allow_null=True, help_text="The row that replaced this one.")
    supersedes = serializers.ListField(child=serializers.IntegerField(), help_text="The rows this one replaced.")
    part_of = serializers.IntegerField(allow_null=True, help_text="The row this is a part of.")
    parts = serializers.ListField(child=serializers.IntegerField(), help_text="What counts in place of a split row.")
    raw = serializers.DictField(help_text="As the source sent it; account numbers are masked.")

    @staticmethod
    def row(instance: Transaction) -> dict[str, Any]:
        return {
            **ListedTransactionSerializer.row(instance),
            "run": instance.run_id,
            "superseded_by": instance.superseded_by_id,
            "supersedes": sorted(older.pk for older in instance.supersedes.all()),
            "part_of": instance.part_of_id,
            "parts": sorted(part.pk for part in instance.parts.all() if part.status != BookStatus.SUPERSEDED),
            "raw": shown_raw(instance),
        }


def shown_raw(transaction: Transaction) -> Mapping[str, Any]:
    """What the source sent, with account numbers masked."""
    raw: Mapping[str, Any] = masked(transaction.raw, known=(transaction.account.external_id,))
    return raw
