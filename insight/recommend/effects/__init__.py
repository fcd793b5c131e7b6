"""What each piece of advice is expected to bring, by its id: pure functions of one case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.recommend.effects import batch, cache, measured, replicas, slowness, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from insight.recommend.case import Case, Estimate

EFFECTS: Mapping[str, Callable[[Case], Estimate]] = {
    "admission_control": batch.admission_control,
    "raise_admission": batch.raise_admission,
    "scale_out": replicas.scale_out,
    "raise_slots": batch.raise_slots,
    "lower_max_num_seqs": cache.lower_max_num_seqs,
    "kv_cache_capacity": cache.more_room,
    "kv_quantisation": cache.half_the_bytes,
    "kv_offload": cache.offload,
    "enable_prefix_cache": cache.enable_prefix_cache,
    "restore_prefix_cache": cache.restore_prefix_cache,
    "balance_load": replicas.balance_load,
    "dynamic_scaling": replicas.dynamic_scaling,
    "scale_in": replicas.scale_in,
    "token_budget": steps.token_budget,
    "smaller_steps": steps.token_budget,
    "shorten_prefill": steps.shorten_prefill,
    "parallelise": steps.parallelise,
    "quantise_weights": steps.quantise_weights,
    "speculation_off": steps.speculation_off,
    "speculation_on": steps.speculation_on,
    "retune": steps.retune,
    "cool_gpu": slowness.cool_gpu,
    "power_limit": slowness.lifted,
    "power_supply": slowness.lifted,
    "hardware_check": slowness.lifted,
    "pcie_link": slowness.lifted,
    "nvlink_reset": slowness.lifted,
    "exclusive_gpu": slowness.lifted,
    "isolate_straggler": slowness.lifted,
    "host_cpu": slowness.lifted,
    "ingress": measured.ingress,
    "validate_requests": measured.validate_requests,
    "error_causes": measured.error_causes,
    "warm_up": measured.warm_up,
}
"""Advice that is not named here has no effect that could be worked out from what is seen; its `because` says so."""

__all__ = ["EFFECTS"]
