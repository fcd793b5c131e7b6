"""`chimera-top compare` on recordings of a simulated server and on reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from chimera_top.cli import run
from metrics.recording import HEADER
from metrics.sample import Sample, Source
from tests.compared import OTHER_DAY, WALL, healthy, marked, recorded, seen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 360
OFF = {"enable_prefix_caching": False}


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the settings nor the ledger of whoever runs the tests are touched."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings that all tests read: with the cache, again, without it, and all in one with a mark between."""
    folder = tmp_path_factory.mktemp("recordings")
    on = list(seen(healthy(), SECONDS, 1))
    off = list(seen(healthy(**OFF), SECONDS, 2, WALL + OTHER_DAY))
    recorded(folder / "on.rec", on)
    recorded(folder / "again.rec", seen(healthy(), SECONDS, 3, WALL + 2 * OTHER_DAY))
    recorded(folder / "off.rec", off)
    recorded(folder / "both.rec", on)
    recorded(folder / "both.rec", marked(off, (1.0, "cache off"), (200.0, "lunch"), (300.0, "lunch again")))
    recorded(folder / "short.rec", on[:20])
    changed_twice(folder / "twice.rec")
    return folder


def changed_twice(path: Path) -> None:
    """Record a server whose cache is turned off after a mark, and on again: each time it begins anew a while later."""
    began = WALL
    for caching, text in ((True, "cache off"), (False, "cache on"), (True, "")):
        samples = seen(healthy(enable_prefix_caching=caching), SECONDS, 1, began)
        recorded(path, marked(samples, *([(SECONDS - 20.0, text)] if text else [])))
        began += SECONDS + 30.0


@pytest.fixture
def report(place: Path, tmp_path: Path) -> Path:
    path = tmp_path / "on.json"
    assert run(["report", "--replay", str(place / "on.rec"), "--format", "json", "-o", str(path)]) == 0
    return path


def said(out: str) -> str:
    """Take a text out of its lines."""
    return " ".join(out.replace("!!", "").split())


def ledger(tmp_path: Path) -> list[dict[str, object]]:
    path = tmp_path / "state" / "chimera-top" / "predictions.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_change_for_the_worse_is_exit_code_1(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What became worse, what was set otherwise, and what the model foretold of it; kept in the ledger once."""
    for _ in range(2):
        assert run(["compare", str(place / "on.rec"), str(place / "off.rec")]) == 1
    out, err = capsys.readouterr()
    assert "Worse after enable_prefix_caching True -> False: TTFT " in said(out)
    assert "enable_prefix_caching  True    False" in out
    assert "Of all predictions so far" not in out
    assert err == ""
    (line,) = ledger(tmp_path)
    assert line["simulated"] is True
    assert line["model"] == "Llama-3.3-70B-Instruct"
    assert "127.0.0.1" not in json.dumps(line)
    assert "on.rec" not in json.dumps(line)


def test_the_score_is_of_real_servers(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was foretold of a simulated server is kept and not counted."""
    arguments = ["compare", str(place / "on.rec"), str(place / "off.rec"), "--format", "json"]
    assert run(arguments) == 1
    assert json.loads(capsys.readouterr().out)["score"] is None
    (line,) = ledger(tmp_path)
    path = tmp_path / "state" / "chimera-top" / "predictions.jsonl"
    with path.open("a") as file:
        file.write(json.dumps({**line, "simulated": False, "before_begin": 1.0}) + "\n")
    assert run(arguments) == 1
    assert json.loads(capsys.readouterr().out)["score"]["n"] == 1


def test_no_change_is_exit_code_0(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another run of the same server is no worse."""
    assert run(["compare", str(place / "on.rec"), str(place / "again.rec"), "--format", "md"]) == 0
    out = said(capsys.readouterr().out)
    assert "No worse, with nothing changed that the server tells of itself: ITL at the same batch " in out


def test_what_cannot_be_told_is_exit_code_3(place: Path, report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty seconds, or the sums of a report, tell no change from noise."""
    assert run(["compare", str(place / "short.rec"), str(place / "again.rec")]) == 3
    assert "Cannot be told: short.rec is too short: it holds 1 spell of 15 s" in said(capsys.readouterr().out)
    assert run(["compare", str(report), str(place / "again.rec")]) == 3
    out = said(capsys.readouterr().out)
    assert "Cannot be told: on.json is a report, and of its sums alone nobody can tell a change from noise" in out
    assert " spell" not in out.partition("All intervals")[0]
    assert "windows" not in out


def test_a_recording_is_split_at_a_mark(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its number, its text, a part of it, or its time of day; the recording goes on after a restart."""
    for name in ("1", "cache off", "CACHE"):
        assert run(["compare", str(place / "both.rec"), "--mark", name]) == 1
        out = capsys.readouterr().out
        assert out.startswith("before cache off and after cache off\n")
        assert "Worse after " in out


def test_each_of_several_changes_is_compared_by_itself(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before a mark begins at the one before it, and after it ends at the next: changes are not mixed."""
    for name, code, change, outcome in (("1", 1, "True -> False", "Worse"), ("2", 0, "False -> True", "Better")):
        assert run(["compare", str(place / "twice.rec"), "--mark", name]) == code
        assert f"{outcome} after enable_prefix_caching {change}: TTFT " in said(capsys.readouterr().out)


def test_a_mark_without_a_text_is_called_by_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording may hold one; the headings and the list of marks name it."""
    path = recorded(tmp_path / "mute.rec", marked(seen(healthy(), SECONDS), (1.0, "a"), (SECONDS / 2, "")))
    assert run(["compare", str(path), "--mark", "mark 2"]) in {0, 2}
    assert capsys.readouterr().out.startswith("before mark 2 and after mark 2\n")
    assert run(["compare", str(path), "--mark", "nothing"]) == 3
    assert "2 'mark 2' " in capsys.readouterr().err


def test_json_is_the_whole_comparison(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure with its interval and verdict, the predictions and the score."""
    assert run(["compare", str(place / "on.rec"), str(place / "off.rec"), "--format", "json"]) == 1
    (server,) = json.loads(capsys.readouterr().out)["servers"]
    figures = {each["id"]: each for each in server["comparison"]["figures"]}
    assert figures["itl_seconds"]["verdict"] == "worse"
    assert figures["itl_seconds"]["lo"] > 0
    assert server["predictions"][0]["covered"] is True


def test_other_models_are_refused_unless_forced(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names both models and the flag that goes on."""
    other = tmp_path / "other.rec"
    whole = healthy()
    recorded(other, seen(replace(whole, engine=replace(whole.engine, model="tiny")), 120, 1))
    assert run(["compare", str(place / "on.rec"), str(other)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    for word in ("Llama-3.3-70B-Instruct", "tiny", "--force"):
        assert word in err
    assert run(["compare", str(place / "on.rec"), str(other), "--force"]) in {0, 1, 3}
    assert "tiny" in capsys.readouterr().out


def nothing_seen() -> Iterator[Sample]:
    yield Sample("host", Source.HOST, WALL, 0.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["on.rec"], "give AFTER as well, or --mark"),
        (["on.rec", "on.rec"], "are the same file"),
        (["on.rec", "no such"], "no such: No such file"),
        (["on.rec", "."], "Is a directory"),
        (["on.rec", "empty"], "empty is empty"),
        (["on.rec", "head.rec"], "holds no Sample"),
        (["on.rec", "host.rec"], "no server answered"),
        (["on.rec", "words.txt"], "neither a recording nor a report"),
        (["on.rec", "other.json"], "written in version 99 of the report's schema, and this is 1"),
        (["on.rec", "list.json"], "neither a recording nor a report"),
        (["on.rec", "broken.json"], "is no report of chimera-top"),
        (["on.rec", "deep.json"], "is no report of chimera-top"),
        (["on.rec", "bytes.json"], "is no report of chimera-top"),
        (["on.rec", "half.json"], "is no whole report"),
        (["on.rec", "off.rec", "--mark", "1"], "--mark splits one recording"),
        (["on.rec", "--mark", "1"], "holds no mark: set one with m"),
        (["both.rec", "--mark", "4"], "--mark 4 is no mark of"),
        (["both.rec", "--mark", "unch"], "--mark unch names 2 marks"),
        (["half.json", "--mark", "1"], "--mark splits a recording"),
        (["on.rec", "off.rec", "--server", "http://h:1"], "--server http://h:1: not in both"),
        (["on.rec", "off.rec", "-o", "/no/such/place/x.md"], "there is no directory /no/such/place"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    place: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each names what is wrong, nothing is printed, and the exit code is that of cannot be told."""
    monkeypatch.chdir(place)
    (place / "empty").write_bytes(b"")
    (place / "words.txt").write_text("hello")
    (place / "other.json").write_text('{"schema_version": 99}')
    (place / "list.json").write_text("[]")
    (place / "broken.json").write_text("{")
    (place / "deep.json").write_text('{"schema_version": 1, "a": ' + "[" * 100_000)
    (place / "bytes.json").write_bytes(b'{"schema_version": "\xff"}')
    (place / "half.json").write_text('{"schema_version": 1}')
    (place / "head.rec").write_bytes(HEADER)
    (place / "host.rec").unlink(missing_ok=True)
    recorded(place / "host.rec", nothing_seen())
    assert run(["compare", *arguments]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err


def test_advice_that_was_not_given_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--applied with an id that BEFORE does not know is a line on stderr, and the comparison goes on."""
    assert run(["compare", str(place / "on.rec"), str(place / "again.rec"), "--applied", "magic"]) == 0
    assert "--applied magic: on.rec gave no such advice" in capsys.readouterr().err
