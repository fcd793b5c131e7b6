"""Peaks of GPUs, and the shares of them: hand-worked."""

import math

import pytest

from insight.estimators import roofline


@pytest.mark.parametrize(
    ("name", "bandwidth", "flops_16"),
    [
        ("NVIDIA H100 80GB HBM3", 3.35e12, 989.4e12),
        ("NVIDIA H100 PCIe", 2.0e12, 756e12),
        ("NVIDIA H200", 4.8e12, 989.4e12),
        ("NVIDIA A100-SXM4-80GB", 2.039e12, 312e12),
        ("NVIDIA L4", 0.3e12, 121e12),
        ("NVIDIA L40S", 0.864e12, 362e12),
        ("Tesla T4", 0.32e12, 65e12),
    ],
)
def test_devices_are_known_by_the_name_that_nvml_gives(name: str, bandwidth: float, flops_16: float) -> None:
    """Every card of the table is found by its whole name."""
    found = roofline.peak(name)
    assert found is not None
    assert (found.bandwidth, found.flops_16) == (bandwidth, flops_16)


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "NVIDIA GeForce RTX 4090",
        "NVIDIA H200 NVL",
        "NVIDIA A10G",
        "NVIDIA L40",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
    ],
)
def test_no_peak_for_what_is_not_in_the_table(name: str | None) -> None:
    """Another card of the same family, and a slice of one, are not that card: they have no shares."""
    assert roofline.peak(name) is None
    assert roofline.shares(name, 1e14, 1e12, "m") is None


def test_every_peak_is_possible() -> None:
    """8 bits are done twice as fast as 16, within 2 %, and a card reads one number while it computes with hundreds."""
    for name, found in roofline._peaks().items():
        assert found.flops_8 == pytest.approx(2 * found.flops_16, rel=0.02), name
        assert 90 < found.flops_16 / found.bandwidth < 500, name


def test_shares_are_quotients_of_the_peaks() -> None:
    """An A100 that reads 1.5 TB/s and computes 62.4 TFLOP/s uses 74 % of its bandwidth and 20 % of its arithmetic."""
    found = roofline.shares("NVIDIA A100-SXM4-80GB", 62.4e12, 1.5e12, "meta-llama/Llama-3.1-8B-Instruct")
    assert found is not None
    assert found.bandwidth == pytest.approx(0.736, abs=0.001)
    assert found.arithmetic == found.arithmetic_most == pytest.approx(0.2)


@pytest.mark.parametrize("model", ["m-FP8-dynamic", "m compressed-tensors", "m-quantized.w8a8"])
def test_arithmetic_that_may_be_in_8_bits_is_bounded(model: str) -> None:
    """Where the name says that it may be in 8 bits the share lies between those of both; AWQ computes in 16."""
    found = roofline.shares("NVIDIA L40S", 181e12, 0.0, model)
    assert found is not None
    assert found.arithmetic == pytest.approx(181 / 733)
    assert found.arithmetic_most == pytest.approx(0.5)
    unpacked = roofline.shares("NVIDIA L40S", 181e12, 0.0, "m-AWQ awq_marlin")
    assert unpacked is not None
    assert math.isclose(unpacked.arithmetic, 0.5)
