"""`report`: its formats, what it hides, and what it asks a model."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from chimera_top.cli import run
from chimera_top.export import export
from metrics.recording import Packer
from metrics.snapshot import Snapshot
from tests.captures import load
from tests.insight.report import canned
from tests.openai_server import Model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEEN = load("vllm").phase("overload").samples


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have a configuration of their own; it is not read here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "overload.rec"
    path.write_bytes(b"".join(map(Packer().pack, SEEN)))
    return str(path)


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.close()


SERVER = SEEN[0].source


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("r.html", "<!DOCTYPE html>"),
        ("r.htm", "<!DOCTYPE html>"),
        ("r.csv", "time,source,quantity,unit,value\n"),
        ("r.json", "{"),
        ("r.txt", "chimera-top report of"),
        ("r.md", "# chimera-top report of"),
        ("r", "# chimera-top report of"),
    ],
)
def test_the_name_of_the_file_says_the_format(recording: str, tmp_path: Path, name: str, begins: str) -> None:
    """`-o report.html` writes HTML; what has no ending is Markdown, and --format says otherwise."""
    path = tmp_path / name
    assert run(["report", "--replay", recording, "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith(begins)
    assert run(["report", "--replay", recording, "-o", str(path), "--format", "paste"]) == 0
    assert path.read_text(encoding="utf-8").splitlines()[0].startswith(("REPLAY: ", "SIMULATED: "))


def test_an_unknown_ending_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`-o report.pdf` would be Markdown under a false name; --format says that it is meant so."""
    path = tmp_path / "report.pdf"
    assert run(["report", "http://127.0.0.1:9", "--for", "1h", "-o", str(path)]) == 64
    line = capsys.readouterr().err
    assert ".pdf is no format: name it .csv, .htm, .html, .json, .md, .paste, .text, .txt, or say --format" in line
    assert line.count("\n") == 1
    assert not path.exists()


@pytest.mark.parametrize("format", ["md", "html", "text", "json", "csv", "paste"])
def test_a_report_is_redacted_unless_asked_otherwise(
    recording: str,
    format: str,  # noqa: A002 - as the flag
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """No form of it names the server; with --identifiers every form does."""
    assert run(["report", "--replay", recording, "--format", format]) == 0
    hidden = capsysbinary.readouterr().out.decode()
    assert run(["report", "--replay", recording, "--format", format, "--identifiers"]) == 0
    plain = capsysbinary.readouterr().out.decode()
    assert SERVER not in hidden
    assert "server A" in hidden
    assert SERVER in plain
    assert "server A" not in plain


def test_csv_has_the_series(recording: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The rows are those of the graphs of the Snapshot."""
    assert run(["report", "--replay", recording, "--format", "csv"]) == 0
    _, *rows = csv.reader(io.StringIO(capsysbinary.readouterr().out.decode()))
    assert {row[2] for row in rows} >= {"ttft_p95", "requests_waiting", "output_tokens_rate"}


def test_the_export_of_the_screen_is_redacted_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`e` writes what may be passed on, and the line on the screen says that it did."""
    monkeypatch.chdir(tmp_path)
    line = export(canned.overloaded())
    assert line.startswith("redacted report written to ")
    assert line.endswith(".md, .html and .json")
    files = sorted(tmp_path.iterdir())
    assert [each.suffix for each in files] == [".html", ".json", ".md"]
    for each in files:
        assert canned.URL not in each.read_text(encoding="utf-8")
        assert "gpu-host-7" not in each.read_text(encoding="utf-8")


def test_a_narrative_is_in_the_report(recording: str, model: Model, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """A text whose numbers stand in the report stands in it as well, with who wrote it."""
    model.say = lambda _: "Server A has too many requests."
    assert run(["report", "--replay", recording, "--format", "md", "--narrate", model.url]) == 0
    out, err = capsysbinary.readouterr()
    assert b"## Narrative\n\nWritten by tiny; its numbers were checked" in out
    assert b"Server A has too many requests." in out
    assert err == b""
    assert SERVER not in json.dumps([body for _, _, body in model.requests])


def test_a_refused_narrative_costs_nothing_else(
    recording: str, model: Model, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The report is the one without it, the exit code stays 0, and stderr says which number was made up."""
    run(["report", "--replay", recording, "--format", "md"])
    without = capsysbinary.readouterr().out
    model.say = lambda _: "It is 12345 times slower."
    assert run(["report", "--replay", recording, "--format", "md", "--narrate", model.url]) == 0
    out, err = capsysbinary.readouterr()
    assert out == without
    assert b"'12345 times', which is not in the report" in err


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["--narrate", "http://h:1", "--identifiers"], "choose one"),
        (["--narrate", "http://h:1", "--format", "json"], "use --format md, html, text"),
        (["--narrate", "ftp://h:1"], "--narrate: unusable URL"),
        (["--narrate-model", "x"], "belong to --narrate URL"),
        (["--narrate", "http://h:1", "--narrate-token-env", "NOT_SET"], "'NOT_SET', which is not set"),
    ],
)
def test_wrong_wishes_are_told_before_anything_is_watched(
    argv: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be written is one line and 64, at once."""
    assert run(["report", "http://127.0.0.1:9", "--for", "1h", "--format", "md", *argv]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert why in err
    assert err.count("\n") == 1


def test_a_redacted_json_is_a_snapshot(recording: str, tmp_path: Path) -> None:
    """What reads the JSON of a report reads that of a redacted one as well."""
    path = tmp_path / "r.json"
    assert run(["report", "--replay", recording, "-o", str(path)]) == 0
    read = msgspec.json.decode(path.read_bytes(), type=Snapshot)
    assert read.targets[0].id == "server A"
