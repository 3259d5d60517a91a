"""`make bench`: how fast the hub is, as ratios over a floor on the same machine. Works in a database of its own.

python -m bench                   all parts, with 10,000 rows
python -m bench --large           with 100,000 rows as well, files of a million, and memory: an hour
python -m bench reading files     these parts only
python -m bench --processor       processor time instead of time, where others compute at the same time
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.syncing import APP_KEY, APP_SECRET, sandbox
from brokerhub import embedded

PARTS = (
    *("reading", "booking", "files", "preview", "overheads", "memory"),
    *("sync", "dispatching", "renewing", "pricing", "recording", "following"),
)
BY_TIME = ("sync", "renewing")  # their floors wait for another program


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description="Measure the hub against its floors.")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="what to measure; all of it without any")
    parser.add_argument("--large", action="store_true", help="100,000 rows as well, files of a million, and memory")
    parser.add_argument("--processor", action="store_true", help="processor time instead of time")
    said = parser.parse_args()
    parts = said.parts or [part for part in PARTS if not (said.processor and part in BY_TIME)]
    if said.processor and set(parts) & set(BY_TIME):
        parser.error(f"not in processor time: {', '.join(BY_TIME)}")
    folder = Path(tempfile.mkdtemp(prefix="brokerhub-bench-")).resolve()
    (folder / "static").mkdir()
    folder.chmod(0o711)  # as root, PostgreSQL runs under another account
    try:
        with sandbox() as address:
            _set_environment(folder, address)
            _run(parts, said.large, said.processor)
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder)


def _set_environment(folder: Path, sandbox_url: str) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ |= {
        "MODE": "development",
        "VAR_DIR": str(folder),
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "brokerhub.settings",
        "BROKERS_SANDBOX_URL": sandbox_url,
        "SCHWAB_APP_KEY": APP_KEY,
        "SCHWAB_APP_SECRET": APP_SECRET,
    }


def _run(parts: Sequence[str], large: bool, processor: bool) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.ROOT_URLCONF = "bench.reading"
    settings.ALLOWED_HOSTS = ["testserver"]
    api: dict[str, Any] = settings.REST_FRAMEWORK
    api["DEFAULT_THROTTLE_RATES"]["user"] = "1000000/minute"
    django.setup()
    call_command("migrate", verbosity=0)

    from bench import background, booking, files, following, importing, overheads, pricing, reading, recording, syncing
    from bench.measure import HEAD, ROUNDS, count_processor_time, stolen
    from brokerhub.kernel.models import User
    from connections.brokers.records import AuthMethod, Broker
    from connections.models import Connection, Environment

    user = User.objects.create_user("bench@example.com")
    owner = Connection.objects.create(
        user=user,
        broker=Broker.SCHWAB,
        method=AuthMethod.SCHWAB_OAUTH,
        environment=Environment.SANDBOX,
        label="Bench",
        state="connected",
    )
    started, stolen_before = perf_counter(), stolen()
    if processor:
        count_processor_time()
    counted = "Processor time" if processor else "Time"
    print(
        f"{counted}, medians of {ROUNDS} rounds, ours and the floors in turns. Lower is better.\n\n{HEAD}", flush=True
    )
    files.lift_limits(settings)
    sizes = (10_000, 100_000) if large else (10_000,)
    measured: dict[str, Callable[[], Iterator[Any]]] = {
        "reading": lambda: reading.measure(owner, user, 1_000_000 if large else 100_000),
        "booking": lambda: chain.from_iterable(booking.measure(owner, rows) for rows in sizes),
        "files": lambda: importing.all_sizes(owner, sizes, large),
        "preview": lambda: importing.preview(owner, sizes[-1]),
        "overheads": lambda: overheads.measure(owner, sizes[0]),
        "memory": lambda: importing.memory(owner, (10_000, 1_000_000) if large else sizes),
        "sync": lambda: syncing.measure(settings.BROKERS_SANDBOX_URL, sizes[-1]),
        "dispatching": lambda: background.dispatching(owner),
        "renewing": lambda: background.renewing(settings.BROKERS_SANDBOX_URL),
        "pricing": pricing.measure,
        "recording": lambda: recording.measure(settings.BROKERS_SANDBOX_URL),
        "following": lambda: following.measure(owner, (10_000, 100_000, 1_000_000) if large else (10_000, 100_000)),
    }
    for part in parts:
        for line in measured[part]():
            print(line, flush=True)
    wall = perf_counter() - started
    lost = (stolen() - stolen_before) / (wall * (os.cpu_count() or 1))
    print(f"\n{wall:.0f} s on {os.cpu_count()} cores, {lost:.1%} of their time stolen by other machines.")


if __name__ == "__main__":
    main()
