"""The fee matrix: items as rows, plans as columns, each cell with its price, amount, badge, source and date. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal

from comparison import freshness, interest, wording
from comparison.costs import Tariff, Total, cost, cost_of_day, total
from comparison.fee_models import FEE_MODELS
from comparison.stored import Catalogue
from comparison.terms import NOTHING_YET, ZERO, Asset, Confidence, CostLine, Event, Rule, Side
from comparison.wording import Item

MONTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculator:
    """The numbers above the matrix that turn prices into amounts."""

    shares: Decimal = Decimal(100)
    price: Decimal = Decimal(50)
    contracts: Decimal = Decimal(3)
    premium: Decimal = Decimal(2)
    balance: Decimal = Decimal(10_000)  # borrowed for 30 days, or idle for a year, or exchanged


MOST = Decimal(10_000_000)


def check(calculator: Calculator) -> None:
    """Raises ValueError."""
    for entry in fields(calculator):
        if not 0 < getattr(calculator, entry.name) <= MOST:
            raise ValueError(f"{entry.name} must be above 0 and at most {MOST:,}.")


@dataclass(frozen=True, slots=True)
class Badge:
    tone: str
    text: str
    why: str


@dataclass(slots=True)
class Cell:
    """One price at one plan. `amount` None: the calculator does not apply, or the amount is not known."""

    text: str
    rule: Rule | None
    badge: Badge
    amount: Total | None = None
    formula: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    tier_head: str = ""
    tier_rows: tuple[tuple[str, str], ...] = ()
    is_best: bool = False
    also: tuple[Rule, ...] = ()  # every rule behind a sum

    @property
    def sources(self) -> list[tuple[str, str, str]]:
        """Title, link and date of each document behind the cell, each once."""
        rules = [*([self.rule] if self.rule else []), *self.also]
        found = {(rule.source.title, rule.source.url, rule.as_of): None for rule in rules if rule.source}
        return list(found)


@dataclass(frozen=True, slots=True)
class Row:
    item: Item
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        return self.item.label

    @property
    def unit(self) -> str:
        return self.item.unit


@dataclass(frozen=True, slots=True)
class Law:
    """A fee that is the same at every broker by law: only what a plan hands on, and how it rounds, differs."""

    label: str
    text: str
    since: date | None
    until: date | None
    rule: Rule
    badge: Badge


@dataclass(frozen=True, slots=True)
class Group:
    label: str
    rows: tuple[Row, ...]


def badge_of(rule: Rule, today: date, policy: tuple[date, ...]) -> Badge:
    """Stale goes before everything; then how the price was read."""
    if rule.model is None and rule.source is None:
        return Badge("quiet", "", rule.reason)  # the cell itself says unknown, or not offered
    stale = freshness.rule_is_stale(rule, today, policy)
    word = Confidence(rule.confidence)
    if stale:
        return Badge("warn", f"Stale, {word.label.lower()}", stale)
    return Badge({"checked": "good", "reported": "plain"}.get(word, "quiet"), word.label, f"As of {rule.as_of}")


def worst_badge(rules: Iterable[Rule], missing: Iterable[str], today: date, policy: tuple[date, ...]) -> Badge:
    """The badge of a sum: the worst of its parts, which are listed."""
    rules, missing = list({rule.id: rule for rule in rules}.values()), list(missing)
    stale = [rule for rule in rules if freshness.rule_is_stale(rule, today, policy)]
    words = [f"without {wording.label_of(item)}" for item in missing]
    if stale:
        words.append("stale: " + ", ".join(sorted({wording.label_of(rule.item) for rule in stale})))
    if missing:
        return Badge("warn", "Partial", "; ".join(words))
    if stale:
        return Badge("warn", "Stale part", "; ".join(words))
    worst = freshness.worst(Confidence(rule.confidence) for rule in rules if rule.source)
    return Badge({"checked": "good", "reported": "plain"}.get(worst, "quiet"), worst.label, "the weakest of its parts")


def fee_matrix(catalogue: Catalogue, refs: list[str], calculator: Calculator, today: date) -> list[Group]:
    """Every item that at least one of the chosen plans has a price or an answer for."""
    builder = _Builder(catalogue, [Tariff(catalogue.plans[ref], catalogue.rates, today) for ref in refs], today)
    groups = [Group("What you pay in all", tuple(builder.together(calculator)))]
    for label, items in wording.GROUPS:
        rows = tuple(row for item in items if (row := builder.row(item, calculator)) is not None)
        if rows:
            groups.append(Group(label, rows))
    return groups


BY_LAW = ("sec_section_31", "finra_taf_equity", "finra_taf_option", "cat_equity", "cat_option", "occ_clearing")


def by_law(catalogue: Catalogue, today: date) -> list[Law]:
    found = []
    for fee in (*BY_LAW, "orf_estimate"):
        row = catalogue.rates.on(fee, today)
        if row is not None:
            badge = badge_of(row.rule, today, catalogue.policy)
            found.append(Law(row.label.split(" - ")[0], wording.dated(row), row.first, row.last, row.rule, badge))
    return found


def whole_orders(calculator: Calculator, today: date) -> list[tuple[Item, Event]]:
    """The four orders that the first rows price with everything that comes with them."""
    stock = {
        "on": today,
        "asset": Asset.US_STOCK,
        "quantity": calculator.shares,
        "price": calculator.price,
        "amount": calculator.shares * calculator.price,
    }
    option = {
        "on": today,
        "asset": Asset.EQUITY_OPTION,
        "quantity": calculator.contracts,
        "price": calculator.premium,
        "amount": calculator.contracts * calculator.premium * 100,
    }
    return [
        (Item("buy_shares", "Buying the shares", "all fees"), Event(**stock, side=Side.BUY)),  # type: ignore[arg-type]
        (Item("sell_shares", "Selling the shares", "all fees"), Event(**stock, side=Side.SELL)),  # type: ignore[arg-type]
        (Item("buy_options", "Buying the options", "all fees"), Event(**option, side=Side.BUY, opening=True)),  # type: ignore[arg-type]
        (Item("sell_options", "Selling the options", "all fees"), Event(**option, side=Side.SELL, opening=False)),  # type: ignore[arg-type]
    ]


class _Builder:
    def __init__(self, catalogue: Catalogue, tariffs: list[Tariff], today: date) -> None:
        self.catalogue, self.tariffs, self.today = catalogue, tariffs, today
        self.policy = catalogue.policy

    def together(self, calculator: Calculator) -> Iterable[Row]:
        for item, event in whole_orders(calculator, self.today):
            yield Row(item, tuple(_with_best([self.sum_cell(tariff, event) for tariff in self.tariffs])))

    def sum_cell(self, tariff: Tariff, event: Event) -> Cell:
        if reason := tariff.cannot(event):
            return Cell("not offered", None, Badge("quiet", "", reason))
        lines = cost_of_day(tariff, [event])
        result = total(lines)
        missing = tuple(dict.fromkeys(line.item for line in result.missing))
        counted = [line.rule for line in lines if line.counted and line.is_known]
        badge = worst_badge(counted, missing, self.today, self.policy)
        formula = tuple(f"{wording.label_of(line.item)}: {line.formula}" for line in lines)
        return Cell("", None, badge, result, formula, missing, also=tuple(counted))

    def row(self, item: Item, calculator: Calculator) -> Row | None:
        cells = [self.cell(tariff, item, calculator) for tariff in self.tariffs]
        if all(cell.rule is None for cell in cells):
            return None
        return Row(item, tuple(_with_best(cells, highest=item.key == "cash_interest")))

    def cell(self, tariff: Tariff, item: Item, calculator: Calculator) -> Cell:
        rules = self.rules(tariff, item.key)
        if not rules:
            return Cell("not listed", None, Badge("quiet", "", "No price found in a source."))
        rule = rules[0]
        head, rows = wording.tiers(rule)
        text = "; ".join(f"{wording.headline(rule)}{f' ({rule.mode})' if rule.mode else ''}" for rule in rules)
        cell = Cell(text, rule, badge_of(rule, self.today, self.policy), tier_head=head, tier_rows=tuple(rows))
        cell.also = tuple(rules[1:])
        if rule.model is not None:
            lines = _lines(tariff, rule, item, calculator, self.today)
            known = [line._replace(counted=True) for line in lines if line.is_known]
            if known:
                cell.amount = total(known)
                cell.formula = tuple(line.formula for line in known)
        return cell

    def rules(self, tariff: Tariff, item: str) -> list[Rule]:
        """The price of the day; one for each way of exchanging money; the house rate of what is handed on."""
        modes = dict.fromkeys(rule.mode for rule in tariff.plan.rules.get(item, ()))
        found = [rule for mode in modes if (rule := tariff.rule(item, self.today, mode)) is not None]
        return found or [how.rule for how in tariff.plan.passes if how.fee == item and how.rate is not None]


def _lines(tariff: Tariff, rule: Rule, item: Item, calculator: Calculator, today: date) -> list[CostLine]:
    """The amount of one price for the calculator's numbers."""
    if item.needs == "margin":
        return interest.margin(tariff, calculator.balance, MONTH, today)
    if item.needs == "cash":
        return [interest.cash(tariff, calculator.balance, 365, today)]
    if not item.needs or rule.model not in FEE_MODELS:
        return []
    event = _event(item, calculator, today)
    if item.key in ("us_option_contract", "us_stock_trade", "fx_conversion"):
        return [cost(tariff, event)[0]]
    low, high, steps = FEE_MODELS[rule.model](rule, event, NOTHING_YET, ZERO)
    return [CostLine(item.key, low, high, rule, steps)]


def _event(item: Item, calculator: Calculator, today: date) -> Event:
    notional = calculator.shares * calculator.price
    match item.needs:
        case "shares":
            return Event(
                on=today,
                asset=Asset.US_STOCK,
                side=Side.BUY,
                quantity=calculator.shares,
                price=calculator.price,
                amount=notional,
            )
        case "fraction":
            half = Decimal("0.5")
            return Event(on=today, quantity=half, price=calculator.price, amount=half * calculator.price)
        case "contracts":
            amount = calculator.contracts * calculator.premium * 100
            return Event(
                on=today,
                asset=Asset.EQUITY_OPTION,
                side=Side.BUY,
                opening=True,
                quantity=calculator.contracts,
                price=calculator.premium,
                amount=amount,
            )
        case "converted":
            return Event(on=today, asset=Asset.FX, amount=calculator.balance)
        case "bond":
            return Event(on=today, quantity=calculator.balance, amount=calculator.balance)
    return Event(on=today, amount=notional)


def _with_best(cells: list[Cell], highest: bool = False) -> list[Cell]:
    """Marks the best amounts: among fresh, complete, exact cells of the same confidence, and only if they differ."""
    by_confidence: dict[str, list[Cell]] = {}
    for cell in cells:
        fresh = cell.badge.text in ("Checked", "Reported", "Not verified")
        if cell.amount is not None and cell.amount.is_exact and fresh and not cell.missing:
            by_confidence.setdefault(cell.badge.text, []).append(cell)
    for comparable in by_confidence.values():
        amounts = {cell.amount.low for cell in comparable if cell.amount}
        best = (max if highest else min)(amounts)
        if len(amounts) > 1:
            for cell in comparable:
                cell.is_best = cell.amount is not None and cell.amount.low == best
    return cells
