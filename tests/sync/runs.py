"""What tests of runs share: ask for one, work on it as a worker does, react in the middle of a call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from connections.brokers.calls import BrokerCall, Operation, call_finished
from connections.models import Connection
from sync import sync_service, tasks
from sync.models import SyncRun, Trigger

Connect = Callable[..., Connection]


def ask(connection: Connection) -> SyncRun:
    return sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL)


def work(run: SyncRun) -> SyncRun:
    tasks.run(run.pk)
    run.refresh_from_db()
    return run


@contextmanager
def after_each_call(operation: Operation, react: Callable[[], None]) -> Iterator[None]:
    def listen(*, call: BrokerCall, **_: Any) -> None:
        if call.operation is operation:
            react()

    call_finished.connect(listen)
    try:
        yield
    finally:
        call_finished.disconnect(listen)
