"""GPUs read through the real pynvml, from a driver library that does what the test says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.nvml import NvmlError, why_no_driver, why_not
from collectors.nvml_driver import RETRY_SECONDS
from metrics.quantity import QUANTITIES, Kind
from metrics.sample import Sample, Source, State
from metrics.series import split_series
from tests.fixtures.nvml.build import build
from tests.fixtures.nvml.standin import Standin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UUID = "GPU-00000000-0000-0000-0000-{:012d}"


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    library = build(tmp_path_factory.mktemp("library"))
    if library is None:
        pytest.skip("no C compiler here: the stand-in driver library cannot be built")
    standin = Standin(library, tmp_path_factory.mktemp("standin"))
    yield standin
    standin.close()


@pytest.fixture
def driver(child: Standin) -> Standin:
    child.script("count 2")
    child.new()
    return child


def of_gpu(samples: list[Sample], index: int) -> Sample:
    return next(sample for sample in samples if sample.source == f"gpu:{UUID.format(index)}")


def why(sample: Sample) -> dict[str, str]:
    return {missing.what: missing.why for missing in sample.missing}


def test_reads_every_quantity_in_base_units(driver: Standin) -> None:
    """A healthy GPU gives each quantity in watts, bytes, hertz, joules and shares, from NVML's mW, MHz, mJ and %."""
    driver.script(
        "count 1",
        "set 0 power 251500",
        "set 0 energy 7000000123",
        "set 0 utilisation 37",
        "set 0 memory_used 1000",
        "set 0 fan 55",
        "set 0 ecc_corrected 5",
        "set 0 pcie_width 8",
        "set 0 nvlinks_down 2",
        "set 0 nvlink_replay 4",
    )
    (root, gpu) = driver.poll()
    assert (root.kind, root.state, root.gauges) == (Source.DRIVER, State.OK, {"gpu_count": 1.0})
    assert root.facts == {"driver_version": "575.57.08", "cuda_version": "12.9"}
    assert gpu.kind is Source.GPU
    assert gpu.gauges["power_watts"] == pytest.approx(251.5)
    assert gpu.gauges["power_limit_watts"] == pytest.approx(700)
    assert gpu.counters["energy_joules"] == pytest.approx(7_000_000.123)
    assert gpu.gauges["utilisation"] == pytest.approx(0.37)
    assert gpu.gauges["memory_used_bytes"] == 1000
    assert gpu.gauges["memory_total_bytes"] == 80 * 2**30
    assert gpu.gauges["sm_clock_hertz"] == 1.755e9
    assert gpu.gauges["fan_speed"] == pytest.approx(0.55)
    assert gpu.gauges["memory_temperature_celsius"] == 72
    assert gpu.gauges["slowdown_temperature_celsius"] == 87
    assert (gpu.gauges["pcie_width"], gpu.gauges["pcie_width_max"]) == (8, 16)
    assert gpu.counters["ecc_corrected"] == 5
    assert gpu.gauges["nvlink_links_active"] == 16
    assert gpu.counters['nvlink_errors{kind="replay"}'] == 4
    assert gpu.facts["architecture"] == "Hopper"
    assert gpu.facts["compute_capability"] == "9.0"
    assert gpu.facts["pci_bus_id"] == "00000000:18:00.0"


def test_every_series_is_in_the_catalogue(driver: Standin) -> None:
    """No series has a name that the catalogue of quantities does not know, and each is of the kind stated there."""
    driver.poll()
    for sample in driver.poll(1.0):
        for names, kind in ((sample.gauges, Kind.GAUGE), (sample.counters, Kind.COUNTER)):
            assert {QUANTITIES[split_series(name)[0]].kind for name in names} <= {kind}


def test_pcie_traffic_is_a_rate_between_two_polls(driver: Standin) -> None:
    """The PCIe byte counters become bytes per second of real time, and a counter that wrapped gives no rate."""
    driver.script("count 1", "set 0 pcie_rx 1000", "set 0 pcie_tx 5000")
    first = of_gpu(driver.poll(10.0), 0)
    assert "pcie_rx_bytes_per_second" not in first.gauges
    assert why(first)["pcie_rx_bytes_per_second"] == "needs two polls"
    driver.script("count 1", "set 0 pcie_rx 9000", "set 0 pcie_tx 100")
    second = of_gpu(driver.poll(12.0), 0)
    assert second.gauges["pcie_rx_bytes_per_second"] == 4000
    assert "pcie_tx_bytes_per_second" not in second.gauges
    assert why(second)["pcie_tx_bytes_per_second"] == "needs two polls"


def test_pcie_traffic_without_byte_counters(driver: Standin) -> None:
    """Where the driver has no PCIe byte counters, the slow call is made, and only in the tenth poll."""
    driver.script("count 1", "field 197 0 3", "field 198 0 3")
    seen = ["pcie_rx_bytes_per_second" in of_gpu(driver.poll(float(k)), 0).gauges for k in range(12)]
    assert [k for k, there in enumerate(seen) if there] == [10]


def test_slow_values_stand_between_their_readings(driver: Standin) -> None:
    """What changes slowly is read in the first and every tenth poll, stands meanwhile, and then is the new value."""
    driver.script("count 1")
    driver.poll(0.0)
    driver.script("count 1", "set 0 ecc_uncorrected 3")
    counts = [of_gpu(driver.poll(float(k)), 0).counters["ecc_uncorrected"] for k in range(1, 12)]
    assert counts == [0] * 9 + [3] * 2


def test_one_lost_gpu_leaves_the_others(driver: Standin) -> None:
    """A GPU that fell off the bus is DOWN under its old identity, with a remedy; the other is read as before."""
    driver.poll(0.0)
    driver.script("count 2", "fail * 1 15")
    for now in (1.0, 2.0):
        samples = driver.poll(now)
        lost = of_gpu(samples, 1)
        assert lost.state is State.DOWN
        assert lost.reason.startswith(f"GPU 1 ({UUID.format(1)}) is lost: it fell off the bus; drain the node")
        assert (lost.facts["name"], lost.gauges) == ("NVIDIA H100 80GB HBM3", {})
        assert of_gpu(samples, 0).gauges["power_watts"] == 450
        assert samples[0].state is State.OK


def test_a_lost_gpu_is_asked_again_only_after_a_while(driver: Standin) -> None:
    """A lost GPU that comes back is seen when it is asked again, after 30 s, and not before."""
    driver.poll(0.0)
    driver.script("count 2", "fail * 1 15")
    driver.poll(1.0)
    driver.script("count 2")
    assert of_gpu(driver.poll(1.0 + RETRY_SECONDS - 1), 1).state is State.DOWN
    back = of_gpu(driver.poll(1.0 + RETRY_SECONDS + 1), 1)
    assert back.state is State.OK
    assert back.gauges["power_watts"] == 450


def test_a_gpu_lost_from_the_start_has_its_index(driver: Standin) -> None:
    """A GPU that was never readable is named by its index, since it has told no UUID."""
    driver.script("count 2", "fail * 1 15")
    samples = driver.poll()
    assert [sample.source for sample in samples] == ["nvml", f"gpu:{UUID.format(0)}", "gpu:#1"]
    assert samples[2].state is State.DOWN


def test_a_gpu_that_needs_a_reset_says_so(driver: Standin) -> None:
    """A GPU that wants a reset is down with the command that resets it."""
    driver.poll()
    driver.script("count 2", "fail * 0 16")
    assert "nvidia-smi --gpu-reset -i 0" in of_gpu(driver.poll(1.0), 0).reason


def test_fewer_gpus_than_before(driver: Standin) -> None:
    """A GPU that the driver no longer counts is a DOWN Sample that names it and how many are left."""
    driver.script("count 8")
    driver.poll(0.0)
    driver.script("count 7")
    samples = driver.poll(1.0)
    assert samples[0].gauges["gpu_count"] == 7
    gone = of_gpu(samples, 7)
    assert gone.state is State.DOWN
    assert gone.reason.startswith(f"7 of 8 GPUs visible; index 7 {UUID.format(7)} gone")
    assert sum(sample.state is State.OK for sample in samples) == 8  # the driver and 7 GPUs


@pytest.mark.parametrize(
    ("function", "quantity"),
    [
        ("nvmlDeviceGetPowerUsage", "power_watts"),
        ("nvmlDeviceGetUtilizationRates", "utilisation"),
        ("nvmlDeviceGetMemoryInfo_v2", "memory_used_bytes"),
        ("nvmlDeviceGetTemperatureV", "temperature_celsius"),
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttle"),
        ("nvmlDeviceGetFieldValues", "energy_joules"),
        ("nvmlDeviceGetFanSpeed", "fan_speed"),
    ],
)
def test_one_value_that_is_not_supported(driver: Standin, function: str, quantity: str) -> None:
    """A value that a GPU does not give is left out with the reason, the rest of it and the other GPU are read."""
    driver.script("count 2", f"fail {function} 0 3")
    samples = driver.poll()
    poor, rich = of_gpu(samples, 0), of_gpu(samples, 1)
    assert why(poor)[quantity] == "this GPU or its driver does not give it"
    assert poor.state is State.OK
    assert not any(split_series(name)[0] == quantity for name in (*poor.gauges, *poor.counters))
    assert len(poor.gauges) >= 8
    assert quantity not in why(rich)


def test_a_value_that_returns_is_no_longer_missing(driver: Standin) -> None:
    """What could not be read once and can be read later is there, and not among the missing."""
    driver.script("count 1", "fail nvmlDeviceGetPowerUsage 0 999")
    assert "see dmesg" in why(of_gpu(driver.poll(), 0))["power_watts"]
    driver.script("count 1")
    gpu = of_gpu(driver.poll(1.0), 0)
    assert "power_watts" not in why(gpu)
    assert gpu.gauges["power_watts"] == 450


@pytest.mark.parametrize(
    ("statement", "quantity"),
    [
        ("set 0 power 4294967295", "power_watts"),
        ("set 0 power 0", "power_watts"),
        ("set 0 utilisation 4294967295", "utilisation"),
        ("set 0 temperature 0", "temperature_celsius"),
        ("set 0 memory_temperature 0", "memory_temperature_celsius"),
        ("set 0 memory_total 0", "memory_total_bytes"),
        ("set 0 memory_used 99999999999999", "memory_used_bytes"),
        ("set 0 pcie_width 4294967295", "pcie_width"),
    ],
)
def test_impossible_values_are_unknown(driver: Standin, statement: str, quantity: str) -> None:
    """A sentinel, or a value that no board can have, is left out and named, never shown as a number."""
    driver.script("count 1", statement)
    gpu = of_gpu(driver.poll(), 0)
    assert quantity not in gpu.gauges
    assert "cannot be" in why(gpu)[quantity]


def test_throttle_reasons_are_bits(driver: Standin) -> None:
    """Each reason that holds the clocks down is 1, each other is 0, and one that the GPU cannot tell is left out."""
    driver.script("count 2", "set 0 reasons 0x44", "set 1 supported_reasons 0x7f")
    samples = driver.poll()
    held = {name for name, value in of_gpu(samples, 0).gauges.items() if name.startswith("throttle") and value}
    assert held == {'throttle{reason="sw_power_cap"}', 'throttle{reason="hw_thermal"}'}
    assert of_gpu(samples, 0).gauges['throttle{reason="hw_power_brake"}'] == 0
    assert 'throttle{reason="hw_power_brake"}' not in of_gpu(samples, 1).gauges


def test_processes_largest_first(driver: Standin) -> None:
    """Processes that compute and draw are listed once each with their memory, None where NVML hides it."""
    own = str(driver.child.pid)
    driver.script(
        "count 1",
        f"process 0 {own} 5000",
        "process 0 99999999 7000 graphics",
        f"process 0 {own} 5000 graphics",
        "process 0 99999998 18446744073709551615",
    )
    gpu = of_gpu(driver.poll(), 0)
    assert [(each.pid, each.memory_bytes) for each in gpu.processes] == [
        (99999999, 7000),
        (int(own), 5000),
        (99999998, None),
    ]
    assert gpu.processes[1].name is not None
    assert gpu.processes[0].name is None
    assert "--pid=host" in why(gpu)["names of processes"]


def test_no_permission_for_processes(driver: Standin) -> None:
    """Where processes may not be listed, there are none and the reason says what to do."""
    driver.script("count 1", "process 0 1 1", "fail nvmlDeviceGetComputeRunningProcesses_v3 0 4")
    gpu = of_gpu(driver.poll(), 0)
    assert gpu.processes == ()
    assert why(gpu)["processes"].startswith("not permitted: run as root")


def test_xid_events_come_once_and_to_their_gpu(driver: Standin) -> None:
    """An XID error is an event of the GPU that it is about, with its meaning, in one Sample alone."""
    driver.poll(0.0)
    driver.script("count 2", "xid 101 1 79", "xid 102 1 12345")
    samples = driver.poll(5.0)
    assert of_gpu(samples, 0).events == ()
    first, second = of_gpu(samples, 1).events
    assert (first.kind, first.code, first.text) == ("xid", 79, "XID 79: the GPU fell off the bus")
    assert first.wall == 1_000_005.0
    assert second.text == "XID 12345"
    assert of_gpu(driver.poll(6.0), 1).events == ()


def test_the_xid_of_a_lost_gpu_is_not_lost(driver: Standin) -> None:
    """The XID that a GPU sent as it went is on its DOWN Sample."""
    driver.poll(0.0)
    driver.script("count 2", "xid 201 1 79", "fail nvmlDeviceGetUtilizationRates 1 15")
    lost = of_gpu(driver.poll(1.0), 1)
    assert lost.state is State.DOWN
    assert [event.code for event in lost.events] == [79]


def test_events_go_on_after_the_set_was_spoilt(driver: Standin) -> None:
    """When waiting for events fails, a new registration is made, and later XID errors are seen."""
    driver.poll(0.0)
    driver.script("count 2", "fail nvmlEventSetWait_v2 * 15")
    assert driver.poll(1.0)[0].state is State.OK
    driver.script("count 2", "xid 301 0 48")
    assert [event.code for event in of_gpu(driver.poll(100.0), 0).events] == [48]


def test_a_gpu_that_came_later_gives_its_events(driver: Standin) -> None:
    """The XID errors of a GPU that was not there at first are seen as well."""
    driver.script("count 1")
    driver.poll(0.0)
    driver.script("count 2")
    driver.poll(1.0)
    driver.script("count 2", "xid 401 1 31")
    assert [event.code for event in of_gpu(driver.poll(2.0), 1).events] == [31]


def test_gpu_without_events(driver: Standin) -> None:
    """A GPU that gives no XID events says so, and where else to look."""
    driver.script("count 1", "set 0 event_types 0")
    (missing,) = [each for each in of_gpu(driver.poll(), 0).missing if each.what == "xid"]
    assert "dmesg" in missing.consequence


def test_mig_instances_are_gpus_of_their_own(driver: Standin) -> None:
    """With MIG on, each instance is a source that names its parent, has its share of memory, and no utilisation."""
    driver.script("count 1", "mig 0 2", "process 0 4242 1000")
    _, parent, first, second = driver.poll()
    assert parent.facts["mig"] == "on"
    assert parent.processes == ()
    assert (first.facts["mig_parent"], first.facts["mig_index"]) == (UUID.format(0), "0")
    assert second.source == "gpu:MIG-00000000-0000-0000-0001-000000000000"
    assert first.gauges == {"memory_total_bytes": 40 * 2**30, "memory_used_bytes": 30 * 2**30}
    assert "utilisation" in why(first)
    assert [process.pid for process in first.processes] == [4242]
    driver.script("count 1")
    assert len([driver.poll(float(k)) for k in range(1, 12)][-1]) == 2


def test_no_gpu_at_all(driver: Standin) -> None:
    """A driver without a GPU says so and what to do, and counts 0."""
    driver.script("count 0")
    (root,) = driver.poll()
    assert root.state is State.DOWN
    assert "reports no GPU" in root.reason
    assert root.gauges == {"gpu_count": 0}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "kernel module is not loaded"),
        (18, "different versions"),
        (4, "/dev/nvidia"),
        (999, "restart the container"),
    ],
)
def test_driver_that_cannot_be_opened(driver: Standin, code: int, words: str) -> None:
    """Each way in which NVML cannot be initialised has its own line; it is tried again after 30 s, then all is well."""
    driver.script("count 1", f"fail nvmlInitWithFlags * {code}")
    (root,) = driver.poll(0.0)
    assert root.state is State.DOWN
    assert words in root.reason
    driver.script("count 1")
    assert words in driver.poll(RETRY_SECONDS - 1)[0].reason
    assert [sample.state for sample in driver.poll(RETRY_SECONDS + 1)] == [State.OK, State.OK]


def test_driver_that_goes_away(driver: Standin) -> None:
    """A driver that stops answering in the middle of a poll is one DOWN Sample, and is opened anew later."""
    driver.poll(0.0)
    driver.script("count 2", "fail nvmlDeviceGetPowerUsage * 9")
    (root,) = driver.poll(1.0)
    assert "kernel module is not loaded" in root.reason
    driver.script("count 2")
    assert len(driver.poll(1.0 + RETRY_SECONDS)) == 3


def test_no_library(tmp_path: Path) -> None:
    """Where there is no driver library, the Sample names the library and what to do."""
    standin = Standin(None, tmp_path)
    try:
        (root,) = standin.poll()
    finally:
        assert standin.close() == 0
    assert root.state is State.DOWN
    for words in ("libnvidia-ml.so.1", "--gpus all", "NVIDIA_DRIVER_CAPABILITIES=utility", "--no-gpu"):
        assert words in root.reason


def test_old_driver(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A driver that lacks the newer calls is read by the older ones."""
    library = build(tmp_path_factory.mktemp("old"), old=True)
    if library is None:
        pytest.skip("no C compiler here: the stand-in driver library cannot be built")
    standin = Standin(library, tmp_path_factory.mktemp("standin-old"))
    try:
        standin.script("count 1", "process 0 4242 1000", "set 0 reasons 4", "set 0 temperature 55")
        gpu = of_gpu(standin.poll(), 0)
    finally:
        standin.close()
    assert gpu.gauges['throttle{reason="sw_power_cap"}'] == 1
    assert gpu.gauges["temperature_celsius"] == 55
    assert gpu.gauges["memory_used_bytes"] == (60 << 30) + (512 << 20)  # the old call counts what the driver reserved
    assert [process.pid for process in gpu.processes] == [4242]


def test_every_error_has_words() -> None:
    """Each error code, known or not, gives one line for a value and one for the driver."""
    for code in range(1000):
        assert why_not(code)
        assert why_no_driver(code)
        assert NvmlError(code).code == code
