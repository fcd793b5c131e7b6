from __future__ import annotations

import re
from importlib import resources
from random import Random
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.arrivals import Load
from simulator.faults import Fault, LoadChange
from simulator.lengths import Choice, Lognormal
from simulator.scenario import EngineConfig, GpuConfig, ScenarioError, Truth, Workload, load, names, parse

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


@pytest.mark.parametrize("name", names())
def test_bundled_scenarios_load(name: str) -> None:
    """Every scenario that comes with the program is valid, and says what is wrong: nothing before its fault begins."""
    scenario = load(name)
    assert scenario.name == name
    harmless = scenario.title.split("; ")[-1].startswith("nothing is wrong")
    assert harmless is (scenario.truth.risks == ())
    begins = min((fault.at for fault in scenario.faults), default=0.0)
    assert all(risk.since >= begins for risk in (*scenario.truth.risks, *scenario.truth.also))


def test_nothing_is_wrong_in_the_healthy_one() -> None:
    """What all others are held against has neither a fault nor anything to be found."""
    assert (load("healthy").faults, load("healthy").truth.risks) == ((), ())


RISKS = """model_overloading data_quality data_latency resource_overprovisioning quality_regression cache_saturation
gpu_oversubscription cache_inconsistency model_drift ttft_slo itl_slo stuck_server server_unreachable server_restart
error_rate preemption slot_cap prefix_cache_collapse cold_start replica_imbalance gpu_straggler thermal_throttle
power_cap hw_slowdown ecc_uncorrected row_remap xid gpu_lost driver_unresponsive pcie_degraded nvlink_degraded
host_cpu_starvation host_memory_pressure disk_pressure spec_decode_inefficient admission_rejections"""


def test_every_risk_that_a_machine_can_show_has_a_scenario() -> None:
    """Each has to be found somewhere; `monitor_degraded` alone is about the monitor, and no machine shows it."""
    found = {risk.id for name in names() for risk in load(name).truth.risks}
    assert set(RISKS.split()) - found == set()


def test_a_base_gives_what_a_file_does_not_say(tmp_path: Path) -> None:
    """Tables are laid over those of the base key by key; faults are replaced, title and truth are a file's own."""
    (tmp_path / "one.toml").write_text(
        VALID + "[[faults]]\nkind = 'freeze'\nat = 5\n[truth]\nrisks = [{ id = 'stuck_server', from = 5 }]\n"
    )
    (tmp_path / "two.toml").write_text("base = 'one.toml'\ntitle = 'Two'\n[engine]\nbase_ms = 7\n")
    one, two = load(str(tmp_path / "one.toml")), load(str(tmp_path / "two.toml"))
    assert two.title == "Two"
    assert (two.engine.base_ms, two.engine.per_sequence_ms) == (7.0, one.engine.per_sequence_ms)
    assert two.workload == one.workload
    assert two.faults == one.faults
    assert two.truth.risks == ()
    (tmp_path / "three.toml").write_text("base = 'one.toml'\ntitle = 'Three'\nfaults = []\n")
    assert load(str(tmp_path / "three.toml")).faults == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base = 'helthy'\n", "s.toml:1: base: no scenario 'helthy'; did you mean 'healthy'? Else give one of"),
        ("base = 3\n", "s.toml:1: base: it has to name a scenario or a file, and is 3"),
        (
            "base = 'overload'\n",
            "s.toml:1: base: overload has a base itself (healthy): name that, and say the rest here",
        ),
        ("base = 'healthy'\n", "s.toml: title is missing"),
        (
            "base = 'healthy'\ntitle = 'A'\n\n[workload]\nmax_tokens = 0\n",
            "s.toml:5: workload.max_tokens: Expected `int` >= 1, got 0",
        ),
        (
            "base = 'healthy'\ntitle = 'A'\n[[faults]]\nkind = 'freeze'\nat = 1\n[[faults]]\nkind = 'slow'\nat = '3'\n",
            "s.toml:8: faults[1].at: Expected `float`, got `str`",
        ),
        (
            "base = 'healthy'\ntitle = 'A'\n[truth]\nrisks = [{ id = 'xid', from = 99 }]\n",
            "s.toml:3: truth: xid is there only after watch_seconds, when nobody watches any more",
        ),
    ],
)
def test_an_error_of_a_file_with_a_base_is_told_of_the_file(text: str, message: str) -> None:
    """Whoever wrote the few lines is told which of them it is."""
    with pytest.raises(ScenarioError) as caught:
        parse(text, "s.toml", "s")
    assert str(caught.value).startswith(message)


FAULT = "[[faults]]\nat = 3\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("[workload]\nrequests_per_second = nan", "4: workload.requests_per_second: Expected `float` >= 0.0, got nan"),
        ("[engine]\nbase_ms = inf", "4: engine.base_ms: Expected `float` <= 1000000.0, got inf"),
        ("[workload]\nrequests_per_second = 1e12", "4: workload.requests_per_second: Expected `float` <= 10000.0"),
        ("[gpus]\ncount = 100000000", "4: gpus.count: Expected `int` <= 1000, got 100000000"),
        ("[truth]\nwatch_seconds = inf", "4: truth.watch_seconds: Expected `float` <= 10000000.0, got inf"),
        ("[truth]\npoll_seconds = 0", "4: truth.poll_seconds: Expected `float` >= 0.01, got 0"),
        (FAULT + "kind = 'load'\nmultiplier = -2", "6: faults[0].multiplier: Expected `float` >= 0.0, got -2"),
        (FAULT + "kind = 'clock'\ngpu = 0\nmhz = 0", "7: faults[0].mhz: Expected `float` > 0.0, got 0"),
        (FAULT + "kind = 'errors'\nshare = 7", "6: faults[0].share: Expected `float` <= 1.0, got 7"),
        (FAULT + "kind = 'burst'\nrequests = 1\nevery = 1e-9", "7: faults[0].every: is 1e-09: give at least 0.1 s, or"),
        (FAULT + "kind = 'freeze'\nseconds = -4", "6: faults[0].seconds: Expected `float` >= 0.0, got -4"),
        (
            FAULT
            + "kind = 'shift'\nshared_prefix_share = 0.5\n[workload]\nshared_prefixes = 0\nshared_prefix_share = 0",
            "6: faults[0].shared_prefix_share: above 0 needs shared_prefixes of at least 1 in the workload",
        ),
        (
            2 * (FAULT + "kind = 'neighbour'\ngpu = 0\nmemory_gib = 1\nshare = 0.7\n"),
            "8: faults[0].share: those of the neighbours on GPU 0 add up to 1.4",
        ),
        ("[engine]\nmax_seqs = 3", "4: engine.max_seqs: there is no such key"),
        ("colour = 3", "3: colour: there is no such key"),
        ("engine = 3", "3: engine: Expected `object`, got `int`"),
        ("[workload]\nmax_tokens = 3\nmax_tokens = 4", "5: no valid TOML: Cannot overwrite a value"),
    ],
)
def test_what_no_machine_is_like_is_refused_with_its_line(lines: str, message: str) -> None:
    """A number that is none, or that nothing real has, would end in a traceback or in no end at all."""
    with pytest.raises(ScenarioError) as caught:
        parse(f"base = 'healthy'\ntitle = 'A'\n{lines}\n", "s.toml", "s")
    assert str(caught.value).startswith(f"s.toml:{message}")
    assert "\n" not in str(caught.value)


def test_an_error_of_the_base_is_told_of_both(tmp_path: Path) -> None:
    """Of a base that is not there, and of one that is no TOML: where it is named, and what is wrong with it."""
    (tmp_path / "mine.toml").write_text("title = 'A'\nbase = 'below.toml'\n")
    with pytest.raises(ScenarioError, match=r"mine\.toml:2: base: .*below\.toml: cannot be read: No such file"):
        load(str(tmp_path / "mine.toml"))
    (tmp_path / "below.toml").write_text("title = 'B'\n\n[engine\n")
    with pytest.raises(ScenarioError, match=r"mine\.toml:2: base: below\.toml:3: no valid TOML"):
        load(str(tmp_path / "mine.toml"))


@settings(max_examples=60, deadline=None)
@given(
    key=st.sampled_from(
        ["requests_per_second", "max_tokens", "shared_prefixes", "shared_prefix_tokens", "shared_prefix_share"]
    ),
    value=st.one_of(st.floats(), st.integers(), st.booleans(), st.text(alphabet="ab", max_size=3)),
)
def test_any_value_is_taken_or_refused_in_one_line(key: str, value: float | str) -> None:
    """Whatever stands there: a scenario that can be simulated, or one line."""
    written = str(value).lower() if isinstance(value, bool) else repr(value)
    said = ""
    try:
        assert parse(f"base = 'healthy'\ntitle = 'A'\n[workload]\n{key} = {written}\n", "s.toml", "s").name == "s"
    except ScenarioError as error:
        said = str(error)
    assert re.fullmatch(r"(s\.toml:\d+: .+)?", said)


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
        ("base_ms = 5", "base_ms = 'five'", "s.toml:6: engine.base_ms: Expected `float`, got `str`"),
        ("base_ms = 5", "base_ms = 0", "s.toml:6: engine.base_ms: Expected `float` > 0.0, got 0"),
        ("base_ms = 5", "base_ms =", "s.toml:6: no valid TOML: Invalid value"),
        ("model = ", "modle = ", "s.toml:4: engine.modle: there is no such key"),
        ("count = 2\n", "", "s.toml:17: gpus: count is missing"),
        ("count = 2", "count = 1", "s.toml:19: gpus.tensor_parallel: is 2, above count, which is 1"),
        ("[gpus]", "[[faults]]\nkind='flood'\nat=1\n[gpus]", "s.toml:18: faults[0].kind: Invalid value 'flood'"),
        (
            "[gpus]",
            "[[faults]]\nkind='cooling_loss'\nat=1\nfactor=2\ngpu=2\n[gpus]",
            "s.toml:21: faults[0].gpu: there is no GPU 2, there are 2",
        ),
        (
            "[gpus]",
            "[[faults]]\nkind='freeze'\nat=-1\nseconds=2\n[gpus]",
            "s.toml:19: faults[0].at: is -1.0: it lies in the warm-up, which nobody sees",
        ),
        (
            "num_gpu_blocks = 100",
            "num_gpu_blocks = 63",
            "s.toml:11: engine.num_gpu_blocks: must hold one sequence of max_model_len tokens, and one block more",
        ),
        ("of = [10, 20]", "of = []", "s.toml:14: workload.prompt_tokens.of: Expected `array` of length >= 1"),
        ("median = 20", "median = -1", "s.toml:15: workload.output_tokens.median: Expected `float` > 0.0, got -1"),
        ("max_tokens = 64", "max_tokens = 0", "s.toml:16: workload.max_tokens: Expected `int` >= 1, got 0"),
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
    with pytest.raises(
        ScenarioError, match=r"no scenario 'helthy'; did you mean 'healthy'\? Else give one of .*xid, or the path"
    ):
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


def test_the_documentation_names_every_scenario_and_every_key() -> None:
    """Whoever writes a file finds each key and each kind of fault in the README beside them, and each example."""
    text = resources.files("simulator").joinpath("scenarios", "README.md").read_text("utf-8")
    for name in names():
        scenario = load(name)
        assert f"| `{name}` | {scenario.title} |" in text
        assert all(f"`{risk.id}` ({risk.since:g} s)" in text for risk in scenario.truth.risks)
    kinds = {kind.__struct_config__.tag: kind for kind in get_args(Fault)}
    for tag, kind in kinds.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{tag}` |"))
        assert all(f"`{key}`" in row for key in kind.__struct_fields__ if key != "at")
    for table in (EngineConfig, Workload, GpuConfig, Truth):
        assert all(f"`{key}`" in text for key in table.__struct_fields__)


def test_the_worked_example_of_the_documentation_is_a_scenario() -> None:
    """It can be copied as it stands."""
    text = resources.files("simulator").joinpath("scenarios", "README.md").read_text("utf-8")
    example = parse(text.split("```toml\n")[1].split("```")[0], "example.toml", "example")
    assert example.truth.risks[0].since == example.faults[0].at
