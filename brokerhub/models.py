"""What Django finds as the models of the hub itself."""

from brokerhub.erasure.models import AccountDeletion, DeletionReceipt

__all__ = ["AccountDeletion", "DeletionReceipt"]
