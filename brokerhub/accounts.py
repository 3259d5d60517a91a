"""How people come to an account, where allauth leaves something to us."""

from allauth.account.adapter import DefaultAccountAdapter
from django.utils.crypto import get_random_string

from brokerhub.kernel.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no type hints
    def send_account_already_exists_mail(self, email: str) -> None:
        """Takes as long as making an account does, of which hashing the password is nearly all: else the time of the
        answer would tell that somebody has one."""
        User().set_password(get_random_string(20))
        super().send_account_already_exists_mail(email)
