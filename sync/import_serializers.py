"""Imports as integrators ask for them, and what a dry run answers."""

import json
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aggregation.models import Source
from connections.brokers.records import TransactionKind
from connections.models import Account
from sync.import_models import RowState
from sync.importers import FORMATS
from sync.importers.base import Choices
from sync.importers.dates import ORDERS
from sync.importers.numbers import DECIMALS
from sync.importers.reader import DELIMITERS
from sync.reading import MAPPED

MOST_ACCOUNTS = 50
ANSWERS = ("date_order", "decimal", "delimiter", "currency")  # fields of Choices
MAPPING_HELP = (
    "For a table no format knows: JSON with `columns` ({field: column or list of columns}; fields are date, word, "
    "symbol, isin, cusip, name, quantity, price, amount, fees, taxes, currency, settled, account, id), `words` "
    "({word of the file: buy, sell, dividend, ...}; left out, these words mean themselves), `signed` and `fees_on_top`."
)


@extend_schema_field(OpenApiTypes.STR)
class JsonText(serializers.Field):  # type: ignore[type-arg]
    """An object as JSON text, as a field of a form has it."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            value = json.loads(data) if isinstance(data, str) else data
        except (ValueError, RecursionError) as error:
            raise serializers.ValidationError("This is no JSON.", code="invalid") from error
        if not isinstance(value, dict):
            raise serializers.ValidationError("This must be a JSON object.", code="invalid")
        return value

    def to_representation(self, value: Any) -> str:
        return json.dumps(value)


class ImportSerializer(serializers.Serializer[Any]):
    """A file with `account`, or `account_name` for a new account kept by file, or `accounts` for a file of several."""

    file = serializers.FileField(
        error_messages={"empty": "The file is empty. Export it again at your broker, and send that."}
    )
    account = serializers.PrimaryKeyRelatedField(queryset=Account.objects.none(), required=False, default=None)
    account_name = serializers.CharField(max_length=120, required=False, default="")
    accounts = JsonText(
        required=False,
        default=None,
        help_text="JSON: {account as the file names it: id of an account, or the name of a new one}.",
    )
    format = serializers.ChoiceField(
        [*((format.key, format.label) for format in FORMATS.values()), (MAPPED, "By `mapping`")],
        required=False,
        help_text="Recognised if left out.",
    )
    mapping = JsonText(required=False, default=None, help_text=MAPPING_HELP)
    date_order = serializers.ChoiceField(
        ORDERS, required=False, help_text="Where the file leaves it open: day, month or year first."
    )
    decimal = serializers.ChoiceField(
        DECIMALS,
        required=False,
        help_text="What stands before the decimals, where that is open.",
    )
    delimiter = serializers.ChoiceField(DELIMITERS, required=False, help_text="Found if left out.")
    currency = serializers.RegexField(
        r"^[A-Z]{3}$", required=False, default="", help_text="Of rows that name none, where the format asks for it."
    )

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        if "accounts" in self.context:
            fields["account"].queryset = self.context["accounts"]
        return fields

    def validate_file(self, file: "UploadedFile[bytes]") -> "UploadedFile[bytes]":
        if (file.size or 0) > settings.UPLOAD_MAX_BYTES:
            raise serializers.ValidationError("The file is larger than 20 MB.", code="too_large")
        return file

    def validate_accounts(self, accounts: dict[str, Any] | None) -> dict[str, Any] | None:
        """As places: {"account": id} or {"new": name}."""
        if accounts is None:
            return None
        if not accounts or len(accounts) > MOST_ACCOUNTS:
            raise serializers.ValidationError(f"Name 1 to {MOST_ACCOUNTS} accounts.", code="invalid")
        return {hint: self._place(target) for hint, target in accounts.items()}

    def _place(self, target: Any) -> dict[str, Any]:
        if isinstance(target, str) and 0 < len(target.strip()) <= 120:
            return {"new": target.strip()}
        own = self.context["accounts"]
        if isinstance(target, int) and not isinstance(target, bool) and own.filter(pk=target).exists():
            return {"account": target}
        raise serializers.ValidationError(
            "Each is the id of an account that takes files, or the name of a new one.", code="does_not_exist"
        )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = {"format": "", "date_order": "", "decimal": "", "delimiter": "", **attrs}
        given = [attrs["account"] is not None, bool(attrs["account_name"]), attrs["accounts"] is not None]
        if sum(given) > 1 or (not any(given) and not self.context.get("is_dry_run")):
            raise serializers.ValidationError(
                {"account": "Give one of account, account_name and accounts."}, code="required"
            )
        if attrs["format"] == MAPPED and attrs["mapping"] is None:
            raise serializers.ValidationError({"mapping": "Give the mapping of the columns."}, code="required")
        if attrs["mapping"] is not None:
            attrs["format"] = MAPPED
        return attrs

    @property
    def choices(self) -> Choices:
        return Choices(
            **{name: self.validated_data[name] for name in ("date_order", "decimal", "delimiter", "currency")}
        )


class ImportQuerySerializer(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField(default=False, help_text="Say what would become of each row.")
    limit = serializers.IntegerField(default=1000, min_value=0, max_value=10_000, help_text="Rows in the answer.")
    offset = serializers.IntegerField(default=0, min_value=0, max_value=1_000_000, help_text="Rows left out before.")


class AmbiguitySerializer(serializers.Serializer[Any]):
    about = serializers.CharField(help_text="The parameter that answers it.")
    question = serializers.CharField()
    options = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Each a value and what it would mean."
    )
    examples = serializers.ListField(child=serializers.CharField())


class RecordSerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    kind = serializers.CharField()
    subtype = serializers.CharField()
    symbol = serializers.CharField()
    quantity = serializers.CharField(allow_null=True)
    price = serializers.CharField(allow_null=True)
    net_amount = serializers.CharField()
    fees = serializers.CharField()
    taxes = serializers.CharField()
    currency = serializers.CharField()
    description = serializers.CharField()


class ResemblanceSerializer(serializers.Serializer[Any]):
    """A row of the books that may be the same event as a row of the file."""

    id = serializers.IntegerField(help_text="Of the transaction.")
    date = serializers.DateField()
    kind = serializers.ChoiceField(TransactionKind.choices)
    symbol = serializers.CharField()
    quantity = serializers.CharField(allow_null=True)
    net_amount = serializers.CharField()
    currency = serializers.CharField()
    source = serializers.ChoiceField(Source.choices)  # type: ignore[assignment]
    reasons = serializers.ListField(child=serializers.CharField(), help_text="In words, why they may be the same.")


class CheckedRowSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="Of the file, from 1, where the row begins.")
    account = serializers.CharField(help_text="As the file names it.")
    state = serializers.ChoiceField(RowState.choices)
    notes = serializers.ListField(child=serializers.CharField(), help_text="Reasons and warnings.")
    word = serializers.CharField(help_text="What the row calls itself, when nobody said yet what that means; or empty.")
    records = RecordSerializer(many=True, help_text="What would be booked; empty for a row that cannot be read.")
    resembles = ResemblanceSerializer(
        many=True,
        help_text="For `possible`: the rows of the books it resembles. It is booked all the same and then waits among "
        "the possible duplicates until you decide.",
    )


class SkippedSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    reason = serializers.CharField()


class DryRunSerializer(serializers.Serializer[Any]):
    """What an import would do. While there are questions, `rows` is one of the possible readings."""

    format = serializers.CharField()
    reason = serializers.CharField(help_text="Why the file was taken for this format.")
    accounts = serializers.ListField(child=serializers.CharField(), help_text="As the file names them.")
    questions = AmbiguitySerializer(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Rows by state, of the whole file.")
    rows = CheckedRowSerializer(many=True)
    skipped = SkippedSerializer(many=True, help_text="Rows that tell no transaction: totals, footers.")
