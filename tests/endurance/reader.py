"""A program that reads stored sign-ins, one after the other and all over again, until its input is closed.

    python -m tests.endurance.reader

It says "reading" when it has read them all once, and at its end how many it has read. A read that fails ends it.
"""

import os
import sys
import threading

import django

PAGE = 200


def main() -> None:
    from connections.models import Connection
    from connections.tokens import read_grant

    over, count = threading.Event(), 0

    def listen() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    ids = list(Connection.objects.values_list("pk", flat=True))
    while not over.is_set():
        for start in range(0, len(ids), PAGE):
            for connection in Connection.objects.filter(pk__in=ids[start : start + PAGE]):
                assert read_grant(connection).secrets == {"access_token": f"token of {connection.pk}"}
                count += 1
        if count == len(ids):
            print("reading", flush=True)
    print(count)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerhub.settings")
    django.setup()
    main()
