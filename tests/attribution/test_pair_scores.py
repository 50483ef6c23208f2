"""Scores of features of two sites for each other: known answers, and autograd of the plain formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu

from saecli.attribution.pair import FeaturePair
from saecli.attribution.pair_scores import PairScore, add_scores, linear_terms
from saecli.core.dictionary import Dictionary, DictionaryConfig, SparseActs
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import ThinModel, thin_gpt
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from tests.hand_models import random_model
from tests.twins.pair_scores import slow_scores

WIDTH, UP, DOWN, LENGTH = 8, 14, 11, 5


def dictionary(
    site: str, latents: int, *, arch: str = "topk", width: int = WIDTH, seed: int = 0, **options: object
) -> Dictionary:
    generator = torch.Generator().manual_seed(seed)
    where = Site.parse(site)
    made = make_dictionary(DictionaryConfig(arch, width, latents, where, where, width, dict(options))).double()
    for parameter in made.requires_grad_(False).parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    if arch == "jumprelu":
        made.get_parameter("threshold_F").abs_()
    return made


def linear_pair(*, k: int = 2, theta: float | None = None) -> FeaturePair:
    """Two source and two target features with the weights [[1, 2], [3, 4]] (source rows) between them."""
    source = dictionary("0.mlp_in", 2, arch="standard" if theta is None else "jumprelu", width=2)
    target = dictionary("0.mlp_out", 2, width=2, k=k)
    for one in (source, target):
        one.W_enc_DF.copy_(torch.eye(2))
        one.W_dec_FD.copy_(torch.eye(2))
        one.b_enc_F.zero_()
        one.b_dec_D.zero_()
    if theta is not None:
        source.get_parameter("threshold_F").fill_(theta)
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    return FeaturePair(source, target, lambda x: x @ weights, positionwise=True, width=2)


def total(
    pair: FeaturePair, score: PairScore, values_TF: Tensor, steps: int, counted_T: Tensor | None = None
) -> Tensor:
    """Of dense source features; roots are not taken."""
    most = max(1, int((values_TF != 0).sum(1).max()))
    indices_TK = values_TF.abs().topk(most, dim=1).indices
    total_UF = torch.zeros(values_TF.shape[1], pair.down.n_latents, dtype=torch.float64)
    counted_T = torch.ones(len(values_TF), dtype=torch.bool) if counted_T is None else counted_T
    acts = SparseActs(indices_TK, values_TF.gather(1, indices_TK))
    add_scores(total_UF, pair, score, acts, clean_of(len(values_TF), pair), counted_T, steps)
    return total_UF


def clean_of(length: int, pair: FeaturePair) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(length, pair.up.config.d_in, generator=generator, dtype=torch.float64)


def near(found: Tensor, expected: Tensor | list[list[float]]) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)


X = torch.tensor([[3.0, 4.0]], dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_linear_map_has_its_numbers(steps):
    near(total(linear_pair(), "ig", X, steps), [[3, 6], [12, 16]])


def test_a_linear_map_without_selection_has_the_numbers_of_the_reference():
    pair = linear_pair()
    identity = DictionaryConfig("identity", 2, 2, Site.parse("0.mlp_out"), Site.parse("0.mlp_out"), 2, {})
    made = make_dictionary(identity).double().requires_grad_(False)
    made.load_state_dict({name: value for name, value in pair.down.state_dict().items() if name in made.state_dict()})
    bias = torch.tensor([0.1, 0.1], dtype=torch.float64)  # what is exactly 0 counts as inactive
    made.b_enc_F.copy_(bias)
    pair = FeaturePair(pair.up, made, pair.component, True, 2)
    for steps in (1, 2, 5):
        near(total(pair, "reference", X, steps).sqrt(), [[5, 10], [15, 20]])
        near(total(pair, "reference", X.repeat(2, 1), steps).sqrt() / 2**0.5, [[5, 10], [15, 20]])


def test_jacobian_and_ablation_of_a_linear_map():
    near(total(linear_pair(), "jacobian", X, 1), [[1, 2], [3, 4]])
    near(total(linear_pair(), "ablation", X, 1), [[3, 6], [12, 16]])
    near(total(linear_pair(), "jacobian", torch.tensor([[3.0, 0.0]], dtype=torch.float64), 1), [[1, 2], [0, 0]])


def test_targets_that_are_not_selected_have_nothing():
    for score in ("ig", "jacobian", "reference"):
        found_UF = total(linear_pair(k=1), score, X, 3)
        assert found_UF[:, 0].tolist() == [0, 0]
        assert (found_UF[:, 1] > 0).all()


def test_jumprelu_starts_at_its_thresholds():
    theta = 0.5
    length = float(((X - theta) ** 2).sum().sqrt())
    found_UF = total(linear_pair(theta=theta), "reference", X, 4).sqrt()
    near(found_UF, [[length, 2 * length], [3 * length, 4 * length]])


def gelu_pair() -> FeaturePair:
    generator = torch.Generator().manual_seed(0)
    inner = torch.randn(WIDTH, 32, generator=generator, dtype=torch.float64) * WIDTH**-0.5 / 2
    outer = torch.randn(32, WIDTH, generator=generator, dtype=torch.float64) * 32**-0.5
    source = dictionary("0.mlp_in", UP, k=4, seed=1)
    return FeaturePair(source, dictionary("0.mlp_out", DOWN, k=3, seed=2), lambda x: gelu(x @ inner) @ outer, True, 32)


def test_integrated_gradients_are_complete():
    pair = gelu_pair()
    clean_TD = clean_of(20, pair)
    acts = pair.up.encode_sparse(clean_TD)
    (terms,) = linear_terms(pair, "ig", acts, clean_TD, torch.ones(20, dtype=torch.bool), 32)
    ends = [
        pair.down.preactivations(pair.through(x)).gather(1, terms.down_TJ)
        for x in (pair.decode(acts), pair.up.b_dec_D.expand(20, -1))
    ]
    active_TJ = pair.down.encode(pair.through(pair.decode(acts))).gather(1, terms.down_TJ) != 0
    assert active_TJ.any(1).all()
    gap_TJ = (terms.values_TKJ.sum(1) - (ends[0] - ends[1])) * active_TJ
    assert gap_TJ.abs().max() < 1e-3
    assert (terms.values_TKJ.abs().sum(1) * active_TJ).max() > 0.1


def gpt() -> ThinModel:
    """Random, in double precision; its attention is known by its weights."""
    generator = torch.Generator().manual_seed(6)
    config = GPTConfig(vocab_size=9, n_ctx=LENGTH, n_layer=1, n_head=2, d_model=WIDTH)
    module = GPT(config, initialise=False).double().requires_grad_(False)
    for parameter in module.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return thin_gpt(module, "tiny")


SCORES: tuple[PairScore, ...] = ("ig", "jacobian", "ablation", "reference")


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("between", "arch"),
    [("mlp", "topk"), ("mlp", "gated"), ("mlp block", "jumprelu"), ("block", "topk"), ("GPT block", "gated")],
)
def test_scores_are_those_of_one_backward_per_target(between, arch, score):
    block = gpt().block(0) if between == "GPT block" else random_model(d_model=WIDTH).block(0)
    parts = {"mlp": block.mlp, "mlp block": lambda x: x + block.mlp(block.ln2(x))}
    options = {"k": 3} if arch == "topk" else {}
    source = dictionary("0.resid_pre", UP, arch=arch, seed=3, **options)
    target = dictionary("1.resid_pre", DOWN, arch=arch, seed=4, **options)
    pair = FeaturePair(source, target, parts.get(between, block), between in parts, 16)
    counted_T = torch.tensor([False, True, True, True, False])
    values_TF = source.encode(clean_of(LENGTH, pair))
    found_UF = total(pair, score, values_TF, 3, counted_T)
    expected_UF = slow_scores(pair, score, values_TF, clean_of(LENGTH, pair), counted_T, 3)
    assert (expected_UF > 0).sum() > 10
    torch.testing.assert_close(found_UF, expected_UF, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_a_sequence_of_which_nothing_is_counted_adds_nothing(score):
    source, target = (dictionary(site, UP, seed=3, k=3) for site in ("0.resid_pre", "1.resid_pre"))
    pair = FeaturePair(source, target, gpt().block(0), False, 16)
    clean_TD = clean_of(LENGTH, pair)
    counted_T = torch.zeros(LENGTH, dtype=torch.bool)
    assert not total(pair, score, source.encode(clean_TD), 2, counted_T).any()
