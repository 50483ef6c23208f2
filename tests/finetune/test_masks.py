"""Learned masks: gates against dense weights, how many stay, noise that repeats."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saecli.core.connections import Connections
from saecli.finetune.config import FinetuneConfig
from saecli.finetune.loop import Finetuning
from saecli.finetune.masks import Masks
from saecli.finetune.objective import Whole
from saecli.finetune.trained import TrainedSuite
from saecli.pruned.suite import PrunedSuite
from tests.finetune.test_finetune import CONFIG, Clock, Sequences, batch_of, weights_of
from tests.pruned.tiny import connections, full_masks, model, random_masks, random_suite, tokens


def begun(**settings) -> TrainedSuite:
    of = model("sequential")
    suite = random_suite(of)
    config: FinetuneConfig = replace(CONFIG, masks=3, **settings)
    return TrainedSuite(config, of, suite, connections(of, suite, random_masks(of, suite)))


@pytest.mark.parametrize("kind", ["sequential", "folded"])
def test_closed_gates_are_connections_that_are_not_there_and_open_ones_change_nothing(kind: str):
    of = model(kind)
    suite = random_suite(of)
    masks = random_masks(of, suite)
    gated = PrunedSuite(of, suite, connections(of, suite, full_masks(of, suite)))
    generator = torch.Generator().manual_seed(1)
    for site, pattern in gated.patterns.items():
        widths = dict(zip(pattern.sources, pattern.widths, strict=True))
        wide = torch.cat([masks[site, up] for up in widths], 1) if widths else torch.zeros(0, 0)
        if pattern.n_edges:
            gated.gates[site] = wide[pattern.rows_E().long(), pattern.columns_E.long()].double()
    few = PrunedSuite(of, suite, connections(of, suite, masks))
    frozen = gated.freeze(tokens())
    found, expected = gated.run(frozen), few.run(frozen)
    for site, written in expected.written.items():
        assert (found.written[site] - written).abs().max() <= 1e-10 * written.abs().max()
    weights = {site: torch.randn(one.shape, generator=generator).to(one) for site, one in expected.written.items()}

    def gradients(run, pruned):
        total = torch.stack([(run.written[site] * weights[site]).sum() for site in weights]).sum()
        return torch.autograd.grad(total, list(pruned.parameters()), allow_unused=True)

    for one, other in zip(gradients(found, gated), gradients(expected, few), strict=True):
        if one is not None and other is not None:
            assert torch.allclose(one, other, rtol=1e-8, atol=1e-9)


def test_the_gradient_of_a_gate_is_what_a_little_more_of_it_changes():
    of = model("sequential")
    suite = random_suite(of, widths=(20, 20), k=20)  # nothing is selected, so that small changes stay small
    pruned = PrunedSuite(of, suite, connections(of, suite, random_masks(of, suite)))
    frozen, step = pruned.freeze(tokens()), 1e-6
    for site, pattern in pruned.patterns.items():
        if not pattern.n_edges:
            continue
        gates_E = torch.full((pattern.n_edges,), 0.7, dtype=torch.float64, requires_grad=True)

        def loss(gates_E=gates_E, site=site) -> torch.Tensor:
            pruned.gates = {site: gates_E}
            return pruned.ce(frozen, pruned.run(frozen))

        (gradient_E,) = torch.autograd.grad(loss(), gates_E)
        edge = int(gradient_E.abs().argmax())
        more = gates_E.detach().clone()
        more[edge] += step
        slope = (float(loss(more).detach()) - float(loss(gates_E.detach()).detach())) / step
        assert float(gradient_E[edge]) == pytest.approx(slope, rel=1e-3)


def test_the_expected_number_is_what_the_noise_opens():
    trained = begun()
    masks = trained.masks
    assert masks is not None
    generator = torch.Generator().manual_seed(0)
    for logits_E in masks.logits.values():
        logits_E.data = torch.randn(logits_E.shape, generator=generator, dtype=torch.float64)
    site, logits_E = next(iter(masks.logits.items()))
    beta = masks.temperature(3)
    u = torch.rand(40_000, 1, generator=generator, dtype=torch.float64)
    stretched = ((u.log() - (1 - u).log() + logits_E.detach()) / beta).sigmoid() * 1.2 - 0.1
    expected = (logits_E.detach() - beta * math.log(0.1 / 1.1)).sigmoid()
    assert ((stretched > 0).double().mean(0) - expected).abs().max() < 0.015
    masks.sample(3)
    gates_E = trained.pruned.gates[site]
    assert set(gates_E.detach().tolist()) == {0.0, 1.0}
    again = begun().masks
    assert again is not None
    again.load(masks.state())
    assert float(again.sample(3)) == float(masks.sample(3))
    assert float(masks.sample(4)) != float("nan")
    assert not torch.equal(trained.pruned.gates[site], gates_E)  # another step, other noise


def test_training_keeps_about_as_many_as_were_asked_for():
    trained = begun(steps=150, lr=0.0, aux_coefficient=0.0, decay=0.1)
    batch = batch_of()
    frozen = trained.pruned.freeze(batch.tokens_BS)
    whole = Whole.of(frozen, batch)
    for number in range(150):
        trained.step(frozen, batch, whole, number, 1.0)
    kept = trained.finished()
    features = sum(int((kept_of(trained.connections, site) > 0).sum()) for site in trained.pruned.patterns)
    assert kept.rule == "overall"
    assert 0.5 * 3 * features < kept.n_edges < 1.5 * 3 * features < trained.connections.n_edges
    for pair, rows in kept.rows.items():  # nothing that was not given
        down, up = pair
        for feature in range(len(rows.indptr) - 1):
            given = set(trained.connections.row(down, up, feature).indices_E.tolist())
            assert set(kept.row(down, up, feature).indices_E.tolist()) <= given


def kept_of(found: Connections, site) -> torch.Tensor:
    return found.in_degree(site)


def test_a_resumed_run_with_masks_ends_in_the_same_bits(tmp_path: Path):
    found = []
    for name, breaks in (("whole", ()), ("broken", (1,))):
        for after in (*breaks, 99):
            trained = begun()
            Finetuning(CONFIG, {"": trained}, Sequences(), {}, tmp_path / name).run(Clock(after))
        assert trained.masks is not None
        found.append({**weights_of(trained), **{str(s): one.detach() for s, one in trained.masks.logits.items()}})
    whole, broken = found
    assert all(torch.equal(value, whole[name]) for name, value in broken.items())
    assert isinstance(trained.masks, Masks)
