"""Target features from kept edges: against one target at a time, and a planted circuit with known divergences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu, kl_div, log_softmax

from saecli.attribution import kept_edges
from saecli.attribution.kept_edges import Kept, kept_targets
from saecli.attribution.pair import FeaturePair
from saecli.attribution.pair_scores import add_scores
from tests.attribution.test_pair_scores import LENGTH, WIDTH, clean_of, dictionary
from tests.hand_models import random_model
from tests.twins.kept_edges import slow_targets

UP, DOWN = 14, 11


def whole(pieces: Iterator[Kept], shape: tuple[int, int, int]) -> torch.Tensor:
    """[C, T, F], 0 at positions that do not count; no place is written twice."""
    found_CTF = torch.full(shape, torch.nan, dtype=torch.float64)
    for kept in pieces:
        assert found_CTF[kept.counts, kept.positions_T].isnan().all()
        found_CTF[kept.counts, kept.positions_T] = kept.targets_CTF
    return found_CTF.nan_to_num(nan=0)


@pytest.mark.parametrize(
    ("between", "arch", "options"),
    [
        ("mlp", "topk", {"k": 3}),
        ("mlp", "gated", {}),
        ("mlp block", "jumprelu", {}),
        ("mlp block", "topk", {"k": 2}),
        ("block", "topk", {"k": 3}),
        ("block", "standard", {}),
    ],
)
def test_every_number_of_edges_is_that_of_one_target_at_a_time(between, arch, options):
    block = random_model(d_model=WIDTH).block(0)
    parts = {"mlp": block.mlp, "mlp block": lambda x: x + block.mlp(block.ln2(x)), "block": block}
    source = dictionary("0.resid_pre", UP, arch=arch, seed=3, **options)
    target = dictionary("1.resid_pre", DOWN, arch=arch, seed=4, **options)
    pair = FeaturePair(source, target, parts[between], between != "block", 16)
    clean_TD = clean_of(LENGTH, pair)
    counted_T = torch.tensor([False, True, True, True, True])
    generator = torch.Generator().manual_seed(5)
    ranks_UF = torch.randperm(UP * DOWN, generator=generator).view(UP, DOWN)
    counts = [1, 2, 5, 11, 30, 31, 90, UP * DOWN]
    acts = source.encode_sparse(clean_TD)
    found = whole(kept_targets(pair, ranks_UF, counts, acts, clean_TD, counted_T), (len(counts), LENGTH, DOWN))
    acts_TU = source.encode(clean_TD)
    for count, found_TF in zip(counts, found, strict=True):
        expected_TF = slow_targets(pair, ranks_UF, count, acts_TU, clean_TD, counted_T)
        torch.testing.assert_close(found_TF[counted_T], expected_TF[counted_T], rtol=1e-9, atol=1e-12)
    assert sum(bool((a != b).any()) for a, b in pairwise(found)) > 4
    whole_TD = torch.where(counted_T[:, None], acts_TU @ source.W_dec_FD + source.b_dec_D, clean_TD)
    torch.testing.assert_close(found[-1][counted_T], target.encode(pair.through(whole_TD))[counted_T])


def test_more_sources_than_a_word_has_bits():
    block = random_model(d_model=WIDTH).block(0)
    source = dictionary("0.mlp_in", 150, arch="standard", seed=6)
    target = dictionary("0.mlp_out", DOWN, k=4, seed=7)
    for positionwise in (True, False):
        pair = FeaturePair(source, target, block.mlp if positionwise else block, positionwise, 16)
        clean_TD = clean_of(LENGTH, pair)
        acts = source.encode_sparse(clean_TD)
        assert acts.values_TK.shape[1] > 62
        ranks_UF = torch.randperm(150 * DOWN, generator=torch.Generator().manual_seed(8)).view(150, DOWN)
        counted_T, counts = torch.ones(LENGTH, dtype=torch.bool), [3, 200, 800, 1400]
        found = whole(kept_targets(pair, ranks_UF, counts, acts, clean_TD, counted_T), (len(counts), LENGTH, DOWN))
        for count, found_TF in zip(counts, found, strict=True):
            expected_TF = slow_targets(pair, ranks_UF, count, source.encode(clean_TD), clean_TD, counted_T)
            torch.testing.assert_close(found_TF, expected_TF, rtol=1e-9, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    positionwise=st.booleans(),
    arch=st.sampled_from([("topk", {"k": 3}), ("jumprelu", {})]),
    counts=st.lists(st.integers(0, UP * DOWN), min_size=1, max_size=9, unique=True).map(sorted),
    limits=st.tuples(*(st.sampled_from([1, 40, 300, 1 << 20]) for _ in range(3)), st.sampled_from([1, 2, 40])),
    counted=st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH),
)
def test_pieces_of_any_size_make_the_same_whole(seed, positionwise, arch, counts, limits, counted):
    block = random_model(d_model=WIDTH).block(0)
    source, target = (dictionary("0.mlp_in", size, arch=arch[0], seed=seed, **arch[1]) for size in (UP, DOWN))
    pair = FeaturePair(source, target, block.mlp if positionwise else block, positionwise, 16)
    clean_TD, counted_T = clean_of(LENGTH, pair), torch.tensor(counted)
    generator = torch.Generator().manual_seed(seed)
    ranks_UF = torch.randperm(UP * DOWN, generator=generator, dtype=torch.int32).view(UP, DOWN)
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in zip(("_PATTERNS", "_TARGETS", "_WIDEST", "_BITS"), limits, strict=True):
            patch.setattr(kept_edges, name, limit)
        pieces = kept_targets(pair, ranks_UF, counts, source.encode_sparse(clean_TD), clean_TD, counted_T)
        found = whole(pieces, (len(counts), LENGTH, DOWN))
    for count, found_TF in zip(counts, found, strict=True):
        expected_TF = slow_targets(pair, ranks_UF, count, source.encode(clean_TD), clean_TD, counted_T)
        torch.testing.assert_close(found_TF[counted_T], expected_TF[counted_T], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("positionwise", [True, False])
def test_equal_targets_compete_for_the_last_place(positionwise):
    block = random_model(d_model=WIDTH).block(0)
    source, target = dictionary("0.mlp_in", UP, k=3, seed=3), dictionary("0.mlp_out", DOWN, k=4, seed=4)
    for twin in range(1, DOWN):  # features 0, 1, 2 are one, so are 3, 4, 5: wherever they are among 4, they tie
        target.W_enc_DF[:, twin] = target.W_enc_DF[:, twin // 3 * 3]
        target.b_enc_F[twin] = target.b_enc_F[twin // 3 * 3]
    pair = FeaturePair(source, target, block.mlp if positionwise else block, positionwise, 16)
    ranks_UF = torch.arange(UP * DOWN).view(UP, DOWN)
    clean_TD, counted_T, counts = clean_of(LENGTH, pair), torch.ones(LENGTH, dtype=torch.bool), [DOWN * 5, UP * DOWN]
    acts = source.encode_sparse(clean_TD)
    found = whole(kept_targets(pair, ranks_UF, counts, acts, clean_TD, counted_T), (2, LENGTH, DOWN))
    tied = 0
    for count, found_TF in zip(counts, found, strict=True):
        expected_TF = slow_targets(pair, ranks_UF, count, source.encode(clean_TD), clean_TD, counted_T)
        torch.testing.assert_close(found_TF.sort().values, expected_TF.sort().values, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close((found_TF != 0).sum(1), (expected_TF != 0).sum(1))
        tied += int(((found_TF != 0).sum(1) == 4).sum())
    assert tied


@pytest.mark.parametrize("positionwise", [True, False])
def test_without_any_active_source_biases_remain(positionwise):
    block = random_model(d_model=WIDTH).block(0)
    source, target = dictionary("0.mlp_in", UP, arch="standard", seed=3), dictionary("0.mlp_out", DOWN, k=4, seed=4)
    source.b_enc_F.fill_(-1e3)
    pair = FeaturePair(source, target, block.mlp if positionwise else block, positionwise, 16)
    clean_TD, counted_T = clean_of(LENGTH, pair), torch.ones(LENGTH, dtype=torch.bool)
    acts = source.encode_sparse(clean_TD)
    assert acts.values_TK.shape[1] == 0
    ranks_UF = torch.arange(UP * DOWN).view(UP, DOWN)
    found = whole(kept_targets(pair, ranks_UF, [4, UP * DOWN], acts, clean_TD, counted_T), (2, LENGTH, DOWN))
    for count, found_TF in zip([4, UP * DOWN], found, strict=True):
        expected_TF = slow_targets(pair, ranks_UF, count, source.encode(clean_TD), clean_TD, counted_T)
        torch.testing.assert_close(found_TF, expected_TF, rtol=1e-9, atol=1e-12)
        assert found_TF.any()


def planted() -> tuple[FeaturePair, torch.Tensor]:
    """Four sources that each make one target, through an MLP that is linear up to 1e-12: targets 1, 2, 3, 4."""
    source, target = (dictionary(site, 4, width=4, k=4) for site in ("0.mlp_in", "0.mlp_out"))
    for one in (source, target):
        one.W_enc_DF.copy_(torch.eye(4))
        one.W_dec_FD.copy_(torch.eye(4))
        one.b_enc_F.zero_()
        one.b_dec_D.zero_()
    sources_U = torch.tensor([0.5, 2.0, 1.5, 1.0], dtype=torch.float64)
    weights_UD = torch.zeros(4, 4, dtype=torch.float64)
    for up, down in enumerate([2, 0, 3, 1]):
        weights_UD[up, down] = (down + 1) / sources_U[up]
    pair = FeaturePair(source, target, lambda x: (gelu(x + 10, approximate="tanh") - 10) @ weights_UD, True, 4)
    return pair, sources_U[None]


def test_a_planted_circuit_has_its_divergences():
    pair, sources_TU = planted()
    acts = pair.up.encode_sparse(sources_TU)
    counted_T = torch.ones(1, dtype=torch.bool)
    scores_UF = torch.zeros(4, 4, dtype=torch.float64)
    add_scores(scores_UF, pair, "ig", acts, sources_TU, counted_T, 8)
    order_E = scores_UF.flatten().argsort(descending=True)
    assert (scores_UF.flatten()[order_E][4:] < 1e-9).all()
    assert [int(edge) % 4 for edge in order_E[:4]] == [3, 2, 1, 0]
    ranks_UF = torch.empty(16, dtype=torch.int64).scatter_(0, order_E, torch.arange(16)).view(4, 4)
    values = []
    whole_F = log_softmax(torch.tensor([1.0, 2, 3, 4], dtype=torch.float64), -1)
    counts = [0, 1, 2, 3, 4, 9, 16]
    for found_TF in whole(kept_targets(pair, ranks_UF, counts, acts, sources_TU, counted_T), (len(counts), 1, 4)):
        values.append(float(kl_div(log_softmax(found_TF[0], -1), whole_F, reduction="sum", log_target=True)))
    assert values == pytest.approx([0.43876, 0.53030, 0.10585, 0.01159, 0, 0, 0], abs=1e-5)
    # the area by the trapezium rule over 0, 1, 2, 3, 4 edges
    assert sum((a + b) / 2 for a, b in pairwise(values[:5])) == pytest.approx(0.86711, abs=1e-5)
