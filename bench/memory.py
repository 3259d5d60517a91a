"""How much memory a worker takes for one file: run in a process of its own, on the database of the bench.

python -m bench.memory import RUN | check DRAFT    prints its idle and its highest memory in MB
"""

import resource
import subprocess  # nosec B404  # started from lists of our own, without a shell
import sys
from pathlib import Path


def taken(work: str, key: object) -> tuple[int, int]:
    """MB at rest and at the most, of a new process that does `work`."""
    command = [sys.executable, "-m", "bench.memory", work, f"{key}"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # nosec B603  # a list of our own, without a shell
    return int(told[0]), int(told[1])


def _highest() -> int:
    """Where Linux tells it of this program alone; the usual way begins with what the process that started it took."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) // 1024
    scale = 1024 if sys.platform != "darwin" else 1024 * 1024  # kilobytes, and bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // scale


def main() -> None:
    import django
    from django.conf import settings

    from bench import files

    django.setup()
    from sync import drafts, sync_service

    files.lift_limits(settings)
    idle = _highest()
    work, key = sys.argv[1:]
    if work == "import":
        sync_service.run_one(int(key))
    else:
        drafts.check(key)
    print(idle, _highest())


if __name__ == "__main__":
    main()
