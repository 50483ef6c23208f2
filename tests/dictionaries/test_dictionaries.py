"""Dictionaries: the sparse path is the dense one, and nothing that can wake is missed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.site import Site
from saecli.dictionaries import dictionary_class, make_dictionary
from saecli.dictionaries.selection import top_k

SITE = Site(3, "resid_pre")


def dictionary(arch: str, seed: int, d: int = 6, latents: int = 20, **options: object) -> Dictionary:
    generator = torch.Generator().manual_seed(seed)
    made = make_dictionary(DictionaryConfig(arch, d, latents, SITE, SITE, d, dict(options)))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made.requires_grad_(False)


ARCHS = st.one_of(
    st.sampled_from([("standard", {}), ("jumprelu", {}), ("gated", {})]),
    st.integers(1, 20).map(lambda k: ("topk", {"k": k})),
)


@settings(deadline=None, max_examples=40)
@given(arch=ARCHS, seed=st.integers(0, 1 << 30), rows=st.integers(0, 9))
def test_sparse_path_equals_the_dense_formula(arch, seed, rows):
    made = dictionary(arch[0], seed, **arch[1])
    x = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed + 1))
    acts = made.encode_sparse(x)
    dense = torch.zeros(rows, 20).scatter_add(1, acts.indices_TK, acts.values_TK)
    torch.testing.assert_close(dense, made.encode(x))
    for row in range(rows):
        active = acts.indices_TK[row][acts.values_TK[row] != 0]
        assert len(active.unique()) == len(active)
    torch.testing.assert_close(made.reconstruct(x), made(x))


@settings(deadline=None, max_examples=60)
@given(arch=ARCHS, seed=st.integers(0, 1 << 30), size=st.floats(0, 3))
def test_no_feature_wakes_outside_the_mask(arch, seed, size):
    made = dictionary(arch[0], seed, **arch[1]).double()
    generator = torch.Generator().manual_seed(seed)
    pre = torch.randn(8, 20, generator=generator, dtype=torch.float64)
    bound = size * torch.rand(8, 20, generator=generator, dtype=torch.float64)
    mask = made.may_be_active(pre, bound)
    for _ in range(10):
        change = bound * (2 * torch.rand(8, 20, generator=generator, dtype=torch.float64) - 1)
        extreme = torch.where(torch.rand(8, 20, generator=generator) < 0.5, bound * change.sign(), change)
        assert not ((made.activate(pre + extreme) > 0) & ~mask).any()
        for row in range(8):  # the columns of the mask alone give the same activations
            columns = mask[row].nonzero()[:, 0]
            full = made.activate((pre + extreme)[row])
            torch.testing.assert_close(made.activate((pre + extreme)[row, columns], columns), full[columns])


@pytest.mark.parametrize(("width", "k"), [(5, 2), (1000, 31), (16384, 32), (16384, 300), (9000, 40)])
def test_selection_is_torchs(width, k):
    pre = torch.randn(37, width, generator=torch.Generator().manual_seed(k))
    values, indices = top_k(pre, k)
    expected = pre.topk(k)
    order = values.argsort(descending=True)
    torch.testing.assert_close(values.gather(1, order), expected.values, rtol=0, atol=0)
    assert torch.equal(pre.gather(1, indices), values)
    assert (indices.sort(1).values.diff() > 0).all()


def test_selection_with_ties_and_nan():
    pre = torch.tensor([[1.0, 1.0, 1.0, 0.0], [0.0, torch.nan, 2.0, 1.0]])
    values, indices = top_k(pre, 2)
    assert values[0].tolist() == [1.0, 1.0]
    assert indices[0].unique().numel() == 2
    assert values[1].isnan().sum() == 1


def test_selection_passes_gradients():
    pre = torch.randn(4, 10, requires_grad=True)
    values, indices = top_k(pre, 3)
    values.sum().backward()
    assert torch.equal(pre.grad, torch.zeros(4, 10).scatter(1, indices, 1.0))


def test_topk_keeps_at_most_k_and_only_positive_ones():
    made = dictionary("topk", 0, k=5)
    made.b_enc_F.fill_(-100.0)
    assert not made.encode(torch.randn(3, 6)).any()
    made.b_enc_F.fill_(100.0)
    assert (made.encode(torch.randn(3, 6)) > 0).sum(-1).tolist() == [5, 5, 5]


def test_jumprelu_is_strict_at_its_threshold():
    made = dictionary("jumprelu", 0, latents=4)
    made.threshold_F.copy_(torch.tensor([1.0, 1.0, -1.0, -1.0]))
    pre = torch.tensor([1.0, 1.5, 0.5, -0.5])
    assert made.activate(pre).tolist() == [0.0, 1.5, 0.5, 0.0]


def test_gate_and_magnitude_of_a_gated_dictionary_decide_apart():
    made = dictionary("gated", 0, latents=3)
    made.b_enc_F.copy_(torch.tensor([1.0, -1.0, 1.0]))
    made.r_mag_F.fill_(torch.tensor(2.0).log())
    made.b_mag_F.copy_(torch.tensor([0.5, 0.5, -9.0]))
    projected = torch.tensor([0.25, 0.75, 0.25])  # what the encoder gives without a bias
    assert made.activate(projected + made.b_enc_F).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("arch", ["standard", "jumprelu", "gated"])
@pytest.mark.parametrize("normalize", [None, "layer_norm"])
def test_directions_are_the_gradients_of_active_features(arch, normalize):
    made = dictionary(arch, 3, **({"normalize": normalize} if normalize else {})).double()
    x = torch.randn(1, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    norm = made.input_norm(x)
    made.input_norm = lambda _: norm  # held fixed
    active = made.encode(x)[0].nonzero()[:, 0]
    assert len(active)
    jacobian = torch.autograd.functional.jacobian(lambda row: made.encode(row[None])[0], x[0])
    torch.testing.assert_close(made.encoder_directions(x.expand(len(active), -1), active), jacobian[active])


@pytest.mark.parametrize("k", [0, 21, None, 2.5])
def test_impossible_k_is_refused(k):
    with pytest.raises(UsageError, match="needs k from 1"):
        dictionary("topk", 0, k=k)


def test_unknown_architecture_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'topk'"):
        dictionary_class("topkk")
