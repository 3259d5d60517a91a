"""Ways in which a sign-in at a broker does not become a connection."""

from brokerhub.kernel.errors import HubError, NotAllowed


class SignInFailed(HubError):
    """The way back from the broker cannot be used: unknown, used, too old, another browser. Start again."""

    code = "sign_in_failed"


class ConsentDenied(HubError):
    """The person said no at the broker."""

    code = "consent_denied"


class DifferentLogin(NotAllowed):
    """The renewal was done with another login of the broker than the connection belongs to."""

    code = "different_login"


class CountedTwice(NotAllowed):
    """Another connection of the person brings the same account already."""

    code = "counted_twice"
