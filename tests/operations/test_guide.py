"""The guide for operators and the files under deploy/ say what the hub really reads and runs."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
GUIDE = (ROOT / "docs" / "operations.md").read_text()
NAME = re.compile(r"`([A-Z][A-Z_0-9]+)`")
BY_THE_LAUNCHER = {"SANDBOX_PORT"}


def read() -> set[str]:
    """Each name that the settings or the sandbox ask the environment for."""
    names = set(BY_THE_LAUNCHER)
    files = [ROOT / "brokerhub" / "settings.py", *(ROOT / "connections" / "sandbox").rglob("*.py")]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                asked = ast.unparse(node.func)
                if re.fullmatch(r"env\.\w+|os\.environ\.get", asked):
                    names.add(str(node.args[0].value))
    return names


def told() -> set[str]:
    table = GUIDE.partition("## Environment")[2].partition("\n## ")[0]
    return {name for line in table.splitlines() if line.startswith("| `") for name in NAME.findall(line.split("|")[1])}


def test_the_table_names_every_variable_that_is_read_and_no_other() -> None:
    assert len(read()) > 50
    assert told() == read()


def test_what_is_kept_for_how_long_is_told_with_the_days_that_hold() -> None:
    table = GUIDE.partition("## What is kept for how long")[2].partition("\n## ")[0]
    for name, days in settings.KEEP_DAYS.items():
        assert re.search(rf"\| `KEEP_{name.upper()}_DAYS` \| {days:g}\b", table), name


def test_the_example_of_the_environment_sets_variables_that_exist() -> None:
    lines = (DEPLOY / "hub.env.example").read_text().splitlines()
    names = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    assert names <= read()
    assert {"MODE", "SECRET_KEY", "CREDENTIALS_KEYS", "OIDC_SIGNING_KEY", "BASE_URL", "ALLOWED_HOSTS"} <= names


def commands() -> dict[str, dict[str, list[str]]]:
    """{where: {process: words}} of the launcher, the units, and the compose file with its image."""
    procfile = dict(line.split(": exec ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    units = {}
    for path in (DEPLOY / "systemd").glob("*.service"):
        [started] = re.findall(r"^ExecStart=/opt/brokerhub/.venv/bin/(.*)$", path.read_text(), re.M)
        units[re.sub(r"brokerhub-|@|\.service", "", path.name)] = shlex.split(started)
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    image = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.M)[0]
    contained = {name: compose[name].get("command") or yaml.safe_load(image) for name in ("web", "worker", "upkeep")}
    return {
        "Procfile": {name: shlex.split(line) for name, line in procfile.items() if name != "sandbox"},
        "systemd": units,
        "compose": contained,
    }


def test_every_way_to_run_the_hub_starts_the_same_processes_that_read_the_same_queues() -> None:
    places = commands()
    for processes in places.values():
        assert set(processes) == {"web", "worker", "upkeep"}
        upkeep, worker = processes["upkeep"], processes["worker"]
        assert upkeep[upkeep.index("--queues") + 1] == worker[worker.index("--exclude-queues") + 1]
        assert "--beat" in upkeep
        assert "--beat" not in worker
        for process in (upkeep, worker):
            assert "--hostname" in process, "two workers of one name hide each other"
        assert {"--preload", "--no-control-socket", "gthread"} <= set(processes["web"])


def test_the_units_start_with_the_target_and_run_as_nobody_special() -> None:
    for path in (DEPLOY / "systemd").glob("*.service"):
        unit = path.read_text()
        for line in ("PartOf=brokerhub.target", "WantedBy=brokerhub.target", "User=brokerhub", "Restart=always"):
            assert line in unit, (path.name, line)
        assert "EnvironmentFile=/etc/brokerhub/hub.env" in unit


def test_the_proxy_goes_on_asking_a_web_server_that_was_restarted_a_moment_ago() -> None:
    servers = re.findall(r"^\s+server (127.*);$", (DEPLOY / "nginx.conf").read_text(), re.M)
    assert len(servers) == 2
    assert all("max_fails=0" in server for server in servers)


def test_commands_in_the_guide_exist() -> None:
    from django.core.management import get_commands

    named = set(re.findall(r"manage\.py (\w+)", GUIDE))
    assert {"backup", "restore", "migrate", "check"} <= named
    assert named <= set(get_commands())
