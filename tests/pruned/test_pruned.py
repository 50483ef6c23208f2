"""The pruned pass against the model, against its definition, and by hand."""

from __future__ import annotations

import pytest
import torch

from saecli.core.site import Site
from saecli.pruned import edges
from saecli.pruned.measure import cross_entropy
from saecli.pruned.suite import PrunedSuite
from tests.pruned.tiny import (
    connections,
    full_masks,
    lossless,
    model,
    random_masks,
    random_suite,
    tokens,
)
from tests.twins import pruned as twin

KINDS = ("sequential", "folded", "parallel")
TOLERANCE = {"sequential": 1e-12, "folded": 1e-12, "parallel": 1e-6}
"""GPT-NeoX's softmax is fp32."""


def patterns(of, batch):
    return {
        layer: of.run(batch, aux=[(layer, "attn_pattern")]).aux[layer, "attn_pattern"]
        for layer in range(of.info.n_layers)
    }


def assert_close(found, expected, tolerance):
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["all", "every one listed"])
def test_a_lossless_suite_with_all_connections_is_the_model(kind, how):
    of = model(kind)
    suite = lossless(of)
    pruned = PrunedSuite(of, suite, connections(of, suite, None if how == "all" else full_masks(of, suite)))
    frozen = pruned.freeze(tokens())
    run = pruned.run(frozen)
    for site, written in run.written.items():
        assert_close(written, frozen.targets[site], TOLERANCE[kind])
    logits = of.run(tokens()).logits
    assert_close(pruned.logits(frozen, run), logits, TOLERANCE[kind])
    assert_close(pruned.ce(frozen, run), cross_entropy(logits, tokens()), TOLERANCE[kind])
    assert max(value.item() for value in pruned.fvu(frozen, run).values()) < 1e-12


def assert_equals_the_definition(of, suite, masks, pruned, tolerance, **how):
    """Pre-activations, features, what is written, and the gradients of all parameters."""
    frozen = pruned.freeze(tokens())
    parameters = list(pruned.parameters())
    pres, acts, written = twin.pruned_pass(of, suite, masks, frozen, patterns(of, tokens()), **how)
    generator = torch.Generator().manual_seed(6)
    weights = {site: torch.randn(value.shape, generator=generator).to(value) for site, value in written.items()}

    def gradients(values):
        total = sum((values[site] * weights[site]).sum() for site in written)
        return torch.autograd.grad(total, parameters, allow_unused=True)

    run = pruned.run(frozen, keep_preactivations=True)
    for site in written:
        assert_close(run.preactivations[site], pres[site], tolerance)
        assert_close(pruned.dense_features(site, run).view_as(acts[site]), acts[site], tolerance)
        assert_close(run.written[site], written[site], tolerance)
    wanted = gradients(written)
    assert sum(one is not None and bool(one.any()) for one in wanted) > len(wanted) // 2
    for found, expected in zip(gradients(run.written), wanted, strict=True):
        assert (found is None) == (expected is None)
        if expected is not None:
            assert_close(found, expected, 10 * tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [False, True])
def test_sparse_is_the_definition_forward_and_backward(kind, shared):
    of = model(kind)
    suite = random_suite(of, shared=shared)
    masks = random_masks(of, suite)
    pruned = PrunedSuite(of, suite, connections(of, suite, masks))
    assert_equals_the_definition(of, suite, masks, pruned, TOLERANCE[kind])


def test_the_parts_in_which_it_is_computed_change_nothing(monkeypatch):
    monkeypatch.setattr(edges, "_POSITIONS", 4)
    monkeypatch.setattr(edges, "_COORDINATES", 7)
    of = model()
    suite = random_suite(of)
    masks = random_masks(of, suite)
    assert_equals_the_definition(of, suite, masks, PrunedSuite(of, suite, connections(of, suite, masks)), 1e-12)


@pytest.mark.parametrize("arch", ["abstopk", "jumprelu", "standard", "gated", "groupmax", "identity"])
def test_every_architecture_is_the_definition(arch):
    of = model()
    suite = random_suite(of, arch=arch)
    masks = random_masks(of, suite)
    pruned = PrunedSuite(of, suite, connections(of, suite, masks))
    assert_equals_the_definition(of, suite, masks, pruned, 1e-12)


def test_single_precision_is_the_definition():
    of = model(dtype=torch.float32)
    suite = random_suite(of)
    masks = random_masks(of, suite)
    pruned = PrunedSuite(of, suite, connections(of, suite, masks))
    assert_equals_the_definition(of, suite, masks, pruned, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [False, True])
def test_none_and_all_are_the_definition(kind, value):
    of = model(kind)
    suite = random_suite(of)
    masks = full_masks(of, suite, value)
    pruned = PrunedSuite(of, suite, connections(of, suite, None if value else {}))
    assert_equals_the_definition(of, suite, masks, pruned, TOLERANCE[kind])


@pytest.mark.parametrize("kind", ["sequential", "parallel"])
@pytest.mark.parametrize("how", ["all", "sparse"])
def test_with_error_nodes(kind, how):
    of = model(kind)
    suite = random_suite(of)
    masks = full_masks(of, suite) if how == "all" else random_masks(of, suite)
    pruned = PrunedSuite(of, suite, connections(of, suite, None if how == "all" else masks), errors=True)
    frozen = pruned.freeze(tokens())
    errors = {site: (frozen.targets[site] - suite[site](frozen.inputs[site])).detach() for site in suite.sites}
    assert_equals_the_definition(of, suite, masks, pruned, 1e-6, errors=errors)
    if how == "all":
        run = pruned.run(frozen)
        assert_close(pruned.logits(frozen, run), of.run(tokens()).logits, TOLERANCE[kind])


def test_without_centring():
    of = model("folded")
    suite = random_suite(of)
    masks = random_masks(of, suite)
    kept = connections(of, suite, masks)
    assert_equals_the_definition(of, suite, masks, PrunedSuite(of, suite, kept, centre=False), 1e-12, centre=False)
    frozen = PrunedSuite(of, suite, kept).freeze(tokens())
    runs = [PrunedSuite(of, suite, kept, centre=centre).run(frozen) for centre in (True, False)]
    assert not torch.allclose(runs[0].written[Site(1, "mlp_in")], runs[1].written[Site(1, "mlp_in")])


@pytest.mark.parametrize("how", ["all", "sparse"])
def test_compat_has_the_biases_of_the_reference(how):
    of = model("folded")
    suite = random_suite(of, shared=True)
    masks = full_masks(of, suite) if how == "all" else random_masks(of, suite)
    kept = None if how == "all" else dict(masks)
    if kept:
        del kept[Site(1, "mlp_in"), Site(0, "attn_out")], kept[Site(1, "attn_out"), Site(0, "attn_out")]
        for pair in masks.keys() - kept.keys():
            masks[pair] = torch.zeros_like(masks[pair])
    pruned = PrunedSuite(of, suite, connections(of, suite, kept), compat=True)
    assert_equals_the_definition(of, suite, masks, pruned, 1e-12, centre=False, compat=(kept or masks).keys())


def test_one_connection_adds_its_own_term_and_nothing_else():
    of = model()
    suite = random_suite(of, arch="standard")
    frozen = PrunedSuite(of, suite, connections(of, suite, {})).freeze(tokens())
    pattern_BHSS = patterns(of, tokens())[1]
    weights = of.block(1).weights
    up = Site(0, "mlp_in")
    for down in (Site(1, "attn_out"), Site(1, "mlp_in")):
        masks = full_masks(of, suite, False)
        masks[down, up][3, 7] = True
        runs = [
            PrunedSuite(of, suite, connections(of, suite, kept)).run(frozen, keep_preactivations=True)
            for kept in ({}, masks)
        ]
        change_BSF = runs[1].preactivations[down] - runs[0].preactivations[down]
        f_BS = PrunedSuite(of, suite, connections(of, suite, {})).dense_features(up, runs[0])[:, 7].view(3, -1)
        written_D, read_D, scale_BS1 = suite[up].W_dec_FD[7], suite[down].W_enc_DF[:, 3], frozen.scales[down]
        if down.kind == "mlp_in":
            gained_D = weights.ln2_w * (written_D - written_D.mean())
            expected_BS = read_D @ gained_D * f_BS / scale_BS1[..., 0]
        else:
            gained_D = weights.ln1_w * (written_D - written_D.mean())
            per_head_H = torch.einsum("d,hde,hef,f->h", gained_D, weights.W_V, weights.W_O, read_D)
            expected_BS = torch.einsum("h,bhqk,bk->bq", per_head_H, pattern_BHSS, f_BS / scale_BS1[..., 0])
        assert_close(change_BSF[..., 3], expected_BS, 1e-12)
        change_BSF[..., 3] = 0
        assert not change_BSF.any()


def test_a_token_changes_nothing_before_it():
    of = model()
    suite = random_suite(of)
    pruned = PrunedSuite(of, suite, connections(of, suite, random_masks(of, suite)))
    before, after = tokens(), tokens()
    after[:, 6] = (after[:, 6] + 1) % 50
    runs = [pruned.run(pruned.freeze(batch)) for batch in (before, after)]
    for site in pruned.dictionaries:
        one, other = (run.written[site] for run in runs)
        assert torch.equal(one[:, :6], other[:, :6])
        assert not torch.equal(one[:, 6:], other[:, 6:])
