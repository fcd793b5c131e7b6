"""`collectors.command_line`: the flags that advice needs, and nothing else of what stands on a command line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.command_line import flags, more_flags_in
from collectors.engine_flags import FLAGS

NAMES = sorted(
    name.removeprefix("!")
    for known in FLAGS.values()
    for group in (known.numbers, known.words, known.switches)
    for names in group
    for name in names.split()
)


@pytest.mark.parametrize(
    ("engine", "line", "expected"),
    [
        ("vllm", "vllm serve m --max-num-seqs 8", {"flag_max_num_seqs": "8"}),
        ("vllm", "vllm serve m --max-num-seqs=8", {"flag_max_num_seqs": "8"}),
        ("vllm", "vllm serve m --max_num_seqs 8", {"flag_max_num_seqs": "8"}),
        ("vllm", "vllm serve m -tp 4 -dp=2 -pp 1", {"tensor": "4", "data": "2", "pipeline": "1"}),
        ("vllm", "vllm serve m --max-num-seqs 8 --max-num-seqs 16", {"flag_max_num_seqs": "16"}),
        ("vllm", "vllm serve m --max-model-len 32k", {"flag_max_model_len": "32k"}),
        (
            "vllm",
            "vllm serve m --kv-cache-dtype fp8 -q awq",
            {"flag_kv_cache_dtype": "fp8", "flag_quantization": "awq"},
        ),
        ("vllm", "vllm serve m --no-enable-prefix-caching", {"flag_enable_prefix_caching": "False"}),
        ("vllm", "vllm serve m --enforce-eager --port 8000", {"flag_enforce_eager": "True"}),
        ("vllm", "vllm serve m --max-num-seqs", {}),
        ("vllm", "vllm serve m --max-num-seqs --enforce-eager", {"flag_enforce_eager": "True"}),
        ("sglang", "python -m sglang.launch_server --tp 8 --disable-radix-cache", {"tp": "8", "radix": "True"}),
        ("llamacpp", "llama-server -m x.gguf -np 4 -c 8192 -ngl -1", {"np": "4", "c": "8192", "ngl": "-1"}),
        ("llamacpp", "llama-server -fa --port 1", {"flag_flash_attn": "True"}),
        ("llamacpp", "llama-server -fa off -nocb", {"flag_flash_attn": "False", "flag_cont_batching": "False"}),
        ("tgi", "text-generation-launcher --num-shard 2 --sharded true", {"shard": "2", "sharded": "True"}),
        ("trtllm", "trtllm-serve m --max_batch_size 64 --tp_size 2", {"flag_max_batch_size": "64", "tp": "2"}),
        ("lmdeploy", "lmdeploy serve api_server m --tp 2", {"flag_tp": "2"}),
        ("nobody", "nobody --max-num-seqs 8", {}),
    ],
)
def test_flags_of_each_engine(engine: str, line: str, expected: dict[str, str]) -> None:
    """Long and short, with blank and with `=`, dashes and underscores; the last one counts."""
    short = {
        "tensor": "flag_tensor_parallel_size",
        "data": "flag_data_parallel_size",
        "pipeline": "flag_pipeline_parallel_size",
        "tp": "flag_tp_size",
        "radix": "flag_disable_radix_cache",
        "np": "flag_parallel",
        "c": "flag_ctx_size",
        "ngl": "flag_gpu_layers",
        "shard": "flag_num_shard",
        "sharded": "flag_sharded",
    }
    assert flags(engine, line.split()) == {short.get(name, name): value for name, value in expected.items()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speculative-config", json.dumps({"method": "ngram", "num_speculative_tokens": 3, "model": "/secret/path"})],
        ["--speculative_config=" + json.dumps({"num_speculative_tokens": 3, "method": "ngram"})],
        ["-sc", json.dumps({"num_speculative_tokens": 3, "method": "ngram", "x": {"method": "eagle"}})],
        ["--speculative-config.method", "ngram", "--speculative-config.num_speculative_tokens=3"],
        ["--spec-method", "ngram", "--spec-tokens", "3"],
    ],
)
def test_speculation(arguments: list[str]) -> None:
    """Of a JSON object only the method and the length of the draft are kept, however they are written."""
    assert flags("vllm", ["vllm", "serve", *arguments]) == {
        "flag_speculative_method": "ngram",
        "flag_num_speculative_tokens": "3",
    }


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"method": ["ngram"]}', "[" * 5000, '{"method": "/a/b"}'])
def test_an_object_that_is_none(text: str) -> None:
    """What cannot be read tells nothing."""
    assert flags("vllm", ["vllm", "serve", "--speculative-config", text]) == {}


@pytest.mark.parametrize("engine", sorted(FLAGS))
def test_secrets_are_not_kept(engine: str) -> None:
    """Keys, addresses, paths and whatever is not on the list stay where they are, also in the place of a value."""
    line = ["x", "--api-key", "sk-1234567890", "--hf-token=hf_abc", "--host", "10.0.0.1", "--model", "/home/me/model"]
    assert flags(engine, line) == {}
    known = FLAGS[engine]
    for names in (*known.numbers, *known.words):
        flag = "--" + names.split()[0].removeprefix("--")
        for value in ("/etc/passwd", "https://me:s3cret@host/", "a b", "x" * 33, "\x1b[31m", "Bearer\tx", "é", ""):
            assert flags(engine, ["x", flag, value]) == {}
            assert flags(engine, ["x", f"{flag}={value}"]) == {}


@given(
    st.sampled_from(sorted(FLAGS)),
    st.lists(st.one_of(st.sampled_from(NAMES), st.text(max_size=40), st.from_regex(r"--[a-z_.-]{1,20}=?.{0,9}"))),
)
def test_any_command_line(engine: str, line: list[str]) -> None:
    """Whatever stands there: nothing raises, and every fact is a short plain word."""
    for name, value in flags(engine, line).items():
        assert name.startswith("flag_")
        assert value.isascii()
        assert value.isprintable()
        assert 0 < len(value) <= 32
        assert not set(value) & set("/ :@\\")


def test_flags_in_a_file_are_named() -> None:
    """A flag that names a file with more flags is found, in whatever way it is written."""
    assert more_flags_in("vllm", ["vllm", "serve", "--config", "a.yaml"]) == "--config"
    assert more_flags_in("trtllm", ["trtllm-serve", "--extra_llm_api_options=a.yaml"]) == "--extra-llm-api-options"
    assert more_flags_in("vllm", ["vllm", "serve", "m"]) is None
    assert more_flags_in("nobody", ["--config"]) is None


@pytest.mark.parametrize("engine", sorted(FLAGS))
def test_a_name_means_one_thing(engine: str) -> None:
    """No name of a flag stands twice in the list of its engine."""
    known = FLAGS[engine]
    names = [
        name.removeprefix("!")
        for group in (known.numbers, known.words, known.switches)
        for each in group
        for name in each.split()
    ]
    assert len(names) == len(set(names))
