"""``saecli validate --set 7:331=0..2x``: one activation scaled step by step, and what answers to it.

Source: sparse_circuit_discovery's response curves, which pin one feature between 0 and 1 of its activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from saecli.attribution.intervene import Change, FeatureChange, Intervention
from saecli.core.errors import UsageError
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.formats.tables import as_csv
from saecli.report.dose_plot import dose_figure
from saecli.report.figure import as_png, as_svg
from saecli.validate.config import ValidateConfig
from saecli.validate.dose_result import DoseResult, Response, response
from saecli.validate.intervention_edges import nodes_changed
from saecli.validate.intervention_flags import Setting
from saecli.validate.intervention_scene import Scene

STEP: Final = 0.1
_ROWS: Final = 8
_LISTED: Final = 20
_DRAWN: Final = 5


def validate_dose(config: ValidateConfig, scene: Scene, setting: Setting, run: Run, progress: Progress) -> DoseResult:
    """Scale a feature, watch, draw.

    Raises:
        UsageError: Several features, or one that does not fire.
    """
    changes = scene.changes([setting])
    if len(changes) > 1:
        raise UsageError(f"--set {setting.text} scales several features.", "Name one.")
    label = scene.label(changes[0])
    if scene.graph is not None:
        changes = nodes_changed(scene, changes)
    low, high = setting.value, setting.last
    doses = torch.linspace(low, high, 1 + max(1, round((high - low) / STEP)), dtype=torch.float64).round(decimals=9)
    metric_B, activation, acts = _measure(config, scene, changes, doses, progress)
    if not activation > 0:
        raise UsageError(f"--set {setting.text}: the feature does not fire there.", "Name one that does.")
    values = doses.tolist()
    result = DoseResult(
        model=scene.model.info.name,
        suite=scene.suite.info.name,
        tokens=scene.tokens_S.tolist(),
        feature=label,
        activation=activation,
        target=scene.metric.target,
        doses=values,
        metric=response(scene.metric.name, values, metric_B.tolist()),
        downstream=[response(name, values, act_B.tolist()) for name, act_B in acts],
        files=["dose.csv", "dose.png", "dose.svg"],
    )
    _write(run, result)
    return result


def _measure(
    config: ValidateConfig, scene: Scene, changes: Sequence[FeatureChange], doses: Tensor, progress: Progress
) -> tuple[Tensor, float, list[tuple[str, Tensor]]]:
    """The metric by dose, the feature's largest activation, and the activations that move most."""
    sites = scene.later(changes)
    own = {(one.site, one.index) for one in changes}
    rows = config.batch_items or _ROWS
    parts: list[tuple[Tensor, dict[Site, Tensor]]] = []
    activation = 0.0
    for start in range(0, len(doses), rows):
        progress("running", start, len(doses))
        part = doses[start : start + rows].to(scene.tokens_S.device)
        scaled = [
            FeatureChange(one.site, one.index, one.position, Change("scale", part.to(_dtype(scene)))) for one in changes
        ]
        intervention = Intervention(scene.suite, scaled)
        done = scene.run(intervention.edits(), len(part))
        parts.append((done.value_B, {site: scene.activations(done.values, site) for site in sites}))
        for one in scaled:
            act_S = intervention.seen[one][0]
            activation = max(activation, float(act_S.max() if one.position is None else act_S[one.position]))
    found: list[tuple[float, str, Tensor]] = []
    for site in sites:
        act_BSF = torch.cat([acts[site] for _, acts in parts])
        moved_N = (act_BSF.amax(0) - act_BSF.amin(0)).flatten()
        for place in moved_N.topk(min(_LISTED, len(moved_N))).indices.tolist():
            position, index = divmod(place, act_BSF.shape[2])
            if moved_N[place] > 0 and (site, index) not in own:
                name = f"{scene.suite.label(site)}:{index}@{position}"
                found.append((float(moved_N[place]), name, act_BSF[:, position, index].double().cpu()))
    found.sort(key=lambda one: -one[0])
    return torch.cat([value for value, _ in parts]).double().cpu(), activation, [one[1:] for one in found[:_LISTED]]


def _dtype(scene: Scene) -> torch.dtype:
    return next(scene.model.module.parameters()).dtype


def _write(run: Run, result: DoseResult) -> None:
    curves: list[Response] = [result.metric, *result.downstream]
    rows = [
        {"curve": one.name, "dose": dose, "value": value}
        for one in curves
        for dose, value in zip(result.doses, one.values, strict=True)
    ]
    run.write_text("dose.csv", as_csv(rows, ("curve", "dose", "value")))
    panels = {f"{result.metric.name} of {result.target}": {result.metric.name: result.metric.values}}
    if result.downstream:
        panels["features of later sites"] = {one.name: one.values for one in result.downstream[:_DRAWN]}
    figure = dose_figure(result.doses, panels, f"activation of {result.feature}, times")
    run.write_bytes("dose.png", as_png(figure))
    run.write_bytes("dose.svg", as_svg(figure))
