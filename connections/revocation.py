"""Handing a sign-in back to its broker, where the broker has a way for that."""

from enum import StrEnum

import structlog
from django.conf import settings

from brokerhub.kernel.errors import HubError
from connections import app_keys
from connections.brokers import BROKERS
from connections.brokers.base import Revokes
from connections.brokers.records import AuthMethod
from connections.models import Connection
from connections.tokens import read_grant

log = structlog.get_logger(__name__)


class Revocation(StrEnum):
    """What became of a connection's access at its broker."""

    NOT_OFFERED = "not_offered"
    DONE = "done"
    FAILED = "failed"

    @property
    def words(self) -> str:
        return {"done": "Ended", "failed": "Could not be ended from here"}.get(self.value, "")


def revoke(connection: Connection) -> Revocation:
    """End the access at the broker, once and best effort: a failure is logged and told, and holds nobody up."""
    if connection.is_file or not connection.sealed_credentials:
        return Revocation.NOT_OFFERED
    sign_in = BROKERS[AuthMethod(connection.method)].sign_in
    try:
        way = sign_in(app_keys.of(connection))
        if not isinstance(way, Revokes):
            return Revocation.NOT_OFFERED
        if connection.environment != settings.ENVIRONMENT:  # its keys are for another server
            return Revocation.FAILED
        way.revoke(read_grant(connection))
    except HubError as error:
        log.warning("revocation_failed", connection_id=str(connection.pk), code=error.code)
        return Revocation.FAILED
    return Revocation.DONE
