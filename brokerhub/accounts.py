"""How people come to an account, where allauth leaves something to us."""

from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as current
from django.contrib import messages
from django.utils.crypto import get_random_string

from brokerhub.kernel.models import User

log = structlog.get_logger(__name__)
NOT_SENT = "We could not send mail just now. Try again in a few minutes: it is sent once more then."


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no type hints
    def send_account_already_exists_mail(self, email: str) -> None:
        """Takes as long as making an account does, of which hashing the password is nearly all: else the time of the
        answer would tell that somebody has one."""
        User().set_password(get_random_string(20))
        super().send_account_already_exists_mail(email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail server that is away stops nobody: what was done stays done, and the person hears that no mail came.

        Whether the address has an account makes no difference: either way there is a mail, and the same words.
        """
        try:
            super().send_mail(template_prefix, email, context)
        except OSError as error:  # SMTPException is one
            log.error("mail_not_sent", mail=template_prefix, error=type(error).__name__)
            if current.request is not None:
                messages.warning(current.request, NOT_SENT)
