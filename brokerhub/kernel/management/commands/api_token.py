"""`manage.py api_token EMAIL`: a fresh API token, printed once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokerhub.kernel.models import ApiToken, Scope, User


class Command(BaseCommand):
    help = "Print a fresh API token for a user. Only its digest is stored, so it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="whose token it is")
        parser.add_argument("--name", default="Command line", help="what the token is for (default: %(default)s)")
        parser.add_argument(
            "--scopes",
            nargs="+",
            choices=Scope.values,
            default=Scope.values,
            metavar="SCOPE",
            help=f"what it may do: {', '.join(Scope.values)} (default: all)",
        )
        parser.add_argument("--days", type=int, default=365, help="days until it expires (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["days"] <= 3650:
            raise CommandError("--days is a number from 1 to 3650.")
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no user with the e-mail address {options['email']}.")
        _, token = ApiToken.objects.create(
            user=user, expiry=timedelta(days=options["days"]), name=options["name"], scopes=sorted(options["scopes"])
        )
        self.stdout.write(token)
