"""The few errors of the hub, named by what happens next. `str(error)` is for people and holds no secret."""

from typing import ClassVar


class HubError(Exception):
    """Something a person can be told. `status` is the HTTP status, `code` the stable word machines match on."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid_request"


class NotAllowed(HubError):
    """The request is understood, but the object's state forbids it now."""

    status = 409
    code = "conflict"
