"""manage.py import_ratings [FILE.csv]: scores of app stores and reviewers, each with its date and document."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from comparison import external_ratings
from comparison.report_files import FileRefused, read


class Command(BaseCommand):
    help = f"Import scores others published. Columns: {', '.join(external_ratings.COLUMNS)}. Without a file: ours."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path | None = options["file"]
        try:
            imported = (
                external_ratings.import_csv(read(path, limit=external_ratings.MOST_BYTES))
                if path
                else external_ratings.load_catalogue()
            )
        except FileRefused as refusal:
            raise CommandError("\n".join([str(refusal), *map(str, refusal.problems)])) from refusal
        if options["verbosity"]:
            told = f"{imported.added} scores added, {imported.changed} changed, {imported.unchanged} known already."
            self.stdout.write(told)
