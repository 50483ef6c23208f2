"""``saecli validate --set``: features set, scaled or shifted on one input, and what becomes of the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from saecli.attribution.intervene import FeatureChange, Intervention
from saecli.core.errors import UsageError
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.formats.tables import as_csv
from saecli.validate.config import ValidateConfig
from saecli.validate.dose import validate_dose
from saecli.validate.dose_result import DoseResult
from saecli.validate.intervention_edges import compare, nodes_changed
from saecli.validate.intervention_flags import parse_setting
from saecli.validate.intervention_result import ChangedFeature, InterventionResult, NextToken, SetFeature
from saecli.validate.intervention_scene import Pass, Scene, open_scene
from saecli.validate.intervention_write import write_on
from saecli.validate.subject import Subject

_LISTED: Final = 100
"""Next tokens and features in the tables."""


def plan_intervention(config: ValidateConfig, subject: Subject) -> list[str]:
    """What ``--plan`` prints."""
    what = " ".join(config.set)
    return [f"Sets {what} on {'the input of ' if subject.kind == 'graphs' else 'one input with '}{subject.names[0]}"]


def validate_intervention(
    config: ValidateConfig, subject: Subject, run: Run, progress: Progress
) -> InterventionResult | DoseResult:
    """Change features, compare, list; of a sweep see :mod:`saecli.validate.dose`.

    Raises:
        UsageError, InputError: No such feature, input, target or graph, or what cannot be changed.
    """
    settings = [parse_setting(text) for text in config.set]
    sweeps = [one for one in settings if one.how == "sweep"]
    if sweeps and (len(settings) > 1 or config.generate):
        raise UsageError(f"--set {sweeps[0].text} goes alone, and writes nothing.", "Leave the others out.")
    scene = open_scene(config, subject)
    if sweeps:
        return validate_dose(config, scene, sweeps[0], run, progress)
    changes = scene.changes(settings)
    if scene.graph is not None:
        changes = nodes_changed(scene, changes)
    progress("running")
    before = scene.run()
    intervention = Intervention(scene.suite, changes)
    after = scene.run(intervention.edits())
    up, down = _next_tokens(scene, before, after)
    log_V, other_V = (one.logits_BV[0].double().log_softmax(-1) for one in (before, after))
    result = InterventionResult(
        model=scene.model.info.name,
        suite=scene.suite.info.name,
        tokens=scene.tokens_S.tolist(),
        features=[_set_feature(scene, intervention, one) for one in changes],
        metric=scene.metric.name,
        target=scene.metric.target,
        position=scene.metric.position,
        before=float(before.value_B[0]),
        after=float(after.value_B[0]),
        kl=float((log_V.exp() * (log_V - other_V)).sum()),
        best_before=scene.reader.name(int(log_V.argmax())),
        best_after=scene.reader.name(int(other_V.argmax())),
        up=up,
        down=down,
        downstream=_downstream(scene, changes, before, after),
        written=_written(config, scene, intervention, progress),
        check=None if scene.graph is None else compare(scene, changes, before, after),
        files=[],
    )
    return _stored(run, result)


def _set_feature(scene: Scene, intervention: Intervention, one: FeatureChange) -> SetFeature:
    act_S = intervention.seen[one][0]
    after_S = one.change(act_S[None])[0]
    if one.position is not None:
        act_S, after_S = act_S[one.position, None], after_S[one.position, None]
    strongest = int(act_S.argmax())
    sign = {"set": "={:g}", "scale": "={:g}x", "add": "={:+g}"}[one.change.how]
    return SetFeature(
        scene.label(one),
        sign.format(float(one.change.value)),
        int((act_S != after_S).sum()),
        float(act_S[strongest]),
        float(after_S[strongest]),
    )


def _next_tokens(scene: Scene, before: Pass, after: Pass) -> tuple[list[NextToken], list[NextToken]]:
    """Tokens that became likelier and less likely."""
    old_V, new_V = (one.logits_BV[0].double().softmax(-1) for one in (before, after))
    moved_V = (after.logits_BV[0] - before.logits_BV[0]).double()
    allowed = scene.reader.allowed(scene.tokens_S.tolist())
    change_V = new_V - old_V
    lists: list[list[NextToken]] = []
    for signed_V in (change_V, -change_V):
        top = signed_V.topk(min(_LISTED, len(signed_V)))
        tokens = [token for token, value in zip(top.indices.tolist(), top.values.tolist(), strict=True) if value > 0]
        lists.append(
            [
                NextToken(
                    token,
                    scene.reader.name(token),
                    float(old_V[token]),
                    float(new_V[token]),
                    float(moved_V[token]),
                    None if allowed is None else token in allowed,
                )
                for token in tokens
            ]
        )
    return lists[0], lists[1]


def _downstream(scene: Scene, changes: Sequence[FeatureChange], before: Pass, after: Pass) -> list[ChangedFeature]:
    """Features of later sites whose activation changed most."""
    own = {(one.site, one.index) for one in changes}
    found: list[tuple[float, ChangedFeature]] = []
    for site in scene.later(changes):
        old_SF, new_SF = (scene.activations(one.values, site)[0] for one in (before, after))
        size_N = (new_SF - old_SF).abs().flatten()
        for place in size_N.topk(min(_LISTED, len(size_N))).indices.tolist():
            position, index = divmod(place, old_SF.shape[1])
            if size_N[place] > 0 and (site, index) not in own:
                old, new = float(old_SF[position, index]), float(new_SF[position, index])
                address = f"{scene.suite.label(site)}:{index}@{position}"
                found.append((abs(new - old), ChangedFeature(address, old, new)))
    found.sort(key=lambda one: -one[0])
    return [one for _, one in found[:_LISTED]]


def _written(config: ValidateConfig, scene: Scene, intervention: Intervention, progress: Progress) -> list[Any]:
    if not config.generate:
        return []
    progress("writing")
    return [
        write_on(scene, config.generate, write, temperature=config.temperature, seed=config.seed)
        for write in (None, intervention.edits())
    ]


def _stored(run: Run, result: InterventionResult) -> InterventionResult:
    """Write the tables."""
    from dataclasses import replace

    tables = {"tokens.csv": [asdict(one) | {"change": one.change} for one in (*result.up, *result.down)]}
    tables["downstream.csv"] = [asdict(one) for one in result.downstream]
    columns = {
        "tokens.csv": ("token", "text", "before", "after", "change", "logit_change", "legal"),
        "downstream.csv": ("address", "before", "after"),
        "edges.csv": ("site", "child", "parents", "unit", "weight", "predicted", "measured"),
    }
    if result.check is not None:
        tables["edges.csv"] = [asdict(one) for one in result.check.edges]
    for name, rows in tables.items():
        run.write_text(name, as_csv(rows, columns[name]))
    return replace(result, files=list(tables))
