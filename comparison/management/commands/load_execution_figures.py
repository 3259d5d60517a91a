"""manage.py load_execution_figures: figures of studies and of brokers' own pages, as they come with the hub."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from comparison import published
from comparison.report_files import FileRefused


class Command(BaseCommand):
    help = "Load the execution figures of studies and of brokers' own pages. May be repeated."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", default=published.CATALOGUE)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = published.load(options["file"])
        except FileRefused as refusal:
            raise CommandError("\n".join([str(refusal), *map(str, refusal.problems)])) from refusal
        if options["verbosity"]:
            self.stdout.write(f"{loaded.added} figures added, {loaded.changed} changed, {loaded.removed} removed.")
