"""The collector of the host, on a tree of files as the kernel writes them, and on this machine."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import procfs
from collectors.clock import Clock
from collectors.file_systems import FileSystems
from collectors.host import Host
from metrics.quantity import QUANTITIES, Kind
from metrics.sample import Sample, Source
from metrics.series import split_series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLOCK = Clock(wall=lambda: 1_000.0, mono=lambda: 10.0)

FILES = {
    "proc/stat": "cpu  1000 20 300 8000 400 5 15 60 100 0\ncpu0 500 10 150 4000 200 2 7 30 50 0\nbtime 1790000000\n",
    "proc/meminfo": "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n",
    "proc/vmstat": "nr_free_pages 5\npswpin 7\npswpout 9\noom_kill 2\n",
    "proc/pressure/cpu": "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\n",
    "proc/pressure/memory": "some avg10=3.00 avg60=0 avg300=0 total=1\nfull avg10=1.25 avg60=0.00 avg300=0 total=1\n",
    "proc/pressure/io": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0 total=1\n",
    "proc/net/dev": (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n"
        "    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n"
        "  eth0:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n"
        "  ib0: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n"
    ),
    "proc/diskstats": (
        "   7 0 loop0 1 0 900 0 1 0 900 0 0 0 0\n"
        " 259 0 nvme0n1 1 0 10 0 1 0 20 0 0 0 0\n"
        " 259 1 nvme0n1p1 1 0 10 0 1 0 20 0 0 0 0\n"
        " 253 0 dm-0 1 0 10 0 1 0 20 0 0 0 0\n"
        "   8 0 sda 1 0 1 0 1 0 2 0 0 0 0\n"
    ),
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU \x1b[31m@ 2 GHz\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/cpu.stat": "usage_usec 100\nnr_periods 50\nnr_throttled 20\nthrottled_usec 9\n",
    "sys/fs/cgroup/memory.max": "1073741824\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for disk in ("loop0", "nvme0n1", "dm-0", "sda"):
        (tmp_path / "sys/block" / disk).mkdir(parents=True)
    return tmp_path


def none() -> Iterator[str]:
    yield from ()


def poll(host: Host) -> Sample:
    (sample,) = asyncio.run(_collect(host))
    return sample


async def _collect(host: Host) -> tuple[Sample, ...]:
    return tuple(await host.collect())


def test_reads_what_the_kernel_wrote(root: Path) -> None:
    """Each file becomes its quantities in bytes and shares: 12.5 % is 0.125, swap-ins are pages times their size."""
    sample = poll(Host(CLOCK, root, FileSystems(none)))
    assert (sample.source, sample.kind, sample.mono) == ("host", Source.HOST, 10.0)
    expected = {
        "host_memory_total_bytes": 1000 * 1024,
        "host_memory_available_bytes": 400 * 1024,
        "host_memory_used_bytes": 600 * 1024,
        "swap_total_bytes": 50 * 1024,
        "swap_used_bytes": 30 * 1024,
        "pressure_cpu": 0.125,
        "pressure_memory": 0.03,
        "pressure_memory_full": 0.0125,
        "pressure_io": 0.0,
    }
    assert {name: sample.gauges[name] for name in expected} == pytest.approx(expected)
    assert sample.counters == {
        **procfs.paging(FILES["proc/vmstat"], 4096),
        "network_rx_bytes": 1010,
        "network_tx_bytes": 2020,
        "cpu_periods": 50,
        "cpu_periods_throttled": 20,
        "disk_read_bytes": 11 * 512,
        "disk_write_bytes": 22 * 512,
    }
    assert sample.counters["oom_kills"] == 2
    assert sample.facts["cpu_model"] == "Some CPU @ 2 GHz"
    assert (sample.facts["cpu_limit"], sample.facts["memory_limit"]) == ("1.5", "1 GiB")
    assert sample.facts["boot_time"] == "2026-09-21T14:13:20Z"


def test_a_group_without_a_limit_has_no_periods(root: Path) -> None:
    """Nothing is throttled where there is no limit, and nothing is said to be missing."""
    (root / "sys/fs/cgroup/cpu.max").write_text("max 100000\n", "utf-8")
    sample = poll(Host(CLOCK, root, FileSystems(none)))
    assert "cpu_periods" not in {*sample.counters, *(each.what for each in sample.missing)}


def test_cpu_shares_need_two_polls(root: Path) -> None:
    """The first poll has no CPU share and says so; the second has the shares of the time between them."""
    host = Host(CLOCK, root, FileSystems(none))
    first = poll(host)
    assert "cpu_usage" not in first.gauges
    assert ("cpu_usage", "needs two polls") in [(each.what, each.why) for each in first.missing]
    # 100 ticks later: 50 busy (40 user, 10 system), 30 idle, 5 waiting, 15 stolen; guests are inside user
    (root / "proc/stat").write_text("cpu  1040 20 310 8030 405 5 15 75 130 0\n", "utf-8")
    second = poll(host)
    shares = {"cpu_usage": 0.5, "cpu_iowait": 0.05, "cpu_steal": 0.15}
    assert {name: second.gauges[name] for name in shares} == pytest.approx(shares)
    assert not second.missing


@pytest.mark.parametrize(
    ("path", "quantity", "words"),
    [
        ("proc/stat", "cpu_usage", "FileNotFoundError"),
        ("proc/meminfo", "host_memory_used_bytes", "FileNotFoundError"),
        ("proc/pressure/memory", "pressure_memory", "kernel without PSI"),
        ("proc/net/dev", "network_rx_bytes", "FileNotFoundError"),
        ("proc/diskstats", "disk_read_bytes", "FileNotFoundError"),
        ("sys/fs/cgroup/cpu.stat", "cpu_periods", "FileNotFoundError"),
    ],
)
def test_a_file_that_is_not_there(root: Path, path: str, quantity: str, words: str) -> None:
    """A missing file leaves out its own quantities with the reason, and no other file's."""
    (root / path).unlink()
    sample = poll(Host(CLOCK, root, FileSystems(none)))
    assert quantity not in {**sample.gauges, **sample.counters}
    assert words in next(each.why for each in sample.missing if each.what == quantity)
    assert len(sample.gauges) + len(sample.counters) >= 9


@pytest.mark.parametrize("text", ["", "\n", "cpu", "cpu one two\n", "garbage", "\x00\xff"])
@pytest.mark.parametrize(
    "path", ["proc/stat", "proc/meminfo", "proc/pressure/cpu", "proc/vmstat", "sys/fs/cgroup/cpu.max"]
)
def test_a_file_that_says_nothing(root: Path, path: str, text: str) -> None:
    """A file with anything in it costs at most its own quantities, never the Sample."""
    (root / path).write_text(text, "utf-8")
    sample = poll(Host(CLOCK, root, FileSystems(none)))
    assert sample.gauges["load1"] >= 0
    assert len(sample.gauges) + len(sample.counters) >= 9


def test_unreadable_by_something_else_than_an_oserror(root: Path) -> None:
    """A reading that fails with any exception is a missing quantity, with the exception in its reason."""
    (root / "proc/net/dev").write_text("a\nb\neth0: many 1 2 3 4 5 6 7 8 9\n", "utf-8")
    sample = poll(Host(CLOCK, root, FileSystems(none)))
    assert "ValueError" in next(each.why for each in sample.missing if each.what == "network_rx_bytes")


def test_old_kernel_without_oom_count(root: Path) -> None:
    """A kernel that does not count OOM kills is not one without OOM kills."""
    (root / "proc/vmstat").write_text("pswpin 7\n", "utf-8")
    sample = poll(Host(CLOCK, root, FileSystems(none)))
    assert "oom_kills" not in sample.counters
    assert "4.13" in next(each.why for each in sample.missing if each.what == "oom_kills")


def test_container_is_recognised(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace that a container engine leaves is a fact; a host without one has no such fact."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert "container" not in poll(Host(CLOCK, root, FileSystems(none))).facts
    (root / ".dockerenv").touch()
    assert poll(Host(CLOCK, root, FileSystems(none))).facts["container"] == "docker"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert poll(Host(CLOCK, root, FileSystems(none))).facts["container"] == "kubernetes"


def test_on_this_machine() -> None:
    """On the machine of the tests every series is in the catalogue, of its kind, and every share is one."""
    host = Host(Clock())
    poll(host)
    sample = poll(host)
    for names, kind in ((sample.gauges, Kind.GAUGE), (sample.counters, Kind.COUNTER)):
        assert {QUANTITIES[split_series(name)[0]].kind for name in names} == {kind}
    shares = [value for name, value in sample.gauges.items() if QUANTITIES[split_series(name)[0]].unit == "ratio"]
    assert all(0 <= share <= 1 for share in shares)
    assert sample.gauges["host_memory_used_bytes"] < sample.gauges["host_memory_total_bytes"]


def test_file_systems_by_mount_point() -> None:
    """The root is there with what it holds, and used is not more than there is."""
    systems = FileSystems()
    systems.ask()
    assert systems.wait(30)
    gauges, missing = systems.answer()
    assert 0 < gauges['disk_used_bytes{mount="/"}'] <= gauges['disk_total_bytes{mount="/"}']
    assert missing == ()


def hanging(let_go: threading.Event) -> Callable[[], Iterator[str]]:
    def find() -> Iterator[str]:
        yield "/"
        let_go.wait()

    return find


def test_a_file_system_that_does_not_answer() -> None:
    """A disk that hangs is named, nobody waits for it, it is not asked twice, and its answer is taken when it comes."""
    let_go = threading.Event()
    systems = FileSystems(hanging(let_go))
    systems.ask()
    thread = systems._thread
    while not systems.answer()[1]:
        assert not systems.wait(0.001)
    assert "at / has not answered yet" in systems.answer()[1][0].why
    systems.ask()
    assert systems._thread is thread
    let_go.set()
    assert systems.wait(30)
    gauges, missing = systems.answer()
    assert 'disk_total_bytes{mount="/"}' in gauges
    assert missing == ()


def test_file_systems_that_cannot_be_found() -> None:
    """When the mount points cannot be listed, the reason is given, and nothing is written to the screen."""

    def find() -> Iterator[str]:
        raise PermissionError(13, "not permitted", "/proc/filesystems")

    systems = FileSystems(find)
    systems.ask()
    assert systems.wait(30)
    assert "PermissionError" in systems.answer()[1][0].why


@given(
    st.lists(st.integers(0, 2**40), min_size=8, max_size=10), st.lists(st.integers(0, 2**40), min_size=8, max_size=10)
)
def test_cpu_shares_are_shares(first: list[int], second: list[int]) -> None:
    """Whatever two readings say, even with counters that went back, each share lies between 0 and 1."""
    before, after = (procfs.cpu_times("cpu " + " ".join(map(str, numbers))) for numbers in (first, second))
    assert all(0 <= share <= 1 for share in procfs.cpu_shares(before, after).values())


@given(st.text())
def test_parsers_raise_nothing_but_value_error(text: str) -> None:
    """Any text is either read or refused with ValueError."""
    parsers: list[Callable[[str], object]] = [
        procfs.cpu_times,
        procfs.boot_time,
        procfs.memory,
        procfs.pressure,
        procfs.throttling,
        procfs.network,
        procfs.cpu_model,
        procfs.cpu_limit,
        procfs.memory_limit,
        lambda each: procfs.paging(each, 4096),
        lambda each: procfs.disks(each, {"sda"}),
    ]
    for parse in parsers:
        try:
            parse(text)
        except ValueError:
            continue
