"""`manage.py load_broker_catalogue`: brokers, plans, prices and features into the database. May be repeated."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from comparison import loading
from comparison.document import CatalogueError


class Command(BaseCommand):
    help = "Load the broker catalogue. What changed is reported; what was replaced stays as history."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, default=loading.SHIPPED, help="default: the shipped one")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = loading.load(options["file"])
        except CatalogueError as error:
            raise CommandError(str(error)) from error
        if options["verbosity"]:
            self.stdout.write(loaded.words)
        if options["verbosity"] > 1:
            for change in loaded.changes:
                self.stdout.write(f"  {change}")
