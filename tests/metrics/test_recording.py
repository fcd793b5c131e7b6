from __future__ import annotations

import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import Histogram
from metrics.recording import HEADER, NotARecordingError, Packer, Reader, last_sample
from metrics.sample import Event, Missing, Process, Sample
from tests.captures import load
from tests.metrics.seen import failed, ok

SAMPLES = [
    ok(0.0, {"output_tokens_total": 5.0}, {"requests_running": 1.0}, engine="vllm"),
    ok(1.0, histograms={"ttft_seconds": Histogram((0.1, 1.0), (1.0, 2.0, 0.0), 1.7)}),
    failed(2.0),
    Sample(
        "gpu:a",
        ok(0).kind,
        1.0,
        3.0,
        events=(Event(1.0, "xid", "x", 79),),
        processes=(Process(7, "python"),),
        missing=(Missing("a", "b", "c"),),
    ),
]
FRAMES = list(map(Packer().pack, SAMPLES))
RECORDING = b"".join(FRAMES)


def read(data: bytes) -> tuple[list[Sample], str | None]:
    reader = Reader(io.BytesIO(data))
    return list(reader), reader.damage


def test_what_was_recorded_is_what_is_read() -> None:
    """Every Sample comes back equal, in order."""
    assert read(RECORDING) == (SAMPLES, None)


@given(st.integers(len(HEADER), len(RECORDING) - 1))
def test_a_torn_tail_loses_only_the_torn_record(cut: int) -> None:
    """Cut anywhere, every whole record before the cut is read, and the damage is named unless the cut is clean."""
    samples, damage = read(RECORDING[:cut])
    assert samples == SAMPLES[: len(samples)]
    whole = max(len(HEADER), sum(map(len, FRAMES[: len(samples)])))
    assert (damage is None) == (cut == whole)
    assert cut < sum(map(len, FRAMES[: len(samples) + 1]))


@given(st.integers(len(HEADER), len(RECORDING) - 1), st.integers(1, 255))
def test_a_damaged_byte_never_gives_a_wrong_sample(position: int, flip: int) -> None:
    """A flipped byte ends its run with a reason; no Sample comes back that was not recorded."""
    damaged = bytearray(RECORDING)
    damaged[position] ^= flip
    samples, damage = read(bytes(damaged))
    assert samples == SAMPLES[: len(samples)]
    assert damage is not None
    assert damage.startswith("damaged at byte ")


@given(st.integers(len(HEADER), len(RECORDING)))
def test_what_was_appended_behind_a_torn_tail_is_read(cut: int) -> None:
    """A run that died and the one after it: all of the second is there, whatever the end of the first looks like."""
    samples, _ = read(RECORDING[:cut] + b"".join(map(Packer().pack, SAMPLES)))
    assert samples[-len(SAMPLES) :] == SAMPLES
    assert samples[: -len(SAMPLES)] == SAMPLES[: len(samples) - len(SAMPLES)]


def test_a_steady_server_takes_little_room() -> None:
    """What a page repeats from the page before is not stored again: a tenth of each Sample packed alone."""
    samples = load("vllm").phase("load").samples
    together = len(b"".join(map(Packer().pack, samples)))
    alone = sum(len(Packer().pack(sample)) for sample in samples)
    assert together < alone / 5


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 something", b"# HELP vllm:x\n", b"\x00" * 100])
def test_a_foreign_file_is_named_as_such(data: bytes) -> None:
    """A file that is no recording is refused before anything is read from it."""
    with pytest.raises(NotARecordingError, match="does not begin as a chimera-top recording"):
        read(data)


def test_a_recording_of_another_version_is_named_as_such() -> None:
    """A newer format is refused with what to do, not read wrongly."""
    with pytest.raises(NotARecordingError, match="made by another version"):
        read(b"chimera-top recording 2\n")


def test_a_record_that_unpacks_without_end_is_damage() -> None:
    """A small frame that would unpack to gigabytes is not unpacked."""
    bomb = zlib.compress(b"\x00" * (80 * 2**20), 9)
    data = HEADER + len(bomb).to_bytes(4, "little") + zlib.crc32(bomb).to_bytes(4, "little") + bomb
    samples, damage = read(data)
    assert samples == []
    assert damage is not None
    assert "impossible length" in damage


@given(st.integers(1, len(HEADER) - 1))
def test_a_run_torn_within_its_header_costs_nothing_else(cut: int) -> None:
    """A program that died while it wrote a header takes no Sample of the run before or after with it."""
    samples, damage = read(RECORDING + HEADER[:cut] + RECORDING)
    assert samples == SAMPLES + SAMPLES
    assert damage is not None
    assert f"byte {len(RECORDING)}" in damage
    assert read(HEADER[:cut]) == ([], None)


def test_much_damage_is_one_line() -> None:
    """However many places cannot be read, their number and the first of them are told, not every one."""
    samples, damage = read(RECORDING + 500 * (HEADER + b"junkjunkjunk") + RECORDING)
    assert samples == SAMPLES + SAMPLES
    assert damage is not None
    assert damage.startswith(f"500 places could not be read, the first at byte {len(RECORDING) + len(HEADER)}: ")


def long_recording() -> tuple[list[Sample], list[bytes]]:
    samples = [ok(30.0 * poll, {"output_tokens_total": 100.0 * poll}) for poll in range(100)]
    return samples, list(map(Packer().pack, samples))


def test_a_damaged_byte_costs_ten_minutes_at_most() -> None:
    """A run ends after ten minutes of recorded time, and behind a damaged one the next is read whole."""
    samples, frames = long_recording()
    data = bytearray(b"".join(frames))
    data[len(HEADER) + 10] ^= 1
    read_again, damage = read(bytes(data))
    assert read_again == samples[20:]
    assert damage is not None
    assert [index for index, frame in enumerate(frames) if frame.startswith(HEADER)] == [0, 20, 40, 60, 80]


def test_a_reader_tells_the_runs_apart() -> None:
    """Each Sample is of the run whose header stands before it, damaged runs counted too."""
    reader = Reader(io.BytesIO(RECORDING + HEADER + b"junkjunkjunk" + RECORDING))
    assert [reader.run for _ in reader] == [1] * len(SAMPLES) + [3] * len(SAMPLES)


@given(st.integers(0, len(HEADER) - 1), st.booleans())
def test_the_last_sample_is_found_from_the_end(torn: int, empty: bool) -> None:
    """How long a recording is can be told without reading all of it, whatever its end looks like."""
    samples, frames = long_recording()
    data = b"".join(frames) + (HEADER if empty else b"") + HEADER[:torn]
    assert last_sample(io.BytesIO(data)) == samples[-1]
    reached = io.BytesIO(b"\xff" * sum(map(len, frames[:80])) + b"".join(frames[80:]))
    assert last_sample(reached) == samples[-1]
    assert last_sample(io.BytesIO(HEADER)) is None
    assert last_sample(io.BytesIO(b"")) is None
