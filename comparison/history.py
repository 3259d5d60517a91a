"""A user's own transactions as the engine's events, month by month, and their cash day by day. Reads the books only.

Reinvested dividends, transfers in kind, splits and corporate actions are no trades. What cannot be priced is counted
with its reason, never dropped in silence.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby

from django.db.models import Avg, Count, Max, Sum
from django.db.models.functions import Abs

from aggregation.models import Balance, Transaction, TransactionQuerySet
from aggregation.reconciliation.finding.rows import FIX_PREFIX
from brokerhub.kernel.models import User
from comparison.terms import CENT, ZERO, Asset, Event, Side
from connections.brokers.records import AssetClass, TransactionKind
from connections.models import Account

USD = "USD"
ASSETS = {
    AssetClass.EQUITY: Asset.US_STOCK,
    AssetClass.ETF: Asset.US_ETF,
    AssetClass.FUND: Asset.MUTUAL_FUND,
    AssetClass.BOND: Asset.BOND,
    AssetClass.FUTURE: Asset.FUTURE,
    AssetClass.CRYPTO: Asset.CRYPTO,
}
# Cash-settled index options; every other option is on a share or a fund. Source: the exchanges' product lists.
INDEX_ROOTS = {"SPX", "SPXW", "XSP", "NDX", "NDXP", "XND", "RUT", "RUTW", "MRUT", "VIX", "VIXW", "DJX", "OEX", "XEO"}
TRADES = {TransactionKind.BUY: Side.BUY, TransactionKind.SELL: Side.SELL}
EXERCISED = {TransactionKind.OPTION_EXERCISE, TransactionKind.OPTION_ASSIGNMENT}
FIELDS = (
    "id",
    "account_id",
    "kind",
    "subtype",
    "traded_on",
    "quantity",
    "price",
    "gross_amount",
    "fees",
    "net_amount",
    "currency",
    "group_id",
    "description",
    "instrument__symbol",
    "instrument__asset_class",
    "instrument__underlying",
    "instrument__multiplier",
    "external_id",
)
FOREIGN = "trade in another currency"
NO_PRICE = "trade without a quantity or an amount"
NOT_COMPARED = "kind of security that is not compared"


@dataclass(frozen=True, slots=True)
class Row:
    """A transaction, as far as prices depend on it. The order of `FIELDS`."""

    id: int
    account: int
    kind: str
    subtype: str
    on: date
    quantity: Decimal | None
    price: Decimal | None
    gross: Decimal | None
    fees: Decimal
    net: Decimal
    currency: str
    group: str
    description: str
    symbol: str | None
    asset_class: str | None
    underlying: str | None
    multiplier: Decimal | None
    external_id: str

    @property
    def is_transfer_out(self) -> bool:
        """Of positions, to another broker. What a correction takes out of the books has gone nowhere."""
        is_correction = self.external_id.startswith(FIX_PREFIX)
        return self.kind == TransactionKind.TRANSFER_OUT and bool(self.symbol) and not is_correction


@dataclass(slots=True)
class Actual:
    """What the user really paid and got, in USD, as the brokers booked it."""

    trade_fees: Decimal = ZERO
    other_fees: Decimal = ZERO
    margin_interest: Decimal = ZERO
    interest_received: Decimal = ZERO
    elsewhere: int = 0  # fees in other currencies, not added

    @property
    def fees(self) -> Decimal:
        return self.trade_fees + self.other_fees


@dataclass(slots=True)
class Month:
    """The events of one calendar month, and what of it was left out."""

    events: list[Event] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    actual: Actual = field(default_factory=Actual)


def own(user: User, accounts: Iterable[int]) -> TransactionQuerySet:
    return Transaction.objects.for_user(user).in_books().filter(account_id__in=list(accounts))


def data_version(user: User, accounts: Iterable[int]) -> str:
    """Another word when a row came, went, was excluded or brought back, or when the broker said another balance.

    Rows are never changed in place but for their status, so which ones there are says what they hold.
    """
    accounts = list(accounts)
    rows = own(user, accounts).aggregate(rows=Count("id"), newest=Max("id"), which=Sum("id"), net=Sum("net_amount"))
    balances = Balance.objects.filter(account__in=Account.objects.for_user(user).filter(pk__in=accounts), currency=USD)
    said = balances.aggregate(money=Sum("cash"), told=Count("cash"), read=Max("as_of"))
    return "-".join(str(value) for value in (*rows.values(), *said.values()))


def months(user: User, accounts: Iterable[int], since: date, until: date) -> Iterator[Month]:
    """Every month between `since` and `until`, both included, that has rows; memory holds one month."""
    accounts = list(accounts)
    rows = own(user, accounts).filter(traded_on__range=(since, until)).order_by("traded_on", "id")
    held = _held_before(user, accounts, since)
    found = (Row(*values) for values in rows.values_list(*FIELDS).iterator(chunk_size=5_000))
    for _, group in groupby(found, key=lambda row: (row.on.year, row.on.month)):
        yield _month(group, held)


def usual_sizes(user: User, accounts: Iterable[int], since: date, until: date) -> dict[str, Decimal]:
    """The mean size of the own trades as a profile has it: shares and price, contracts and premium. Without trades of
    a kind its words are missing."""
    kinds = {"option": ("contracts", "premium"), "equity": ("shares", "price"), "etf": ("shares", "price")}
    rows = own(user, accounts).filter(traded_on__range=(since, until), kind__in=list(TRADES), currency=USD)
    means = (
        rows.filter(instrument__asset_class__in=kinds, price__gt=0)
        .values_list("instrument__asset_class")
        .annotate(count=Count("id"), size=Avg(Abs("quantity")), price=Avg("price"))
        .order_by("count")  # of stocks and funds, what was traded more often says the size
    )
    found: dict[str, Decimal] = {}
    for kind, _, size, price in means:
        found |= dict(zip(kinds[kind], (size.quantize(CENT), price.quantize(CENT)), strict=True))
    return found


def _held_before(user: User, accounts: list[int], since: date) -> dict[tuple[int, str], Decimal]:
    """Option positions at the start, so that opening and closing can be told apart afterwards."""
    rows = own(user, accounts).filter(traded_on__lt=since, instrument__asset_class=AssetClass.OPTION)
    sums = rows.values_list("account_id", "instrument__symbol").annotate(held=Sum("quantity"))
    found: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    found.update({(account, symbol): held or ZERO for account, symbol, held in sums})
    return found


def _month(rows: Iterable[Row], held: dict[tuple[int, str], Decimal]) -> Month:
    month = Month()
    moved: set[tuple[int, date]] = set()
    for row in rows:
        _count_actual(month.actual, row)
        if row.kind in TRADES:
            _add_trade(month, row, _opening(row, held))
        elif row.kind in EXERCISED:
            month.events.append(_happening(row, "option_exercise_assignment"))
        elif row.kind == TransactionKind.FX and row.currency == USD:
            month.events.append(Event(on=row.on, asset=Asset.FX, amount=abs(row.net), account=str(row.account)))
        elif row.kind == TransactionKind.WITHDRAWAL and "wire" in f"{row.subtype} {row.description}".casefold():
            month.events.append(_happening(row, "wire_out_domestic"))
        elif row.is_transfer_out and (row.account, row.on) not in moved:
            moved.add((row.account, row.on))  # one transfer moves many positions
            month.events.append(_happening(row, "acats_out_partial"))
        if row.asset_class == AssetClass.OPTION and row.symbol:
            held[row.account, row.symbol] += row.quantity or ZERO
    return month


def _happening(row: Row, item: str) -> Event:
    return Event(on=row.on, item=item, account=str(row.account))


def _opening(row: Row, held: dict[tuple[int, str], Decimal]) -> bool | None:
    """Whether an option trade opens: as its source says, else by the position before it."""
    if row.asset_class != AssetClass.OPTION or row.symbol is None:
        return None
    if row.subtype in ("short", "cover"):
        return row.subtype == "short"
    before = held[row.account, row.symbol]
    return before >= 0 if row.kind == TransactionKind.BUY else before <= 0


def _add_trade(month: Month, row: Row, opening: bool | None) -> None:
    if row.subtype == "reinvest" or row.asset_class == AssetClass.MONEY_FUND:
        return
    if row.currency != USD:
        month.left_out[FOREIGN] += 1
        return
    asset = _asset(row)
    if asset is None:
        month.left_out[NOT_COMPARED] += 1
        return
    amount = _amount(row)
    if not row.quantity or amount is None:
        month.left_out[NO_PRICE] += 1
        return
    quantity = abs(row.quantity)
    price = row.price if row.price is not None else amount / quantity / (row.multiplier or 1)
    symbol = (row.symbol or "")[:6].strip() if row.asset_class == AssetClass.OPTION else row.symbol or ""
    event = Event(
        on=row.on,
        asset=asset,
        side=TRADES[TransactionKind(row.kind)],
        opening=opening,
        quantity=quantity,
        price=price,
        amount=amount,
        symbol=symbol if asset is Asset.INDEX_OPTION else row.symbol or "",
        account=str(row.account),
        order=row.group,
        paid=row.fees,
    )
    month.events.append(event)


def _asset(row: Row) -> Asset | None:
    if row.asset_class == AssetClass.OPTION:
        root = (row.underlying or row.symbol or "")[:6].strip()
        return Asset.INDEX_OPTION if root in INDEX_ROOTS else Asset.EQUITY_OPTION
    return ASSETS.get(AssetClass(row.asset_class)) if row.asset_class else None


def _amount(row: Row) -> Decimal | None:
    """What the trade moved before fees, positive."""
    if row.gross is not None:
        return abs(row.gross)
    if row.quantity and row.price is not None:
        return abs(row.quantity * row.price * (row.multiplier or 1))
    return abs(row.net) if row.net else None


def _count_actual(actual: Actual, row: Row) -> None:
    is_interest = row.kind == TransactionKind.INTEREST
    if row.currency != USD:
        actual.elsewhere += bool(row.fees) or row.kind == TransactionKind.FEE
        return
    actual.trade_fees += row.fees
    if row.kind == TransactionKind.FEE:
        actual.other_fees -= row.net
    elif is_interest and row.net < 0:
        actual.margin_interest -= row.net
    elif is_interest and row.subtype in ("", "sweep", "cash", "credit", "deposit boost"):
        actual.interest_received += row.net


# --- Cash, day by day ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Stretch:
    """Days in a row with the same settled cash in one account. Negative: borrowed."""

    first: date
    days: int
    cash: Decimal


def cash_stretches(account: Account, since: date, until: date) -> list[Stretch] | None:
    """USD cash of each day, from what the broker said last backwards over every settled movement. None: never said."""
    balance = Balance.objects.filter(account=account, currency=USD).exclude(cash=None).first()
    if balance is None or balance.cash is None:
        return None
    said_on = balance.as_of.date()
    rows = Transaction.objects.in_books().filter(account=account, currency=USD)
    moves: dict[date, Decimal] = defaultdict(Decimal)
    for settled, traded, net in rows.values_list("settled_on", "traded_on", "net_amount"):
        moves[settled or traded] += net
    day = min(until, said_on)
    cash = balance.cash - sum((net for on, net in moves.items() if day < on <= said_on), ZERO)
    found: list[Stretch] = []
    last = day
    for on in sorted((on for on in moves if since < on <= day), reverse=True):
        found.append(Stretch(on, (last - on).days + 1, cash))
        cash, last = cash - moves[on], on - timedelta(days=1)
    if last >= since:
        found.append(Stretch(since, (last - since).days + 1, cash))
    return [stretch for stretch in reversed(found) if stretch.days > 0]
