"""The books: instruments, transactions, and what the brokers say is held. Only `ledger.py` writes them."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from aggregation import options
from brokerhub.kernel.models import User
from connections.brokers.records import AssetClass, RecordStatus, TransactionKind
from connections.models import Account


class MoneyField(models.DecimalField):  # type: ignore[type-arg]  # not subscriptable at run time
    """NUMERIC(28,10): an amount or a price in the currency named beside it."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"max_digits": 28, "decimal_places": 10, **options})  # type: ignore[arg-type]


class QuantityField(models.DecimalField):  # type: ignore[type-arg]
    """NUMERIC(38,18): wide enough for the eighteen decimals of crypto."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"max_digits": 38, "decimal_places": 18, **options})  # type: ignore[arg-type]


class Source(models.TextChoices):
    API = "api", "Broker"
    CSV = "csv", "File"
    MANUAL = "manual", "By hand"


class BookStatus(models.TextChoices):
    POSTED = "posted", "Posted"
    PENDING = "pending", "Pending"
    SUPERSEDED = "superseded", "Replaced by a correction"
    EXCLUDED = "excluded", "Excluded"
    VOID = "void", "Cancelled by the broker"
    DUPLICATE = "duplicate", "Told twice, counted once"
    SPLIT = "split", "Split into parts"
    UNDONE = "undone", "Taken back with its run"


# What is no row of its source any more; every other status is the one row of its identity.
PAST = (BookStatus.SUPERSEDED, BookStatus.UNDONE)
NOT_SHOWN = (*PAST, BookStatus.DUPLICATE, BookStatus.SPLIT)


class Instrument(models.Model):
    """One thing that can be held, the same at every broker. `key` is family:symbol:currency, the hub's own identity."""

    key = models.CharField(max_length=80, unique=True)
    asset_class = models.CharField(max_length=12, choices=AssetClass.choices)
    symbol = models.CharField(max_length=40, db_index=True)
    currency = models.CharField(max_length=3)
    name = models.CharField(max_length=200, blank=True)
    cusip = models.CharField(max_length=12, blank=True, db_index=True)
    isin = models.CharField(max_length=12, blank=True, db_index=True)
    conid = models.CharField("contract id", max_length=20, blank=True, help_text="Interactive Brokers' own.")
    underlying = models.CharField(max_length=40, blank=True)
    multiplier = MoneyField(default=1)
    learnt_at = models.DateTimeField(null=True, blank=True, help_text="When what it is worth by was last learnt anew.")

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """What people call it: the symbol; an option in words, AAPL 15 Jan 2027 240 Call; a bond by its name."""
        if self.asset_class == AssetClass.OPTION:
            return str(options.parse(self.symbol) or self.symbol)
        return self.name if self.name and self.symbol == self.cusip else self.symbol

    @property
    def subtitle(self) -> str:
        """What the title leaves out and people may want to know."""
        if self.asset_class == AssetClass.OPTION:
            return ""
        return self.symbol if self.title == self.name else self.name


# Few among the many: units that come and go otherwise than by a trade.
MOVES = (
    TransactionKind.TRANSFER_IN,
    TransactionKind.TRANSFER_OUT,
    TransactionKind.SPLIT,
    TransactionKind.CORPORATE_ACTION,
    TransactionKind.OPTION_EXERCISE,
    TransactionKind.OPTION_ASSIGNMENT,
)


# Money that comes and goes otherwise than by a trade or what a holding pays; without an instrument.
CASH_MOVES = (
    TransactionKind.DEPOSIT,
    TransactionKind.WITHDRAWAL,
    TransactionKind.TRANSFER_IN,
    TransactionKind.TRANSFER_OUT,
)


class TransactionQuerySet(models.QuerySet["Transaction"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)

    def in_books(self) -> Self:
        """Rows that count: posted, and neither replaced, excluded nor cancelled."""
        return self.filter(status=BookStatus.POSTED)

    def shown(self) -> Self:
        """Rows a person sees in the list: not what was replaced, taken back, split or told by another source too."""
        return self.exclude(status__in=NOT_SHOWN)

    def current(self) -> Self:
        """One row of each identity, whether it counts or not."""
        return self.exclude(status__in=PAST)


class Transaction(models.Model):
    """One movement in one account. `net_amount` is the authoritative cash effect; nothing here is ever deleted."""

    # Every index on `account` alone or on `superseded_by` in full would only cost time: those in Meta serve both.
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="transactions", db_index=False)
    kind = models.CharField(max_length=20, choices=TransactionKind.choices)
    subtype = models.CharField(max_length=40, blank=True)
    traded_on = models.DateField("trade date")
    settled_on = models.DateField("settlement date", null=True, blank=True)
    occurred_at = models.DateTimeField(null=True, blank=True)
    instrument = models.ForeignKey(Instrument, null=True, blank=True, on_delete=models.PROTECT)
    quantity = QuantityField(null=True, blank=True)
    price = MoneyField(null=True, blank=True)
    gross_amount = MoneyField(null=True, blank=True)
    fees = MoneyField(default=0)
    taxes = MoneyField(default=0)
    net_amount = MoneyField()
    currency = models.CharField(max_length=3)
    fx_rate = MoneyField(null=True, blank=True)
    description = models.CharField(max_length=300, blank=True)
    group_id = models.CharField(max_length=80, blank=True)
    source = models.CharField(max_length=8, choices=Source.choices)
    external_id = models.CharField(max_length=120, blank=True)
    content_key = models.BinaryField(
        max_length=32, help_text="SHA-256 of kind, date, instrument, quantity, net, currency."
    )
    occurrence = models.PositiveIntegerField(default=1, help_text="Which of its source's rows with this content key.")
    fingerprint = models.BinaryField(max_length=32, help_text="SHA-256 of everything booked; differs on a correction.")
    status = models.CharField(max_length=12, choices=BookStatus.choices, default=BookStatus.POSTED)
    stated = models.CharField(
        max_length=12,
        choices=RecordStatus.choices,
        default=RecordStatus.POSTED,
        db_default=RecordStatus.POSTED,
        help_text="The status its source gave; `status` is what we make of it.",
    )
    part_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.RESTRICT, related_name="parts", db_index=False
    )
    superseded_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.RESTRICT, related_name="supersedes", db_index=False
    )
    run = models.ForeignKey(
        "sync.SyncRun", null=True, blank=True, on_delete=models.RESTRICT, related_name="transactions"
    )
    raw = models.JSONField(default=dict)
    booked_at = models.DateTimeField(auto_now_add=True)

    objects = TransactionQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "source", "external_id"],
                condition=~Q(external_id="") & ~Q(status=BookStatus.SUPERSEDED) & ~Q(status=BookStatus.UNDONE),
                name="one_row_per_broker_id",
            ),
            # Rows with a broker's id are told apart by it; their occurrence only pairs them with another source's.
            models.UniqueConstraint(
                fields=["account", "source", "content_key", "occurrence"],
                condition=Q(external_id="") & ~Q(status=BookStatus.SUPERSEDED) & ~Q(status=BookStatus.UNDONE),
                name="one_row_per_occurrence",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "-traded_on", "-id"], name="transactions_newest_first"),
            models.Index(fields=["account", "content_key"], name="transactions_by_content"),
            models.Index(fields=["superseded_by"], condition=~Q(superseded_by=None), name="replaced_transactions"),
            models.Index(fields=["part_of"], condition=~Q(part_of=None), name="parts_of_transactions"),
            models.Index(fields=["account", "instrument"], condition=Q(kind__in=MOVES), name="moves_without_trade"),
            models.Index(
                fields=["account", "traded_on"],
                condition=Q(kind__in=CASH_MOVES, instrument=None),
                name="cash_in_and_out",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.traded_on} {self.get_kind_display()} {self.net_amount} {self.currency}"

    @property
    def told_by(self) -> str:
        """Broker, By hand, or the name of the file it came in."""
        file = getattr(self.run, "file", None) if self.source == Source.CSV else None
        return f"File {file.name}" if file else self.get_source_display()


class PositionQuerySet(models.QuerySet["Position"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)

    def held(self) -> Self:
        """What the broker still reports; a position it stopped reporting keeps its row with `closed_at` set."""
        return self.filter(closed_at=None)


class Position(models.Model):
    """What the broker said an account holds of one instrument, and when it said so."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="positions")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="positions")
    quantity = QuantityField()
    average_cost = MoneyField(null=True, blank=True, help_text="Per unit; empty when the broker does not know it.")
    price = MoneyField(null=True, blank=True)
    market_value = MoneyField(null=True, blank=True)
    day_change = MoneyField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    as_of = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    run = models.ForeignKey("sync.SyncRun", null=True, blank=True, on_delete=models.SET_NULL)
    raw = models.JSONField(default=dict)

    objects = PositionQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "instrument"], name="one_position_per_instrument")
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.instrument}"


class BalanceQuerySet(models.QuerySet["Balance"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)


class Balance(models.Model):
    """What the broker said of one account's money in one currency. Empty = the broker did not say."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="balances")
    currency = models.CharField(max_length=3)
    cash = MoneyField(null=True, blank=True)
    settled_cash = MoneyField(null=True, blank=True)
    market_value = MoneyField(null=True, blank=True)
    net_asset_value = MoneyField(null=True, blank=True)
    buying_power = MoneyField(null=True, blank=True)
    margin_used = MoneyField(null=True, blank=True)
    accrued_interest = MoneyField(null=True, blank=True)
    exchange_rate = MoneyField(
        null=True, blank=True, help_text="The broker's: units of the account's own currency for one of this."
    )
    as_of = models.DateTimeField()
    run = models.ForeignKey("sync.SyncRun", null=True, blank=True, on_delete=models.SET_NULL)
    raw = models.JSONField(default=dict)

    objects = BalanceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "currency"], name="one_balance_per_currency")
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.net_asset_value} {self.currency}"


class PointBasis(models.TextChoices):
    """How a day's figure is known. A sum is as good as the worst of its parts; `rank` orders them, best first."""

    OBSERVED = "observed", "Said by the broker"
    REBUILT = "rebuilt", "Rebuilt from transactions and prices"
    CARRIED = "carried", "Carried over, no newer prices"
    UNKNOWN = "unknown", "Not known"

    @property
    def rank(self) -> int:
        return _RANKS[self]

    @property
    def words(self) -> str:
        """Short, for a table of many days."""
        return self.label.partition(" from ")[0].partition(",")[0]


_RANKS = {basis: rank for rank, basis in enumerate(PointBasis)}


class BalancePoint(models.Model):
    """An account's value in one currency at the end of a day, and how we know it.

    The points of an account and day are complete: what they leave out is nothing. An unknown part is a point without a
    value. A day without a point lies before the account's history or after it.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="points")
    on = models.DateField()
    currency = models.CharField(max_length=3)
    cash = MoneyField(null=True, blank=True)
    net_asset_value = MoneyField(null=True, blank=True)
    flow = MoneyField(
        null=True, default=0, help_text="Paid in less taken out on this day, transfers at value; empty: not known."
    )
    by_class = models.JSONField(
        null=True, blank=True, help_text="Value by asset class as exact text, the rest is cash; empty: not itemised."
    )
    at_older_prices = MoneyField(default=0, help_text="How much of it is valued by a trade or an older price.")
    basis = models.CharField(max_length=10, choices=PointBasis.choices)
    as_of = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "currency", "on"], name="one_point_per_day")
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.on} {self.net_asset_value}"


# Last, because what people decide about rows refers to the rows.
from aggregation.corporate_actions.models import AppliedAction, CorporateAction  # noqa: E402
from aggregation.history.models import (  # noqa: E402
    AccountHistory,
    ChangeReason,
    DailyPrice,
    PointChange,
    PositionPoint,
    PriceCoverage,
    ReportedValue,
)
from aggregation.lots.models import LotPick  # noqa: E402
from aggregation.positions.models import InstrumentChoice  # noqa: E402
from aggregation.rates.models import ReferenceRate  # noqa: E402
from aggregation.reconciliation.models import Break, Correction, Reconciliation, TransferLink  # noqa: E402
from aggregation.review_models import Delivery, PossibleDuplicate, UserEdit  # noqa: E402
from aggregation.running_totals import RunningTotal  # noqa: E402

__all__ = [
    "CASH_MOVES",
    "AccountHistory",
    "AppliedAction",
    "Balance",
    "BalancePoint",
    "BookStatus",
    "Break",
    "ChangeReason",
    "CorporateAction",
    "Correction",
    "DailyPrice",
    "Delivery",
    "Instrument",
    "InstrumentChoice",
    "LotPick",
    "PointBasis",
    "PointChange",
    "Position",
    "PositionPoint",
    "PossibleDuplicate",
    "PriceCoverage",
    "Reconciliation",
    "ReferenceRate",
    "ReportedValue",
    "RunningTotal",
    "Source",
    "Transaction",
    "TransactionQuerySet",
    "TransferLink",
    "UserEdit",
]
