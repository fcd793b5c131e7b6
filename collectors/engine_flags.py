"""Which flags of an engine's command line are worth knowing: data, by engine. Whatever is not named here is not kept.

Those of vLLM 0.32 were compared with its sources and those of llama.cpp (2026) with its help; those of SGLang and
TensorRT-LLM were read in their public documentation; those of TGI and LMDeploy are from general knowledge, not checked.
"""

from __future__ import annotations

from msgspec import Struct


class Flags(Struct, frozen=True):
    """The flags of one engine, each with its names: the first gives that of the fact, one with `!` turns it off."""

    numbers: tuple[str, ...]
    """A number or one of few words (`auto`) comes behind it."""
    words: tuple[str, ...]
    """A short word comes behind it: a data type, a policy."""
    switches: tuple[str, ...]
    """Nothing has to come behind it; `--no-...` turns it off."""
    objects: tuple[str, ...] = ()
    """Names of one flag behind which a JSON object comes; its parts are flags themselves: `--the-first.part`."""
    files: tuple[str, ...] = ()
    """Names a file with more flags, which is not read."""


FLAGS = {
    "vllm": Flags(
        numbers=(
            "--api-server-count -asc",
            "--block-size",
            "--cpu-offload-gb",
            "--data-parallel-size -dp",
            "--data-parallel-size-local -dpl",
            "--decode-context-parallel-size -dcp",
            "--gpu-memory-utilization --device-memory-utilization",
            "--kv-cache-memory-bytes",
            "--kv-offloading-size",
            "--long-prefill-token-threshold",
            "--max-cpu-loras",
            "--max-long-partial-prefills",
            "--max-lora-rank",
            "--max-loras",
            "--max-model-len",
            "--max-num-active-seqs",
            "--max-num-batched-tokens",
            "--max-num-partial-prefills",
            "--max-num-queued-reqs",
            "--max-num-queued-tokens",
            "--max-num-seqs",
            "--num-gpu-blocks-override",
            "--num-speculative-tokens --speculative-config.num_speculative_tokens --spec-tokens",
            "--pipeline-parallel-size -pp",
            "--stream-interval",
            "--swap-space",
            "--tensor-parallel-size -tp",
        ),
        words=(
            "--attention-backend",
            "--data-parallel-backend -dpb",
            "--distributed-executor-backend",
            "--dtype",
            "--kv-cache-dtype",
            "--kv-offloading-backend",
            "--performance-mode",
            "--prefix-caching-hash-algo",
            "--quantization -q",
            "--scheduling-policy",
            "--speculative-method --speculative-config.method --spec-method",
        ),
        switches=(
            "--async-scheduling",
            "--data-parallel-external-lb -dpe",
            "--data-parallel-hybrid-lb -dph",
            "--disable-cascade-attn",
            "--disable-log-stats",
            "--enable-chunked-prefill",
            "--enable-dbo",
            "--enable-eplb",
            "--enable-expert-parallel -ep",
            "--enable-lora",
            "--enable-prefix-caching",
            "--enable-prompt-tokens-details",
            "--enable-sleep-mode",
            "--enforce-eager",
        ),
        objects=("--speculative-config", "-sc"),
        files=("--config",),
    ),
    "sglang": Flags(
        numbers=(
            "--chunked-prefill-size",
            "--context-length",
            "--cuda-graph-max-bs",
            "--dp-size --dp --data-parallel-size",
            "--ep-size --ep --expert-parallel-size",
            "--hicache-ratio",
            "--hicache-size",
            "--max-loras-per-batch",
            "--max-prefill-tokens",
            "--max-queued-requests",
            "--max-running-requests",
            "--max-total-tokens",
            "--mem-fraction-static",
            "--num-continuous-decode-steps",
            "--page-size",
            "--pp-size --pp --pipeline-parallel-size",
            "--schedule-conservativeness",
            "--speculative-eagle-topk",
            "--speculative-num-draft-tokens",
            "--speculative-num-steps",
            "--stream-interval",
            "--tokenizer-worker-num",
            "--tp-size --tp --tensor-parallel-size",
        ),
        words=(
            "--attention-backend",
            "--disaggregation-mode",
            "--dtype",
            "--hicache-write-policy",
            "--kv-cache-dtype",
            "--load-balance-method",
            "--quantization",
            "--schedule-policy",
            "--speculative-algorithm --speculative-algo",
        ),
        switches=(
            "--disable-cuda-graph",
            "--disable-overlap-schedule",
            "--disable-radix-cache",
            "--enable-deterministic-inference",
            "--enable-dp-attention",
            "--enable-hierarchical-cache",
            "--enable-metrics",
            "--enable-mixed-chunk",
            "--enable-priority-scheduling",
            "--enable-torch-compile",
        ),
        files=("--config",),
    ),
    "llamacpp": Flags(
        numbers=(
            "--batch-size -b",
            "--cache-ram -cram",
            "--cache-reuse",
            "--ctx-size -c",
            "--gpu-layers -ngl --n-gpu-layers",
            "--parallel -np",
            "--spec-draft-n-max --draft-max --draft --draft-n",
            "--threads -t",
            "--threads-batch -tb",
            "--threads-http",
            "--ubatch-size -ub",
        ),
        words=(
            "--cache-type-k -ctk",
            "--cache-type-v -ctv",
            "--numa",
            "--split-mode -sm",
        ),
        switches=(
            "--cache-prompt",
            "--cont-batching -cb !-nocb",
            "--flash-attn -fa",
            "--kv-offload -kvo !-nkvo",
            "--kv-unified -kvu !-no-kvu",
            "--mlock",
            "--mmap",
            "--swa-full",
            "--warmup",
        ),
        files=("--models-preset",),
    ),
    "tgi": Flags(
        numbers=(
            "--cuda-memory-fraction",
            "--max-batch-prefill-tokens",
            "--max-batch-size",
            "--max-batch-total-tokens",
            "--max-concurrent-requests",
            "--max-input-tokens --max-input-length",
            "--max-total-tokens",
            "--max-waiting-tokens",
            "--num-shard",
            "--speculate",
            "--validation-workers",
            "--waiting-served-ratio",
        ),
        words=("--dtype", "--kv-cache-dtype", "--quantize"),
        switches=("--sharded",),
    ),
    "trtllm": Flags(
        numbers=(
            "--ep-size",
            "--gpus-per-node",
            "--kv-cache-free-gpu-memory-fraction --free-gpu-memory-fraction",
            "--max-batch-size",
            "--max-beam-width",
            "--max-num-tokens",
            "--max-seq-len",
            "--pp-size",
            "--tp-size",
        ),
        words=("--backend", "--kv-cache-dtype"),
        switches=("--enable-chunked-prefill",),
        files=("--extra-llm-api-options", "--config"),
    ),
    "lmdeploy": Flags(
        numbers=(
            "--cache-block-seq-len",
            "--cache-max-entry-count",
            "--dp",
            "--max-batch-size",
            "--max-prefill-token-num",
            "--num-tokens-per-iter",
            "--quant-policy",
            "--session-len",
            "--tp",
        ),
        words=("--backend", "--dtype", "--model-format"),
        switches=("--eager-mode", "--enable-prefix-caching"),
    ),
}
