"""The evaluation itself: what it counts, what it prints, and when it says that something was missed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from simulator.scenario import load
from tests.evaluation import health
from tests.evaluation.labels import Found, Run, Wrong, judge, leads, scores
from tests.evaluation.live import Live
from tests.evaluation.tables import health_table, mistakes, rules_table

ROOT = Path(__file__).parents[2]


def run(seed: int, *seconds: float, risk: str = "xid", critical: bool = False, wrong: bool = False) -> Run:
    found = tuple(Found(risk, each, critical) for each in seconds)
    missed = () if seconds else (risk,)
    return Run("s", seed, found, missed, (), (Wrong("itl_slo", 7.0, "http://a", "p95 1 s"),) if wrong else ())


def test_recall_and_times_are_those_of_the_runs() -> None:
    """Nineteen of twenty are enough, eighteen are not; a median above its limit is missed as well."""
    (nineteen,) = scores([*(run(seed, float(seed)) for seed in range(19)), run(20)])
    assert (nineteen.found, nineteen.runs, nineteen.median, nineteen.p95) == (19, 20, 9.0, 18.0)
    assert nineteen.holds
    assert not scores([*(run(seed, 1.0) for seed in range(18)), run(19), run(20)])[0].holds
    assert not scores([run(1, 31.0)])[0].holds
    assert scores([run(1, 20.0)])[0].holds
    assert not scores([run(1, 20.0, critical=True)])[0].holds
    assert scores([run(1, 400.0, risk="quality_regression", critical=True)])[0].holds


def test_false_alarms_are_counted_and_told() -> None:
    """Each with its seed, its second and what the rule said."""
    runs = [run(1, 2.0), run(2, 2.0, wrong=True)]
    (itl, xid) = scores(runs)
    assert (itl.risk, itl.precision, itl.recall, itl.holds) == ("itl_slo", 0.0, None, False)
    assert xid.holds
    assert list(mistakes(runs)) == ["- s, seed 2, second 7: `itl_slo` of http://a: p95 1 s"]
    table = "\n".join(rules_table(runs))
    assert "| `itl_slo` |  |  | 1 |  |  |  | missed |" in table
    assert "| `xid` | s | 2 of 2 | 0 | 2 s | 2 s | 30 s |  |" in table
    assert "Recall 1.000 (to reach 0.95), precision 0.667" in table
    assert "| s | 2 | 1 |" in health_table(runs)


def test_a_verdict_that_names_a_consequence_is_told() -> None:
    """Nineteen of twenty have to name a risk of the truth; a run in which none of them fires any more is not asked."""
    right, wrong = replace(run(1, 2.0), first="xid", led=True), replace(run(2, 2.0), first="ttft_slo", led=False)
    assert leads([right] * 19 + [wrong, run(3, 2.0)])
    assert not leads([right] * 18 + [wrong, wrong])
    assert list(mistakes([right, wrong])) == ["- s, seed 2: the verdict names `ttft_slo`"]
    assert "in 0.500 of 2 runs (to reach 0.95)" in "\n".join(rules_table([right, wrong]))
    judged = judge(load("errors"), seed=1)
    assert (judged.first, judged.led) == ("error_rate", True)


@pytest.mark.parametrize("name", ["load 80 %", "long answers", "two replicas"])
def test_nothing_fires_where_nothing_is_wrong(name: str) -> None:
    """Some of the healthy servers, for their first minute and a half; the evaluation watches all, for hours."""
    assert judge(health.VARIANTS[name](), seed=2, asked=True).wrong == ()


def test_at_home_the_command_line_is_known() -> None:
    """From the server's own host its flags, its limit and its processes are seen; from elsewhere they are not."""
    scenario = health.VARIANTS["two replicas"]()
    for at_home in (True, False):
        live = Live(scenario, 1, at_home=at_home)
        next(live.watch())
        source = live.view.of("http://127.0.0.1:8000")
        assert source.facts.get("flag_max_num_seqs") == ("128" if at_home else None)
        assert source.gauge("max_running_requests") == (256.0 if at_home else None)
        assert len(source.newest.processes) == (8 if at_home else 0)


def test_it_prints_a_table_and_exits_with_what_came_of_it() -> None:
    """One scenario and one seed take a second: the row is there, and nothing was missed."""
    command = [sys.executable, "-m", "tests.evaluation", "--part", "rules", "--scenario", "stuck", "--seeds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| `stuck_server` | stuck | 1 of 1 | 0 |" in done.stdout


def evaluate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.evaluation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


FREEZE = "base = 'healthy'\ntitle = 'A'\n[[faults]]\nkind = 'freeze'\nat = 20\n[truth]\nwatch_seconds = 45\n"


def test_the_files_of_a_folder_are_held_against_the_rules(tmp_path: Path) -> None:
    """Each that has a truth, and no base of others; what is not found in them is told."""
    (tmp_path / "mine.toml").write_text(FREEZE + "risks = [{ id = 'stuck_server', from = 20 }]\n")
    (tmp_path / "base.toml").write_text("title = 'Only a base'\n")
    done = evaluate("--scenarios", str(tmp_path), "--seeds", "1")
    assert done.returncode == 0, done.stderr
    assert "| `stuck_server` | mine | 1 of 1 | 0 |" in done.stdout
    (tmp_path / "mine.toml").write_text(FREEZE + "risks = [{ id = 'xid', from = 20 }]\n")
    done = evaluate("--scenarios", str(tmp_path), "--seeds", "1")
    assert done.returncode == 1
    assert "- mine, seed 1: `xid` was not found" in done.stdout


def test_files_that_cannot_be_judged_are_told_before_any_is_run(tmp_path: Path) -> None:
    """A truth of no risk, a fault that never comes, text that is no scenario: one line each, and exit code 2."""
    (tmp_path / "a.toml").write_text(FREEZE + "risks = [{ id = 'stuck_srver', from = 20 }]\n")
    (tmp_path / "b.toml").write_text(FREEZE.replace("20", "200"))
    (tmp_path / "c.toml").write_text(FREEZE.replace("'freeze'", "'meteor'"))
    done = evaluate("--scenarios", str(tmp_path))
    assert done.returncode == 2
    assert [line.split(str(tmp_path))[1] for line in done.stderr.splitlines()] == [
        "/a.toml:8: truth.risks: no risk 'stuck_srver'; did you mean 'stuck_server'?",
        "/b.toml:5: faults[0].at: is 200, when nobody watches any more (watch_seconds = 45)",
        "/c.toml:4: faults[0].kind: Invalid value 'meteor'",
    ]


@pytest.mark.parametrize("folder", ["empty", "none"])
def test_a_folder_without_scenarios_is_refused(tmp_path: Path, folder: str) -> None:
    """One that is empty, and one that is not there: a line, and exit code 2."""
    (tmp_path / "empty").mkdir()
    done = evaluate("--scenarios", str(tmp_path / folder))
    assert (done.returncode, done.stderr.count("\n"), "Traceback" in done.stderr) == (2, 1, False)
