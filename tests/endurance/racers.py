"""A program: many processes renew the access of one connection, round by round, each round all at the same moment.

    python -m tests.endurance.racers CONNECTION PROCESSES ROUNDS

It says, as JSON, how many different access tokens the processes got in each round, and how many in all.
"""

import json
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from uuid import UUID

import django

PATIENCE = 120.0  # seconds for which one waits for the others


class Racer:
    """One process of the pool; the gate cannot travel with a task, so each is given it at its start."""

    gate: threading.Barrier

    @classmethod
    def start(cls, gate: threading.Barrier) -> None:
        cls.gate = gate

    @classmethod
    def race(cls, connection_id: UUID, rounds: int) -> list[str]:
        """The access token this process got in each round."""
        from connections.models import Connection
        from connections.tokens import StoredGrants, read_grant

        tokens = []
        try:
            for _ in range(rounds):
                refused = read_grant(Connection.objects.get(pk=connection_id))
                cls.gate.wait()
                tokens.append(StoredGrants(connection_id).renew(refused=refused).secrets["access_token"])
                cls.gate.wait()
        except BaseException:
            cls.gate.abort()  # so that the others need not wait for this one
            raise
        return tokens


def main(connection_id: UUID, processes: int, rounds: int) -> None:
    from connections.brokers import schwab

    schwab.CALLS_PER_MINUTE = 1_000_000  # the race is not about the broker's limit
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(processes, timeout=PATIENCE)
    with ProcessPoolExecutor(processes, context, initializer=Racer.start, initargs=(gate,)) as pool:
        racers = [pool.submit(Racer.race, connection_id, rounds) for _ in range(processes)]
        tokens = [racer.result() for racer in racers]
    in_rounds = [len(set(round_)) for round_ in zip(*tokens, strict=True)]
    print(json.dumps({"in_rounds": in_rounds, "in_all": len({token for got in tokens for token in got})}))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerhub.settings")
    django.setup()
    main(UUID(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
