"""Scores of connections from active features alone, against dense activations.

    python benchmarks/connect.py [--pairs 3] [--features 512] [--k 32] [--sequences 64] [--scores active-mean mean]

python-mini (4 layers, d 128, 4 heads) reads 64 sequences of 128 characters; its dictionaries of attention outputs and
transcoders have random directions, TopK. Figures are CPU time and peak memory of a process of its own, in interleaved
pairs; medians, and the median and range of the ratios. Loading is taken off: what a process needs that only loads.

dense   the same sums from dense activations: [F, T] times [T, U] per module; through attention the pattern of every
        head times dense activations [S, U], then the same product per head. ``mean`` sums dense contributions at every
        position too, instead of column sums of the pattern. One batch at a time, 4,096 positions as ours.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor

from saecli.connect.batches import Batch, Reader
from saecli.connect.modules import Down, connected_modules, downs_of
from saecli.connect.reading import Reading, reading_of
from saecli.connect.scores import sums_for
from saecli.core.dictionary import DictionaryConfig, SparseActs
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.data.sequences import Sequences
from saecli.dictionaries import make_dictionary
from zoo.load import load_model

LENGTH, SHOWN = 128, 64


def suite_of(model: HookedModel, features: int, k: int) -> Suite:
    """Random directions."""
    torch.manual_seed(0)
    width, made = model.info.d_model, []
    for layer in range(model.info.n_layers):
        for reads, writes in (("attn_out", "attn_out"), ("mlp_in", "mlp_out")):
            config = DictionaryConfig("topk", width, features, Site(layer, reads), Site(layer, writes), width, {"k": k})
            one = make_dictionary(config).requires_grad_(False)
            for parameter in one.parameters():
                torch.nn.init.normal_(parameter)
            made.append(one)
    return Suite.of(SuiteInfo("random", "python-mini"), made)


def dense(acts: SparseActs, features: int) -> Tensor:
    """[T, F]."""
    return acts.values_TK.new_zeros(len(acts.values_TK), features).scatter_add_(1, acts.indices_TK, acts.values_TK)


class DenseSums:
    """What ``Means`` or ``ActiveSums`` sum up, from dense activations: [H, R, U]."""

    def __init__(self, score: str, reading: Reading) -> None:
        self.score, self.reading = score, reading
        rows = reading.down.module.n_latents if score == "active-mean" else 1
        self.sum_HRU = torch.zeros(reading.heads, rows, reading.down.width)

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        down: Down = self.reading.down
        x_TU = torch.cat([dense(batch.acts[up.reads], up.n_latents) for up in down.ups], 1)
        if self.score == "active-mean":
            a_TF = dense(batch.active(down.module, slopes=False), down.module.n_latents)
        else:
            a_TF = batch.counted_BS.reshape(-1, 1).float()
        if not self.reading.attends:
            self.sum_HRU[0] += a_TF.T @ (x_TU / batch.scale[down.site][:, None])
            return
        mix_BHSS = batch.mix[down.site.layer]
        x_BSU, a_BSF = (one.view(len(mix_BHSS), -1, one.shape[1]) for one in (x_TU, a_TF))
        for head in range(self.reading.heads):
            z_TU = (mix_BHSS[:, head] @ x_BSU).flatten(0, 1)
            self.sum_HRU[head] += a_BSF.flatten(0, 1).T @ z_TU


def once(way: str, score: str, features: int, k: int, sequences: int) -> None:
    """One process: prints CPU seconds, peak memory and some of the sums."""
    torch.set_num_threads(1)
    model = load_model("python-mini")
    suite = suite_of(model, features, k)
    downs = downs_of(connected_modules(suite, model.info, embed=False, logits=False), parallel=False)
    readings = [reading_of(model, suite, down) for down in downs]
    tokens = torch.randint(32, 127, (2 * sequences, LENGTH), generator=torch.Generator().manual_seed(1)).int()
    read = Sequences("ascii", tokens, torch.full((len(tokens),), LENGTH), 0)
    before, began = _peak(), time.process_time()
    if way == "ours":
        sums = [sums_for(score, reading, slice(0, features)) for reading in readings]
    else:
        sums = [DenseSums(score, reading) for reading in readings]
    for batch in Reader(model, suite).batches(read, 0, downs):
        for one in sums:
            one.add(batch)
    seconds = time.process_time() - began
    found = [_plain(one)[:, :, :SHOWN].double().sum().item() for one in sums]
    print(json.dumps({"seconds": seconds, "gigabytes": _peak() - before, "sums": found}))


def _plain(sums: object) -> Tensor:
    """[H, R, U]."""
    if isinstance(sums, DenseSums):
        return sums.sum_HRU
    if hasattr(sums, "sum_HU"):
        return sums.sum_HU[:, None]  # pyright: ignore[reportAttributeAccessIssue]
    return sums.sum_UHR.permute(1, 2, 0)  # pyright: ignore[reportAttributeAccessIssue]


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--scores", nargs="+", default=["active-mean", "mean"])
    parser.add_argument("--once", nargs=2, metavar=("WAY", "SCORE"))
    given = parser.parse_args()
    if given.once:
        once(*given.once, given.features, given.k, given.sequences)
        return
    print(f"{given.features:,} features, k {given.k}, {given.sequences * LENGTH:,} tokens")
    for score in given.scores:
        runs: dict[str, list[dict]] = {"ours": [], "dense": []}
        for _ in range(given.pairs):
            for way, found in runs.items():
                argv = [sys.executable, __file__, "--once", way, score]
                argv += ["--features", str(given.features), "--k", str(given.k), "--sequences", str(given.sequences)]
                found.append(json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout))
        ours, other = runs["ours"], runs["dense"]
        apart = max(
            abs(one - two) / max(abs(two), 1e-9) for one, two in zip(ours[0]["sums"], other[0]["sums"], strict=True)
        )
        ratios = sorted(two["seconds"] / one["seconds"] for one, two in zip(ours, other, strict=True))
        print(
            f"{score}: ours {statistics.median(one['seconds'] for one in ours):.2f} s, "
            f"{statistics.median(one['gigabytes'] for one in ours):.2f} GB; "
            f"dense {statistics.median(one['seconds'] for one in other):.2f} s, "
            f"{statistics.median(one['gigabytes'] for one in other):.2f} GB; "
            f"{statistics.median(ratios):.1f}x ({ratios[0]:.1f}-{ratios[-1]:.1f}); sums differ by {apart:.1e}"
        )


if __name__ == "__main__":
    main()
