"""What goes into an export, table by table in the order in which it can be read again; and what does not, and why.

A test walks every model that leads to a person and fails for one that is named in neither list.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db.models import Field, Model
from django.utils import timezone

from aggregation.models import InstrumentChoice, Reconciliation
from comparison.simulation_models import OPEN as OPEN_SIMULATIONS
from comparison.simulation_models import SimulationState
from connections.brokers.records import AuthMethod
from connections.states import ConnectionState
from sync.models import OPEN_STATES, RunState

Values = dict[str, Any]
PERSON = "kernel.User"
SHARED = {"aggregation.Instrument": "key", "comparison.ComparisonBroker": "key"}  # everybody's: named by this field


@dataclass(frozen=True)
class Table:
    """One model. `path` leads from a row to its person. `leave_out` are fields that stay behind and are as in a new
    row when it is read; `rows_of` are arrays of ids and what they point at, `rows_in` JSON fields that have such an
    array under a key: (key, what they point at); `settle` brings a row to a state that makes sense without what was
    left out, when it is written and, as nobody knows who wrote a file, when it is read; `arrange` has the last word on
    a row that is read, once it knows the ids of what it names."""

    label: str
    path: str
    leave_out: tuple[str, ...] = ()
    rows_of: Mapping[str, str] = field(default_factory=dict)
    rows_in: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    settle: Callable[[Values], None] | None = None
    arrange: Callable[[Any], None] | None = None
    order: tuple[str, ...] = ("pk",)

    @property
    def model(self) -> type[Model]:
        return apps.get_model(self.label)

    @property
    def file(self) -> str:
        return f"data/{self.label}.jsonl"

    @property
    def fields(self) -> "list[Field[Any, Any]]":
        """What is written of a row: all but its own id and what is left out."""
        return [
            each
            for each in self.model._meta.concrete_fields
            if (not each.primary_key or each.is_relation) and each.name not in self.leave_out
        ]

    @property
    def points_at(self) -> set[str]:
        """Labels of the tables whose rows it names by number."""
        named = {each.related_model._meta.label for each in self.fields if each.is_relation}  # type: ignore[union-attr]
        listed = {*self.rows_of.values(), *(label for _, label in self.rows_in.values())}
        return (named | listed) - SHARED.keys() - {PERSON}


def _without_keys(row: Values) -> None:
    """A connection whose keys stayed behind has to be signed in again; one that was left stays so."""
    if row["state"] in {ConnectionState.DISCONNECTED, ConnectionState.DISCONNECTING}:
        row["state"], row["reason_code"] = ConnectionState.DISCONNECTED.value, "by_user"
    elif row["method"] == AuthMethod.FILE:
        row["state"], row["reason_code"] = ConnectionState.CONNECTED.value, ""
    else:
        row["state"], row["reason_code"] = ConnectionState.NEEDS_REAUTH.value, "restored"


def _not_under_way(row: Values) -> None:
    if row["state"] in OPEN_STATES:
        row["state"] = RunState.CANCELLED.value


def _is_over(row: Values) -> None:
    """A simulation under way is not taken up by another hub."""
    if row["state"] in OPEN_SIMULATIONS:
        row["state"], row["error"] = (
            SimulationState.FAILED.value,
            "It was under way when it was exported. Start it anew.",
        )


def _by_key(row: Values) -> None:
    """Which of two instruments comes first is said by their keys, which every hub has; ids differ."""
    if isinstance(row["other"], str) and isinstance(row["instrument"], str) and row["other"] < row["instrument"]:
        row["instrument"], row["other"] = row["other"], row["instrument"]


def _is_due(state: Reconciliation) -> None:
    """Compared once more as soon as it is read, with what was decided before."""
    state.due_at = timezone.now()


def _by_id(choice: InstrumentChoice) -> None:
    """As the database has it: the smaller id first."""
    if choice.other_id is not None and choice.other_id < choice.instrument_id:
        choice.instrument_id, choice.other_id = choice.other_id, choice.instrument_id


OF_ACCOUNT = "account__connection__user"
TABLES = (
    Table(
        "connections.Connection",
        "user",
        leave_out=(
            "app",
            "sealed_credentials",
            "access_expires_at",
            "authorization_expires_at",
            "refresh_held_until",
            "last_success_at",  # proves that a login worked, which a file cannot
            "state_since",
            "state_until",
            "degraded_parts",
        ),
        settle=_without_keys,
        order=("created_at", "pk"),
    ),
    Table("connections.Account", "connection__user"),
    Table("connections.OfferedAccount", "connection__user"),
    Table("connections.ConnectionEvent", "connection__user", leave_out=("request_id",)),
    Table("sync.HistorySetting", "user"),
    Table("sync.WordRule", "user"),
    Table("sync.MappingTemplate", "user"),
    Table(
        "sync.SyncRun",
        "connection__user",
        leave_out=(
            # Where a run under way stood; and notes that name rows by ids of this hub.
            *("held_by", "held_until", "sent_at", "due_at", "wait_until", "wait_reason", "line", "in_turn", "turn_at"),
            *("parts", "spans", "missing", "request_id"),
        ),
        settle=_not_under_way,
    ),
    Table("sync.RunEntry", "run__connection__user"),
    Table("sync.ImportFile", "run__connection__user"),
    Table("sync.ParkedRow", "run__connection__user"),
    Table("sync.Schedule", "connection__user"),
    Table("sync.SyncCursor", OF_ACCOUNT),
    Table("aggregation.Transaction", OF_ACCOUNT),
    Table("aggregation.Delivery", OF_ACCOUNT, rows_of={"rows": "aggregation.Transaction"}),
    Table("aggregation.UserEdit", OF_ACCOUNT),
    Table("aggregation.PossibleDuplicate", OF_ACCOUNT),
    Table("aggregation.InstrumentChoice", "user", settle=_by_key, arrange=_by_id),
    Table("aggregation.Position", OF_ACCOUNT),
    Table("aggregation.Balance", OF_ACCOUNT),
    Table("aggregation.BalancePoint", OF_ACCOUNT),
    Table("aggregation.PositionPoint", OF_ACCOUNT),
    Table("aggregation.ReportedValue", OF_ACCOUNT),
    Table("aggregation.PointChange", OF_ACCOUNT),
    Table("aggregation.AccountHistory", OF_ACCOUNT),
    Table(
        "aggregation.Correction",
        OF_ACCOUNT,
        rows_of={"booked": "aggregation.Transaction", "changed": "aggregation.Transaction"},
    ),
    Table("aggregation.CorporateAction", "user"),
    Table("aggregation.AppliedAction", OF_ACCOUNT, rows_of={"booked": "aggregation.Transaction"}),
    Table("aggregation.LotPick", OF_ACCOUNT),
    Table("aggregation.TransferLink", "outgoing__account__connection__user"),
    # Causes and evidence are found anew: they name rows by ids of this hub.
    Table("aggregation.Break", OF_ACCOUNT, leave_out=("findings",)),
    Table("aggregation.Reconciliation", OF_ACCOUNT, leave_out=("due_at",), arrange=_is_due),
    Table("comparison.BrokerRating", "user", leave_out=("state", "reason")),  # is checked again before it is published
    Table("comparison.RecommendationProfile", "user"),
    Table(
        "comparison.CostSimulation",
        "user",
        rows_in={"inputs": ("accounts", "connections.Account"), "result": ("accounts", "connections.Account")},
        settle=_is_over,
        order=("created_at", "pk"),
    ),
    Table("health.AlertChoice", "user"),
)
BY_LABEL = {table.label: table for table in TABLES}
NUMBERED = frozenset().union(*(table.points_at for table in TABLES))  # whose rows others name

SECRET = "It is a secret, or of use only to this hub: sign-in, keys and tokens are made anew."  # nosec B105  # a sentence
DERIVED = "It is worked out anew from what is exported."
SHARED_WORK = "It is part of what all users of this hub share; its author is an operator."
TOLD = "It is what programs were told by this hub."
NOT_EXPORTED = {
    "account.EmailAddress": "Ways to sign in belong to the account on this hub.",
    "account.EmailConfirmation": SECRET,
    "admin.LogEntry": "It is this hub's own log of who did what.",
    "aggregation.DailyPrice": "Your brokers tell closes again; each day's value goes along.",
    "aggregation.PriceCoverage": "It says which closes this hub has asked for.",
    "aggregation.RunningTotal": DERIVED,
    "archive.ExportPiece": "It is a part of an export that is being read.",
    "archive.ExportReading": "It says how the reading of an export went on this hub.",
    "comparison.BenchmarkValue": SHARED_WORK,
    "comparison.CatalogueChange": SHARED_WORK,
    "comparison.FactEdit": SHARED_WORK,
    "comparison.FeeRule": SHARED_WORK,
    "comparison.PlanFeature": SHARED_WORK,
    "comparison.RatingEvent": "It is what operators did with a rating, which is checked again.",
    "comparison.RatingReport": "It is what others say of a rating on this hub.",
    "comparison.RegulatoryFee": SHARED_WORK,
    "connections.AppCredentials": SECRET,
    "connections.Authorization": SECRET,
    "connections.ExpiryNotice": "It is about a sign-in that stays behind.",
    "connections.UnfinishedRevocation": SECRET,
    "allauth_idp_oidc.Client": SHARED_WORK,
    "allauth_idp_oidc.Token": SECRET,
    "health.IncidentUpdate": SHARED_WORK,
    "hub.AccountDeletion": "It is there only while an account is being deleted.",
    "health.MaintenanceNotice": "It says which mail went out from this hub.",
    "identity.AppAccess": SECRET,
    "kernel.ApiToken": SECRET,
    "kernel.KeyedRequest": "It answers programs of this hub for a day.",
    "kernel.OperatorAct": "It is the operators' own log.",
    "kernel.User_groups": "Rights on this hub are given by its operators.",
    "kernel.User_user_permissions": "Rights on this hub are given by its operators.",
    "mfa.Authenticator": SECRET,
    "sync.AccountFeed": "The feed of changes begins anew in another hub.",
    "sync.DraftRow": "It is part of an import under way.",
    "sync.ImportDraft": "It is an import under way: its file is still with you.",
    "sync.TransactionChange": "The feed of changes begins anew in another hub.",
    "usersessions.UserSession": SECRET,
    "webhooks.Delivery": TOLD,
    "webhooks.Endpoint": SECRET,
    "webhooks.Event": TOLD,
    "webhooks.EventCounter": TOLD,
    "webhooks.ToldChange": TOLD,
}


def is_array_of_rows(table: Table, each: "Field[Any, Any]") -> bool:
    return isinstance(each, ArrayField) and each.name in table.rows_of
