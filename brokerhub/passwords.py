"""Passwords that are long enough and still among the first that somebody would try."""

import re
from typing import ClassVar

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError


class GuessableValidator(CommonPasswordValidator):
    """Refuses a well-known password, and one that is a well-known password or the hub's own words with a little around
    it: `Password2026!`, `portfolio-portfolio`, `brokerhub123`. Works without a network: the list is Django's, of 20,000
    that were found in breaches."""

    WORDS: ClassVar[tuple[str, ...]] = (
        *("broker", "brokerage", "hub", "integration", "portfolio", "account", "admin", "invest", "trading", "money"),
        *(
            "schwab",
            "robinhood",
            "ibkr",
            "interactive",
            "brokers",
            "alpaca",
            "fidelity",
            "password",
            "login",
            "welcome",
        ),
    )
    ENOUGH = 5  # letters that no list knows

    def validate(self, password: str, user: object = None) -> None:
        if self._is_guessable(password.lower().strip()):
            raise ValidationError(
                "This password is one of the first that others would try. A few words that do not belong together are "
                "good, or what a password manager makes."
            )

    def _is_guessable(self, password: str) -> bool:
        core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", password)
        half = core[: len(core) // 2]
        if {password, core} & self.passwords or (half and core == half * 2 and half in self.passwords):
            return True
        rest = re.sub("|".join(sorted(self.WORDS, key=len, reverse=True)), "", password)
        return rest != password and len(re.sub(r"[\W\d_]", "", rest)) < self.ENOUGH

    def get_help_text(self) -> str:
        return "Your password must not be one that others would try first."
