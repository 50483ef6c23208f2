"""``saecli trace``."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.trace.config:TraceConfig",
    engine="saecli.trace.engine:run",
    result="saecli.trace.result:TraceResult",
    also=(
        "saecli.trace.benchmark_result:BenchmarkResult",
        "saecli.trace.calibrate_result:CalibrateResult",
        "saecli.trace.rules_result:RulesResult",
    ),
    parallel=True,
    summary="Trace the circuit behind a prediction: which features help or hurt it, and through which others.",
    examples=[
        ("saecli trace", "the embedded Othello model, every site, a held-out game"),
        ("saecli trace --layers 6:9", "its last three residual dictionaries and all between them"),
        ("saecli trace --game f5d6c3d3c4 --target F4", "your own game and move"),
        ("saecli trace --layers 7:9 --method ablation", "remove features and watch what changes"),
        ("saecli trace python-mini --prompt 'for i in ra' --target n", "text, character by character"),
        ("saecli trace gpt2 --prompts pairs.jsonl --method ig --n-prompts 100", "one graph of many prompts"),
        ("saecli trace --prompts othello --n-prompts 100 --at 19", "the 20th move of random games"),
        ("torchrun --nproc-per-node 2 -m saecli trace --prompts othello", "the same, shared out"),
        ("saecli trace gpt2 --prompt 'The cat sat' --patch 'The dog sat'", "what the change of a word changes"),
        ("saecli trace --calibrate othello --percentile 99.9", "from which activation on features count"),
        ("saecli trace --contexts 6", "also where every feature fires most strongly, with boards"),
        ("saecli trace --rules 100", "do the features that carry a move know the rules of Othello?"),
        ("saecli trace --benchmark", "how much of planted circuits each method finds"),
    ],
)
