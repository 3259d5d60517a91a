"""What connections tell the apps on their right: on commit, or inside the transaction where it says so."""

from django.dispatch import Signal

connected = Signal()
"""After a sign-in is complete: `connection`, `first` (False when an old connection was renewed in place), `anew` (True
when transactions now come by another way, so that all of them have to be read again)."""

account_added = Signal()
"""After the person has added an account that was offered: `connection`. Its history has not been read yet."""

leaving = Signal()
"""First of all inside the transaction that disconnects: `connection`. Whoever works with it stops here."""

erasing = Signal()
"""Inside the erasing transaction: `connection`, `dry_run`. A receiver deletes its own rows (unless `dry_run`) and
returns {plural name: count} of them."""

check_wanted = Signal()
"""An operator wants to see whether it works: `connection`, which may sync."""
