"""The search for what suffices: known answers, and the slow way with dense codes and one forward per set."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from saecli.attribution.cluster import Data, Neighbours
from saecli.attribution.fill import Drawn, Fill, Mean, Nearest, Silent, any_rows, generators
from saecli.attribution.keeping import ActiveFeatures, Divergence, Kept
from saecli.attribution.search import choose_tokens, put_back, rank_nodes, without_each
from saecli.attribution.search_edges import edges_between
from saecli.attribution.tail import Tail
from saecli.core.codes import SiteCodes
from saecli.core.dictionary import NORMALISATIONS, Dictionary
from saecli.core.model import HookedModel
from saecli.core.site import Site
from tests.hand_models import random_dictionary, random_model
from tests.twins.search import SlowDivergence, distances

F64 = torch.float64
TOKENS = torch.tensor([3, 1, 4, 1])


def data_of(acts_RF: Tensor, position_R: Tensor, context: int) -> Data:
    index_RF = torch.arange(acts_RF.shape[1]).expand_as(acts_RF)
    return Data(SiteCodes.of(index_RF, acts_RF.float()), position_R, context, acts_RF.shape[1])


# --- the distance, by hand -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "expected"), [(0.0, [0, 1 / 12, 1 / 12, 1 / 6]), (2.0, [0, 1 / 12, 1 / 6, 1 / 6])])
def test_distances_of_four_tokens(weight: float, expected: list[float]) -> None:
    """Largest activations 2 and 4; a token with (1, 2) at position 5 of 16."""
    data = data_of(torch.tensor([[1.0, 2], [1, 0], [2, 2], [0, 4]]), torch.tensor([5, 5, 9, 5]), 16)
    near = Neighbours(data, 5, torch.tensor([0, 1]), torch.tensor([1.0, 2.0]), weight)
    assert near.row_C.tolist() == [0, 1, 2, 3]
    assert near.distances(torch.ones(1, 2, dtype=torch.bool))[0].tolist() == pytest.approx(expected)


def test_only_tokens_that_share_a_strong_kept_feature_are_compared() -> None:
    data = data_of(torch.tensor([[1.0, 0], [0, 1], [1, 1], [0, 0]]), torch.zeros(4), 8)
    near = Neighbours(data, 0, torch.tensor([0, 1]), torch.tensor([1.0, 1.0]), 0.0)
    found = near.distances(torch.tensor([[True, False], [False, True], [False, False]]))
    assert near.row_C.tolist() == [0, 1, 2]
    assert found.isfinite().tolist() == [[True, False, True], [False, True, True], [False, False, False]]
    strong = Neighbours(data_of(torch.eye(20), torch.zeros(20), 8), 0, torch.arange(20), torch.arange(1.0, 21.0), 0.0)
    assert strong.distances(torch.ones(1, 20, dtype=torch.bool)).isfinite()[0].tolist() == [False] * 4 + [True] * 16


def test_a_feature_that_the_data_lack_counts_like_any_other() -> None:
    data = data_of(torch.tensor([[2.0, 0.0]]), torch.zeros(1), 8)
    near = Neighbours(data, 0, torch.tensor([0, 1]), torch.tensor([2.0, 3.0]), 0.0)
    assert near.distances(torch.ones(1, 2, dtype=torch.bool)).tolist() == [[pytest.approx(1 / 3)]]


def test_distances_equal_the_slow_ones() -> None:
    generator = torch.Generator().manual_seed(1)
    acts_RF = torch.randn(50, 12, generator=generator).relu() * (torch.rand(50, 12, generator=generator) < 0.4)
    data = data_of(acts_RF, torch.randint(9, (50,), generator=generator), 9)
    index_A, value_A = torch.tensor([2, 5, 7, 11]), torch.tensor([0.3, 1.0, 0.1, 2.0])
    near = Neighbours(data, 4, index_A, value_A, 1.5)
    for keep in itertools.product([False, True], repeat=4):
        keep_A = torch.tensor(keep)
        slow_R = distances(data, acts_RF, 4, index_A[keep_A], value_A[keep_A], 1.5)
        fast_R = torch.full((50,), torch.inf)
        fast_R[near.row_C] = near.distances(keep_A[None])[0]
        if any(keep):
            torch.testing.assert_close(fast_R, slow_R, rtol=0, atol=1e-6)


# --- one layer, two features that matter -----------------------------------------------------------------------------


@pytest.fixture
def two_of_six():
    """Six features at three tokens; only feature 0 at token 0 and feature 1 at token 2 reach the prediction."""
    from saecli.trace.planted.model import HandModel, dictionary, hand_block

    def attention(x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        out[..., 6] = x[..., 0, None][..., :1, :].expand(*x.shape[:-2], x.shape[-2], 1)[..., 0]
        return out

    embedding = torch.zeros(3, 8, dtype=F64)
    embedding[0, [0, 2]] = torch.tensor([2.0, 1.0], dtype=F64)
    embedding[1, [3, 4]] = 1.0
    embedding[2, [1, 5]] = torch.tensor([3.0, 1.0], dtype=F64)
    unembedding = torch.zeros(8, 2, dtype=F64)
    unembedding[6, 0] = unembedding[1, 1] = 1.0
    model = HandModel(embedding, [hand_block(attention=attention)], unembedding)
    site = Site(0, "resid_pre")
    tokens_S = torch.tensor([0, 1, 2])
    made = dictionary(site, torch.eye(8, dtype=F64)[:6])
    logits = model.run(tokens_S[None]).logits
    assert logits is not None
    return model, made, tokens_S, logits[0, -1]


def active_of(model: HookedModel, dictionary: Dictionary, tokens_S: Tensor) -> tuple[Tensor, ActiveFeatures]:
    site = dictionary.config.reads
    x_SD = model.run(tokens_S[None], read=[site], stop_after=site).sites[site][0]
    acts_SF = dictionary.encode(x_SD)
    position_N, index_N = acts_SF.nonzero(as_tuple=True)
    return x_SD, ActiveFeatures(position_N, index_N, acts_SF[position_N, index_N])


def fills_of(dictionary: Dictionary, x_SD: Tensor, features: ActiveFeatures, how) -> Kept:
    every = (dictionary.encode(x_SD) != 0).sum(-1).tolist()
    out: list[Fill] = []
    for position, x_D in enumerate(x_SD):
        here = features.take(features.position_N == position)
        out.append(how((dictionary, x_D, here.index_N, here.activation_N, every[position]), position))
    return Kept(out, features.position_N)


def test_the_two_features_that_matter_are_the_circuit(two_of_six) -> None:
    model, dictionary, tokens_S, clean_V = two_of_six
    x_SD, features = active_of(model, dictionary, tokens_S)
    assert len(features) == 6
    kept = fills_of(dictionary, x_SD, features, lambda token, _: Silent(*token))
    divergence = Divergence(model, dictionary, kept, clean_V)
    tokens = choose_tokens(divergence, features.position_N, 2, 0.01, 24)
    assert sorted(tokens) == [0, 2]
    baseline = float(divergence(torch.ones(1, 6, dtype=torch.bool)))
    assert baseline == pytest.approx(0, abs=1e-12)
    rank_N = rank_nodes(divergence, 6)
    found = put_back(divergence, rank_N, 0.01, 10)
    places = list(zip(features.position_N.tolist(), features.index_N.tolist(), strict=True))
    assert {places[n] for n in found.node_C.tolist()} == {(0, 0), (2, 1)}
    assert found.reached
    assert found.divergence == pytest.approx(0, abs=1e-12)
    assert (found.effect_C > 0.05).all()
    assert found.entered_C.tolist() == sorted(found.entered_C.tolist(), reverse=True)
    others = [n for n in range(6) if n not in found.node_C.tolist()]
    alone = divergence(without_each(torch.ones(6, dtype=torch.bool)))
    assert alone[others].tolist() == pytest.approx([baseline] * 4, abs=1e-12)


def test_neighbours_that_share_what_is_kept_share_the_rest(two_of_six) -> None:
    """Data in which the kept features determine the others: nothing is lost by drawing them."""
    model, dictionary, tokens_S, clean_V = two_of_six
    x_SD, features = active_of(model, dictionary, tokens_S)
    acts_SF = dictionary.encode(x_SD)
    data = data_of(torch.cat([acts_SF, acts_SF]), torch.tensor([0, 1, 2] * 2), 3)

    def near(token, position) -> Fill:
        generator = torch.Generator().manual_seed(position)
        row_n = any_rows(data, None, 5, generator)
        return Nearest(*token, data, row_n, position=position, position_weight=2.0, neighbours=2, generator=generator)

    divergence = Divergence(model, dictionary, fills_of(dictionary, x_SD, features, near), clean_V)
    keep = torch.zeros(1, 6, dtype=torch.bool)
    keep[0, [0, 2, 4]] = True  # one feature of each token
    assert float(divergence(keep)) == pytest.approx(0, abs=1e-12)


def test_a_window_stops_the_search_and_the_best_is_taken() -> None:
    values = torch.tensor([5.0, 4, 3, 6, 7, 8, 2])

    def evaluate(keep_GN: Tensor) -> Tensor:
        return values[keep_GN.sum(1)]

    rank_N = torch.arange(6)
    stopped = put_back(evaluate, rank_N, 0.5, 2)
    assert (len(stopped.node_C), stopped.divergence, stopped.reached) == (2, 3.0, False)
    on = put_back(evaluate, rank_N, 0.5, 0)
    assert (len(on.node_C), on.divergence) == (6, 2.0)
    early = put_back(evaluate, rank_N, 3.5, 0)
    assert (early.node_C.tolist(), early.entered_C.tolist(), early.reached) == ([0, 1], [4.0, 3.0], True)


# --- any model: the slow way ------------------------------------------------------------------------------------------

HOW = ["zero", "mean", "random", "random, same position", "cluster", "cluster, any position"]


def how_of(name: str, data: Data, samples: int = 3):
    def how(token, position) -> Fill:
        if name == "zero":
            return Silent(*token)
        if name == "mean":
            return Mean(*token, data.mean(position))
        anywhere = name in ("random", "cluster, any position")
        generator = generators(5, 0, 9)[position]
        row_n = any_rows(data, None if anywhere else position, samples, generator)
        if name.startswith("random") or not len(token[2]):
            return Drawn(*token, data, row_n)
        weight = 0.0 if anywhere else 2.0
        return Nearest(
            *token, data, row_n, position=position, position_weight=weight, neighbours=4, generator=generator
        )

    return how


def case(site: str, *, parallel: bool = False, **options: object):
    """A random model, a dictionary, its codes of 12 other sequences as data."""
    model = random_model(parallel=parallel)
    dictionary = random_dictionary(Site.parse(site), model.info.d_model, **options)
    rows_BS = torch.randint(9, (12, 5), generator=torch.Generator().manual_seed(2))
    read = dictionary.config.reads
    acts_RF = dictionary.encode(model.run(rows_BS, read=[read], stop_after=read).sites[read].flatten(0, 1))
    data = data_of(acts_RF, torch.arange(5).repeat(12), 5)
    logits = model.run(TOKENS[None]).logits
    assert logits is not None
    return model, dictionary, data, logits[0, -1]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("site", ["0.resid_pre", "0.resid_mid", "1.resid_pre", "1.resid_mid", "1.resid_post"])
def test_divergence_equals_one_forward_per_set(how: str, site: str) -> None:
    compare(how, site)


@pytest.mark.parametrize("options", [{"parallel": True}, *({"normalize": name} for name in NORMALISATIONS)], ids=str)
@pytest.mark.parametrize("how", ["zero", "cluster"])
def test_divergence_of_other_models(how: str, options: dict) -> None:
    compare(how, "1.resid_pre", **options)


def compare(how: str, site: str, **options: object) -> None:
    model, dictionary, data, clean_V = case(site, **options)
    x_SD, features = active_of(model, dictionary, TOKENS)
    kept = fills_of(dictionary, x_SD, features, how_of(how, data))
    count = len(features)
    fast = Divergence(model, dictionary, kept, clean_V)
    slow = SlowDivergence(model, dictionary, kept, clean_V, x_SD, positions=6)
    generator = torch.Generator().manual_seed(3)
    every = torch.ones(1, count, dtype=torch.bool)
    keep = torch.cat([every, without_each(every[0]), torch.rand(12, count, generator=generator) < 0.5, ~every])
    found = fast(keep)
    torch.testing.assert_close(found, slow(keep), rtol=1e-6, atol=1e-9)
    assert found[-1] > 1e-4
    assert fast.of_values(dictionary.reconstruct(x_SD)[None]) == pytest.approx(float(found[0]), abs=1e-12)


def test_tokens_that_are_no_candidates_are_always_drawn() -> None:
    model, dictionary, data, clean_V = case("1.resid_pre")
    x_SD, features = active_of(model, dictionary, TOKENS)
    last = features.take(features.position_N == 3)
    kept = fills_of(dictionary, x_SD, last, how_of("cluster", data))
    slow = SlowDivergence(model, dictionary, kept, clean_V, x_SD, positions=4)
    keep = torch.ones(1, len(last), dtype=torch.bool)
    torch.testing.assert_close(Divergence(model, dictionary, kept, clean_V)(keep), slow(keep), rtol=1e-6, atol=1e-9)


def test_ranking_and_putting_back_the_slow_way_find_the_same() -> None:
    model, dictionary, data, clean_V = case("1.resid_pre")
    x_SD, features = active_of(model, dictionary, TOKENS)
    kept = fills_of(dictionary, x_SD, features, how_of("cluster", data))
    slow = SlowDivergence(model, dictionary, kept, clean_V, x_SD, positions=4)
    found = []
    for evaluate in (Divergence(model, dictionary, kept, clean_V), slow):
        rank_N = rank_nodes(evaluate, len(features))
        assert sorted(rank_N.tolist()) == list(range(len(features)))
        found.append(put_back(evaluate, rank_N, 0.05, 0))
    assert found[0].node_C.tolist() == found[1].node_C.tolist()
    torch.testing.assert_close(found[0].effect_C, found[1].effect_C, rtol=0, atol=1e-8)


# --- edges ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sites", [("0.resid_pre", "1.resid_pre"), ("0.resid_mid", "1.resid_mid"), ("0.resid_pre", "2.resid_pre")]
)
def test_edges_equal_whole_passes(sites: tuple[str, str]) -> None:
    model, earlier, data, _ = case(sites[0])
    later = random_dictionary(Site.parse(sites[1]), model.info.d_model, seed=4)
    x_SD, features = active_of(model, earlier, TOKENS)
    _, targets = active_of(model, later, TOKENS)
    kept = fills_of(earlier, x_SD, features, how_of("cluster", data))
    reference = fills_of(earlier, x_SD, features, how_of("cluster", data, samples=12))
    keep_N = torch.arange(len(features)) % 4 != 1
    maximum_V = torch.linspace(0.1, 3, len(targets), dtype=F64)
    found = edges_between(model, kept, reference, keep_N, earlier, later, targets, maximum_V)

    def read(of: Kept, keep_N: Tensor) -> Tensor:
        values, which = of.values(keep_N[None])
        samples = max(one.shape[1] for one in values)
        x_nSD = torch.stack([one[u].expand(samples, -1) for one, u in zip(values, which[0], strict=True)], dim=1)
        tokens_nS = TOKENS.expand(samples, -1)
        run = model.run(tokens_nS, read=[later.config.reads], write={earlier.config.reads: lambda _: x_nSD})
        return later.encode(run.sites[later.config.reads])[:, targets.position_N, targets.index_N]

    mean_V, base_nV = read(reference, keep_N).mean(0), read(kept, keep_N)
    scale_V = torch.maximum(maximum_V, targets.activation_N)
    rows, change = [], []
    for without_N in without_each(keep_N):
        v_nV = read(kept, without_N)
        errors = [(((v - mean_V) / scale_V) ** 2).mean(0) for v in (v_nV, base_nV)]
        rows.append((errors[0] - errors[1]).clamp_min(0))
        change.append(v_nV.mean(0) - base_nV.mean(0))
    importance_UV, weight_UV = torch.stack(rows), torch.stack(change)
    causal_UV = features.position_N[keep_N][:, None] <= targets.position_N
    importance_UV, weight_UV = importance_UV * causal_UV, weight_UV * causal_UV
    assert (importance_UV > 1e-6).sum() > 5
    torch.testing.assert_close(found.weight_UV, weight_UV, rtol=0, atol=1e-10)
    expected_UV = importance_UV / importance_UV.amax(0).clamp_min(1e-30)
    solid_V = importance_UV.amax(0) > 1e-9
    torch.testing.assert_close(found.importance_UV[:, solid_V], expected_UV[:, solid_V], rtol=0, atol=1e-6)
    assert float(found.importance_UV.max()) == pytest.approx(1)


# --- keys and values of the first variant -----------------------------------------------------------------------------


def thin(seed: int = 0) -> HookedModel:
    """A random GPT in double precision, whose attention is that of its weights."""
    from saecli.core.gpt import GPT, GPTConfig
    from saecli.core.hooks import thin_gpt

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = GPT(GPTConfig(vocab_size=9, n_ctx=6, n_layer=3, n_head=2, d_model=8))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return thin_gpt(module.double())


@pytest.mark.parametrize("other", [False, True], ids=["its weights", "something else"])
def test_attention_reuses_keys_and_values_where_it_is_that_of_its_weights(other: bool, monkeypatch) -> None:
    model = thin()
    if other:
        block = model.block
        wrong = thin(1).block
        monkeypatch.setattr(model, "block", lambda layer: replace(block(layer), weights=wrong(layer).weights))
    start = Tail(model, Site(0, "resid_pre"), Site(3, "resid_pre"))
    generator = torch.Generator().manual_seed(4)
    first_nSD = torch.randn(2, 5, 8, generator=generator, dtype=F64)
    start.first(first_nSD)
    assert start.reuses == (set() if other else {0, 1, 2})
    for begin in (1, 4):
        x_GnSD = torch.randn(3, 2, 5 - begin, 8, generator=generator, dtype=F64)
        before = first_nSD[:, :begin].expand(3, -1, -1, -1)
        whole = torch.cat([before, x_GnSD], dim=2).flatten(0, 1)
        run = model.run_from(Site(0, "resid_pre"), whole, read=[Site(3, "resid_pre")])
        slow = run.sites[Site(3, "resid_pre")].unflatten(0, (3, 2))
        torch.testing.assert_close(start.all_positions(x_GnSD, begin), slow[:, :, begin:], rtol=0, atol=1e-10)
        torch.testing.assert_close(start.last_position(x_GnSD, begin), slow[:, :, -1], rtol=0, atol=1e-10)
