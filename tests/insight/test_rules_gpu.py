"""The rules about GPUs: each fires on what shows its fault, and is silent on a GPU that is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from insight.rules import xids
from metrics.finding import Severity
from metrics.histogram import Histogram
from metrics.sample import Event, Missing, Process, Sample, Source, State
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
GIB = 1024.0**3
REASONS = ("gpu_idle", "sw_power_cap", "hw_slowdown", "sw_thermal", "hw_thermal", "hw_power_brake")
GPU_RULES = (
    "thermal_throttle",
    "power_cap",
    "hw_slowdown",
    "ecc_uncorrected",
    "row_remap",
    "xid",
    "gpu_lost",
    "pcie_degraded",
    "nvlink_degraded",
    "gpu_straggler",
    "gpu_oversubscription",
)


def worker(index: int = 0, gib: float = 70.0) -> Process:
    return Process(1000 + index, f"VLLM::Worker_TP{index}", "llm", gib * GIB)


def gpu(
    mono: float,
    index: int = 0,
    reasons: tuple[str, ...] = (),
    processes: tuple[Process, ...] | None = None,
    counters: dict[str, float] | None = None,
    events: tuple[Event, ...] = (),
    missing: tuple[Missing, ...] = (),
    **gauges: Any,
) -> Sample:
    """Make a GPU under load with which nothing is wrong but what is given."""
    usual = {
        "utilisation": 0.95,
        "sm_clock_hertz": 1.98e9,
        "sm_clock_max_hertz": 1.98e9,
        "power_watts": 600.0,
        "power_limit_watts": 700.0,
        "temperature_celsius": 65.0,
        "memory_total_bytes": 80 * GIB,
        "memory_used_bytes": 72 * GIB,
        "pcie_width": 16.0,
        "pcie_width_max": 16.0,
        "pcie_generation": 5.0,
        "pcie_generation_max": 5.0,
        "nvlink_links_active": 18.0,
        "remapped_rows_failed": 0.0,
        "remapped_rows_pending": 0.0,
        "remapped_rows_uncorrectable": 0.0,
    }
    throttle = {series("throttle", reason=each): float(each in reasons) for each in REASONS}
    return Sample(
        f"gpu:GPU-{index}",
        Source.GPU,
        WALL + mono,
        mono,
        gauges={**usual, **throttle, **gauges},
        counters={"ecc_uncorrected": 0.0, "pcie_replays": 0.0, **(counters or {})},
        facts={"index": str(index), "uuid": f"GPU-{index}", "name": "H100"},
        processes=(worker(index),) if processes is None else processes,
        events=events,
        missing=missing,
    )


def server(mono: float, itl: float = 0.02, **seen: Any) -> Sample:
    """Make a server that has decoded 1000 tokens a second, from 50 s on with another latency."""
    fast, slow = min(mono, 50.0) * 1000, max(0.0, mono - 50.0) * 1000
    gaps = Histogram((0.01, 0.05), (0.0, fast + slow, 0.0), fast * 0.02 + slow * itl)
    return Sample("http://a", Source.SERVER, WALL + mono, mono, histograms={"itl_seconds": gaps}, **seen)


def fired(drive: Drive, rule: str, *, after: float = 90.0, **fault: Any) -> float | None:
    """Live through 100 s of load with a fault from 50 s on; tell after how many seconds of it the rule fired."""
    for mono in range(100):
        drive.poll(float(mono), gpu(float(mono), **(fault if mono >= 50 else {})))
        if drive.states()[rule] == "firing":
            assert mono - 50 <= after
            return float(mono - 50)
    return None


# --- a GPU that is well


def test_a_gpu_under_load_has_no_finding(drive: Callable[[], Drive]) -> None:
    """Eight GPUs at full load for minutes, near their power limit now and then: nothing fires, nothing is pending."""
    driven = drive()
    for mono in range(200):
        capped = ("sw_power_cap",) if mono % 3 == 0 else ()
        driven.poll(float(mono), server(float(mono)), *(gpu(float(mono), index, capped) for index in range(8)))
        states = driven.states()
        assert {states[each] for each in GPU_RULES} == {"not_observed"}


def test_a_gpu_that_tells_nothing_is_not_called_well(drive: Callable[[], Drive]) -> None:
    """Without the numbers that a rule needs it cannot be told, and NVLink is not spoken of where there is none."""
    driven = drive()
    lacks = (Missing("processes", "no permission"),)
    for mono in range(5):
        driven.poll(float(mono), Sample("gpu:x", Source.GPU, WALL, float(mono), missing=lacks))
    states = driven.states()
    told = set(GPU_RULES) - {"gpu_lost", "xid", "nvlink_degraded"}
    assert {states[each] for each in told} == {"unknown"}
    assert "nvlink_degraded" not in states


# --- clocks


@pytest.mark.parametrize(("reason", "rule"), [("hw_power_brake", "hw_slowdown"), ("hw_slowdown", "hw_slowdown")])
def test_the_hardware_protecting_itself_is_critical_within_5_s(
    drive: Callable[[], Drive], reason: str, rule: str
) -> None:
    """A power brake, and a slowdown for which no heat is the reason."""
    driven = drive()
    assert fired(driven, rule, after=5, reasons=(reason,), sm_clock_hertz=0.99e9) is not None
    assert driven.risk(rule).severity is Severity.CRITICAL
    assert driven.states()["thermal_throttle"] == "not_observed"


def test_heat_is_not_told_twice(drive: Callable[[], Drive]) -> None:
    """NVML sets the hardware slowdown beside the heat that is its reason: that is one finding."""
    driven = drive()
    heat = ("hw_slowdown", "hw_thermal")
    assert fired(driven, "thermal_throttle", after=10, reasons=heat, sm_clock_hertz=1.155e9) is not None
    assert driven.states()["hw_slowdown"] == "not_observed"


@pytest.mark.parametrize(("mhz", "severity"), [(1900.0, Severity.INFO), (1400.0, Severity.WARNING)])
def test_a_power_limit_reached_all_the_time_is_known_and_warned_of_where_it_is_felt(
    drive: Callable[[], Drive], mhz: float, severity: Severity
) -> None:
    """Over half of 30 s at the limit fires within 25 s; below 80 % of the clock it is a warning."""
    driven = drive()
    limited: dict[str, Any] = {"sm_clock_hertz": mhz * 1e6, "power_watts": 700.0}
    assert fired(driven, "power_cap", after=25, reasons=("sw_power_cap",), **limited) is not None
    for mono in range(100, 130):
        driven.poll(float(mono), gpu(float(mono), reasons=("sw_power_cap",), **limited))
    assert driven.risk("power_cap").severity is severity


def test_a_power_limit_that_was_lowered_is_told_with_its_moment(drive: Callable[[], Drive]) -> None:
    """From 700 to 200 W at 50 s: summary, description and evidence say so; a limit that was always 200 W is none."""
    driven, always = drive(), drive()
    low: dict[str, Any] = {"power_limit_watts": 200.0, "power_watts": 200.0, "sm_clock_hertz": 0.6e9}
    for mono in range(120):
        set_ = low if mono >= 50 else {}
        driven.poll(float(mono), gpu(float(mono), reasons=("sw_power_cap",) if mono >= 50 else (), **set_))
        always.poll(float(mono), gpu(float(mono), reasons=("sw_power_cap",), **low))
    risk = driven.risk("power_cap")
    said = "limit 700 to 200 W since 08:00:50 UTC"
    assert risk.summary.startswith(f"GPU 0, {said}, at its power limit")
    assert said in risk.description
    found = next(each for each in risk.evidence if each.quantity == "power_limit_watts")
    assert (found.value, found.threshold, found.text) == (200.0, 700.0, said)
    assert "since" not in always.risk("power_cap").summary


def test_slower_tokens_of_a_larger_batch_are_told_with_batch_and_output(drive: Callable[[], Drive]) -> None:
    """Tokens that take longer while as many come out in all: the sentence says that nothing was corrected for it."""
    driven = drive()
    for mono in range(80):
        hot = mono >= 50
        seen: dict[str, Any] = {
            "gauges": {"requests_running": 86.0 if hot else 26.0},
            "counters": {"output_tokens_total": 1300.0 * mono},
        }
        throttled = gpu(float(mono), 0, ("hw_thermal",) if hot else (), sm_clock_hertz=1.155e9 if hot else 1.98e9)
        driven.poll(float(mono), server(float(mono), itl=0.066, **seen), throttled)
    description = driven.risk("thermal_throttle").description
    assert "27 running before and 86 since, output 1300 to 1300 tokens/s; not corrected for the batch)" in description


@pytest.mark.parametrize(
    ("running", "output", "told"),
    [
        (63.0, 1518.0, False),  # more load: a larger batch that makes more
        (63.0, 1089.0, True),  # as much comes in and stays longer
        (63.0, 1200.0, True),  # 62 % more in the batch make 10 % more
        (63.0, 900.0, True),
        (45.0, 1518.0, True),  # the same batch
    ],
)
def test_a_batch_that_grew_and_made_more_is_no_slower_engine(
    drive: Callable[[], Drive], running: float, output: float, told: bool
) -> None:
    """39 requests and 1089 tokens/s before: where both rose, tokens take longer by the load and not by the GPU."""
    driven = drive()
    for mono in range(80):
        hot = mono >= 50
        made = 1089.0 * min(mono, 50) + output * max(0, mono - 50)
        seen: dict[str, Any] = {
            "gauges": {"requests_running": running if hot else 39.0},
            "counters": {"output_tokens_total": made},
        }
        throttled = gpu(float(mono), 0, ("hw_thermal",) if hot else (), sm_clock_hertz=1.155e9 if hot else 1.98e9)
        driven.poll(float(mono), server(float(mono), itl=0.024, **seen), throttled)
    assert ("ITL" in driven.risk("thermal_throttle").description) is told


def test_gpu_and_server_are_told_on_one_clock(drive: Callable[[], Drive]) -> None:
    """The finding says how decoding slowed at the moment at which the clock fell, and which GPUs wait."""
    driven = drive()
    for mono in range(80):
        hot = mono >= 50
        throttled = gpu(float(mono), 3, ("hw_thermal",) if hot else (), sm_clock_hertz=1.155e9 if hot else 1.98e9)
        cool = [gpu(float(mono), index) for index in (0, 1, 2)]
        driven.poll(float(mono), server(float(mono), itl=0.034), *cool, throttled)
    description = driven.risk("thermal_throttle").description
    assert description.startswith("Decode -41 % since 08:00:50 UTC (ITL 20 ms to 34 ms")
    assert "GPU 3 SM clock 1980 to 1155 MHz: hardware thermal for 29 s" in description
    assert "http://a works on GPUs 0-3" in description
    felt = next(each for each in driven.risk("thermal_throttle").evidence if each.quantity == "itl_seconds")
    assert felt.value == pytest.approx(0.034)
    assert felt.window_seconds == pytest.approx(29.0)


# --- stragglers and neighbours


def grouped(drive: Drive, seconds: int = 30, **fault: Any) -> str:
    """Let four GPUs work for one server, the last of them with a fault."""
    for mono in range(seconds):
        well = [gpu(float(mono), index) for index in range(3)]
        drive.poll(float(mono), server(float(mono)), *well, gpu(float(mono), 3, **fault))
    return drive.states()["gpu_straggler"]


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"sm_clock_hertz": 1.70e9}, "firing"),
        ({"sm_clock_hertz": 1.85e9}, "not_observed"),  # 0.93 of the others
        ({"power_watts": 350.0}, "firing"),
        ({"power_watts": 450.0}, "not_observed"),
        ({"sm_clock_hertz": 0.345e9, "utilisation": 0.0}, "not_observed"),  # it rests
        ({"sm_clock_hertz": 1.155e9, "reasons": ("hw_thermal",)}, "not_observed"),  # told as heat
        ({"sm_clock_hertz": 0.4e9, "processes": ()}, "not_observed"),  # it works for nobody
    ],
)
def test_a_straggler_is_slower_than_the_others_of_its_group(
    drive: Callable[[], Drive], fault: dict[str, Any], state: str
) -> None:
    """Below 0.9 of their clock or 0.7 of their power, while it is busy, and for a reason that nothing else tells."""
    driven = drive()
    assert grouped(driven, **fault) == state
    if state == "firing":
        assert driven.risk("gpu_straggler").target == "gpu:GPU-3"


def test_gpus_of_two_servers_are_not_compared(drive: Callable[[], Drive]) -> None:
    """By their pids two GPUs work for one server and two for another, which runs at other clocks: nobody lags."""
    driven = drive()
    for mono in range(30):
        a = server(float(mono), processes=(Process(1000), Process(1001)))
        b = Sample("http://b", Source.SERVER, WALL + mono, float(mono), processes=(Process(1002), Process(1003)))
        clocks = (1.98e9, 1.98e9, 1.5e9, 1.5e9)
        driven.poll(float(mono), a, b, *(gpu(float(mono), i, sm_clock_hertz=hz) for i, hz in enumerate(clocks)))
    assert driven.states()["gpu_straggler"] == "not_observed"


STRANGER = Process(4242, "python train.py", "somebody", 6 * GIB)


@pytest.mark.parametrize(
    ("processes", "state"),
    [
        ((worker(), STRANGER), "firing"),
        ((worker(), Process(4242, "Xorg", "root", 0.1 * GIB)), "not_observed"),
        ((worker(), Process(4242, "python embed.py", "bob", 1.5 * GIB)), "not_observed"),  # no more than a context
        ((worker(), Process(4242, "python embed.py", "bob", 3 * GIB)), "firing"),  # 4 % of the memory
        ((worker(), worker(7, 10.0)), "firing"),  # two engines
        ((STRANGER,), "not_observed"),  # no server's GPU
        ((Process(1, None), Process(2, None)), "unknown"),  # who they are cannot be seen
        ((), "not_observed"),
    ],
)
def test_a_shared_gpu_is_found_by_who_is_on_it(
    drive: Callable[[], Drive], processes: tuple[Process, ...], state: str
) -> None:
    """A stranger with more memory than a context takes, or a second engine, beside an engine."""
    driven = drive()
    for mono in range(10):
        driven.poll(float(mono), gpu(float(mono), processes=processes))
    assert driven.states()["gpu_oversubscription"] == state


def test_pids_tell_whose_a_process_is_where_names_do_not(drive: Callable[[], Drive]) -> None:
    """Two processes called python3: the server's own list of pids says which is the stranger, and it is named."""
    driven = drive()
    own, other = Process(7, "python3", "llm", 60 * GIB), Process(8, "python3", "bob", 9 * GIB)
    for mono in range(10):
        driven.poll(float(mono), server(float(mono), processes=(Process(7),)), gpu(float(mono), processes=(own, other)))
    risk = driven.risk("gpu_oversubscription")
    assert risk.state.value == "firing"
    assert "python3 (8) holds 9 GiB" in risk.summary


def test_a_neighbour_that_slows_decoding_is_told_by_that(drive: Callable[[], Drive]) -> None:
    """The process came at 50 s, and tokens take twice as long since: that leads, and its memory is the evidence."""
    slowed, harmless = drive(), drive()
    for mono in range(80):
        here = (worker(), STRANGER) if mono >= 50 else (worker(),)
        used = (76.0 if mono >= 50 else 70.0) * GIB
        shared = gpu(float(mono), processes=here, memory_used_bytes=used)
        slowed.poll(float(mono), server(float(mono), itl=0.04), shared)
        harmless.poll(float(mono), server(float(mono)), shared)
    risk = slowed.risk("gpu_oversubscription")
    assert risk.summary == "python train.py (4242) shares GPU 0: ITL 20 ms to 40 ms"
    assert risk.description.startswith("Decode -50 % since 08:00:50 UTC (ITL 20 ms to 40 ms")
    assert [each.quantity for each in risk.evidence] == ["itl_seconds", "processes"]
    assert "holds 6 GiB of its memory" in risk.evidence[1].text
    assert harmless.risk("gpu_oversubscription").summary.startswith("GPU 0: python train.py (4242) holds 6 GiB")


def test_a_gpu_without_free_memory_is_told(drive: Callable[[], Drive]) -> None:
    """Less than 1 GB free on a GPU that serves."""
    driven = drive()
    assert fired(driven, "gpu_oversubscription", after=10, memory_used_bytes=79.5 * GIB) is not None


# --- memory, XID, lost


def test_an_uncorrectable_error_counts_when_it_is_new_and_stays(drive: Callable[[], Drive]) -> None:
    """Errors from before are no finding; one more is critical at once and still there an hour later."""
    driven = drive()
    for mono in range(20):
        driven.poll(float(mono), gpu(float(mono), counters={"ecc_uncorrected": 3.0}))
    assert driven.states()["ecc_uncorrected"] == "not_observed"
    for moment in (20.0, 21.0, 3600.0):
        driven.poll(moment, gpu(moment, counters={"ecc_uncorrected": 4.0}))
        risk = driven.risk("ecc_uncorrected")
        assert (risk.state.value, risk.severity) == ("firing", Severity.CRITICAL)
        assert risk.evidence[0].value == 1.0


@pytest.mark.parametrize(
    ("fault", "severity"),
    [
        ({"remapped_rows_pending": 1.0}, Severity.WARNING),
        ({"remapped_rows_failed": 1.0}, Severity.CRITICAL),
        ({"remapped_rows_uncorrectable": 512.0}, Severity.WARNING),
        ({"remapped_rows_uncorrectable": 511.0}, None),
    ],
)
def test_rows_that_wait_or_fail_are_told(
    drive: Callable[[], Drive], fault: dict[str, Any], severity: Severity | None
) -> None:
    """A row that could not be remapped is critical; one that waits, and 512 of them, are warnings."""
    driven = drive()
    assert (fired(driven, "row_remap", after=1, **fault) is not None) == (severity is not None)
    assert severity is None or driven.risk("row_remap").severity is severity


@pytest.mark.parametrize(
    ("code", "severity"),
    [(79, "critical"), (48, "critical"), (31, "warning"), (45, "info"), (154, "info"), (999, "warning")],
)
def test_an_xid_is_as_bad_as_the_table_says_for_an_hour(drive: Callable[[], Drive], code: int, severity: str) -> None:
    """The driver tells it once; it fires at once and is over after an hour."""
    driven = drive()
    driven.poll(0.0, gpu(0.0))
    driven.poll(1.0, gpu(1.0, events=(Event(WALL + 1, "xid", f"XID {code}", code),)))
    risk = driven.risk("xid")
    assert (risk.state.value, risk.severity.value) == ("firing", severity)
    for mono in (2.0, 3599.0):
        driven.poll(mono, gpu(mono))
        assert driven.states()["xid"] == "firing"
    driven.poll(3602.0, gpu(3602.0))
    assert driven.states()["xid"] == "not_observed"


def test_an_xid_that_the_catalogue_ignores_asks_for_nothing(drive: Callable[[], Drive]) -> None:
    """43 is a warning to DCGM and to be ignored after NVIDIA: it is shown, without anything to do."""
    driven = drive()
    driven.poll(0.0, gpu(0.0, events=(Event(WALL, "xid", "XID 43", 43),)))
    assert "To do" not in driven.risk("xid").description
    driven.poll(1.0, gpu(1.0, events=(Event(WALL + 1, "xid", "XID 94", 94),)))
    assert "To do: restart the application that was hit" in driven.risk("xid").description
    assert all(each.severity in set(Severity) for each in xids.XIDS.values())


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("XID 94 on GPU 0", 94, "XID 94: contained ECC error"),
        ("XID 79: the GPU fell off the bus", 79, "XID 79: the GPU fell off the bus"),
        ("XID 999", 999, "XID 999"),
    ],
)
def test_an_xid_is_told_by_what_it_is_and_the_gpu_once(
    drive: Callable[[], Drive], text: str, code: int, said: str
) -> None:
    """As the driver tells it, else by the table; a code that is in no table has its number alone."""
    driven = drive()
    driven.poll(0.0, gpu(0.0, events=(Event(WALL, "xid", text, code),)))
    risk = driven.risk("xid")
    assert risk.summary == f"GPU 0, {said}"
    assert risk.evidence[0].text == said


def test_a_memory_error_names_the_server_that_works_there(drive: Callable[[], Drive]) -> None:
    """One error is one error, and who has to be drained is named."""
    driven = drive()
    for mono in range(20):
        driven.poll(float(mono), server(float(mono)), gpu(float(mono), counters={"ecc_uncorrected": float(mono >= 10)}))
    risk = driven.risk("ecc_uncorrected")
    assert "1 uncorrectable memory error in" in risk.summary
    assert risk.description.endswith("http://a works on it.")
    assert "was ended" not in risk.impact


def test_a_lost_gpu_is_one_finding(drive: Callable[[], Drive]) -> None:
    """XID 79 and the loss are the same thing: the row of XIDs steps back."""
    driven = drive()
    driven.poll(0.0, gpu(0.0))
    gone = Event(WALL + 1, "xid", "XID 79: the GPU fell off the bus", 79)
    facts = {"index": "0", "uuid": "GPU-0"}
    for mono in range(1, 20):
        events = (gone,) if mono == 1 else ()
        lost = Sample(
            "gpu:GPU-0",
            Source.GPU,
            WALL + mono,
            float(mono),
            state=State.DOWN,
            reason="lost",
            facts=facts,
            events=events,
        )
        driven.poll(float(mono), lost)
    assert driven.states()["gpu_lost"] == "firing"
    assert driven.states()["xid"] == "unknown"


# --- links


@pytest.mark.parametrize(
    ("fault", "fires"),
    [
        ({"pcie_width": 8.0}, True),
        ({"pcie_generation": 3.0}, True),
        ({"pcie_generation": 1.0, "utilisation": 0.0}, False),  # at rest it saves power
    ],
)
def test_a_link_is_judged_under_load_alone(drive: Callable[[], Drive], fault: dict[str, Any], *, fires: bool) -> None:
    """Fewer lanes or a lower generation while the GPU works; at rest that is normal."""
    driven = drive()
    if not fires:
        for mono in range(120):
            driven.poll(float(mono), gpu(float(mono), **fault))
            assert driven.states()["pcie_degraded"] == "not_observed"
        return
    assert fired(driven, "pcie_degraded", after=30, **fault) is not None


@pytest.mark.parametrize(("a_minute", "fires"), [(6.0, False), (20.0, True)])
def test_replays_are_counted_by_the_minute(drive: Callable[[], Drive], a_minute: float, *, fires: bool) -> None:
    """More than 8 a minute fire; 8 a second, as public rules have it, would be 60 times as many."""
    driven = drive()
    seen = set()
    for mono in range(240):
        driven.poll(float(mono), gpu(float(mono), counters={"pcie_replays": float(int(mono * a_minute / 60))}))
        seen.add(driven.states()["pcie_degraded"])
    assert ("firing" in seen) == fires


@pytest.mark.parametrize(
    ("kind", "a_second", "severity"),
    [
        ("replay", 0.1, Severity.CRITICAL),
        ("recovery", 0.1, Severity.CRITICAL),
        ("crc", 0.5, None),
        ("crc", 2.0, Severity.WARNING),
        ("crc", 200.0, Severity.CRITICAL),
    ],
)
def test_nvlink_errors_count_by_kind(
    drive: Callable[[], Drive], kind: str, a_second: float, severity: Severity | None
) -> None:
    """Any replay or recovery is critical; CRC errors are corrected, and count from one a second on."""
    driven = drive()
    name = series("nvlink_errors", kind=kind)
    for mono in range(120):
        driven.poll(float(mono), gpu(float(mono), counters={name: 5.0 + float(int(max(0, mono - 60) * a_second))}))
    risk = driven.risk("nvlink_degraded")
    assert (risk.state.value == "firing") == (severity is not None)
    assert severity is None or risk.severity is severity


def test_a_link_that_is_down_is_critical(drive: Callable[[], Drive]) -> None:
    """17 of the 18 links that it had before."""
    driven = drive()
    assert fired(driven, "nvlink_degraded", after=10, nvlink_links_active=17.0) is not None
    assert driven.risk("nvlink_degraded").severity is Severity.CRITICAL
