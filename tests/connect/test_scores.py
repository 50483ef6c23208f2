"""Scores of connections: every one equals its plain twin, hand numbers, and what batches and memory must not change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from saecli.connect.batches import Batch, Reader
from saecli.connect.gather import gather, groups_of
from saecli.connect.modules import Down, connected_modules, downs_of
from saecli.connect.reading import Reading, reading_of, token_directions
from saecli.connect.scores import scores_of, sums_for
from saecli.core.connections import Connections, Module
from saecli.core.dictionary import SparseActs
from saecli.core.folding import folded
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.data.sequences import Sequences
from saecli.pruned.suite import PrunedSuite
from tests.connect.suites import LATENTS, dictionaries, model_and_suite, tiny_gpt
from tests.core.tiny_models import tiny
from tests.twins import connections as twin

DATA_SCORES = ("active-mean", "mean", "max", "gradient")


def sequences(count: int = 5, length: int = 7, vocab: int = 11) -> Sequences:
    """Of different lengths."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(vocab, (count, length), generator=generator).int()
    return Sequences("", tokens, torch.tensor([length, 4, length, 5, 2][:count]), count)


def all_scores(reader: Reader, downs, read, score: str, **settings) -> dict[Site, torch.Tensor]:
    """Dense [F, U] out of what is kept, which is everything."""
    found = gather(reader, downs, read, score=score, per_feature=10**6, overall=0, counts=(3,), **settings)
    result = {}
    for kept in found.modules:
        ranked = kept.ranked
        dense = torch.zeros(kept.down.module.n_latents, kept.down.width, dtype=ranked.scores_RK.dtype)
        result[kept.down.site] = dense.scatter(1, ranked.features_RK, ranked.scores_RK)
    return result


@pytest.mark.parametrize("score", DATA_SCORES)
def test_every_score_equals_its_twin(score: str):
    model, suite = model_and_suite()
    read = sequences()
    tokens = read.tokens_BS.long()
    inside = torch.arange(tokens.shape[1]) < read.lengths_B[:, None]
    left_out = 4
    counted = inside & (tokens != left_out)
    assert (counted != inside).any()
    modules = connected_modules(suite, model.info, embed=True, logits=True)
    downs = downs_of(modules, parallel=False)
    ours = all_scores(Reader(model, suite, (left_out,), rows=2), downs, read, score)
    acts = twin.features(model, suite, tokens)
    written = {site: suite[site].W_dec_FD for site in suite}
    acts[Site(0, "resid_pre")] = torch.nn.functional.one_hot(tokens, 11).double()
    written[Site(0, "resid_pre")] = model.module.transformer.wte.weight.detach()
    next_known = torch.zeros_like(inside)
    next_known[:, :-1] = inside[:, 1:] & inside[:, :-1]
    next_tokens = torch.nn.functional.one_hot(tokens.roll(-1, 1), 11).double() * next_known[..., None]
    end = Site(2, "resid_pre")
    assert list(ours) == [down.site for down in downs]
    assert len(ours) == 5  # with --embed, attention of the first block has something upstream too
    for down in downs:
        active = (next_tokens if down.site == end else acts[down.site]) != 0
        slope = None
        if score == "gradient" and down.site == end:
            slope = (1 - model.run(tokens).logits.softmax(-1)).abs()
        elif score == "gradient":
            slope = twin.slopes(model, suite, tokens, inside, down.site)
        for up, start in zip(down.ups, down.starts, strict=True):
            for feature in range(up.n_latents):
                added = acts[up.reads][..., feature, None] * inside[..., None] * written[up.reads][feature]
                if down.site == end:
                    given = twin.logit_contributions(model, tokens, added)
                else:
                    given = twin.contributions(model, suite, tokens, down.site, added)
                expected = twin.score(score, given, active, counted, slope)
                torch.testing.assert_close(ours[down.site][:, start + feature], expected, rtol=1e-6, atol=1e-9)


def test_weights_are_those_of_single_edges():
    model, suite = model_and_suite()
    downs = downs_of(connected_modules(suite, model.info, embed=False, logits=False), parallel=False)
    ours = all_scores(Reader(model, suite), downs, None, "weight")
    block = model.block(1).weights
    read, wrote = suite[Site(1, "attn_out")], suite[Site(0, "mlp_in")]
    expected = torch.zeros(LATENTS, LATENTS, dtype=torch.float64)
    for head in range(2):
        centred = wrote.W_dec_FD - wrote.W_dec_FD.mean(1, keepdim=True)
        expected += ((centred * block.ln1_w) @ block.W_V[head] @ block.W_O[head] @ read.W_enc_DF).abs().T
    torch.testing.assert_close(ours[Site(1, "attn_out")][:, LATENTS:], expected)


@pytest.mark.parametrize("score", DATA_SCORES)
def test_batches_and_memory_change_nothing(score: str):
    model, suite = model_and_suite()
    downs = downs_of(connected_modules(suite, model.info, embed=False, logits=False), parallel=False)
    whole = all_scores(Reader(model, suite, rows=5), downs, sequences(), score)
    single = all_scores(Reader(model, suite, rows=1), downs, sequences(), score)
    bytes_ = 5 * 4 * 2 * 2 * LATENTS
    assert len(groups_of(downs, 2, "active-mean", bytes_)) > 5
    in_parts = all_scores(Reader(model, suite, rows=5), downs, sequences(), score, max_bytes=bytes_)
    for site, scores in whole.items():
        torch.testing.assert_close(single[site], scores)
        torch.testing.assert_close(in_parts[site], scores)


def test_groups_hold_every_row_once():
    model, suite = model_and_suite()
    downs = downs_of(connected_modules(suite, model.info, embed=False, logits=True), parallel=False)
    for room in (1, 700, 5000, 10**9):
        found = [(down.site, row) for group in groups_of(downs, 2, "gradient", room) for down, rows in group
                 for row in range(rows.start, rows.stop)]  # fmt: skip
        assert found == [(down.site, row) for down in downs for row in range(down.module.n_latents)]


def test_the_reference_sums_over_the_pass_with_everything_connected():
    """Σ f / s times W_enc_j · W_dec_i for transcoders, without division; through attention over B · H · S · S."""
    _, suite = model_and_suite()
    model = folded(thin_gpt(tiny_gpt().double()))
    suite = Suite.of(replace(suite.info, processing="folded"), list(suite.values()))
    read = Sequences("", sequences().tokens_BS, torch.full((5,), 7), 5)
    modules = connected_modules(suite, model.info, embed=False, logits=False)
    pruned = PrunedSuite(model, suite, Connections(modules, "all"), compat=True)
    reader = Reader(model, suite, rows=2, pruned=pruned)
    ours = all_scores(reader, downs_of(modules, parallel=False), read, "mean", as_reference=True)
    frozen = pruned.freeze(read.tokens_BS.long())
    run = pruned.run(frozen)
    for down, offset in ((Site(1, "mlp_in"), 2 * LATENTS), (Site(1, "attn_out"), 0)):
        up = Site(1, "attn_out") if offset else Site(0, "attn_out")
        acts = pruned.dense_features(up, run)
        if offset:
            total = (acts / frozen.scales[down].reshape(-1, 1)).sum(0)
            expected = suite[down].W_enc_DF.T @ suite[up].W_dec_FD.T * total
        else:
            block = model.block(1).weights
            expected = torch.zeros(LATENTS, LATENTS, dtype=torch.float64)
            for head in range(2):
                weights = suite[down].W_enc_DF.T @ (block.W_V[head] @ block.W_O[head]).T @ suite[up].W_dec_FD.T
                moved = frozen.mixes[1][:, head].sum(1).reshape(-1, 1)
                expected += weights * (acts * moved).sum(0)
            expected = expected / (5 * 2 * 7 * 7)
        torch.testing.assert_close(ours[down][:, offset : offset + LATENTS], expected)


def test_parallel_blocks():
    module, make = tiny("neox")
    model = make(module.double(), "tiny")
    suite = Suite.of(SuiteInfo("tiny", "neox"), [one.double() for one in dictionaries(width=model.info.d_model)])
    tokens = torch.randint(30, (3, 6), generator=torch.Generator().manual_seed(0))
    read = Sequences("", tokens.int(), torch.full((3,), 6), 3)
    downs = downs_of(connected_modules(suite, model.info, embed=False, logits=False), parallel=True)
    ours = all_scores(Reader(model, suite), downs, read, "active-mean")
    assert list(ours) == [Site(1, "attn_out"), Site(1, "mlp_in")]
    acts = twin.features(model, suite, tokens)
    up, feature = Site(0, "mlp_in"), int(acts[Site(0, "mlp_in")].sum((0, 1)).argmax())
    added = acts[up][..., feature, None] * suite[up].W_dec_FD[feature]
    for down in ours:
        given = twin.contributions(model, suite, tokens, down, added)
        expected = twin.score("active-mean", given, acts[down] != 0, torch.ones(3, 6, dtype=torch.bool))
        torch.testing.assert_close(ours[down][:, LATENTS + feature], expected)


# --- by hand ----------------------------------------------------------------------------------------------------------

UP = Module(Site(0, "mlp_in"), Site(0, "mlp_out"), 2)


def by_hand(score: str, reading: Reading, batch: Batch) -> torch.Tensor:
    halves = sums_for(score, reading, slice(0, 1)), sums_for(score, reading, slice(0, 1))
    halves[0].add(batch)
    (scored,) = scores_of(score, reading, slice(0, 1), halves)
    assert scored.first_RU is None  # the other half has no data
    return scored.total_RU[0]


def acts(features: list[float]) -> SparseActs:
    """Feature 1 alone, at every position."""
    return SparseActs(torch.ones(len(features), 1, dtype=torch.int64), torch.tensor(features)[:, None])


@pytest.mark.parametrize("score", ["mean", "active-mean", "max"])
def test_a_transcoder_by_hand(score: str):
    """W_enc_j = [2, 0], W_dec_i = e1, f_i = 3, s = 1.5: 2 · 3 / 1.5 = 4; by the other feature nothing."""
    down = Down.of(Module(Site(1, "mlp_in"), Site(1, "mlp_out"), 1), [UP])
    reading = Reading(down, False, torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    one = SparseActs(torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1))
    batch = Batch(
        torch.ones(1, 1, dtype=torch.bool), torch.full((1, 1), -1), {UP.reads: acts([3.0]), down.site: one}, {},
        {down.site: torch.tensor([1.5])}, {},
    )  # fmt: skip
    assert by_hand(score, reading, batch).tolist() == [0.0, 4.0]


@pytest.mark.parametrize(("score", "expected"), [("mean", 5.25), ("active-mean", 4.5), ("max", 4.5)])
def test_attention_by_hand(score: str, expected: float):
    """P = [[1, 0], [.25, .75]], s = (2, 4), f = (4, 8), weight 2: 2 · 4 / 2 = 4 at the first position, and
    2 (.25 · 4 / 2 + .75 · 8 / 4) = 4 at the second, the only one where the feature is active; with f = (6, 8) it is 6
    and 4.5.
    """
    down = Down.of(Module(Site(1, "attn_out"), Site(1, "attn_out"), 1), [UP])
    reading = Reading(down, True, torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    second = SparseActs(torch.zeros(2, 1, dtype=torch.int64), torch.tensor([[0.0], [1.0]]))
    scale = torch.tensor([2.0, 4.0])
    mix = torch.tensor([[1.0, 0.0], [0.25, 0.75]])[None, None] / scale
    there = torch.ones(1, 2, dtype=torch.bool)
    found = {UP.reads: acts([6.0, 8.0]), down.site: second}
    batch = Batch(there, torch.full((1, 2), -1), found, {}, {down.site: scale}, {1: mix})
    assert by_hand(score, reading, batch).tolist() == pytest.approx([0.0, expected])


def test_tokens_add_their_embeddings_without_positions():
    model, _ = model_and_suite()
    torch.testing.assert_close(token_directions(model), model.module.transformer.wte.weight.detach())


def test_logits_are_read_less_their_mean():
    model, suite = model_and_suite()
    modules = connected_modules(suite, model.info, embed=True, logits=True)
    reading = reading_of(model, suite, downs_of(modules, parallel=False)[-1])
    read_VD = model.module.lm_head.weight * model.module.transformer.ln_f.weight
    read_VD = read_VD - read_VD.mean(0)
    torch.testing.assert_close(reading.read_HFE[0], read_VD - read_VD.mean(1, keepdim=True), rtol=1e-5, atol=1e-6)
