"""What Django finds as the models of the hub itself."""

from brokerhub.erasure.models import AccountDeletion

__all__ = ["AccountDeletion"]
