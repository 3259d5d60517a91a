"""The embedded servers, each test with a folder and servers of its own, used from other processes as in life."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from brokerhub import embedded

REPOSITORY = Path(__file__).resolve().parent.parent
# Attaches to both servers, says so, and stays until its standard input closes.
VISITOR = """
import sys; from pathlib import Path; from brokerhub import embedded
print(embedded.database_url(Path(sys.argv[1])), embedded.redis_url(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def var_dir() -> Iterator[Path]:
    # Not tmp_path: root's PostgreSQL runs as another account, which would have to be let into pytest's folder.
    folder = Path(tempfile.mkdtemp(prefix="brokerhub-embedded-")).resolve()
    folder.chmod(0o711)
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder)


@pytest.fixture
def visit(var_dir: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a process that attaches to the servers in `var_dir`; its first line has both URLs."""
    visitors = []

    def start() -> subprocess.Popen[str]:
        visitor = subprocess.Popen(
            [sys.executable, "-c", VISITOR, str(var_dir)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        visitors.append(visitor)
        return visitor

    yield start
    for visitor in visitors:
        visitor.kill()
        visitor.communicate()


def urls_of(visitor: subprocess.Popen[str]) -> tuple[str, str]:
    assert visitor.stdout is not None
    database_url, redis_url = visitor.stdout.readline().split()
    return database_url, redis_url


def processes_of(var_dir: Path) -> list[psutil.Process]:
    """All that works for `var_dir` in the background: servers, and the keeper."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or [])
        ours = f"{var_dir}" in command or f"{_redis_socket(var_dir)}" in command
        if ours and VISITOR not in command and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def _redis_socket(var_dir: Path) -> Path:
    return var_dir / "redis" / "redis.sock"


def wait_for_the_end_of(processes: list[psutil.Process]) -> None:
    """Processes that nobody waits for may linger as zombies; those have ended."""
    for process in processes:
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            try:
                process.wait(0.05)
            except psutil.TimeoutExpired:
                continue


def test_servers_are_as_the_hub_needs_them(var_dir: Path) -> None:
    with psycopg.connect(embedded.database_url(var_dir)) as connection:
        names = ("fsync", "TimeZone", "server_encoding", "listen_addresses")
        assert [connection.execute(f"SHOW {name}").fetchone() for name in names] == [
            ("on",),
            ("UTC",),
            ("UTF8",),
            ("",),
        ]
        assert connection.info.dbname == "brokerhub"
    with redis.Redis.from_url(embedded.redis_url(var_dir)) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("port") == {"port": "0"}


def test_only_the_owner_may_enter_the_folders(var_dir: Path) -> None:
    embedded.database_url(var_dir)
    embedded.redis_url(var_dir)
    assert {name: oct((var_dir / name).stat().st_mode & 0o777) for name in ("postgres", "redis", "run")} == {
        "postgres": "0o700",
        "redis": "0o700",
        "run": "0o700",
    }


def test_asking_again_attaches_to_the_same_server(var_dir: Path) -> None:
    url = embedded.database_url(var_dir)
    before = processes_of(var_dir)
    assert embedded.database_url(var_dir) == url
    assert processes_of(var_dir) == before


def test_processes_that_start_at_once_share_the_servers(
    var_dir: Path, visit: Callable[[], subprocess.Popen[str]]
) -> None:
    visitors = [visit() for _ in range(4)]
    assert len({urls_of(visitor) for visitor in visitors}) == 1
    programs = [process.name() for process in processes_of(var_dir)]
    assert sorted(programs).count("postgres") == 1
    assert len(programs) == 3, "one PostgreSQL, one Redis, one keeper"


def test_servers_outlive_the_process_that_started_them_while_another_is_attached(
    var_dir: Path, visit: Callable[[], subprocess.Popen[str]]
) -> None:
    first, second = visit(), visit()
    urls_of(first)
    database_url, redis_url = urls_of(second)
    first.communicate()
    psycopg.connect(database_url).close()
    assert redis.Redis.from_url(redis_url).ping()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_last_process_to_leave_stops_everything_however_it_ends(
    var_dir: Path, visit: Callable[[], subprocess.Popen[str]], how: signal.Signals
) -> None:
    visitor = visit()
    urls_of(visitor)
    background = processes_of(var_dir)
    assert len(background) == 3
    visitor.send_signal(how)
    wait_for_the_end_of(background)
    assert processes_of(var_dir) == []


def test_stopping_while_the_keeper_is_stopping_leaves_nothing_running(
    var_dir: Path, visit: Callable[[], subprocess.Popen[str]]
) -> None:
    visitor = visit()
    urls_of(visitor)
    background = processes_of(var_dir)
    visitor.kill()  # wakes the keeper, which now stops the servers as well
    embedded.stop(var_dir)
    wait_for_the_end_of(background)
    assert processes_of(var_dir) == []


def test_stop_leaves_no_process_and_the_data_is_there_at_the_next_start(var_dir: Path) -> None:
    remember(var_dir, "kept")
    embedded.stop(var_dir)
    assert processes_of(var_dir) == []
    assert recall(var_dir) == ("kept", "kept")


def test_data_survives_a_killed_server(var_dir: Path) -> None:
    remember(var_dir, "survived")
    with redis.Redis.from_url(embedded.redis_url(var_dir)) as client:
        client.execute_command("WAITAOF", 1, 0, 5000)
    servers = [process for process in processes_of(var_dir) if "python" not in process.name()]
    assert len(servers) == 2
    for server in servers:
        os.kill(server.pid, signal.SIGKILL)
    wait_for_the_end_of(servers)
    assert recall(var_dir) == ("survived", "survived")


def test_a_process_id_written_by_a_dead_server_does_not_stop_the_start(var_dir: Path) -> None:
    remember(var_dir, "kept")
    embedded.stop(var_dir)
    # As after a reboot: the number now belongs to somebody else.
    left_over = var_dir / "postgres" / "postmaster.pid"
    left_over.write_text(f"{os.getpid()}\n{var_dir}/postgres\n0\n5432\n\n\n\n")
    assert recall(var_dir) == ("kept", "kept")


def test_a_path_too_long_for_a_socket_still_works(var_dir: Path) -> None:
    deep = var_dir / ("a long name " * 10) / "var"
    try:
        remember(deep, "found")
        embedded.stop(deep)
        assert recall(deep) == ("found", "found")
    finally:
        embedded.stop(deep)


def test_a_folder_that_cannot_be_used_is_refused_with_a_sentence(var_dir: Path) -> None:
    (var_dir / "file").write_text("not a folder")
    with pytest.raises(embedded.EmbeddedError, match="set VAR_DIR to a folder of your own"):
        embedded.database_url(var_dir / "file" / "var")


def test_data_of_another_postgresql_version_is_refused_and_left_alone(var_dir: Path) -> None:
    embedded.database_url(var_dir)
    embedded.stop(var_dir)
    (var_dir / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(embedded.EmbeddedError, match="was made by PostgreSQL 17"):
        embedded.database_url(var_dir)
    assert (var_dir / "postgres" / "base").is_dir()


def remember(var_dir: Path, word: str) -> None:
    with psycopg.connect(embedded.database_url(var_dir)) as connection:
        connection.execute("CREATE TABLE words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])
    with redis.Redis.from_url(embedded.redis_url(var_dir)) as client:
        client.set("word", word)


def recall(var_dir: Path) -> tuple[str, str]:
    with psycopg.connect(embedded.database_url(var_dir)) as connection:
        row = connection.execute("SELECT word FROM words").fetchone()
    with redis.Redis.from_url(embedded.redis_url(var_dir), decode_responses=True) as client:
        return (row[0] if row else "", str(client.get("word")))
