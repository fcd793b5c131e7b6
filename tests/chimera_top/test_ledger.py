"""What is kept of predictions from comparison to comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from chimera_top.judge import track_record
from chimera_top.ledger import Line, default_path, keep, line
from insight.assess import Assessor
from insight.report import render
from insight.settings import Settings
from insight.verification.prediction import Prediction
from insight.verification.side import Side
from metrics.finding import Recommendation
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from pathlib import Path

SIDE = Side("b", "http://secret-host:8000", "vllm", "0.32.0", "/home/alice/models/tiny", {}, 0.0, 900.0, {}, {}, ())
FORETOLD = Prediction(
    "prefix_caching", "itl_seconds", "s", "model", "B", 0.02, 0.015, 0.016, 0.017, "said in /home/alice", 900.0,
    measured=0.016, covered=True, title="on secret-host",
)  # fmt: skip


def written(begin: float = 0.0, **changes: bool | None) -> Line:
    return line(replace(SIDE, begin=begin), SIDE, replace(FORETOLD, **changes), "0.1.0")


def test_what_could_be_told_is_kept_and_counts_once(tmp_path: Path) -> None:
    """A comparison that is made again is the same; what could not be told is not kept."""
    path = tmp_path / "deep" / "predictions.jsonl"
    assert len(keep(path, [written(), written(1.0, covered=False), written(2.0, covered=None)])) == 2
    assert len(keep(path, [written()])) == 2
    assert len(keep(path, [])) == 2
    assert [each.name for each in path.parent.iterdir()] == ["predictions.jsonl"]


def test_nothing_in_it_names_a_host_or_a_person(tmp_path: Path) -> None:
    """Engine, version and the last part of the model's name are all that is known of the server."""
    path = tmp_path / "predictions.jsonl"
    keep(path, [written()])
    text = path.read_text()
    assert '"model":"tiny"' in text
    for secret in ("secret-host", "alice", "/home"):
        assert secret not in text


def test_lines_of_others_are_left_out(tmp_path: Path) -> None:
    """A torn line, or one of another version, costs that line alone."""
    path = tmp_path / "predictions.jsonl"
    keep(path, [written()])
    path.write_bytes(path.read_bytes() + b'{"torn": ')
    assert len(keep(path, [written(5.0)])) == 2


@pytest.mark.parametrize(
    "foreign", [b"\xff", b'{"engine": "\xff"}', b"[" * 100_000, b'{"before_begin": "another version"}'],
    ids=["no text", "no UTF-8", "nested too deep", "another version"],
)  # fmt: skip
def test_what_cannot_be_read_stays_as_it_is(tmp_path: Path, foreign: bytes) -> None:
    """Nothing that another version or a broken disk left there is lost, and nothing of it stops what is new."""
    path = tmp_path / "predictions.jsonl"
    keep(path, [written()])
    path.write_bytes(foreign + b"\n" + path.read_bytes())
    assert len(keep(path, [])) == 1
    for _ in range(2):
        assert len(keep(path, [written(5.0)])) == 2
        assert path.read_bytes().splitlines().count(foreign) == 1


def test_replicas_of_one_server_are_each_counted(tmp_path: Path) -> None:
    """The same advice on two servers at the same time is two predictions, and no address tells them apart."""
    one, other = (replace(SIDE, target=f"http://secret-host:800{port}") for port in (0, 1))
    path = tmp_path / "predictions.jsonl"
    told = [line(one, one, FORETOLD, "0.1.0"), line(other, other, replace(FORETOLD, covered=False), "0.1.0")]
    assert [each.prediction.covered for each in keep(path, told)] == [True, False]
    assert len(keep(path, told)) == 2
    assert "secret-host" not in path.read_text()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The comparison goes on with its own predictions; without a home nothing is kept and nothing said."""
    (tmp_path / "file").write_text("")
    assert len(keep(tmp_path / "file" / "predictions.jsonl", [written()])) == 1
    assert capsys.readouterr().err.startswith("chimera-top: the score of predictions is not kept in ")
    assert len(keep(None, [written()])) == 1
    assert capsys.readouterr().err == ""


def test_where_it_is() -> None:
    """$XDG_STATE_HOME, else under the home, else nowhere."""
    assert str(default_path({"XDG_STATE_HOME": "/s"})) == "/s/chimera-top/predictions.jsonl"
    assert str(default_path({"HOME": "/h"})) == "/h/.local/state/chimera-top/predictions.jsonl"
    assert default_path({}) is None


def test_a_report_says_how_often_predictions_came_true(tmp_path: Path) -> None:
    """By the ledger of the user; nothing where there is none, and simulated ones do not count."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    path = default_path(environ)
    assert path is not None
    assert track_record(environ) == ""
    keep(path, [written(float(begin)) for begin in range(3)])
    keep(path, [replace(written(9.0), simulated=True)])
    assert track_record(environ).startswith("Of all predictions so far 3 of 3 came within")
    snapshot = Assessor(Settings(track_record=track_record(environ))).snapshot(View(Store(), 0.0, 1.8e9))
    advised = replace(snapshot, recommendations=(Recommendation("a", "Do this", ("so",), None, ("why",)),))
    assert "3 of 3 came within" in render(advised, "md").decode()
