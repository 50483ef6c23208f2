"""What sites cost: a ThinModel's pass against the bare module, in alternation, on the embedded model's shape.

    python benchmarks/hook_overhead.py [--passes 60]

One thread. Each figure is the median over passes of a pass's CPU time divided by that of the bare pass just before it.
Equal results first: the logits of every way are the bare module's, bit for bit.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    layers = 8
    gpt = GPT(GPTConfig(vocab_size=61, n_ctx=60, n_layer=layers, n_head=8, d_model=128))
    model = thin_gpt(gpt, "othello-mini's shape")
    four = [Site(layer, "resid_pre") for layer in (2, 4, 6, 8)]
    suite = [Site(layer, "resid_pre") for layer in range(layers + 1)]
    suite += [Site(layer, kind) for layer in range(layers) for kind in ("attn_out", "mlp_out")]
    start = Site(4, "resid_pre")

    print(f"{'batch':>5} {'bare ms':>8} {'no site':>8} {'4 sites':>8} {'25 sites':>8} {'to 4':>8} {'from 4':>8}")
    for batch in (1, 16):
        tokens = torch.randint(61, (batch, 59))
        with torch.no_grad():
            resid = model.run(tokens, read=[start]).sites[start]
            whole = gpt(tokens)
            assert torch.equal(model.run(tokens, read=suite).logits, whole)
            assert torch.equal(model.run_from(start, resid).logits, whole)
            ways: list[Callable[[], object]] = [
                lambda tokens=tokens: model.run(tokens),
                lambda tokens=tokens: model.run(tokens, read=four),
                lambda tokens=tokens: model.run(tokens, read=suite),
                lambda tokens=tokens: model.run(tokens, read=[start], stop_after=start),
                lambda resid=resid: model.run_from(start, resid),
            ]
            bare_ms, ratios = paired(lambda tokens=tokens: gpt(tokens), ways, options.passes)
        print(f"{batch:5d} {bare_ms:8.2f} " + " ".join(f"{ratio:8.3f}" for ratio in ratios))


def paired(bare: Callable[[], object], ways: list[Callable[[], object]], passes: int) -> tuple[float, list[float]]:
    """Median milliseconds of the bare pass, and for each way the median ratio to the bare pass before it."""
    base: list[float] = []
    ratios: list[list[float]] = [[] for _ in ways]
    for _ in range(passes):
        for way, found in zip(ways, ratios, strict=True):
            seconds = timed(bare)
            base.append(seconds)
            found.append(timed(way) / seconds)
    return statistics.median(base) * 1e3, [statistics.median(found) for found in ratios]


def timed(call: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
