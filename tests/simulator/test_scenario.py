from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from simulator.arrivals import Load
from simulator.faults import LoadChange
from simulator.lengths import Choice, Lognormal
from simulator.scenario import ScenarioError, load, names, parse

if TYPE_CHECKING:
    from pathlib import Path

VALID = """
title = "A test"
[engine]
model = "m"
max_model_len = 1000
base_ms = 5
per_sequence_ms = 0.1
per_prompt_token_ms = 0.02
max_num_seqs = 8
max_num_batched_tokens = 512
num_gpu_blocks = 100
[workload]
requests_per_second = 1
prompt_tokens = { distribution = "choice", of = [10, 20] }
output_tokens = { distribution = "lognormal", median = 20, sigma = 0.5 }
max_tokens = 64
[gpus]
count = 2
tensor_parallel = 2
memory_used_gib = 70
"""


@pytest.mark.parametrize("name", ["cache_pressure", "healthy", "overload", "restart", "stuck", "thermal_throttle"])
def test_bundled_scenarios_load(name: str) -> None:
    """Every scenario that comes with the program is listed and valid, and says what is wrong from when."""
    assert name in names()
    scenario = load(name)
    assert scenario.name == name
    assert bool(scenario.truth.risks) == bool(scenario.faults)
    begins = min((fault.at for fault in scenario.faults), default=0.0)
    assert all(risk.since >= begins for risk in scenario.truth.risks)


def test_names_lists_exactly_what_loads() -> None:
    """No other file is taken for a scenario."""
    assert [load(name).name for name in names()] == list(names())


def test_a_file_of_ones_own_loads_by_its_path(tmp_path: Path) -> None:
    """A scenario from a file is named after the file, and whole numbers do where fractions may stand."""
    path = tmp_path / "mine.toml"
    path.write_text(VALID)
    scenario = load(str(path))
    assert (scenario.name, scenario.engine.base_ms, scenario.faults) == ("mine", 5.0, ())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("base_ms = 5", "base_ms = 'five'", "s.toml: engine.base_ms: Expected `float`, got `str`"),
        ("base_ms = 5", "base_ms = 0", "s.toml: engine: base_ms is 0.0, it must be above 0"),
        ("base_ms = 5", "base_ms =", "s.toml: no valid TOML: Invalid value (at line 6, column 10)"),
        ("model = ", "modle = ", "s.toml: engine: Object contains unknown field `modle`"),
        ("count = 2\n", "", "s.toml: gpus: Object missing required field `count`"),
        ("count = 2", "count = 1", "s.toml: gpus: tensor_parallel must lie between 1 and count"),
        ("[gpus]", "[[faults]]\nkind='flood'\nat=1\n[gpus]", "s.toml: faults[0].kind: Invalid value 'flood'"),
        (
            "[gpus]",
            "[[faults]]\nkind='cooling_loss'\nat=1\nfactor=2\ngpu=2\n[gpus]",
            "s.toml: a fault names GPU 2, there are 2",
        ),
        (
            "[gpus]",
            "[[faults]]\nkind='freeze'\nat=-1\nseconds=2\n[gpus]",
            "s.toml: faults[0]: at is -1.0: it lies in the warm-up, which nobody sees",
        ),
        (
            "num_gpu_blocks = 100",
            "num_gpu_blocks = 63",
            "s.toml: engine: num_gpu_blocks must hold one sequence of max_model_len tokens, and one block more",
        ),
        ("of = [10, 20]", "of = []", "s.toml: workload.prompt_tokens: a choice needs at least one number of tokens"),
        ("median = 20", "median = -1", "s.toml: workload.output_tokens: a lognormal needs median above 0"),
        ("max_tokens = 64", "max_tokens = 0", "s.toml: workload: max_tokens must be at least 1"),
    ],
)
def test_an_error_names_file_key_and_reason(before: str, after: str, message: str) -> None:
    """What cannot be used is refused in one line that says where and why."""
    with pytest.raises(ScenarioError) as caught:
        parse(VALID.replace(before, after, 1), "s.toml", "s")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known() -> None:
    """A name that is none says which there are."""
    with pytest.raises(ScenarioError, match=r"no scenario 'helthy': give one of .*healthy.*, or the path"):
        load("helthy")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """A missing file, a folder, and a file that is no text are each one line."""
    with pytest.raises(ScenarioError, match=r"none\.toml: cannot be read: No such file"):
        load(str(tmp_path / "none.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ScenarioError, match="Is a directory"):
        load(str(tmp_path / "folder.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load(str(tmp_path / "bytes.toml"))


def test_lengths_keep_their_bounds() -> None:
    """A lognormal has its median where it says and never leaves its bounds; a choice gives only what it lists."""
    random = Random(1)
    drawn = sorted(Lognormal(median=100, sigma=1.0, least=10, most=1000).draw(random) for _ in range(4001))
    assert drawn[0] >= 10
    assert drawn[-1] <= 1000
    assert 90 <= drawn[2000] <= 110
    assert {Choice((3, 7)).draw(random) for _ in range(100)} == {3, 7}


def test_load_steps_and_ramps() -> None:
    """The multiplier is 1 before any change and holds between changes; a ramp goes straight from one to the next."""
    changing = Load([LoadChange(at=30.0, multiplier=1.0), LoadChange(at=10.0, multiplier=3.0, over=10.0)])
    assert [changing.at(second) for second in (0, 9.9, 10, 15, 20, 29.9, 30, 99)] == [1, 1, 1, 2, 3, 3, 1, 1]
    assert changing.most == 3.0
