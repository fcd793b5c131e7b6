from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("textual", "rich", "aiohttp", "pynvml", "psutil")


def loaded(program: str) -> set[str]:
    """Run a program in a process of its own and return the top-level names of what it imported."""
    code = f"import sys\n{program}\nprint('\\n'.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_the_layers_hold() -> None:
    """Every import points down, as the contracts in pyproject.toml say."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_version_is_told_without_importing_anything_heavy() -> None:
    """`--version` loads neither the screen nor the network nor a driver."""
    program = "from chimera_top.cli import run\ntry:\n    run(['--version'])\nexcept SystemExit:\n    pass"
    assert not loaded(program) & {*HEAVY, "asyncio", "msgspec", "ssl"}


def test_a_report_never_loads_the_screen() -> None:
    """Headless commands do without Textual; a report on a recording also without the network and the drivers."""
    modules = "chimera_top.commands.report, chimera_top.commands.check, chimera_top.lookback, insight.report"
    assert not loaded(f"import {modules}") & set(HEAVY)
    assert "textual" not in loaded("import chimera_top.watch, chimera_top.commands.record, chimera_top.sources")


@pytest.mark.parametrize(
    ("packages", "forbidden"),
    [
        ("metrics", {*HEAVY, "asyncio", "socket", "collectors", "insight", "tui", "simulator", "chimera_top"}),
        ("insight", {*HEAVY, "asyncio", "socket", "collectors", "tui", "simulator", "chimera_top"}),
        ("tui", {"aiohttp", "pynvml", "psutil", "collectors", "simulator", "chimera_top"}),
        ("collectors", {"textual", "rich", "insight", "tui", "simulator", "chimera_top"}),
        ("simulator", {"textual", "rich", "pynvml", "psutil", "collectors", "insight", "tui", "chimera_top"}),
    ],
)
def test_a_layer_loads_nothing_above_it(packages: str, forbidden: set[str]) -> None:
    """At run time too, with every module of a layer imported, nothing that it must not know is loaded."""
    program = (
        f"import importlib, pkgutil, {packages}\n"
        f"for each in pkgutil.walk_packages({packages}.__path__, '{packages}.'): importlib.import_module(each.name)"
    )
    assert not loaded(program) & forbidden


def test_collectors_import_the_network_and_the_drivers_late() -> None:
    """The first frame is painted before aiohttp, pynvml and psutil are loaded: what is made before it needs none."""
    modules = "chimera_top.commands.live, chimera_top.session, chimera_top.sources, collectors.server, collectors.gpus"
    assert not loaded(f"import {modules}") & {"aiohttp", "pynvml", "psutil"}
