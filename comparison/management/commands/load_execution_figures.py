"""manage.py load_execution_figures: figures of studies, brokers' pages and routing reports that come with the hub."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from comparison import published, published_routing
from comparison.report_files import FileRefused


class Command(BaseCommand):
    help = "Load the figures of studies, brokers' own pages and their routing reports. May be repeated."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", default=published.CATALOGUE)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():  # a mistake in either part changes nothing
                loaded, routing = published.load(options["file"]), published_routing.load(options["file"])
        except FileRefused as refusal:
            raise CommandError("\n".join([str(refusal), *map(str, refusal.problems)])) from refusal
        if options["verbosity"]:
            self.stdout.write(f"{loaded.added} figures added, {loaded.changed} changed, {loaded.removed} removed.")
            self.stdout.write(
                f"{routing.added} routing reports added, {routing.changed} changed, {routing.removed} removed."
            )
