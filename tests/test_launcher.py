"""`make run`'s launcher: what it refuses and how, and that it leaves nothing behind however it ends."""

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from brokerhub import launcher
from brokerhub.embedded_servers import wait_until
from brokerhub.launcher_checks import CannotStart, check_database, check_port, check_redis, port_of

REPOSITORY = Path(__file__).resolve().parent.parent
PASSWORD = "hunter2-canary"

# Three processes: one with a child of its own that ignores SIGTERM, a web server, and one as the test wants it.
SUPERVISED = """
import sys
from pathlib import Path
from brokerhub.supervisor import Supervisor
port, third = int(sys.argv[1]), sys.argv[2]
first = [sys.executable, "-c", "print('first done')"]
supervisor = Supervisor({}, ports=[port], first=first, ready="all is up", back_off=(0, 0, 0))
supervisor.add_process("stubborn", "(trap '' TERM; exec sleep 1000) & exec sleep 1000")
supervisor.add_process("web", f"exec {sys.executable} -m http.server --bind 127.0.0.1 {port}")
supervisor.add_process("third", third)
sys.exit(supervisor.run())
"""


@pytest.fixture
def var_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="brokerhub-launcher-")).resolve()
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def run(var_dir: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python with `arguments`; everything it starts can be told by HUB_TEST in its environment."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env=bare_environment() | {"VAR_DIR": str(var_dir), "HUB_TEST": str(var_dir)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_heed_hangups,  # under nohup the tests themselves ignore them, and their children would too
        )
        started.append(process)
        return process

    yield start
    for left in left_behind(var_dir):
        left.kill()
    for process in started:
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _heed_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def bare_environment() -> dict[str, str]:
    """As a user's shell: without what the tests set for the hub."""
    names = {"DATABASE_URL", "REDIS_URL", "BROKERS_SANDBOX_URL", "SANDBOX_PORT", *launcher.SANDBOX_APP}
    return {name: value for name, value in os.environ.items() if name not in names and not name.startswith("DJANGO_")}


def left_behind(var_dir: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get("HUB_TEST") == str(var_dir) or str(var_dir) in " ".join(process.cmdline())
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue  # ended meanwhile, or somebody else's
    return found


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return "".join(said)
    raise AssertionError(f"it ended without saying {words!r}, but: {''.join(said)}")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_a_taken_port_is_refused_in_one_sentence(
    run: Callable[..., subprocess.Popen[str]], var_dir: Path, taken_port: int, name: str
) -> None:
    other = {"PORT": "SANDBOX_PORT", "SANDBOX_PORT": "PORT"}[name]
    process = run("-m", "brokerhub.launcher", **{name: str(taken_port), other: str(free_port())})
    said, _ = process.communicate()
    assert process.returncode == 1
    assert said == (
        f"The hub cannot start: port {taken_port} is taken by another program; choose another, such as "
        f"{name}={taken_port + 1} make run.\n"
    )
    assert left_behind(var_dir) == []


def test_an_unreachable_database_is_refused_in_one_sentence_without_its_password(
    run: Callable[..., subprocess.Popen[str]], var_dir: Path
) -> None:
    port = free_port()
    process = run(
        "-m",
        "brokerhub.launcher",
        PORT=str(free_port()),
        SANDBOX_PORT=str(free_port()),
        DATABASE_URL=f"postgresql://hub:{PASSWORD}@127.0.0.1:{port}/hub",
    )
    said, _ = process.communicate()
    assert process.returncode == 1
    assert said == f"The hub cannot start: no PostgreSQL answers at 127.0.0.1:{port} (DATABASE_URL).\n"
    assert left_behind(var_dir) == []


def test_a_database_that_does_not_exist_is_named_without_the_password() -> None:
    url = os.environ["DATABASE_URL"].replace("brokerhub@/brokerhub", f"brokerhub:{PASSWORD}@/nowhere")
    with pytest.raises(CannotStart, match=r'refuses: database "nowhere" does not exist') as refusal:
        check_database(url)
    assert PASSWORD not in str(refusal.value)


@pytest.mark.parametrize("url", [f"postgresql://hub:{PASSWORD}@[/hub", f"mysql://hub:{PASSWORD}@127.0.0.1/hub"])
def test_a_malformed_database_url_is_explained_without_quoting_it(url: str) -> None:
    with pytest.raises(CannotStart, match="DATABASE_URL must look like") as refusal:
        check_database(url)
    assert PASSWORD not in str(refusal.value)


def test_an_unreachable_redis_is_refused_without_its_password() -> None:
    port = free_port()
    with pytest.raises(CannotStart) as refusal:
        check_redis(f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    assert str(refusal.value) == f"no Redis answers at 127.0.0.1:{port} (REDIS_URL)."


@pytest.mark.parametrize("url", [f"http://:{PASSWORD}@127.0.0.1/0", f"redis://:{PASSWORD}@127.0.0.1:port/0"])
def test_a_malformed_redis_url_is_explained_without_quoting_it(url: str) -> None:
    with pytest.raises(CannotStart, match="REDIS_URL must look like") as refusal:
        check_redis(url)
    assert PASSWORD not in str(refusal.value)


def test_servers_that_answer_are_accepted() -> None:
    check_database(os.environ["DATABASE_URL"])
    check_redis(os.environ["REDIS_URL"])
    check_port("PORT", free_port())


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(CannotStart, match="PORT must be a number from 1 to 65535"):
        port_of({"PORT": text}, "PORT", 8000)


def test_a_second_hub_on_the_same_folder_is_refused(var_dir: Path) -> None:
    with ExitStack() as first, ExitStack() as second:
        launcher.claim(var_dir, first)
        with pytest.raises(CannotStart, match="already running"):
            launcher.claim(var_dir, second)
    with ExitStack() as third:
        launcher.claim(var_dir, third)


def test_the_sandbox_stands_in_for_brokers_by_default() -> None:
    environment = launcher.children_environment({}, 8001, 8901)
    assert environment["BROKERS_SANDBOX_URL"] == "http://127.0.0.1:8901"
    assert environment["SANDBOX_SCHWAB_CALLBACKS"].split(",")[1] == "http://127.0.0.1:8001/connections/callback/schwab"
    assert environment["SANDBOX_IBKR_CALLBACKS"] == "http://127.0.0.1:8001/connections/callback/ibkr"
    assert Path(environment["IBKR_SIGNING_KEY"]).parent == Path(environment["SANDBOX_IBKR_KEYS"])
    assert environment["SCHWAB_APP_KEY"] == "sandbox0schwab0app0key0000000001"
    assert launcher.uses_own_sandbox(environment)


@pytest.mark.parametrize("given", [{"SCHWAB_APP_KEY": "mine", "SCHWAB_APP_SECRET": "own"}, {"MODE": "production"}])
def test_an_app_of_ones_own_and_production_mean_the_real_broker(given: dict[str, str]) -> None:
    environment = launcher.children_environment(given, 8000, 8900)
    assert environment["BROKERS_SANDBOX_URL"] == ""
    assert environment.get("SCHWAB_APP_KEY") == given.get("SCHWAB_APP_KEY")
    assert not launcher.uses_own_sandbox(environment)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process_also_grandchildren_that_ignore_it(
    run: Callable[..., subprocess.Popen[str]], var_dir: Path, how: signal.Signals
) -> None:
    process = run("-c", SUPERVISED, str(free_port()), "exec sleep 1000")
    assert "first done" in read_until(process, "all is up")
    process.send_signal(how)
    process.communicate()
    assert process.returncode == 0
    assert left_behind(var_dir) == []


def test_a_signal_that_comes_before_any_process_has_told_its_number_ends_all_the_same(
    run: Callable[..., subprocess.Popen[str]], var_dir: Path
) -> None:
    asked_at_once = SUPERVISED.replace(
        "supervisor = Supervisor(",
        "import os, signal\n"
        "class Hurried(Supervisor):\n"
        "    def _start(self):\n"
        "        super()._start()\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "supervisor = Hurried(",
    )
    process = run("-c", asked_at_once, str(free_port()), "exec sleep 1000")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert left_behind(var_dir) == []


def test_a_closed_terminal_ends_every_process_though_nobody_passes_the_signal_on(
    run: Callable[..., subprocess.Popen[str]], var_dir: Path
) -> None:
    ours, theirs = pty.openpty()
    process = run("-c", SUPERVISED, str(free_port()), "exec sleep 1000", stdout=theirs)
    os.close(theirs)
    said = b""
    while b"all is up" not in said:
        said += os.read(ours, 1024)
    os.close(ours)
    process.wait()
    assert left_behind(var_dir) == []


def test_a_process_that_dies_at_the_start_ends_all_and_is_named_with_its_words(
    run: Callable[..., subprocess.Popen[str]], var_dir: Path
) -> None:
    process = run("-c", SUPERVISED, str(free_port()), "echo no such thing; exit 3")
    said, _ = process.communicate()
    assert process.returncode == 3
    assert "The hub stops, because third ended with exit code 3. It said last:\n  no such thing" in said
    assert left_behind(var_dir) == []


def sleeping(var_dir: Path, seconds: str) -> psutil.Process:
    """The one process that sleeps for so long, once there is exactly one."""
    found: list[psutil.Process] = []

    def is_one() -> bool:
        found[:] = [each for each in left_behind(var_dir) if each.cmdline() == ["sleep", seconds]]
        return len(found) == 1

    assert wait_until(is_one, 30), found
    return found[0]


def test_a_process_that_crashes_while_the_hub_is_up_is_started_again_and_ends_with_the_others(
    run: Callable[..., subprocess.Popen[str]], var_dir: Path
) -> None:
    process = run("-c", SUPERVISED, str(free_port()), "echo here; (trap '' TERM; exec sleep 3000) & exec sleep 2000")
    read_until(process, "all is up")
    first = sleeping(var_dir, "2000")
    first.kill()
    read_until(process, "ended with exit code -9; it is started again")
    read_until(process, "here")
    second = sleeping(var_dir, "2000")
    assert second.pid != first.pid
    assert sleeping(var_dir, "3000").ppid() == second.pid, "what the killed one left is gone"
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0
    assert left_behind(var_dir) == []


def test_a_process_that_crashes_again_and_again_ends_the_hub_with_its_last_words(
    run: Callable[..., subprocess.Popen[str]], var_dir: Path
) -> None:
    once = f"test -e {var_dir}/again && echo no such thing && exit 3; touch {var_dir}/again; exec sleep 2000"
    process = run("-c", SUPERVISED, str(free_port()), once)
    read_until(process, "all is up")
    sleeping(var_dir, "2000").kill()
    said, _ = process.communicate()
    assert process.returncode == 3
    assert said.count("it is started again in 0 s") == 2 * 3, "as it happens, and among the last words"
    assert "The hub stops, because third ended with exit code 3. It said last:\n" in said
    assert said.rstrip().endswith("no such thing")
    assert left_behind(var_dir) == []


def test_a_killed_supervisor_leaves_no_process(run: Callable[..., subprocess.Popen[str]], var_dir: Path) -> None:
    process = run("-c", SUPERVISED, str(free_port()), "exec sleep 2000")
    read_until(process, "all is up")
    before = left_behind(var_dir)
    process.kill()
    process.communicate()  # its output is open for as long as somebody could still write to it
    _, left = psutil.wait_procs(before, timeout=30)
    assert left == []


def test_the_hub_starts_and_ctrl_c_leaves_no_process(run: Callable[..., subprocess.Popen[str]], var_dir: Path) -> None:
    port = free_port()
    process = run("-m", "brokerhub.launcher", PORT=str(port), SANDBOX_PORT=str(free_port()))
    said = read_until(process, "Press Ctrl-C to stop it.")
    assert f"The hub is at http://127.0.0.1:{port}" in said
    assert "demo@example.com" in said
    programs = " ".join(" ".join(each.cmdline()) for each in left_behind(var_dir))
    for program in (
        "gunicorn",
        "worker",
        "beat",
        "manage.py sandbox",
        "postgres",
        "valkey-server",
        "brokerhub.embedded",
    ):
        assert program in programs
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0
    assert left_behind(var_dir) == []
