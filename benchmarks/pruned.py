"""The pruned forward and backward pass beside dense virtual weights and masks, and what it takes at larger shapes.

Paired: both compute the same joint loss (the sum of the modules' fractions of variance unexplained) and its gradients
on the same tokens, in turns. `--shape memory` counts index bytes at Pythia-70m's shape, `--shape gpt2` runs
GPT-2-small's with 12,288 features on a short batch.

    OMP_NUM_THREADS=1 python benchmarks/pruned.py [--shape pair|memory|gpt2] [--layers 3] [--batch 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from saecli.core.connections import Connections, Rows, indptr_of
from saecli.core.dictionary import DictionaryConfig
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.pruned.measure import fvu
from saecli.pruned.modules import modules_of
from saecli.pruned.pattern import Pattern
from saecli.pruned.suite import PrunedSuite
from tests.twins import pruned_dense


def build(layers: int, width: int, heads: int, features: int, k: int, context: int):
    """A random model and a random TopK suite."""
    torch.manual_seed(0)
    of = thin_gpt(GPT(GPTConfig(1000, context, layers, heads, width)), "random")
    made = []
    for layer in range(layers):
        for kind, writes in (("attn_out", "attn_out"), ("mlp_in", "mlp_out")):
            config = DictionaryConfig("topk", width, features, Site(layer, kind), Site(layer, writes), width, {"k": k})
            one = make_dictionary(config)
            with torch.no_grad():
                one.W_dec_FD.normal_().div_(one.W_dec_FD.norm(dim=-1, keepdim=True))
                one.W_enc_DF.copy_(one.W_dec_FD.T)
                one.b_dec_D.normal_(std=0.01)
            made.append(one)
    return of, Suite.of(SuiteInfo("random", "random"), made)


def connect(modules, count: int, *, parallel: bool = False) -> Connections:
    """So many random connections of every feature, over all upstream modules together."""
    generator = torch.Generator().manual_seed(1)
    rows = {}
    for down in modules:
        ups = [up for up in modules if up.is_upstream_of(down, parallel=parallel)]
        if not ups:
            continue
        total = sum(up.n_latents for up in ups)
        number_FC = distinct(down.n_latents, count, total, generator)
        first = 0
        for up in ups:
            here_FC = (number_FC >= first) & (number_FC < first + up.n_latents)
            rows[down.reads, up.reads] = Rows(indptr_of(here_FC.sum(1)), (number_FC[here_FC] - first).int())
            first += up.n_latents
    return Connections(tuple(modules), "per-feature", count, rows, parallel)


def distinct(rows: int, count: int, total: int, generator: torch.Generator) -> torch.Tensor:
    """So many distinct numbers below `total` in every row."""
    drawn = torch.randint(total, (rows, 2 * count), generator=generator).sort(1).values
    keys = torch.rand(drawn.shape, generator=generator)
    keys[:, 1:][drawn[:, 1:] == drawn[:, :-1]] = -1
    return drawn.gather(1, keys.topk(count).indices)


def masks_of(connections: Connections):
    """The same as dense masks."""
    width = {module.reads: module.n_latents for module in connections.modules}
    masks = {}
    for (down, up), rows in connections.rows.items():
        mask = torch.zeros(width[down], width[up], dtype=torch.bool)
        mask[torch.arange(width[down]).repeat_interleave(rows.indptr.diff()), rows.indices.long()] = True
        masks[down, up] = mask
    return masks


def seconds(work):
    """CPU seconds of a call, and what it returned."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def step(pruned, frozen, run):
    """Joint loss and gradients."""

    def forward():
        with torch.no_grad():
            return run()

    def both():
        for one in pruned.parameters():
            one.grad = None
        written = run()
        loss = sum(fvu(frozen.targets[site], found) for site, found in written.items())
        loss.backward()
        return loss.item(), [one.grad for one in pruned.parameters()]

    return seconds(forward)[0], *seconds(both)


def pair(options) -> None:
    """Ours and the twins in turns."""
    of, suite = build(options.layers, options.width, options.width // 64, options.features, options.k, options.length)
    connections = connect(modules_of(suite, options.layers), options.connections)
    pruned = PrunedSuite(of, suite, connections)
    tokens = torch.randint(0, 1000, (options.batch, options.length))
    frozen = pruned.freeze(tokens)
    masks = masks_of(connections)
    ways = {"ours": lambda: pruned.run(frozen).written}
    for name in options.twins:
        factored = name == "factored"
        ways[name] = lambda factored=factored: pruned_dense.pruned_pass(pruned, masks, frozen, factored=factored)
    times = {name: ([], []) for name in ways}
    results = {}
    for number in range(options.rounds + 1):
        for name, way in ways.items():
            forward, both, results[name] = step(pruned, frozen, way)
            if number or options.rounds == 1:
                times[name][0].append(forward)
                times[name][1].append(both)
    loss, grads = results["ours"]
    for name, (forward, both) in times.items():
        ratio_f = [a / b for a, b in zip(forward, times["ours"][0], strict=True)]
        ratio_b = [a / b for a, b in zip(both, times["ours"][1], strict=True)]
        other_loss, others = results[name]
        gap = max((float((a - b).abs().max() / b.abs().max()) for a, b in zip(grads, others, strict=True)))
        print(
            f"{name:9} forward {statistics.median(forward):7.2f} s ({spread(ratio_f)}), with backward "
            f"{statistics.median(both):7.2f} s ({spread(ratio_b)}), loss differs by "
            f"{abs(loss - other_loss) / abs(other_loss):.1e}, gradients by {gap:.1e}"
        )


def spread(ratios) -> str:
    """Median, least and most."""
    return f"{statistics.median(ratios):.1f}x, {min(ratios):.1f}-{max(ratios):.1f}"


def memory() -> None:
    """Index bytes of Pythia-70m's twelve modules."""
    _, suite = build(6, 512, 8, 2048, 64, 128)
    for parallel in (True, False):
        modules = modules_of(suite, 6)
        connections = connect(modules, 100, parallel=parallel)
        patterns = [Pattern.of(connections, module.reads, torch.device("cpu")) for module in modules]
        print(
            f"{'parallel' if parallel else 'sequential'} blocks: {sum(one.n_edges for one in patterns):,} connections, "
            f"{sum(one.n_bytes for one in patterns) / 1e6:.2f} MB of indices"
        )


def gpt2(options) -> None:
    """One forward and backward pass at GPT-2 small's shape, and what dense matrices would take."""
    of, suite = build(12, 768, 12, 12288, 64, 1024)
    connections = connect(modules_of(suite, 12), 100)
    pruned = PrunedSuite(of, suite, connections)
    frozen = pruned.freeze(torch.randint(0, 1000, (options.batch, options.length)))
    print(f"before: {peak():.1f} GB at most")
    forward, both, (loss, _) = step(pruned, frozen, lambda: pruned.run(frozen).written)
    pairs = len(connections.rows)
    print(f"loss {loss:.4f}; forward {forward:.1f} s, with backward {both:.1f} s of CPU; {peak():.1f} GB at most")
    print(
        f"dense: {pairs} masks of {12288**2 / 1e6:.0f} MB, {pairs * 12288**2 / 1e9:.0f} GB; one pair's virtual weights "
        f"of attention {12 * 12288**2 * 4 / 1e9:.1f} GB"
    )


def peak() -> float:
    """Largest resident size so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=("pair", "memory", "gpt2"), default="pair")
    for name, value in (("layers", 3), ("width", 512), ("features", 2048), ("connections", 100), ("k", 64)):
        parser.add_argument(f"--{name}", type=int, default=value)
    for name, value in (("length", 128), ("batch", 2), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--twins", nargs="*", default=["reference", "factored"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    {"pair": lambda: pair(options), "memory": memory, "gpt2": lambda: gpt2(options)}[options.shape]()
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
