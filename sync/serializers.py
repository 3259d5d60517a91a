"""Runs, their progress and parked rows as integrators see them."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from connections.models import Account
from connections.states import ConnectionState
from sync.holds import PART_NAMES
from sync.models import ImportFile, Mode, ParkedRow, Schedule, SyncRun
from sync.parking import shown
from sync.progress import PART_WORDS, PartResult, in_words, parts_of, seconds_left, waiting_words
from sync.scheduling import is_late


class ProgressSerializer(serializers.Serializer[SyncRun]):
    """`done` of `total` windows of transactions, or rows of a file; `total` is null until it is known."""

    text = serializers.SerializerMethodField(help_text="What the run is doing, for people; empty when it is over.")
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    seconds_left = serializers.SerializerMethodField(help_text="From the pace so far; null while it is not known.")

    def get_text(self, run: SyncRun) -> str:
        return in_words(run).doing if run.is_open else ""

    def get_seconds_left(self, run: SyncRun) -> int | None:
        return seconds_left(run)


class CountsSerializer(serializers.Serializer[SyncRun]):
    """Where every row went: fetched = inserted + matched + superseded + parked + rejected, always."""

    fetched = serializers.IntegerField()
    inserted = serializers.IntegerField()
    matched = serializers.IntegerField(help_text="Known already; nothing was written.")
    superseded = serializers.IntegerField(help_text="Corrections that replaced an older version.")
    parked = serializers.IntegerField(help_text="Rows no rule understands, kept as they came.")
    rejected = serializers.IntegerField()


class WaitSerializer(serializers.Serializer[SyncRun]):
    until = serializers.DateTimeField(source="wait_until")
    reason = serializers.CharField(source="wait_reason", help_text="rate limit, maintenance, no answer, ...")
    text = serializers.SerializerMethodField(help_text="For people, on their own clock.")

    def get_text(self, run: SyncRun) -> str:
        return waiting_words(run)


class RunErrorSerializer(serializers.Serializer[SyncRun]):
    code = serializers.CharField(source="error_code")
    text = serializers.CharField(source="error")
    what_to_do = serializers.SerializerMethodField(help_text="For people; empty when `text` says it itself.")

    def get_what_to_do(self, run: SyncRun) -> str:
        return in_words(run).what_to_do


class PartSerializer(serializers.Serializer[PartResult]):
    part = serializers.ChoiceField(list(PART_NAMES))
    account = serializers.IntegerField(source="account_id", allow_null=True)
    state = serializers.ChoiceField(list(PART_WORDS))
    detail = serializers.CharField()
    at = serializers.DateTimeField()


class ImportedFileSerializer(serializers.ModelSerializer[ImportFile]):
    class Meta:
        model = ImportFile
        fields = ("name", "format", "size", "account")
        read_only_fields = fields


class RunSerializer(serializers.ModelSerializer[SyncRun]):
    """One sync or import from request to result."""

    connection_label = serializers.CharField(source="connection.label")
    state_label = serializers.CharField(source="get_state_display")
    is_open = serializers.BooleanField(help_text="True until the run is over.")
    progress = ProgressSerializer(source="*")
    wait = serializers.SerializerMethodField()
    counts = CountsSerializer(source="*")
    parts = serializers.SerializerMethodField()
    warnings = serializers.ListField(child=serializers.CharField())
    error = serializers.SerializerMethodField()
    file = serializers.SerializerMethodField()
    is_late = serializers.SerializerMethodField(help_text="It started, or waits to start, well after `due_at`.")
    missing = serializers.ListField(
        child=serializers.IntegerField(), help_text="Transactions a repair found in the books but not at the broker."
    )

    class Meta:
        model = SyncRun
        fields = (
            "id",
            "connection",
            "connection_label",
            "trigger",
            "mode",
            "account",
            "from_on",
            "to_on",
            "due_at",
            "is_late",
            "state",
            "state_label",
            "is_open",
            "progress",
            "wait",
            "counts",
            "parts",
            "warnings",
            "missing",
            "error",
            "file",
            "created_at",
            "started_at",
            "finished_at",
            "undone_at",
        )
        read_only_fields = fields

    @extend_schema_field(WaitSerializer(allow_null=True))
    def get_wait(self, run: SyncRun) -> Any:
        return WaitSerializer(run).data if run.wait_until is not None and run.is_open else None

    def get_is_late(self, run: SyncRun) -> bool:
        return is_late(run)

    @extend_schema_field(PartSerializer(many=True))
    def get_parts(self, run: SyncRun) -> Any:
        return PartSerializer(list(parts_of(run)), many=True).data  # type: ignore[arg-type]

    @extend_schema_field(RunErrorSerializer(allow_null=True))
    def get_error(self, run: SyncRun) -> Any:
        return RunErrorSerializer(run).data if run.error_code else None

    @extend_schema_field(ImportedFileSerializer(allow_null=True))
    def get_file(self, run: SyncRun) -> Any:
        return ImportedFileSerializer(run.file).data if run.is_import else None


class ConnectionStatusSerializer(serializers.Serializer[Any]):
    """A connection and its open run, else its last one; null when it has never been synced."""

    connection = serializers.UUIDField(source="pk")
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.ChoiceField(ConnectionState.choices)
    last_success_at = serializers.DateTimeField(allow_null=True)
    run = RunSerializer(allow_null=True)


class SyncStatusSerializer(serializers.Serializer[Any]):
    version = serializers.CharField(help_text="Changes with every change; give it back with `wait`.")
    syncing = serializers.BooleanField(help_text="Whether any of these runs is still open.")
    connections = ConnectionStatusSerializer(many=True)


class StartSerializer(serializers.Serializer[Any]):
    connection = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="Leave it out to sync all of your connections."
    )
    account = serializers.PrimaryKeyRelatedField(
        queryset=Account.objects.none(), required=False, allow_null=True, default=None, help_text="Only this one."
    )
    mode = serializers.ChoiceField(
        [mode for mode in Mode if mode not in (Mode.IMPORT, Mode.INITIAL)],
        required=False,
        allow_null=True,
        default=None,
        help_text="backfill reads as far back as the broker goes; repair reads again and compares.",
    )
    from_on = serializers.DateField(required=False, allow_null=True, default=None, help_text="For range and repair.")
    to_on = serializers.DateField(required=False, allow_null=True, default=None, help_text="Today, if left out.")

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        if "accounts" in self.context:
            fields["account"].queryset = self.context["accounts"]
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["to_on"] and not attrs["from_on"]:
            raise serializers.ValidationError({"from_on": "Give the first day too."}, code="required")
        if attrs["mode"] == Mode.RANGE and not attrs["from_on"]:
            raise serializers.ValidationError({"from_on": "Choose the first day to read."}, code="required")
        if attrs["to_on"] and attrs["from_on"] > attrs["to_on"]:
            raise serializers.ValidationError({"to_on": "The first day comes after the last one."}, code="invalid")
        return attrs


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    """When a connection is synced by itself."""

    text = serializers.CharField(source="words", read_only=True)

    class Meta:
        model = Schedule
        fields = ("connection", "rhythm", "every_hours", "daily_at", "next_at", "text")
        read_only_fields = ("connection", "next_at")
        extra_kwargs: ClassVar = {"rhythm": {"required": True}}


class StartedSerializer(serializers.Serializer[Any]):
    runs = RunSerializer(many=True)


class ParkedRowSerializer(serializers.ModelSerializer[ParkedRow]):
    """A row no rule understands. Account numbers in `raw` are shortened to their last three digits."""

    raw = serializers.SerializerMethodField()
    is_waiting = serializers.BooleanField(help_text="False once it is booked, or while its run is taken back.")

    class Meta:
        model = ParkedRow
        fields = ("id", "run", "account", "external_id", "reason", "raw", "created_at", "resolved_at", "is_waiting")
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_raw(self, row: ParkedRow) -> dict[str, Any]:
        return shown(row)
