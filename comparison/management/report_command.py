"""What the commands that import a publisher's report have in common."""

from pathlib import Path
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from comparison.execution_imports import Handling, Imported, Outcome
from comparison.quality_models import ReportForm
from comparison.report_files import MOST_SHOWN, FileRefused, ReportFile, read

SAID = {
    Outcome.ADDED: "Imported",
    Outcome.REPLACED: "Imported in place of the earlier file",
    Outcome.UNCHANGED: "Known already, nothing changed",
}


class ReportCommand(BaseCommand):
    limit: ClassVar[int]
    handling: Handling

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="As downloaded; .zip and .gz are unpacked.")
        parser.add_argument("--broker", default="", help="Key of the broker it is about, where the name does not say.")
        parser.add_argument("--source", default="", help="Address the file was downloaded from, for readers.")
        parser.add_argument("--replace", action="store_true", help="It corrects an earlier file of the same period.")
        parser.add_argument("--dry-run", action="store_true", help="Check the file and store nothing.")

    def take(self, file: ReportFile) -> Imported:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        self.handling = Handling(broker=options["broker"], source_url=options["source"], replace=options["replace"])
        try:
            with transaction.atomic():
                imported = self.take(read(options["file"], limit=self.limit))
                transaction.set_rollback(options["dry_run"])
        except FileRefused as refusal:
            raise CommandError(self.refused(refusal)) from refusal
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.tell(imported, dry_run=options["dry_run"])

    def refused(self, refusal: FileRefused) -> str:
        lines = [str(refusal), *map(str, refusal.problems[:MOST_SHOWN])]
        if len(refusal.problems) > MOST_SHOWN:
            lines.append(f"... and {len(refusal.problems) - MOST_SHOWN} more.")
        return "\n".join(lines)

    def tell(self, imported: Imported, *, dry_run: bool) -> None:
        report = imported.report
        for warning in report.warnings:
            self.stdout.write(f"Note: {warning}")
        said = "The file is valid; nothing was stored" if dry_run else SAID[imported.outcome]
        about = f" about {report.broker}" if report.broker else ""
        self.stdout.write(f"{said}: {report.publisher}{about}, {report.period}, {ReportForm(report.form).label}.")
        if report.broker is None:
            self.stdout.write("The publisher is none of the brokers compared here; --broker KEY links it to one.")
