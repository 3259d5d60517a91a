"""Pages under eight people at once, over HTTP from a web server started as in production: the slowest, and the usual.

What the slowest of a hundred answers takes, over what half of them take: who waits in a crowd waits as long as others.
"""

import socket
import subprocess  # nosec B404  # started from lists of our own, without a shell
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import quantiles
from time import perf_counter

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from bench.measure import Ratio

CLIENTS, EACH, ROUNDS, MOST = 8, 25, 5, 3.0
PAGES = {"overview": "/", "portfolio": "/portfolio/"}
SERVER = ("--preload", "--worker-class", "gthread", "--workers", "2", "--threads", "8", "--no-control-socket")
STARTS_IN = 60  # seconds


def measure(cookies: dict[str, str]) -> Iterator[Ratio]:
    """`cookies`: of somebody who is signed in."""
    with _web_server() as address:
        for what, path in PAGES.items():
            rounds = [_crowd(address + path, cookies) for _ in range(ROUNDS + 1)][1:]
            cuts = [quantiles(taken, n=100) for taken in rounds]
            slowest, usual = tuple(cut[98] for cut in cuts), tuple(cut[49] for cut in cuts)
            yield Ratio(f"{what} page, {CLIENTS} clients: p99", "its p50", slowest, usual, MOST)


def _crowd(url: str, cookies: dict[str, str]) -> list[float]:
    """Seconds of each answer, where all clients ask again as soon as they are answered."""

    def client(_: int) -> list[float]:
        with requests.Session() as http:
            http.cookies.update(cookies)
            return [_seconds(http, url) for _ in range(EACH)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [taken for each in pool.map(client, range(CLIENTS)) for taken in each]


def _seconds(http: requests.Session, url: str) -> float:
    start = perf_counter()
    answer = http.get(url, timeout=STARTS_IN, allow_redirects=False)
    assert answer.status_code == 200, (url, answer.status_code)
    return perf_counter() - start


@contextmanager
def _web_server() -> Iterator[str]:
    """Its address. It reads the environment of the bench, and so has its database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "brokerhub.wsgi", "--bind", f"127.0.0.1:{port}", *SERVER]
    with subprocess.Popen([*command, "--log-level", "warning"]) as process:  # nosec B603  # a list of our own, without a shell
        try:
            address = f"http://127.0.0.1:{port}"
            for attempt in Retrying(
                stop=stop_after_delay(STARTS_IN),
                wait=wait_fixed(0.2),
                retry=retry_if_exception_type(requests.ConnectionError),
                reraise=True,
            ):
                with attempt:
                    requests.get(f"{address}/livez", timeout=STARTS_IN).raise_for_status()
            yield address
        finally:
            process.terminate()
