"""Integrated gradients against an honest twin, at equal steps and at equal accuracy.

    python benchmarks/integrated.py [--pairs 5] [--threads 1]

The default traces of the embedded models (othello-mini: 25 sites, 20 tokens; python-mini: 13 sites, 37 tokens). Figures
are CPU time for all sites, taken in interleaved pairs; medians, and the median and range of the ratios.

twin            per site and step one forward of the whole model, with the site written, and one backward to it;
                parameters frozen; both effects and the check at the path's end, as ours.
equal steps     both by the midpoint rule with 10 steps: equal effects, printed.
equal accuracy  the twin by the left rule (as the reference) with as many steps as it needs for our gap between the sum
                of a site's effects and the measured difference, mean over sites; its time per step is measured with
                10 steps and multiplied.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from saecli.asking.question import ask
from saecli.attribution.clean import CleanRun, clean_run
from saecli.attribution.integrated import integrate
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from tests.twins.integrated import integrate_one_at_a_time
from zoo.load import load_model, load_suite

STEPS = 10
MIDPOINTS = [(k + 0.5) / STEPS for k in range(STEPS)]


def default(name: str) -> CleanRun:
    """The default trace of a model."""
    model, suite = load_model(name), load_suite(name)
    question = ask(model, TraceConfig(model=name), suite, "resid_pre")
    return clean_run(model, dict(suite), question.tokens_S, question.metric)


def twin(clean: CleanRun) -> dict[Site, torch.Tensor]:
    """Effects by the midpoint rule, one step at a time."""
    return {site: integrate_one_at_a_time(clean, site, MIDPOINTS)[0] for site in clean.sites}


def timed(work: Callable[[], object]) -> float:
    """CPU seconds."""
    began = time.process_time()
    work()
    return time.process_time() - began


def mean_gap(clean: CleanRun, steps: int, rule: str) -> float:
    """How far effects are from adding up, mean over sites."""
    return statistics.mean(integrate(clean, steps=steps, rule=rule).gaps().values())  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in ("othello-mini", "python-mini"):
        clean = default(name)
        fast, slow = integrate(clean, steps=STEPS).clean.nodes, twin(clean)
        worst = max(float((fast[s].effect_N - slow[s]).abs().max() / slow[s].abs().max()) for s in clean.sites)
        ours = mean_gap(clean, STEPS, "midpoint")
        left = STEPS
        while (theirs := mean_gap(clean, left, "left")) > ours and left < 4096:
            left *= 2
        both = [
            (timed(lambda c=clean: integrate(c, steps=STEPS)), timed(lambda c=clean: twin(c)))
            for _ in range(options.pairs)
        ]
        ratios = sorted(b / a for a, b in both)
        at_equal = statistics.median(ratios)
        print(
            f"{name}: {len(clean.sites)} sites, largest difference {worst:.1e} of the largest effect\n"
            f"  equal steps     ours {statistics.median(a for a, _ in both):.2f} s   twin "
            f"{statistics.median(b for _, b in both):.2f} s   ratio {at_equal:.1f} "
            f"({ratios[0]:.1f} to {ratios[-1]:.1f})\n"
            f"  equal accuracy  gap {ours:.1e} with {STEPS} steps; left rule {theirs:.1e} with {left}: "
            f"ratio {at_equal * left / STEPS:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
