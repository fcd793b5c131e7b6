"""How busy the parts of a GPU were: GPM through the real pynvml, from a driver library that does what the test says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.nvml_driver import RETRY_SECONDS
from metrics.sample import Sample, Source, State
from tests.fixtures.nvml.build import build
from tests.fixtures.nvml.standin import Standin

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARES = ("sm_utilisation", "tensor_utilisation", "dram_utilisation")


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
    child.script("count 1")
    child.new()
    return child


def gpus(samples: list[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.kind is Source.GPU]


def shares(sample: Sample) -> tuple[float | None, ...]:
    return tuple(sample.gauges.get(each) for each in SHARES)


def why(sample: Sample) -> dict[str, str]:
    return {missing.what: missing.why for missing in sample.missing if missing.what in SHARES}


def test_shares_are_those_between_two_polls(driver: Standin) -> None:
    """From the second poll on the three shares are those of the time since the poll before."""
    driver.script("count 1", "set 0 sm_activity 60", "set 0 tensor_activity 10", "set 0 dram_activity 70")
    (first,) = gpus(driver.poll(0.0))
    assert shares(first) == (None, None, None)
    assert why(first) == {"dram_utilisation": "needs two polls"}
    (second,) = gpus(driver.poll(1.0))
    assert shares(second) == pytest.approx((0.6, 0.1, 0.7))
    assert why(second) == {}
    driver.script("count 1", "set 0 sm_activity 80", "set 0 tensor_activity 50", "set 0 dram_activity 30")
    assert shares(gpus(driver.poll(2.0))[0]) == pytest.approx((0.7, 0.3, 0.5))
    assert shares(gpus(driver.poll(3.0))[0]) == pytest.approx((0.8, 0.5, 0.3))


def test_polls_that_come_too_soon_tell_nothing(driver: Standin) -> None:
    """The driver renews the counters every 0.1 s: two samples within that are no window."""
    driver.poll(0.0)
    assert shares(gpus(driver.poll(0.05))[0]) == (None, None, None)
    assert shares(gpus(driver.poll(1.0))[0]) == pytest.approx((0.8, 0.15, 0.7))


def test_gpu_without_gpm(driver: Standin) -> None:
    """A GPU before Hopper says once that it has no such counters, and what cannot be told; all else is read."""
    driver.script("count 2", "set 0 gpm 0")
    driver.poll(0.0)
    poor, rich = gpus(driver.poll(1.0))
    assert why(poor) == {"dram_utilisation": "NVML has no GPM counters for it: they begin with Hopper"}
    (missing,) = [each for each in poor.missing if each.what in SHARES]
    assert "bound by memory bandwidth" in missing.consequence
    assert shares(poor) == (None, None, None)
    assert poor.gauges["power_watts"] == 450
    assert why(rich) == {}
    assert None not in shares(rich)


def test_driver_without_gpm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A driver library that lacks the calls says nothing of the GPU: the driver is too old, and that is said."""
    library = build(tmp_path_factory.mktemp("old"), old=True)
    if library is None:
        pytest.skip("no C compiler here: the stand-in driver library cannot be built")
    standin = Standin(library, tmp_path_factory.mktemp("standin-old"))
    try:
        standin.poll(0.0)
        first, _ = gpus(standin.poll(1.0))
    finally:
        standin.close()
    assert why(first) == {"dram_utilisation": "the driver is too old to know it: upgrade the driver"}
    assert first.gauges["power_watts"] == 450


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "NVML has no GPM counters for it: they begin with Hopper"),
        (13, "the driver is too old to know it: upgrade the driver"),
        (25, "the driver is too old to know it: upgrade the driver"),
    ],
)
def test_why_there_is_no_gpm_is_asked_once(driver: Standin, code: int, said: str) -> None:
    """What the driver answers is kept, and told as what it is: the GPU's lack, or the driver's age."""
    driver.script("count 1", f"fail nvmlGpmQueryDeviceSupport * {code}")
    driver.poll(0.0)
    driver.script("count 1")
    assert why(gpus(driver.poll(1.0))[0]) == {"dram_utilisation": said}


def test_metrics_that_fail_leave_the_newer_sample(driver: Standin) -> None:
    """Both samples were taken: the next poll has the shares since the one that failed."""
    driver.poll(0.0)
    driver.script("count 1", "fail nvmlGpmMetricsGet * 999")
    assert shares(gpus(driver.poll(1.0))[0]) == (None, None, None)
    driver.script("count 1")
    assert None not in shares(gpus(driver.poll(2.0))[0])


@pytest.mark.parametrize("function", ["nvmlGpmQueryDeviceSupport", "nvmlGpmSampleGet", "nvmlGpmMetricsGet"])
def test_an_error_takes_the_shares_and_nothing_else(driver: Standin, function: str) -> None:
    """What fails is named with its reason, the rest of the GPU is read, and the shares come back with the calls."""
    driver.script("count 1", f"fail {function} * 4")
    driver.poll(0.0)
    (gpu,) = gpus(driver.poll(1.0))
    assert why(gpu)["dram_utilisation"].startswith("not permitted: run as root")
    assert (gpu.state, gpu.gauges["power_watts"]) == (State.OK, 450)
    driver.script("count 1")
    driver.poll(2.0)
    (gpu,) = gpus(driver.poll(3.0))
    assert shares(gpu) == pytest.approx((0.8, 0.15, 0.7))
    assert why(gpu) == {}


def test_after_an_error_no_share_spans_it(driver: Standin) -> None:
    """A poll that failed breaks the window: the next one has no share, for it would speak of an unknown time."""
    driver.poll(0.0)
    driver.script("count 1", "fail nvmlGpmSampleGet * 999")
    assert "see dmesg" in why(gpus(driver.poll(1.0))[0])["dram_utilisation"]
    driver.script("count 1")
    assert why(gpus(driver.poll(2.0))[0]) == {"dram_utilisation": "needs two polls"}
    assert None not in shares(gpus(driver.poll(3.0))[0])


def test_one_metric_that_is_not_given(driver: Standin) -> None:
    """An error of one metric is that metric's, and a share that cannot be is none."""
    driver.script("count 1", "metric 5 0 3", "set 0 dram_activity 4000")
    driver.poll(0.0)
    (gpu,) = gpus(driver.poll(1.0))
    assert {each: gpu.gauges[each] for each in SHARES if each in gpu.gauges} == {"sm_utilisation": pytest.approx(0.8)}
    assert why(gpu) == {
        "tensor_utilisation": "this GPU or its driver does not give it",
        "dram_utilisation": "the driver gave 4000, which cannot be",
    }


def test_mig_instances_are_not_asked(driver: Standin) -> None:
    """An instance has no such shares, as it has no utilisation; its GPU has them."""
    driver.script("count 1", "mig 0 2")
    driver.poll(0.0)
    parent, *instances = gpus(driver.poll(1.0))
    assert None not in shares(parent)
    assert [shares(each) for each in instances] == [(None, None, None)] * 2
    assert all(not why(each) for each in instances)


def test_a_gpu_lost_in_the_call_is_lost(driver: Standin) -> None:
    """The error that says that the GPU fell off the bus is not one of a value."""
    driver.poll(0.0)
    driver.script("count 1", "fail nvmlGpmSampleGet 0 15")
    (gpu,) = gpus(driver.poll(1.0))
    assert gpu.state is State.DOWN
    assert "fell off the bus" in gpu.reason


def test_samples_are_given_back(driver: Standin) -> None:
    """However often GPUs are lost, the driver goes away or the collector is made anew, no sample is left behind.

    The library has room for two a GPU: a single one that is not freed would be missed the next time.
    """
    now = 0.0

    def polls(*statements: str, seconds: float = 1.0) -> list[Sample]:
        nonlocal now
        driver.script("count 2", *statements)
        driver.poll(now)
        now += seconds
        samples = driver.poll(now)
        now += RETRY_SECONDS + 1
        return gpus(samples)

    for _ in range(3):
        assert all(None not in shares(each) for each in polls())
        assert [each.state for each in polls("fail nvmlDeviceGetPowerUsage 1 15")] == [State.OK, State.DOWN]
        assert all(None not in shares(each) for each in polls())
        assert polls("fail nvmlDeviceGetPowerUsage * 9") == []
        assert all(None not in shares(each) for each in polls())
        assert [each.state for each in polls("count 1")] == [State.OK, State.DOWN]
        driver.new()
