"""Reports by Rule 605 and 606 from a file into the database: all of it or nothing, and the same file only once."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from django.db import transaction
from django.utils import timezone

from comparison import rule605_detail, rule605_summary, rule606
from comparison.models import ComparisonBroker, ExecutionReport, ExecutionStat, RoutingSection, RoutingVenue
from comparison.quality_models import ReportForm
from comparison.report_files import FileRefused, ReportFile
from comparison.rule605 import QualityFile
from comparison.rule606 import RoutingFile, SectionOfMonth, Venue, plain_name


class Outcome(StrEnum):
    ADDED = "added"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Imported:
    report: ExecutionReport
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What the operator says beside the file. `broker` is a broker's key; without one it is found by the publisher's
    name. `replace` lets a corrected file take the place of another of the same publisher and period."""

    broker: str = ""
    source_url: str = ""
    replace: bool = False


@transaction.atomic
def import_routing(file: ReportFile, handling: Handling) -> Imported:
    """A Rule 606(a)(1) file. Raises FileRefused, and then nothing has changed."""
    found = rule606.parse(file)
    first_on = date(found.year, 3 * found.quarter - 2, 1)
    report = ExecutionReport(
        form=ReportForm.ROUTING,
        publisher=found.publisher,
        publisher_key=plain_name(found.publisher),
        first_on=first_on,
        last_on=_end_of_month(date(found.year, 3 * found.quarter, 1)),
        generated_at=found.generated_at,
        warnings=list(found.warnings),
    )
    imported = _keep(report, file, handling)
    if imported.outcome is not Outcome.UNCHANGED:
        _store_routing(imported.report, found)
    return imported


@transaction.atomic
def import_quality(
    file: ReportFile, handling: Handling, *, publisher: str = "", wide_ratios_checked: bool = False
) -> Imported:
    """A Rule 605 file, summary or old detail. `publisher` names the reporter, of whom the file gives only a code."""
    found = (
        rule605_summary.parse(file, wide_ratios_checked=wide_ratios_checked)
        if rule605_summary.is_summary(file)
        else rule605_detail.parse(file)
    )
    report = ExecutionReport(
        form=ReportForm(found.form.value),
        publisher=publisher or found.reporter,
        publisher_key=plain_name(found.reporter),
        first_on=found.month_on,
        last_on=_end_of_month(found.month_on),
        reporter_code=found.reporter,
        warnings=list(found.warnings),
    )
    imported = _keep(report, file, handling)
    if imported.outcome is not Outcome.UNCHANGED:
        _store_stats(imported.report, found)
    return imported


def _keep(report: ExecutionReport, file: ReportFile, handling: Handling) -> Imported:
    """Saves the report's own row, unless its file is known. Raises FileRefused when another stands in its place."""
    standing = (
        ExecutionReport.objects.current()
        .select_for_update(of=("self",))
        .filter(form=report.form, publisher_key=report.publisher_key, first_on=report.first_on)
        .first()
    )
    if standing is not None and standing.sha256 == file.sha256:
        return Imported(standing, Outcome.UNCHANGED)
    if standing is not None and not handling.replace:
        raise FileRefused(
            f"There is another file for {report.publisher}, {report.period}: {standing.file_name}. If this one "
            "corrects it, import with --replace; the old one is kept as history."
        )
    if standing is not None:
        standing.replaced_at = timezone.now()
        standing.save(update_fields=["replaced_at"])
    report.broker = broker_named(handling.broker) if handling.broker else broker_of(report.publisher)
    report.source_url = handling.source_url
    report.file_name, report.sha256 = file.name[:200], file.sha256
    report.full_clean(exclude=["broker"])
    report.save()
    return Imported(report, Outcome.REPLACED if standing is not None else Outcome.ADDED)


def broker_named(key: str) -> ComparisonBroker:
    """Raises FileRefused, naming those that are known."""
    found = ComparisonBroker.objects.filter(key=key).first()
    if found is None:
        known = ", ".join(ComparisonBroker.objects.order_by("key").values_list("key", flat=True))
        raise FileRefused(
            f"There is no broker {key!r}. Known are: {known}."
            if known
            else "There are no brokers yet: load the catalogue with manage.py load_broker_catalogue."
        )
    return found


def broker_of(publisher: str) -> ComparisonBroker | None:
    """The broker with this name, or with a company of this name; None when it is none of ours."""
    wanted = plain_name(publisher)
    for broker in ComparisonBroker.objects.all():
        names = (broker.key, broker.name, *broker.legal_entity.split(" / "))
        if wanted in map(plain_name, names):
            return broker
    return None


def _store_routing(report: ExecutionReport, found: RoutingFile) -> None:
    sections = RoutingSection.objects.bulk_create([section_row(report, told) for told in found.sections])
    RoutingVenue.objects.bulk_create(
        venue_row(section, position, venue)
        for section, told in zip(sections, found.sections, strict=True)
        for position, venue in enumerate(told.venues)
    )


def section_row(report: ExecutionReport, told: SectionOfMonth) -> RoutingSection:
    mix = {f"{kind}_pct": share for kind, share in told.mix.items()}
    return RoutingSection(
        report=report, month_on=told.month_on, section=told.section, non_directed_pct=told.non_directed_pct, **mix
    )


def venue_row(section: RoutingSection, position: int, venue: Venue) -> RoutingVenue:
    numbers = {f"{kind}_pct": share for kind, share in venue.routed.items()}
    numbers |= {f"{kind}_usd": amount for kind, amount in venue.usd.items()}
    numbers |= {f"{kind}_cents": rate for kind, rate in venue.cents.items()}
    return RoutingVenue(
        section=section,
        position=position,
        name=venue.name,
        mic=venue.mic,
        mpid=venue.mpid,
        key=venue.key,
        order_pct=venue.order_pct,
        material_aspects=venue.material_aspects,
        **numbers,
    )


def _store_stats(report: ExecutionReport, found: QualityFile) -> None:
    ExecutionStat.objects.bulk_create(
        ExecutionStat(report=report, is_sp500=stat.is_sp500, order=stat.order, size=stat.size, **stat.figures)
        for stat in found.stats
    )


def _end_of_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
