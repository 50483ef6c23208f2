"""Node search against an honest twin, with equal results.

    python benchmarks/node_search.py [--pairs 3] [--threads 1] [--model NAME …]

One site of the default input of an embedded model; candidates are the features of the token in the middle and of the
target; what is left out is drawn from 8 of the 256 nearest tokens of 100 sequences. Both sides rank all candidates and
put them back, on the same draws: CPU time of that, in interleaved pairs, and the median and range of the ratio.

all positions     one forward per set of kept features, its 8 samples together: dense codes, decoded at every position
                  of the model's context (what comes after the target is empty), from the site to the logits of every
                  position; neighbours are found by dense distances, and codes remembered per token and set.
up to the target  the same without the positions after the target.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from saecli.asking.question import ask
from saecli.attribution.keeping import ActiveFeatures, Divergence, Kept
from saecli.attribution.metric import DivergenceMetric
from saecli.attribution.search import Evaluate, Found, put_back, rank_nodes
from saecli.core.progress import silent
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from saecli.trace.passes import Passes
from saecli.trace.search_data import read_data
from saecli.trace.searching import Fills, kept_values
from tests.twins.search import SlowDivergence
from zoo.load import load_model, load_suite

SAMPLES = 8
CASES = {"othello-mini": 4, "python-mini": 2}
"""Model → residual site."""


def timed(evaluate: Evaluate, count: int) -> tuple[float, Found]:
    """CPU seconds of a search among N features, and what it finds."""
    began = time.process_time()
    found = put_back(evaluate, rank_nodes(evaluate, count), 0.25, 0)
    return time.process_time() - began, found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", choices=list(CASES), nargs="*", default=list(CASES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.model:
        layer = CASES[name]
        model, suite = load_model(name), load_suite(name)
        suite.attach(model)
        site = Site(layer, "resid_pre")
        config = TraceConfig(model=name, method="search", metric="kl", samples=SAMPLES)
        question = ask(model, config, suite, "resid_pre", bos=suite.info.bos)
        passes = Passes(config, model, suite, [site], silent)
        clean = passes.run(question)
        metric, target = question.metric, question.metric.position
        assert isinstance(metric, DivergenceMetric)
        nodes = clean.nodes[site].features
        nodes = nodes.take((nodes.position_N == target) | (nodes.position_N == target // 2))
        features = ActiveFeatures(nodes.position_N, nodes.index_N, nodes.activation_N)
        fills = Fills(config, clean, read_data(config, passes, question.tokens_S, silent), {})
        dictionary, x_SD, clean_V = suite[site], clean.values[site], metric.clean_logits_V

        def kept() -> Kept:
            return kept_values(fills, site, 0, features)  # noqa: B023

        ratios: dict[str, list[float]] = {"all positions": [], "up to the target": []}
        ours, found = timed(Divergence(model, dictionary, kept(), clean_V), len(features))
        times = [ours]
        for _ in range(options.pairs):
            for what, positions in (("all positions", model.info.n_ctx), ("up to the target", target + 1)):
                fast, found = timed(Divergence(model, dictionary, kept(), clean_V), len(features))
                twin = SlowDivergence(model, dictionary, kept(), clean_V, x_SD, positions)
                slow, same = timed(twin, len(features))
                assert found.node_C.tolist() == same.node_C.tolist()
                times.append(fast)
                ratios[what].append(slow / fast)
        print(
            f"{name}, site {layer}: {len(features)} candidates, {len(found.node_C)} kept, {target + 1} tokens of "
            f"{model.info.n_ctx}; ours {statistics.median(times):.2f} s"
        )
        for what, found_ratios in ratios.items():
            low, high = min(found_ratios), max(found_ratios)
            print(f"  twin, {what}: ratio {statistics.median(found_ratios):.1f} ({low:.1f} to {high:.1f})", flush=True)


if __name__ == "__main__":
    main()
