"""What a measurement leaves in its run directory: tables, charts, and SAEBench's result files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from saecli.core.fidelity import SuiteFidelity
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.formats.saebench import Measurement, eval_results
from saecli.formats.suite import is_suite, read_suite
from saecli.report.curve_plot import curve_figure
from saecli.report.density_plot import density_figure
from saecli.report.fidelity_plot import fidelity_figure
from saecli.report.figure import as_png, as_svg
from saecli.validate.result import CHOSEN
from saecli.validate.rows import EDGES, curve_table, long_table


def write_files(
    run: Run, suites: Mapping[str, Suite], measured: Mapping[str, SuiteFidelity], measurement: Measurement
) -> list[str]:
    """Write everything but the result; returns the names of the files."""
    texts = {"sites.csv": long_table(suites, measured)}
    pictures = {"fidelity": fidelity_figure(suites, measured), "density": density_figure(suites, measured, EDGES)}
    if (curve := curve_figure(suites, measured)) is not None:
        texts["curve.csv"] = curve_table(suites, measured)
        pictures["curve"] = curve
    for name, figure in pictures.items():
        run.write_bytes(f"{name}.png", as_png(figure))
        run.write_bytes(f"{name}.svg", as_svg(figure))
    names = [*texts, *(f"{name}.{kind}" for name in pictures for kind in ("png", "svg"))]
    for name, text in texts.items():
        run.write_text(name, text)
    for release, (name, suite) in zip(short_names(list(suites)), suites.items(), strict=True):
        for reads, one in zip(suite.configs, measured[name].sites, strict=True):
            label = suite.label(one.site)
            text = eval_results(suite[reads], one, measured[name], suite.info, measurement, release, label)
            names.append(f"saebench/core/{release}_{label}_eval_results.json")
            run.write_text(names[-1], text)
    return names


def short_names(names: Sequence[str]) -> list[str]:
    """Every name without the folders that all can do without, fit for a file: ``run/suite-k8`` becomes ``suite-k8``.

    A suite that was chosen goes by the name that it was chosen under.
    """
    names = [_before(Path(name)) or name for name in names]
    split = [
        [part for part in re.split(r"[^\w.-]+", str(Path(name))) if part.strip(".")] or ["suite"] for name in names
    ]
    for length in range(1, max(map(len, split)) + 1):
        short = ["_".join(parts[-length:]) for parts in split]
        if len(set(short)) == len(short):
            return short
    return [f"{number}_{parts[-1]}" for number, parts in enumerate(split, 1)]


def _before(folder: Path) -> str:
    """The name of a suite that was chosen, empty for others."""
    return read_suite(folder).info.name if folder.name == CHOSEN and is_suite(folder) else ""
