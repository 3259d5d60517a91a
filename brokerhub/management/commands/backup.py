"""`manage.py backup PATH`: all of the database as one file, while the hub goes on working."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from brokerhub.backup import writing
from brokerhub.kernel.errors import HubError


class Command(BaseCommand):
    help = (
        "Write a backup of everything to PATH (- is the standard output), as it is at this moment; the hub may run. "
        "Brokers' keys in it stay encrypted: keep CREDENTIALS_KEYS somewhere else."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["path"] == "-":
                manifest = writing.write(connection, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            else:
                manifest = writing.write_file(connection, Path(options["path"]))
        except HubError as error:
            raise CommandError(str(error)) from error
        rows, size = sum(manifest["rows"].values()), manifest["dump"]["bytes"]
        self.stderr.write(f"{rows:,} rows of {len(manifest['rows'])} tables, {size / 1e6:,.1f} MB.", self.style.SUCCESS)
