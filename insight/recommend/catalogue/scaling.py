"""More hardware, less of it, or the same used otherwise: replicas, slots, parallelism, scaling with the load."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, NOT_SET, OTHERS, Action, Advice

_HIGHER_TP = "twice as many"

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="scale_out",
        title="Add capacity",
        kind="horizontal scaling",
        rules=(
            "model_overloading",
            "admission_rejections",
            "ttft_slo",
            "itl_slo",
            "tpot_slo",
            "e2e_slo",
            "goodput_slo",
            "decode_bandwidth_bound",
            "prefill_compute_bound",
        ),
        actions={
            "vllm": (
                Action(
                    "where GPUs are free",
                    "--data-parallel-size",
                    "flag_data_parallel_size",
                    "{replicas}",
                    times="flag_data_parallel_size",
                    restart=True,
                ),
            ),
            "sglang": (
                Action(
                    "where GPUs are free",
                    "--dp",
                    "dp_size flag_dp_size",
                    "{replicas}",
                    times="dp_size flag_dp_size",
                    restart=True,
                ),
            ),
            "llamacpp": (Action("another llama-server beside it, where a GPU is free"),),
            ANY: (Action("more replicas behind a router that sends to the shortest queue"),),
        },
        relieves=("measured", "slots", "kv_cache", "objective"),
        cost="GPUs for each replica more",
        harm="each replica has a prefix cache of its own: hits fall where the router does not mind prefixes",
        disproved_by="as many requests are finished per second as before while the queue stands",
        because="how many replicas it takes follows from the capacity of one",
    ),
    Advice(
        id="raise_slots",
        title="Let more requests run at once",
        kind="batching",
        rules=("slot_cap", "model_overloading"),
        actions={
            "vllm": (
                Action(
                    "",
                    "--max-num-seqs",
                    "flag_max_num_seqs",
                    "{slots}",
                    "higher",
                    "flag_data_parallel_size",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "sglang": (
                Action(
                    "--cuda-graph-max-bs as high",
                    "--max-running-requests",
                    "max_running_requests flag_max_running_requests",
                    "{slots}",
                    "higher",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "tgi": (
                Action(
                    "",
                    "--max-batch-size",
                    "flag_max_batch_size",
                    "{slots}",
                    "higher",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "trtllm": (
                Action(
                    "",
                    "--max_batch_size",
                    "flag_max_batch_size max_running_requests",
                    "{slots}",
                    "higher",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "llamacpp": (
                Action(
                    "the slots share the context of -c",
                    "-np",
                    "flag_parallel max_running_requests",
                    "{slots}",
                    "higher",
                    restart=True,
                    not_with="cache_saturation",
                ),
                Action(
                    "requests share steps",
                    "--cont-batching",
                    "flag_cont_batching",
                    restart=True,
                    done=("True", NOT_SET),
                ),
            ),
            OTHERS: (
                Action("raise the limit of running requests, where the server has one", not_with="cache_saturation"),
            ),
        },
        relieves=("slots",),
        cost="each step takes longer: ITL",
        harm="where the KV cache becomes full, requests are thrown out and worked on again",
        disproved_by="the batch does not grow, or no more requests are finished per second",
        because="what more slots bring follows from the step times",
    ),
    Advice(
        id="parallelise",
        title="Spread the model over more GPUs",
        kind="parallelisation",
        rules=("itl_slo", "tpot_slo", "cache_saturation", "decode_bandwidth_bound", "prefill_compute_bound"),
        actions={
            "vllm": (
                Action(
                    "over GPUs with NVLink",
                    "--tensor-parallel-size",
                    "flag_tensor_parallel_size",
                    _HIGHER_TP,
                    restart=True,
                    not_with="nvlink_degraded",
                ),
            ),
            "sglang": (
                Action(
                    "over GPUs with NVLink",
                    "--tp",
                    "tp_size flag_tp_size",
                    _HIGHER_TP,
                    restart=True,
                    not_with="nvlink_degraded",
                ),
            ),
            "tgi": (
                Action(
                    "over GPUs with NVLink",
                    "--num-shard",
                    "flag_num_shard",
                    _HIGHER_TP,
                    restart=True,
                    not_with="nvlink_degraded",
                ),
            ),
            "trtllm": (
                Action(
                    "over GPUs with NVLink",
                    "--tp_size",
                    "flag_tp_size",
                    _HIGHER_TP,
                    restart=True,
                    not_with="nvlink_degraded",
                ),
            ),
            "llamacpp": (Action("", "-sm", "flag_split_mode", "row", restart=True, done=("row", "tensor")),),
        },
        relieves=("objective", "kv_cache"),
        cost="twice the GPUs for one replica",
        harm="what GPUs tell each other takes time in each step; without NVLink often more than is gained",
        disproved_by="ITL is as long at the same load",
        because="to be measured: what it costs the GPUs to talk to each other",
    ),
    Advice(
        id="dynamic_scaling",
        title="Scale with the queue",
        kind="dynamic scaling",
        rules=("model_overloading", "resource_overprovisioning", "cost_anomaly"),
        actions={
            "vllm": (
                Action(
                    "KEDA on vllm:num_requests_waiting above 5 a replica, asked each 15 s, 360 s before it scales in"
                ),
            ),
            "sglang": (Action("KEDA on sglang:num_queue_reqs above 5 a replica, 360 s before it scales in"),),
            "tgi": (Action("KEDA on tgi_queue_size above 5 a replica, 360 s before it scales in"),),
            "llamacpp": (Action("KEDA on llamacpp:requests_deferred above 5 a replica, 360 s before it scales in"),),
            ANY: (Action("scale on the queue, never on GPU utilisation, which is high at any load"),),
        },
        cost="replicas that come and go, each with a cold cache",
        harm="a start takes minutes: a burst that is shorter is over before it helps",
        disproved_by="objectives are missed during starts more often than before",
        because="to be measured: a day of load at least, and how long a start takes",
    ),
    Advice(
        id="scale_in",
        title="Give back what is idle",
        kind="dynamic allocation",
        rules=("resource_overprovisioning", "cost_anomaly"),
        actions={
            "vllm": (
                Action(
                    "an idle server sleeps and gives its GPU memory back (POST /sleep)",
                    "--enable-sleep-mode",
                    "flag_enable_sleep_mode",
                    restart=True,
                    done=("True",),
                ),
            ),
            ANY: (
                Action("fewer servers, one at a time; keep a spare for one that fails"),
                Action("another model on the GPUs that are free, on MIG slices or a smaller GPU"),
                Action("where prefill and decode are apart: move GPUs to the one that is loaded more"),
            ),
        },
        harm="less room for a burst and for a server that fails",
        disproved_by="the busiest hour of a week misses its objectives",
        because="to be measured: a day of load at least; what it saves is the GPUs that are given back",
    ),
)
