"""Prompts run together against one at a time: passes of the model and of the dictionaries, effects of every node.

    python benchmarks/prompts.py [--model python-mini] [--prompts 32] [--pairs 5]

The first 20 tokens of sequences of the model's data, all sites, gradients. CPU time, taken in interleaved pairs; every
pair, their median ratio and the largest difference of an effect, as a share of the largest of its site, are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from saecli.asking.sequences import ask_sequences
from saecli.attribution.clean import CleanRun
from saecli.trace import passes
from saecli.trace.config import TraceConfig
from zoo.load import load_model, load_suite
from zoo.reading import data_of


def main() -> None:
    """Print what was compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="python-mini")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name = arguments.model
    model, suite = load_model(name), load_suite(name)
    questions = ask_sequences(model, name, data_of(name), suite, wanted=arguments.prompts)
    runs = passes.Passes(TraceConfig(model=name, method="gradient"), model, suite, tuple(suite), lambda *_: None)
    together = passes.VECTORS

    def timed(vectors: int) -> tuple[float, list[CleanRun]]:
        passes.VECTORS = vectors
        start = time.process_time()
        found = list(runs.each(questions))
        return time.process_time() - start, found

    timed(together)
    ratios, worst = [], 0.0
    for _ in range(arguments.pairs):
        (alone_s, alone), (together_s, every) = timed(1), timed(together)
        ratios.append(alone_s / together_s)
        print(f"{alone_s:.2f} s alone, {together_s:.2f} s together: {ratios[-1]:.2f}x", flush=True)
        for one, other in zip(alone, every, strict=True):
            for site, nodes in one.nodes.items():
                assert torch.equal(nodes.index_N, other.nodes[site].index_N)
                difference = (nodes.effect_N - other.nodes[site].effect_N).abs().max() / nodes.effect_N.abs().max()
                worst = max(worst, float(difference))
    print(f"{name}: median {statistics.median(ratios):.2f}x, largest difference {worst:.1e}")


if __name__ == "__main__":
    main()
