"""What the recipes that compare suites find, with several seeds: CE increases, and edges at equal divergence.

Every seed trains, connects and measures anew (``saecli run TEMPLATE --set seed=S``); a run that is there is continued
or read again. Differences are against the first suite of the recipe. Intervals are Student's over seeds, 95 %; of edges
over the logarithm of their ratio, mean over pairs of sites. Run: ``python benchmarks/comparison.py TEMPLATE --seeds 3
--out DIR [--set STEP.KEY=VALUE ...]``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

QUANTILES = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Of Student's t at 97.5 %, by the number of seeds."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("template")
    parser.add_argument("--seeds", type=int, default=3, choices=QUANTILES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    increases, changes, ratios = defaultdict(list), defaultdict(list), defaultdict(list)
    sites, parameters = defaultdict(list), {}
    for seed in range(given.seeds):
        result = compared(given.template, given.out / f"{given.template}-{seed}", [f"seed={seed}", *given.set])
        first = result["suites"][0]["ce_increase"]["value"]
        names = [role(number, one["suite"]) for number, one in enumerate(result["suites"])]
        for name, one in zip(names, result["suites"], strict=True):
            increases[name].append(one["ce_increase"]["value"])
            changes[name].append(one["ce_increase"]["value"] - first)
            parameters[name] = one["parameters"]
            found = [row["edges_ratio"]["value"] for row in rows(result, "differences", one["suite"])]
            if found and None not in found:
                ratios[name].append(statistics.fmean(map(math.log, found)))
            for row in rows(result, "sites", one["suite"]):
                sites[name, row["site"]].append(row["ce_increase"]["value"])
    for name, values in increases.items():
        print(f"{name}: {parameters[name]:,} parameters, CE increase {interval(values)}", end="")
        print(f", minus the first {interval(changes[name])}" if any(changes[name]) else "")
        if len(ratios[name]) == given.seeds:
            middle, low, high = bounds(ratios[name])
            print(f"  edges at equal KL {math.exp(middle):.2f} times [{math.exp(low):.2f}, {math.exp(high):.2f}]")
        print(
            "  by site " + ", ".join(f"{site} {statistics.fmean(v):.3f}" for (n, site), v in sites.items() if n == name)
        )
    return 0


def compared(template: str, folder: Path, settings: list[str]) -> dict:
    """The result of the last step of a recipe."""
    done = folder / "result.json"
    if not done.is_file():
        flags = [word for setting in settings for word in ("--set", setting)]
        resume = ["--resume"] if folder.exists() else []
        subprocess.run(
            [sys.executable, "-m", "saecli", "run", template, "--out", str(folder), *flags, *resume], check=True
        )
    last = json.loads(done.read_text(encoding="utf-8"))["steps"][-1]
    return json.loads((folder / last["folder"] / "result.json").read_text(encoding="utf-8"))


def role(number: int, name: str) -> str:
    """What a suite is called in every seed: of Jacobian-sparse ones the coefficient that was chosen may differ."""
    return "jacobian, chosen" if number and "-j" in name else name


def rows(result: dict, table: str, suite: str) -> list[dict]:
    return [one for one in result[table] if one["suite"] == suite]


def bounds(values: list[float]) -> tuple[float, float, float]:
    middle = statistics.fmean(values)
    away = QUANTILES[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return middle, middle - away, middle + away


def interval(values: list[float]) -> str:
    middle, low, high = bounds(values)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}] ({', '.join(f'{one:.3f}' for one in values)})"


if __name__ == "__main__":
    sys.exit(main())
