"""What is let in, and by which way: admission, the shape of requests, the way there, the spread over replicas."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, OTHERS, Action, Advice

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="admission_control",
        title="Cap the queue",
        kind="admission control",
        rules=("model_overloading",),
        actions={
            # The front end counts what is under way in it, and each API server is a front end of its own
            # (`AsyncLLM.check_admission`; `SchedulerConfig.max_num_queued_reqs`: "waiting or running").
            "vllm": (
                Action(
                    "counts waiting and running requests; what comes above it gets 503",
                    "--max-num-queued-reqs",
                    "flag_max_num_queued_reqs",
                    "{in_flight}",
                    shared_by="flag_api_server_count",
                    restart=True,
                ),
            ),
            "sglang": (
                Action(
                    "what comes above it is refused at once",
                    "--max-queued-requests",
                    "flag_max_queued_requests",
                    "{queue}",
                    restart=True,
                ),
            ),
            "tgi": (
                Action(
                    "counts waiting and running requests; what comes above it gets 429",
                    "--max-concurrent-requests",
                    "max_concurrent_requests flag_max_concurrent_requests",
                    "{in_flight}",
                    restart=True,
                ),
            ),
            "trtllm": (Action("limit concurrent requests in the proxy before it: trtllm-serve has no switch for it"),),
            "llamacpp": (
                Action("limit concurrent requests in the proxy before it: llama-server has no switch for it"),
            ),
            OTHERS: (Action("limit concurrent requests in the proxy before it"),),
        },
        relieves=("measured",),
        cost="what comes above the capacity is refused",
        harm="clients have to back off: those that send again at once make the load larger",
        disproved_by="requests that are let in still wait longer than the cap allows",
        because="a limit cannot be worked out: how many requests it finishes under a queue is not known",
    ),
    Advice(
        id="raise_admission",
        title="Raise the admission limit",
        kind="admission control",
        rules=("admission_rejections",),
        actions={
            "vllm": (
                Action(
                    "",
                    "--max-num-queued-reqs",
                    "flag_max_num_queued_reqs",
                    "higher",
                    restart=True,
                ),
            ),
            "sglang": (
                Action(
                    "",
                    "--max-queued-requests",
                    "flag_max_queued_requests",
                    "higher",
                    restart=True,
                ),
            ),
            "tgi": (
                Action(
                    "",
                    "--max-concurrent-requests",
                    "max_concurrent_requests flag_max_concurrent_requests",
                    "higher",
                    restart=True,
                ),
            ),
            ANY: (Action("let more wait and run than now, here or in the proxy that refuses them; or add capacity"),),
        },
        cost="more requests at once make each step longer: ITL",
        harm="where more comes than it finishes, what was refused waits instead, and is late",
        disproved_by="as many are refused as before, or objectives are missed that were met",
        because="how much room there is follows from requests that run, the KV cache and ITL",
    ),
    Advice(
        id="balance_load",
        title="Spread the load evenly",
        kind="load balancing",
        rules=("replica_imbalance",),
        actions={
            "vllm": (
                Action("let a router choose by queue and prefix (production stack, llm-d), not in turns"),
                Action("where engines share one port: the front end spreads by load, an external one has to as well"),
            ),
            "sglang": (
                Action("SGLang's router with policy cache_aware, and a limit on how uneven it may become"),
                Action(
                    "spreads over data parallel ranks by what they have to do",
                    "--load-balance-method",
                    "flag_load_balance_method",
                    "total_tokens",
                    restart=True,
                    done=("total_tokens", "total_requests", "follow_bootstrap_room"),
                ),
            ),
            "trtllm": (Action("a router that knows what each replica has cached (Dynamo, disaggregated serving)"),),
            "llamacpp": (Action("a proxy that keeps a conversation on its slot, else by the fewest under way"),),
            ANY: (Action("send to the replica with the fewest requests under way"),),
        },
        relieves=("measured",),
        harm="prefixes that one replica had cached are computed on several",
        disproved_by="requests that run differ as much between replicas as before, or the prefix hit rate falls",
        because="what balance brings follows from the step times of one replica",
    ),
    Advice(
        id="validate_requests",
        title="Check requests before the server",
        kind="preprocessing",
        rules=("data_quality",),
        actions={
            ANY: (
                Action("validate and normalise: chat template, UTF-8, greatest length; refuse the rest early with 4xx"),
                Action("drop what is asked twice, and cut what is longer than the context, before it is sent"),
                Action("tokenise in batches outside the engine, where many requests are prepared at once"),
            )
        },
        cost="a step before the server that has to be kept in line with the model",
        harm="what is cut may have held what was asked",
        disproved_by="the share of refused or empty requests stays",
        because="to be measured: how many requests are refused, and how many tokens they bring",
    ),
    Advice(
        id="finish_requests",
        title="Let requests end as they should",
        kind="preprocessing",
        rules=("abort_or_truncation",),
        actions={
            "vllm": (
                Action(
                    "where answers end at the context",
                    "--max-model-len",
                    "max_model_len flag_max_model_len",
                    "higher",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "sglang": (
                Action(
                    "where answers end at the context",
                    "--context-length",
                    "flag_context_length max_model_len",
                    "higher",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "tgi": (
                Action(
                    "where answers end at the context",
                    "--max-total-tokens",
                    "max_model_len flag_max_total_tokens",
                    "higher",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "llamacpp": (
                Action(
                    "where answers end at the context, which the slots share",
                    "-c",
                    "flag_ctx_size",
                    "higher",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            ANY: (
                Action("broken off: compare the clients' timeouts with TTFT and E2E, and shorten the wait"),
                Action("cut short: look at max_tokens, stop sequences, and answers that repeat themselves"),
            ),
        },
        cost="longer answers take longer, and more of the KV cache",
        disproved_by="the share of requests that are broken off or cut short stays",
        because="to be measured: how many tokens are worked on for requests that nobody waits for",
    ),
    Advice(
        id="ingress",
        title="Shorten the way to the engine",
        kind="preprocessing",
        rules=("data_latency",),
        actions={
            "vllm": (
                Action(
                    "more processes that take requests, where the host has cores left",
                    "--api-server-count",
                    "flag_api_server_count",
                    "higher",
                    restart=True,
                    not_with="host_cpu_starvation",
                ),
            ),
            "sglang": (
                Action(
                    "more tokenisers, where the host has cores left",
                    "--tokenizer-worker-num",
                    "flag_tokenizer_worker_num",
                    "higher",
                    restart=True,
                    not_with="host_cpu_starvation",
                ),
            ),
            "tgi": (
                Action(
                    "more tokenisers, where the host has cores left",
                    "--validation-workers",
                    "flag_validation_workers",
                    "higher",
                    restart=True,
                    not_with="host_cpu_starvation",
                ),
            ),
            "llamacpp": (
                Action(
                    "more threads that take requests",
                    "--threads-http",
                    "flag_threads_http",
                    "higher",
                    restart=True,
                    not_with="host_cpu_starvation",
                ),
            ),
            ANY: (
                Action("keep connections alive; place clients, proxy and server in one zone"),
                Action("switch off buffering in proxies: a stream has to come token by token"),
            ),
        },
        cost="cores of the host",
        disproved_by="TTFT at the client stays as far above that of the server",
        because="to be measured: TTFT at the client and at the server, for the same requests",
    ),
)
