from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chimera_top.cli import COMMANDS, run
from chimera_top.config import Settings
from chimera_top.config import load as load_settings
from chimera_top.watch import dividing
from metrics.recording import HEADER, Packer
from tests.captures import load

if TYPE_CHECKING:
    from pathlib import Path

SEEN = load("vllm").phase("overload").samples


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have a configuration of their own; it is not read here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "overload.rec"
    path.write_bytes(b"".join(map(Packer().pack, SEEN)))
    return path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was said on stderr: always one line."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--frobnicate"], 64, "unrecognized arguments: --frobnicate"),
        (["report", "--format", "docx"], 64, "invalid choice: 'docx'"),
        (["report", "--for", "soon"], 64, "--for: 'soon' is not a length of time"),
        (["report", "--for", "-5s"], 64, "--for"),
        (["report", "--interval", "1ms"], 64, "interval: 1ms is out of range: at least 0.1 s"),
        (["report", "--slo", "ttft=fast"], 64, "ttft=fast"),
        (["report", "--slo", "xyz_p95=1s"], 64, "'xyz' is none of ttft"),
        (["report", "ftp://host"], 64, "not ftp://"),
        (["report", "http://"], 64, "names no host"),
        (["report", "http://host:99999"], 64, "http://host:99999"),
        (["report", "--token-env", "NOT_SET_ANYWHERE"], 64, "'NOT_SET_ANYWHERE', which is not set"),
        (["report", "--header", "X-Key"], 64, "--header wants HEADER=NAME"),
        (["report", "-o", "/no/such/place/report.md"], 1, "there is no directory /no/such/place; make it first"),
        (["report", "-o", "/"], 1, "it is a directory"),
        (["report", "--replay", "/no/such/recording"], 1, "cannot read /no/such/recording: No such file"),
        (["report", "--config", "/no/such/config.toml"], 64, "no configuration file /no/such/config.toml"),
        (["record"], 64, "the following arguments are required: -o/--output"),
        (["record", "-o", "/no/such/place/x.rec"], 1, "cannot record to /no/such/place/x.rec"),
        (["replay", "/no/such/recording"], 1, "cannot read /no/such/recording"),
        (["simulate", "--scenario", "nothing"], 64, "no scenario 'nothing'"),
        (["simulate", "--port", "99999"], 64, "--port 99999 is no port"),
        (["simulate", "--scenario", "overlaod"], 64, "no scenario 'overlaod'; did you mean 'overload'?"),
        (["simulate", "--scenario", "overload.toml"], 64, "overload.toml: cannot be read: No such file"),
        (["demo", "--scenario", "nothing"], 64, "no scenario 'nothing'"),
        (["frobnicate"], 64, "'frobnicate' is no command; A server is named by host:port"),
        (["reprot", "http://h:1"], 64, "did you mean 'report'?"),
        (["--no-gpu", "check", "http://h:1"], 64, "put the command first: chimera-top check --no-gpu http://h:1"),
        (["report", "http://h:1", "--for", "5s", "--interval", "30s"], 64, "two polls are needed"),
        (["report", "--replay", "a.rec", "--record", "b.rec"], 64, "leave one of them out"),
        (["check", "--frobnicate"], 3, "unrecognized arguments"),
        (["check", "--slo", "nonsense"], 3, "nonsense"),
        (["check", "--replay", "/no/such/recording"], 3, "cannot read /no/such/recording"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_an_exit_code(
    argv: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is named in one line on stderr; 64 is a wrong command line, and `check` never says 2 for it."""
    assert run(argv) == code
    line = said(capsys)
    assert line.startswith("chimera-top: ")
    assert words in line


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works everywhere, and the first page lists every command."""
    with pytest.raises(SystemExit) as left:
        run([command, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: chimera-top{'' if command == 'live' else ' ' + command}" in text
    if command == "live":
        assert all(name in text for name in COMMANDS)
        assert "Exit codes: 0 done, 64 wrong flag" in text


@pytest.mark.parametrize(("command", "words"), [("demo", "simulated GPUs."), ("schema", "Print the JSON Schema of")])
def test_help_keeps_the_case_of_names(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence about a command begins with a capital, and GPU and JSON stay what they are."""
    with pytest.raises(SystemExit):
        run([command, "--help"])
    assert words in capsys.readouterr().out


def test_a_wrong_key_in_the_configuration_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo in the file is not ignored: the file, the key and the keys that exist are named."""
    config = tmp_path / "config.toml"
    config.write_text('intervall = "2s"\n')
    assert run(["report", "--config", str(config)]) == 64
    line = said(capsys)
    assert str(config) in line
    assert "`intervall`" in line
    assert "interval" in line.split("known keys are")[1]


def test_a_configuration_that_is_no_toml_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken file is named with the place where it breaks."""
    config = tmp_path / "config.toml"
    config.write_text("interval = \n")
    assert run(["report", "--config", str(config)]) == 64
    assert "line 1" in said(capsys)


def test_an_unknown_environment_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt CHIMERA_TOP_ variable is an error, not silence."""
    monkeypatch.setenv("CHIMERA_TOP_INTERVALL", "2s")
    assert run(["report"]) == 64
    assert "unknown environment variable CHIMERA_TOP_INTERVALL" in said(capsys)


def test_a_foreign_file_is_not_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no recording is named as such."""
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    assert run(["report", "--replay", str(path)]) == 1
    assert f"{path} is not a recording" in said(capsys)


def test_a_foreign_file_is_not_recorded_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`record -o` onto something else leaves it as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    assert run(["record", "-o", str(path), "--for", "1s"]) == 1
    assert f"will not record over {path}" in said(capsys)
    assert path.read_text() == "dear diary\n"


def test_an_empty_recording_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording that ended before the first Sample holds nothing to report."""
    path = tmp_path / "empty.rec"
    path.write_bytes(HEADER)
    assert run(["report", "--replay", str(path)]) == 1
    assert "holds no Sample" in said(capsys)


def test_a_torn_recording_is_reported_up_to_the_tear(
    recording: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What was recorded before the tear is reported, and the tear is said on stderr, not in the data."""
    torn = tmp_path / "torn.rec"
    torn.write_bytes(recording.read_bytes()[:-7])
    assert run(["report", "--replay", str(torn), "--format", "json"]) == 0
    out, err = capsysbinary.readouterr()
    assert json.loads(out)["targets"][0]["state"] == "ok"
    assert b"its last record is torn; everything before it was read" in err


def test_the_json_of_a_recording_is_what_the_client_measured(
    recording: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """From the pages of a real vLLM to the JSON of the report, tokens and requests are exact."""
    assert run(["report", "--replay", str(recording), "--format", "json"]) == 0
    snapshot = json.loads(capsysbinary.readouterr().out)
    quantities = snapshot["targets"][0]["quantities"]
    client = load("vllm").phase("overload").requests
    tokens = sum(request["usage"]["completion_tokens"] for request in client)
    assert quantities["output_tokens_total"]["increase"] == tokens
    assert quantities["output_tokens_total"]["rate"] * snapshot["window_seconds"] == pytest.approx(tokens)
    assert quantities["requests_finished"]["increase"] == len(client)
    assert snapshot["mode"] == "replay"


@pytest.mark.parametrize(
    ("phase", "code", "word"), [("idle", 3, "UNKNOWN"), ("load", 1, "WARNING"), ("overload", 2, "CRITICAL")]
)
def test_check_says_the_worst_as_its_exit_code(
    phase: str, code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real vLLM that idles is seen for 7 s alone, a slow CPU misses an objective, 54 in a queue are critical."""
    path = tmp_path / "phase.rec"
    path.write_bytes(b"".join(map(Packer().pack, load("vllm").phase(phase).samples)))
    assert run(["check", "--replay", str(path)]) == code
    out = capsys.readouterr().out
    assert out.startswith(f"CHIMERA {word}")
    assert ("model_overloading" in out) == (phase == "overload")


def test_a_report_is_written_whole_or_not_at_all(recording: Path, tmp_path: Path) -> None:
    """`-o` replaces an older report in one step and leaves nothing else behind."""
    folder = tmp_path / "reports"
    folder.mkdir()
    report = folder / "report.md"
    report.write_text("old")
    assert run(["report", "--replay", str(recording), "-o", str(report)]) == 0
    assert report.read_text().startswith("# chimera-top report")
    assert [path.name for path in folder.iterdir()] == ["report.md"]


def test_a_recording_may_be_given_as_target(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`report FILE` and `report --replay FILE` are the same."""
    assert run(["report", str(recording), "--format", "text"]) == 0
    as_target = capsys.readouterr().out
    assert run(["report", "--replay", str(recording), "--format", "text"]) == 0
    assert capsys.readouterr().out == as_target


def test_the_schema_is_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """`schema` prints one JSON document that names the contract's keys."""
    assert run(["schema"]) == 0
    schema = json.loads(capsysbinary.readouterr().out)
    assert {"schema_version", "targets", "gpus", "risks", "not_visible"} <= set(
        schema["$defs"]["Snapshot"]["properties"]
    )


def test_an_internal_error_is_one_line_and_never_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the program itself breaks, `check` answers UNKNOWN: 1 would be a WARNING about the server."""

    def broken(_flags: object) -> int:
        raise ZeroDivisionError("boom")

    for command, code in (("check", 3), ("report", 1)):
        monkeypatch.setattr(f"chimera_top.commands.{command}.run", broken)
        assert run([command]) == code
        assert "internal error: ZeroDivisionError: boom" in said(capsys)


@pytest.mark.parametrize(
    ("interval", "seconds", "shorter"), [(1.0, 60.0, 1.0), (4.0, 10.0, 10.0 / 3), (0.3, 1.0, 0.25), (5.0, 5.0, 5.0)]
)
def test_a_poll_lies_at_the_very_end_of_a_watch(interval: float, seconds: float, shorter: float) -> None:
    """`--for 10s --interval 4s` polls every 3.33 s, so that the window is 10 s and not 12."""
    assert dividing(interval, seconds) == pytest.approx(shorter)


def test_two_recordings_cannot_be_shown_at_once(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recordings as targets are shown one at a time, and that is what is said."""
    assert run(["report", str(recording), str(recording)]) == 64
    assert "is a recording: give one, and alone" in said(capsys)


def test_without_a_home_no_configuration_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file in the current directory is never taken for the user's own."""
    (tmp_path / ".config" / "chimera-top").mkdir(parents=True)
    (tmp_path / ".config" / "chimera-top" / "config.toml").write_text("nonsense = 1\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings({}, {}) == Settings()
