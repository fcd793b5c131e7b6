from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from chimera_top.access import Access
from chimera_top.cli import COMMANDS
from chimera_top.config import Settings, load
from collectors.quality.items import load as items
from simulator.scenario import names

README = Path(__file__).parents[2].joinpath("README.md").read_text("utf-8")


def configuration() -> str:
    return README.split("```toml\n")[1].split("```")[0]


def test_the_configuration_of_the_readme_is_every_key_there_is() -> None:
    """With every line of it in force the configuration is valid, and no key is missing from it."""
    text = re.sub(r"^# (?=[a-z_]+ = )", "", configuration(), flags=re.MULTILINE)
    values = tomllib.loads(text)
    msgspec.convert(values, Settings)
    assert set(values) == set(Settings.__struct_fields__)


def test_a_table_of_the_readme_belongs_behind_its_configuration(tmp_path: Path) -> None:
    """Copied to the end of the file, it names one more server, and what goes to that alone."""
    table = README.split("```toml\n")[2].split("```")[0]
    path = tmp_path / "config.toml"
    path.write_text(configuration() + table, "utf-8")
    settings = load({"config": str(path)}, {})
    (access,) = settings.target
    assert settings.targets == (access.url,)
    assert set(tomllib.loads(table)["target"][0]) == set(Access.__struct_fields__)


def test_the_readme_counts_the_questions_that_there_are() -> None:
    """`--quality builtin` asks as many as it says."""
    assert f"asks {len(items('builtin').items)} small questions" in README


def test_what_is_in_force_in_the_readme_is_the_default() -> None:
    """Whoever copies the configuration as it stands changes nothing."""
    assert msgspec.convert(tomllib.loads(configuration()), Settings) == Settings()


def test_the_commands_and_scenarios_of_the_readme_exist() -> None:
    """Every `chimera-top COMMAND` in the README is one, and every scenario is named."""
    used = re.findall(r"^(?:.*bin/)?chimera-top +([a-z]+)\b", README, flags=re.MULTILINE)
    assert used
    assert set(used) - {"http"} <= set(COMMANDS)
    assert all(f"`{name}`" in README for name in names())
