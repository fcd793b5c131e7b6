from __future__ import annotations

import pytest

from insight.estimators import roofline
from insight.estimators.roofline import Model

LLAMA_8B = Model(8.03e9, layers=32, kv_heads=8, head_dim=128, weight_type="bf16", kv_type="bf16")


def test_kv_bytes_per_token() -> None:
    """Llama 3.1 8B keeps 128 KiB a token in 16 bits, half of that in 8; a latent cache its width alone."""
    assert LLAMA_8B.kv_bytes_per_token == 128 * 1024
    eight = Model(8.03e9, 32, 8, 128, weight_type="bf16", kv_type="fp8")
    assert eight.kv_bytes_per_token == 64 * 1024
    mla = Model(37e9, 61, 128, 128, weight_type="fp8", kv_type="bf16", latent=576)
    assert mla.kv_bytes_per_token == 576 * 61 * 2


@pytest.mark.parametrize(
    ("name", "number", "flops", "bandwidth"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4e12, 3.35e12),
        ("NVIDIA H100 80GB HBM3", "fp16", 989.4e12, 3.35e12),
        ("NVIDIA H200", "fp8", 1978.9e12, 4.8e12),
        ("NVIDIA H200 NVL", "bf16", 835.5e12, 4.8e12),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312e12, 2.039e12),
        ("Tesla T4", "fp16", 65e12, 0.32e12),
    ],
)
def test_peaks_by_name(name: str, number: str, flops: float, bandwidth: float) -> None:
    """The row of the longest name that fits."""
    found = roofline.peak(name, number)
    assert found is not None
    assert (found.flops, found.bandwidth) == (flops, bandwidth)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("NVIDIA GeForce RTX 9990", "bf16"),
        ("NVIDIA H100 80GB HBM3", "fp4"),
        ("NVIDIA A10G", "bf16"),
        ("NVIDIA L40", "bf16"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "bf16"),
        (None, "bf16"),
    ],
)
def test_an_unknown_device_has_no_share(name: str | None, number: str) -> None:
    """No row, no MFU, no MBU, no bound: never a guess by a name that is like it."""
    found = roofline.peak(name, number)
    assert found is None
    assert roofline.mfu(LLAMA_8B, 1000, 500, 32, found, 1) is None
    assert roofline.mbu(LLAMA_8B, 0.01, 1000, found, 1) is None
    assert roofline.shortest_step(LLAMA_8B, 1000, found, 1) is None
    assert roofline.ridge_batch(LLAMA_8B, found) is None


def test_shares_by_hand() -> None:
    """16 GB of weights in 10 ms on 3.35 TB/s are 48 %; 10 000 tokens/s of 16 GFLOP on 989 TFLOP/s are 16 %."""
    h100 = roofline.peak("NVIDIA H100 80GB HBM3", "bf16")
    assert h100 is not None
    assert h100.ridge == pytest.approx(295, rel=0.01)
    assert roofline.ridge_batch(LLAMA_8B, h100) == pytest.approx(295, rel=0.01)
    assert roofline.mbu(LLAMA_8B, 0.010, 0, h100, 1) == pytest.approx(0.479, abs=0.001)
    assert roofline.mbu(LLAMA_8B, 0.010, 0, h100, 2) == pytest.approx(0.240, abs=0.001)
    assert roofline.mfu(LLAMA_8B, 10_000, 0, 32, h100, 1) == pytest.approx(0.162, abs=0.001)
    assert roofline.shortest_step(LLAMA_8B, 0, h100, 1) == pytest.approx(0.0048, abs=0.0001)


def test_a_step_at_its_bound_uses_all_of_the_bandwidth() -> None:
    """MBU is 1 at the shortest step, whatever the cache holds."""
    h200 = roofline.peak("NVIDIA H200", "bf16")
    for resident in (0, 10_000, 500_000):
        step = roofline.shortest_step(LLAMA_8B, resident, h200, 4)
        assert step is not None
        assert roofline.mbu(LLAMA_8B, step, resident, h200, 4) == pytest.approx(1.0)
