"""Execution quality side by side: what publishers reported, each with its period, its sample and its file.

No ranking and no score is made of it: periods, order sizes and authors differ. What a broker is paid for sending orders
somewhere is told apart from how well they were executed, as a conflict of interest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from django.db.models import Prefetch, prefetch_related_objects

from aggregation.serializers import plain
from comparison.models import ComparisonBroker, ExecutionReport, ExecutionStat, RoutingSection, RoutingVenue
from comparison.quality_figures import METRICS, SAMPLES, Metric, cents, dollars, percent
from comparison.quality_models import ExecutionReportQuerySet, ReportForm
from comparison.rule605 import OrderSize, StatOrder
from comparison.rule606 import OrderKind, Section

MOST_COLUMNS = 5
USUAL_COLUMNS = 4
HEADLINE = {ReportForm.SUMMARY: OrderSize.BELOW_200000, ReportForm.DETAIL: OrderSize.SHARES_100}
STALE_DAYS = 120
NOT_SAID = "The report does not say"
NOT_MEANINGFUL = "The report says: not meaningful"


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who reports: a broker of the comparison, or somebody else under the name in their files."""

    key: str
    name: str
    broker: ComparisonBroker | None
    reports: tuple[ExecutionReport, ...] = field(repr=False)  # newest first

    def quality_of(self, month: date | None) -> ExecutionReport | None:
        """The newest report on how orders were executed, or that of the month asked for."""
        for report in self.reports:
            if ReportForm(report.form).is_quality and (month is None or report.first_on <= month <= report.last_on):
                return report
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the reader wants to see. `month` None: the newest of each publisher; `size` None: the headline of each."""

    publishers: tuple[str, ...] = ()
    section: Section = Section.SP500
    order: StatOrder = StatOrder.MARKET
    size: OrderSize | None = None
    month: date | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is read, or why there is none. `label` says what it is about: a publisher, a kind of orders."""

    label: str
    text: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    explained: str
    cells: tuple[Cell, ...]

    @property
    def is_told(self) -> bool:
        return any(cell.text for cell in self.cells)


@dataclass(frozen=True, slots=True)
class QualityColumn:
    publisher: Publisher
    report: ExecutionReport
    stat: ExecutionStat

    @property
    def label(self) -> str:
        return f"{self.publisher.name}, {self.report.first_on:%b %Y}"


@dataclass(frozen=True, slots=True)
class VenueLine:
    """One venue of one publisher; `cells` are its rates in the order of OrderKind."""

    name: str
    order_pct: Decimal | None
    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, venue: RoutingVenue) -> "VenueLine":
        rates = [_cell(kind.label, venue.cents_for(kind), cents, NOT_MEANINGFUL) for kind in OrderKind]
        return cls(str(venue), venue.order_pct, tuple(rates))


@dataclass(frozen=True, slots=True)
class RoutingColumn:
    publisher: Publisher
    report: ExecutionReport
    section: RoutingSection

    @property
    def label(self) -> str:
        return f"{self.publisher.name}, {self.section.month_on:%b %Y}"

    @property
    def place(self) -> tuple[str, date]:
        return self.publisher.key, self.section.month_on

    @property
    def venues(self) -> list["VenueLine"]:
        return [VenueLine.of(venue) for venue in self.section.venues.all()]


@dataclass(frozen=True, slots=True)
class Routing:
    """Routing reports side by side, with the lines of their table."""

    columns: tuple[RoutingColumn, ...]
    mix_lines: tuple[Line, ...]
    rate_lines: tuple[Line, ...]
    total_lines: tuple[Line, ...]

    @property
    def months_differ(self) -> bool:
        return len({column.section.month_on for column in self.columns}) > 1

    @classmethod
    def of(cls, columns: tuple[RoutingColumn, ...]) -> "Routing":
        return cls(
            columns=columns,
            mix_lines=tuple(_mix_lines(columns)),
            rate_lines=tuple(_kind_line(columns, kind, RoutingSection.rate_for, cents) for kind in OrderKind),
            total_lines=tuple(_kind_line(columns, kind, RoutingSection.paid_for, dollars) for kind in OrderKind),
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    chosen: tuple[Publisher, ...]
    quality: tuple[QualityColumn, ...]  # of those with figures for the choice
    quality_missing: tuple[str, ...]  # names of the others
    result_lines: tuple[Line, ...]
    sample_lines: tuple[Line, ...]
    routing: Routing
    routing_missing: tuple[str, ...]
    came_with: "Routing"  # what comes with the hub, apart from the files above

    @property
    def periods_differ(self) -> bool:
        return len({column.report.period for column in self.quality}) > 1


def publishers() -> tuple[Publisher, ...]:
    """Everybody with a current report, by name. A broker's files count as the broker; further companies of one broker
    that report on the same stand beside it under their own names."""
    return _publishers(ExecutionReport.objects.current().imported())


def came_with() -> tuple[Publisher, ...]:
    """Those of whose routing reports figures come with the hub."""
    return _publishers(ExecutionReport.objects.of_catalogue())


def _publishers(told: ExecutionReportQuerySet) -> tuple[Publisher, ...]:
    reports = list(told.select_related("broker", "source"))
    reports.sort(key=lambda report: (-report.last_on.toordinal(), report.pk))
    speaks: dict[tuple[str, bool], str] = {}  # whose files count as the broker: who reported last
    for report in reports:
        speaks.setdefault((_owner(report), ReportForm(report.form).is_quality), report.publisher_key)
    found: dict[str, list[ExecutionReport]] = {}
    for report in reports:
        owner = _owner(report)
        is_further = speaks[owner, ReportForm(report.form).is_quality] != report.publisher_key
        found.setdefault(f"{owner}-{report.publisher_key}" if is_further else owner, []).append(report)
    named = [Publisher(key, _name(key, own[0]), own[0].broker, tuple(own)) for key, own in found.items()]
    return tuple(sorted(named, key=lambda publisher: publisher.name.casefold()))


def _owner(report: ExecutionReport) -> str:
    return report.broker.key if report.broker else report.publisher_key


def _name(key: str, report: ExecutionReport) -> str:
    return report.broker.name if report.broker and key == report.broker.key else report.publisher


def compare(choice: Choice, known: Sequence[Publisher], catalogue: Sequence[Publisher] = ()) -> Comparison:
    """A constant number of queries, whatever is chosen of the `publishers()`. Others are passed over.

    `catalogue`: those of `came_with()`, all of whom are shown, unless the same month was imported.
    """
    wanted = [publisher for publisher in known if publisher.key in choice.publishers][:MOST_COLUMNS]
    chosen = tuple(wanted or known[:USUAL_COLUMNS])
    quality, routing = _quality(chosen, choice), _routing(chosen, choice)
    imported = {column.place for column in routing}
    ours = (column for column in _routing(catalogue, choice) if column.place not in imported)
    return Comparison(
        chosen=chosen,
        quality=quality,
        quality_missing=_missing(chosen, quality),
        result_lines=tuple(line for line in map(partial(_stat_line, quality), METRICS) if line.is_told),
        sample_lines=tuple(
            line for line in map(partial(_stat_line, quality), SAMPLES) if line.is_told or line.label == "Orders"
        ),
        routing=Routing.of(routing),
        routing_missing=_missing(chosen, routing),
        came_with=Routing.of(tuple(ours)),
    )


def _missing(
    chosen: Sequence[Publisher], columns: Sequence[QualityColumn] | Sequence[RoutingColumn]
) -> tuple[str, ...]:
    shown = {column.publisher.key for column in columns}
    return tuple(publisher.name for publisher in chosen if publisher.key not in shown)


def months(known: Sequence[Publisher]) -> tuple[date, ...]:
    """The months that any report covers, newest first."""
    found: set[date] = set()
    for publisher in known:
        for report in publisher.reports:
            covered = range(report.first_on.month, report.last_on.month + 1)
            found |= {date(report.first_on.year, month, 1) for month in covered}
    return tuple(sorted(found, reverse=True))


# --- How orders were executed (Rule 605) ------------------------------------------------------------------------------
def _quality(chosen: Sequence[Publisher], choice: Choice) -> tuple[QualityColumn, ...]:
    if choice.section is Section.OPTIONS:  # Rule 605 is about stocks
        return ()
    newest = ((publisher, publisher.quality_of(choice.month)) for publisher in chosen)
    wanted = [(publisher, report) for publisher, report in newest if report]
    stats: dict[int, list[ExecutionStat]] = {}
    for stat in ExecutionStat.objects.filter(report__in=[report for _, report in wanted], order=choice.order):
        stats.setdefault(stat.report_id, []).append(stat)
    found = ((publisher, report, _stat(stats.get(report.pk, []), report, choice)) for publisher, report in wanted)
    return tuple(QualityColumn(publisher, report, stat) for publisher, report, stat in found if stat)


def _stat(stats: Sequence[ExecutionStat], report: ExecutionReport, choice: Choice) -> ExecutionStat | None:
    """The one for the section and size; a file that does not tell the lists of stocks apart has one for both."""
    size = choice.size or HEADLINE[ReportForm(report.form)]
    sp500 = choice.section is Section.SP500
    return next((stat for stat in stats if stat.size == size and stat.is_sp500 in {sp500, None}), None)


def _stat_line(columns: Sequence[QualityColumn], metric: Metric) -> Line:
    values = [(column.label, getattr(column.stat, metric.name)) for column in columns]
    return Line(metric.label, metric.explained, tuple(_cell(*told, metric.written, NOT_SAID) for told in values))


def _cell(label: str, value: Any, written: Callable[[Any], str], why: str) -> Cell:
    return Cell(label, why=why) if value is None else Cell(label, written(value))


# --- Where orders were sent, and for what payment (Rule 606) ----------------------------------------------------------
def _routing(chosen: Sequence[Publisher], choice: Choice) -> tuple[RoutingColumn, ...]:
    """Of each publisher the newest month that tells of the section, or the month asked for."""
    told = {r.pk: (who, r) for who in chosen for r in who.reports if not ReportForm(r.form).is_quality}
    sections = RoutingSection.objects.filter(report__in=told, section=choice.section)
    if choice.month is not None:
        sections = sections.filter(month_on=choice.month)
    newest = {told[section.report_id][0].key: section for section in sections.order_by("month_on")}
    venues = RoutingVenue.objects.order_by("-order_pct", "position")
    prefetch_related_objects(list(newest.values()), Prefetch("venues", queryset=venues))
    found = (newest[publisher.key] for publisher in chosen if publisher.key in newest)
    return tuple(RoutingColumn(*told[section.report_id], section) for section in found)


def _mix_lines(columns: Sequence[RoutingColumn]) -> Iterator[Line]:
    left = [_cell(column.label, column.section.non_directed_pct, percent, NOT_MEANINGFUL) for column in columns]
    yield Line("Left to the broker to route", "Of all orders. Everything below is about these.", tuple(left))
    for kind in OrderKind:
        yield _kind_line(columns, kind, RoutingSection.share_of, percent)


def _kind_line(
    columns: Sequence[RoutingColumn],
    kind: OrderKind,
    value: Callable[[RoutingSection, OrderKind], Decimal | None],
    written: Callable[[Any], str],
) -> Line:
    cells = [_cell(column.label, value(column.section, kind), written, NOT_MEANINGFUL) for column in columns]
    return Line(kind.label, "", tuple(cells))


# --- As a file --------------------------------------------------------------------------------------------------------
COLUMNS = (
    "publisher", "broker", "rule", "period", "stocks", "orders", "size", "venue", "figure", "value", "unit",
    "document", "source", "file", "sha256", "imported_at",
)  # fmt: skip


def rows(shown: Comparison) -> Iterator[Mapping[str, Any]]:
    """Every figure that the page shows, one a row, with where it was read."""
    for column in shown.quality:
        yield from _stat_rows(column.report, column.stat)
    for routed in (*shown.routing.columns, *shown.came_with.columns):
        yield from _routing_rows(routed.report, routed.section)


def _origin(report: ExecutionReport) -> dict[str, Any]:
    return dict.fromkeys(COLUMNS, "") | {
        "publisher": report.publisher,
        "broker": report.broker.key if report.broker else "",
        "rule": "605" if ReportForm(report.form).is_quality else "606",
        "period": report.period,
        "document": report.source.title if report.source else "",
        "source": report.source_url,
        "file": report.file_name,
        "sha256": report.sha256,
        "imported_at": report.imported_at.isoformat(timespec="seconds"),
    }


def _stat_rows(report: ExecutionReport, stat: ExecutionStat) -> Iterator[Mapping[str, Any]]:
    stocks = "all" if stat.is_sp500 is None else "sp500" if stat.is_sp500 else "other_stocks"
    about = _origin(report) | {"stocks": stocks, "orders": stat.order, "size": OrderSize(stat.size).label}
    for metric in (*METRICS, *SAMPLES):
        value = getattr(stat, metric.name)
        if value is not None:
            yield about | {"figure": metric.name, "value": plain(value), "unit": metric.unit}


def _routing_rows(report: ExecutionReport, section: RoutingSection) -> Iterator[Mapping[str, Any]]:
    about = _origin(report) | {"stocks": section.section, "period": f"{section.month_on:%Y-%m}"}
    yield about | {"figure": "non_directed", "value": plain(section.non_directed_pct), "unit": "percent"}
    for kind in OrderKind:
        yield about | {"orders": kind, "figure": "mix", "value": plain(section.share_of(kind)), "unit": "percent"}
        rate, amount = section.rate_for(kind), section.paid_for(kind)
        yield about | {"orders": kind, "figure": "payment_rate", "value": plain(rate), "unit": "cents per 100 shares"}
        yield about | {"orders": kind, "figure": "payment_total", "value": plain(amount), "unit": "USD"}
    for venue in section.venues.all():
        at = about | {"venue": str(venue)}
        yield at | {"figure": "share_of_orders", "value": plain(venue.order_pct), "unit": "percent"}
        for kind in OrderKind:
            of = at | {"orders": kind}
            yield of | {"figure": "share_of_kind", "value": plain(venue.share_of(kind)), "unit": "percent"}
            yield of | {"figure": "payment_rate", "value": plain(venue.cents_for(kind)), "unit": "cents per 100 shares"}
            yield of | {"figure": "payment_total", "value": plain(venue.usd_for(kind)), "unit": "USD"}
