from __future__ import annotations

import os
import resource
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from chimera_top.exit import FailureError
from chimera_top.recorder import Recorder
from collectors.replay import Recording
from metrics.recording import HEADER
from tests.captures import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAMPLES = load("vllm").phase("load").samples


@pytest.fixture
def little_room() -> Iterator[None]:
    """Let a file of this process grow to 20 000 bytes, as a disk that is nearly full would."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("little_room")
def test_a_sample_for_which_there_is_room_in_part_is_not_written(tmp_path: Path) -> None:
    """A write that is cut short leaves no torn frame, ends the recording, and says so once."""
    path = tmp_path / "x.rec"
    recorder = Recorder(path)
    told: list[str | None] = []
    recorder.on_trouble = lambda: told.append(recorder.trouble)
    for sample in SAMPLES * 100:
        recorder.write(sample)
    recorder.close()
    assert len(told) == 1
    assert told[0] is not None
    assert f"ended after {recorder.written} samples: File too large; what was written before stays" in told[0]
    recording = Recording(path)
    assert sum(1 for _ in recording) == recorder.written > 0
    assert recording.damage == []


def test_a_full_disk_ends_the_recording_and_nothing_else() -> None:
    """Where nothing can be written, it is said once and the program goes on."""
    from pathlib import Path  # noqa: PLC0415 used here alone

    recorder = Recorder(Path("/dev/full"))
    recorder.write(SAMPLES[0])
    recorder.write(SAMPLES[1])
    recorder.close()
    recorder.write(SAMPLES[2])
    assert recorder.trouble is not None
    assert "ended after 0 samples: No space left on device" in recorder.trouble


def test_a_file_that_is_being_recorded_to_is_refused_to_others(tmp_path: Path) -> None:
    """Two programs never write one recording; once the first is done, the next appends."""
    path = tmp_path / "x.rec"
    first = Recorder(path)
    first.write(SAMPLES[0])
    with pytest.raises(FailureError, match=r"x\.rec: it is being written by another chimera-top; name another file"):
        Recorder(path)
    first.write(SAMPLES[1])
    first.close()
    second = Recorder(path)
    assert second.found == path.stat().st_size > 0
    second.write(SAMPLES[2])
    second.close()
    assert list(Recording(path)) == SAMPLES[:3]


def test_what_died_within_its_first_write_is_recorded_to(tmp_path: Path) -> None:
    """A file that holds only a part of a header is a recording of nothing, and its next run is read whole."""
    path = tmp_path / "x.rec"
    for cut in range(1, len(HEADER)):
        path.write_bytes(HEADER[:cut])
        recorder = Recorder(path)
        recorder.write(SAMPLES[0])
        recorder.close()
        recording = Recording(path)
        assert list(recording) == SAMPLES[:1]
        assert recording.damage == []


def test_what_died_within_a_later_header_costs_nothing(tmp_path: Path) -> None:
    """A run that was torn in its header takes nothing of the run after it."""
    path = tmp_path / "x.rec"
    recorder = Recorder(path)
    recorder.write(SAMPLES[0])
    recorder.close()
    with path.open("ab") as file:
        file.write(HEADER[:14])
    recorder = Recorder(path)
    recorder.write(SAMPLES[1])
    recorder.close()
    assert list(Recording(path)) == SAMPLES[:2]


def test_a_pipe_is_recorded_into(tmp_path: Path) -> None:
    """What cannot be sought in is written to all the same, without a look at what it holds."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    recorder = Recorder(pipe)
    for sample in SAMPLES:
        recorder.write(sample)
    recorder.close()
    reader.join()
    kept = tmp_path / "x.rec"
    kept.write_bytes(read[0])
    assert list(Recording(kept)) == SAMPLES
