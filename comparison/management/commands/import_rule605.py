"""manage.py import_rule605 FILE: a publisher's report on how well orders were executed."""

from typing import Any

from django.core.management.base import CommandParser

from comparison.execution_imports import Imported, import_quality
from comparison.management.report_command import ReportCommand
from comparison.report_files import ReportFile
from comparison.rule605 import MOST_BYTES


class Command(ReportCommand):
    help = "Import a Rule 605 report: the summary (CSV), or the old detail file of a market centre (pipes)."
    limit = MOST_BYTES

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--publisher", default="", help="The reporter's name; the file has only a code.")
        parser.add_argument(
            "--wide-ratios-checked",
            action="store_true",
            help="Effective over quoted spreads beyond 2 were compared with the publisher's page and are right.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.publisher: str = options["publisher"]
        self.wide_ratios_checked: bool = options["wide_ratios_checked"]
        super().handle(*args, **options)

    def take(self, file: ReportFile) -> Imported:
        return import_quality(
            file, self.handling, publisher=self.publisher, wide_ratios_checked=self.wide_ratios_checked
        )
