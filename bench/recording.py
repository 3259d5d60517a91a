"""What measuring costs: calls to the sandbox with what it takes to count and write them, over the calls alone.

Both are measured by themselves, over the same calls: two runs of the same calls differ by more than recording takes.
"""

from collections.abc import Iterator

from bench.measure import Ratio, in_turns, seconds

LOOKS = 100  # each is two calls


def measure(base: str) -> Iterator[Ratio]:
    """`base`: the sandbox's address, which the settings name too."""
    import requests

    from bench.syncing import control, sign_in
    from connections import connection_manager
    from connections.brokers import schwab
    from connections.brokers.calls import BrokerCall, call_finished
    from health.recording import Recorder

    schwab.CALLS_PER_MINUTE = 10**6
    with requests.Session() as http:
        control(http, base, "limits", broker="schwab", per_minute=None)
        connector = connection_manager.connector_for(sign_in(http, "james"))
    call_finished.disconnect(dispatch_uid="health.recording")
    told: list[BrokerCall] = []
    call_finished.connect(lambda call, **_: told.append(call), weak=False, dispatch_uid="bench")
    recorder = Recorder(flush_after=None)
    alone: list[float] = []

    def count_and_write() -> None:
        for call in told:
            recorder.record(call)
        recorder.flush()  # once for all, as the thread does that writes every two seconds

    def with_recording() -> float:
        told.clear()
        alone.append(seconds(lambda: [connector.accounts() for _ in range(LOOKS)]))
        return alone[-1] + seconds(count_and_write)

    name = f"{2 * LOOKS} calls, counted and written"
    yield from in_turns(name, with_recording, {"the calls alone": (lambda: alone[-1], 1.02)})
