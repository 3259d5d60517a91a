"""A whole journey with the client that openapi-python-client has made of the schema; run by test_clients.py.

The hub's address and a token come in HUB and HUB_TOKEN; `hub_client` is the generated package.
"""

import os
import uuid

from hub_client import AuthenticatedClient
from hub_client.api.connections import brokerage_connections_list
from hub_client.api.portfolio import (
    brokerage_transactions_changes_retrieve,
    brokerage_transactions_list,
    brokers_accounts_list,
    brokers_positions_list,
)
from hub_client.api.sync import brokerage_sync_create, brokerage_sync_runs_retrieve, brokerage_sync_status_retrieve
from hub_client.models import Changes, ConnectionStateEnum, NotFoundError, StartRequest

client = AuthenticatedClient(
    os.environ["HUB"], os.environ["HUB_TOKEN"], prefix="Token", raise_on_unexpected_status=True, timeout=60
)

connections = brokerage_connections_list.sync(client=client).results
[connection] = [row for row in connections if row.state == ConnectionStateEnum.CONNECTED and row.broker == "schwab"]

key = str(uuid.uuid4())
body = StartRequest(connection=connection.id)
started = [brokerage_sync_create.sync_detailed(client=client, body=body, idempotency_key=key) for _ in range(2)]
assert [answer.status_code for answer in started] == [202, 202]
assert started[1].headers["Idempotency-Replayed"] == "true"
[run] = started[0].parsed.runs
assert started[0].headers["Location"].endswith(f"/sync/runs/{run.id}")

status = brokerage_sync_status_retrieve.sync(client=client, run=run.id)
while status.syncing:
    status = brokerage_sync_status_retrieve.sync(client=client, run=run.id, wait=25, version=status.version)
run = brokerage_sync_runs_retrieve.sync(run.id, client=client)
assert (run.state.value, run.error) == ("succeeded", None)

accounts = [row for row in brokers_accounts_list.sync(client=client).results if row.connection.id == connection.id]
assert accounts
for account in accounts:
    assert account.currency == "USD"
    positions = brokers_positions_list.sync(client=client, account=account.id).results
    assert all(position.instrument.symbol for position in positions)

page = brokerage_transactions_list.sync(client=client, limit=500)
assert page.results

copy: set[int] = set()
changes = Changes(added=[], modified=[], removed=[], next_cursor="", has_more=True)
while changes.has_more:
    changes = brokerage_transactions_changes_retrieve.sync(client=client, cursor=changes.next_cursor)
    copy |= {row.id for row in [*changes.added, *changes.modified]}
    copy -= set(changes.removed)
assert {row.id for row in page.results} <= copy

missing = brokerage_sync_runs_retrieve.sync(0, client=client)
assert isinstance(missing, NotFoundError)
assert (missing.code.value, bool(missing.suggested_action)) == ("not_found", True)
print(f"{len(accounts)} accounts, {len(copy)} transactions")
