"""Direct edges of a long prompt: a child's own row of the attention against the whole pattern.

    python benchmarks/long_prompt.py [--tokens 500] [--pairs 3] [--threads 1]

python-mini with its position embedding repeated to 512, its 13 dictionaries, the start of a module of the standard
library; the nodes that carry 80 % of a site's absolute effect. *Through the module*: the same code where an attention
has no closed form, cotangents batched backwards through it up to the last of their positions. CPU time in interleaved
pairs; medians, and the median and range of the ratios. The largest difference of a weight is printed, relative to the
largest.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from saecli.attribution.attention_rows import AttentionRows
from saecli.attribution.clean import CleanRun, SiteNodes, clean_run
from saecli.attribution.gradient import direct_edges
from saecli.attribution.metric import logit_difference
from saecli.core.gpt import GPT
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from zoo.load import load_model, load_suite

CONTEXT = 512
SHARE = 0.8


def prompt(length: int) -> CleanRun:
    """The unmodified pass over the first characters of a module."""
    small: Any = load_model("python-mini").module
    large = GPT(dataclasses.replace(small.config, n_ctx=CONTEXT), initialise=False)
    weights = small.state_dict()
    places = weights["transformer.wpe.weight"]
    weights["transformer.wpe.weight"] = places.repeat(-(-CONTEXT // len(places)), 1)[:CONTEXT]
    large.load_state_dict(weights)
    text = Path(json.__file__).read_text(encoding="ascii")[:length]
    tokens_S = torch.tensor(list(text.encode()))
    metric = logit_difference(
        length - 1, small.config.vocab_size, ord("\n"), [], name="logit", description="logit", target="the line's end"
    )
    return clean_run(thin_gpt(large, "python-mini, longer"), dict(load_suite("python-mini")), tokens_S, metric)


def strongest(clean: CleanRun) -> dict[Site, SiteNodes]:
    """What a trace would keep."""
    found = {}
    for site, nodes in clean.nodes.items():
        size_N = nodes.effect_N.abs()
        order_N = size_N.argsort(descending=True, stable=True)
        keep_N = torch.zeros(len(nodes), dtype=torch.bool)
        keep_N[order_N] = size_N[order_N].cumsum(0) - size_N[order_N] < SHARE * size_N.sum()
        found[site] = nodes.take(keep_N)
    return found


def edges(clean: CleanRun, nodes: dict[Site, SiteNodes]) -> tuple[dict[Any, torch.Tensor], float]:
    """Every weight, and CPU seconds."""
    began = time.process_time()
    parts: dict[Any, list[torch.Tensor]] = {}
    for blocks in direct_edges(clean, nodes, tokens=clean.tokens):
        for block in blocks:
            key = (block.children and block.children.site, block.parents.site, block.tokens)
            parts.setdefault(key, []).append(block.weight_CP)
    taken = time.process_time() - began
    return {key: torch.cat(weights) for key, weights in parts.items()}, taken


def through_the_module(clean: CleanRun, nodes: dict[Site, SiteNodes]) -> tuple[dict[Any, torch.Tensor], float]:
    """The same as where an attention has no closed form."""
    closed = AttentionRows.of
    AttentionRows.of = staticmethod(lambda *_: None)  # type: ignore[assignment, method-assign]
    try:
        return edges(clean, nodes)
    finally:
        AttentionRows.of = closed  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clean = prompt(options.tokens)
    nodes = strongest(clean)
    rows = []
    for _ in range(options.pairs):
        ours, a = edges(clean, nodes)
        theirs, b = through_the_module(clean, nodes)
        rows.append((a, b))
    largest = max(float(weights.abs().max()) for weights in theirs.values())
    worst = max(float((ours[key] - weights).abs().max()) for key, weights in theirs.items()) / largest
    ratios = sorted(b / a for a, b in rows)
    print(
        f"{options.tokens} tokens, {sum(map(len, nodes.values())):,} nodes, largest difference {worst:.1e}\n"
        f"  ours {statistics.median(a for a, _ in rows):.2f} s   through the module "
        f"{statistics.median(b for _, b in rows):.2f} s   ratio {statistics.median(ratios):.0f} "
        f"({ratios[0]:.0f} to {ratios[-1]:.0f})"
    )


if __name__ == "__main__":
    main()
