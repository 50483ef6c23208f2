"""Dictionaries: the sparse path is the dense one, and nothing that can wake is missed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.dictionary import NORMALISATIONS, Dictionary, DictionaryConfig
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
    st.sampled_from([("standard", {}), ("jumprelu", {}), ("gated", {}), ("identity", {})]),
    st.tuples(st.sampled_from(["topk", "abstopk"]), st.integers(1, 20).map(lambda k: {"k": k})),
)
PURSUITS = st.fixed_dictionaries(
    {"residual_threshold": st.sampled_from([0.0, 0.5, 2.0]), "stop_on_duplicate_support": st.booleans()},
    optional={"max_iterations": st.integers(1, 9)},
)
EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "skip": st.just(True),
        "normalize": st.sampled_from(NORMALISATIONS),
        "apply_b_dec_to_input": st.booleans(),
    },
)


@settings(deadline=None, max_examples=40)
@given(
    arch=st.one_of(ARCHS, PURSUITS.map(lambda options: ("matching_pursuit", options))),
    extras=EXTRAS,
    seed=st.integers(0, 1 << 30),
    rows=st.integers(0, 9),
)
def test_sparse_path_equals_the_dense_formula(arch, extras, seed, rows):
    made = dictionary(arch[0], seed, **arch[1], **extras).double()
    rows = max(rows, int("normalize" in extras))
    x = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    acts = made.encode_sparse(x)
    dense = torch.zeros(rows, 20, dtype=torch.float64).scatter_add(1, acts.indices_TK, acts.values_TK)
    torch.testing.assert_close(dense, made.encode(x))
    for row in range(rows):
        active = acts.indices_TK[row][acts.values_TK[row] != 0]
        assert len(active.unique()) == len(active)
    torch.testing.assert_close(made.reconstruct(x), made(x))


@settings(deadline=None, max_examples=60)
@given(arch=ARCHS, seed=st.integers(0, 1 << 30), size=st.floats(0, 3))
def test_no_feature_wakes_outside_the_mask(arch, seed, size):
    made = dictionary(arch[0], seed, **arch[1]).double()
    if seed % 2:  # a threshold or a bias of one sign everywhere
        for name in ("threshold_F", "b_mag_F", "b_enc_F"):
            if hasattr(made, name):
                getattr(made, name).abs_().neg_()
    generator = torch.Generator().manual_seed(seed)
    pre = torch.randn(8, 20, generator=generator, dtype=torch.float64)
    bound = size * torch.rand(8, 20, generator=generator, dtype=torch.float64)
    mask = made.may_be_active(pre, bound)
    for _ in range(10):
        change = bound * (2 * torch.rand(8, 20, generator=generator, dtype=torch.float64) - 1)
        extreme = torch.where(torch.rand(8, 20, generator=generator) < 0.5, bound * change.sign(), change)
        assert not ((made.activate(pre + extreme) != 0) & ~mask).any()
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


@settings(deadline=None, max_examples=25)
@given(options=PURSUITS, seed=st.integers(0, 1 << 30))
def test_matching_pursuit_row_by_row(options, seed):
    """The rule of the docstring, one row and one step at a time."""
    made = dictionary("matching_pursuit", seed, **options).double()
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    before = x.clone()
    acts = made.encode(x)
    assert torch.equal(x, before)
    for row in range(5):
        rest, expected = x[row] - made.b_dec_D, torch.zeros(20, dtype=torch.float64)
        for _ in range(options.get("max_iterations", 6)):
            best = int((made.W_dec_FD @ rest).argmax())
            step = float(max(made.W_dec_FD[best] @ rest, 0))
            old_support = expected != 0
            expected[best] += step
            rest = rest - step * made.W_dec_FD[best]
            if options["stop_on_duplicate_support"] and torch.equal(expected != 0, old_support):
                break
            if rest.norm() < options["residual_threshold"]:
                break
        torch.testing.assert_close(acts[row], expected)


@pytest.mark.parametrize("iterations", [0, 2.5, "many"])
def test_impossible_iterations_are_refused(iterations):
    with pytest.raises(UsageError, match="max_iterations of 1 or more"):
        dictionary("matching_pursuit", 0, max_iterations=iterations)


def test_what_has_no_activation_function_says_so():
    made = dictionary("matching_pursuit", 0)
    with pytest.raises(UsageError, match="no activation function"):
        made.activate(torch.zeros(1, 20))
    with pytest.raises(UsageError, match="no encoder directions"):
        made.encoder_directions(torch.zeros(1, 6), torch.zeros(1, dtype=torch.long))


TEMPORAL = {"n_heads": 2, "bottleneck_factor": 5, "n_attn_layers": 2}


def test_positions_without_their_sequence_have_no_temporal_code():
    made = dictionary("temporal", 0, **TEMPORAL)
    assert not made.positionwise
    with pytest.raises(UsageError, match="depends on the whole sequence"):
        made.encode_sparse(torch.zeros(2, 6))
    with pytest.raises(UsageError, match="cannot be traced"):
        made.encoder_directions(torch.zeros(1, 6), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("options", [{}, {"k": 3}, {"tied_weights": False, "k": 3}, {"input_scale": 0.3}], ids=str)
def test_temporal_position_by_position(options):
    """Attention written out per position and head; later positions change nothing."""
    made = dictionary("temporal", 7, **TEMPORAL, **options).double()
    x = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    codes, out = made.encode(x), made(x)
    torch.testing.assert_close(made.encode(x[:, :3]), codes[:, :3])
    torch.testing.assert_close(made.reconstruct(x[0]), out[0])
    scale = options.get("input_scale", 1.0)
    for batch in range(2):
        rest = x[batch] * scale - made.b_dec_D
        predicted = torch.zeros(5, 20, dtype=torch.float64)
        for layer in made.attn_layers:
            z = (rest @ made.W_enc_DF / 24).relu()
            earlier = torch.cat((torch.zeros(1, 20, dtype=torch.float64), z[:-1]))
            q, k, v = layer.q_target(z), layer.k_ctx(earlier), layer.v_ctx(earlier)
            mixed = torch.zeros(5, 20, dtype=torch.float64)
            for position in range(5):
                for head in range(2):
                    part, wide = slice(2 * head, 2 * head + 2), slice(10 * head, 10 * head + 10)
                    weights = (k[: position + 1, part] @ q[position, part] / 2**0.5).softmax(0)
                    mixed[position, wide] = weights @ v[: position + 1, wide]
            p = layer.c_proj(mixed).relu()
            for position in range(5):
                direction = p[position] @ made.W_dec_FD
                size = direction @ rest[position] / (direction.norm() + 1e-6) ** 2
                predicted[position] += size * p[position]
                rest[position] -= size * direction
        features = (rest @ made.W_enc_DF / 24).relu()
        if k := options.get("k"):
            features = features * (features >= features.topk(k).values[:, -1:])
        torch.testing.assert_close(codes[batch], features)
        expected = ((features + predicted) @ made.W_dec_FD + made.b_dec_D) / scale
        torch.testing.assert_close(out[batch], expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_heads": 3, "bottleneck_factor": 5}, "cannot have 1 layers of 3 heads of 1/5"),
        (TEMPORAL | {"k": 21}, "needs k from 1"),
        (TEMPORAL | {"n_heads": "two"}, "needs whole numbers n_heads"),
        ({}, "not 8, 64 and 1"),
    ],
)
def test_impossible_temporal_dictionaries_are_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        dictionary("temporal", 0, **options)


@pytest.mark.parametrize("arch", ["standard", "jumprelu", "gated", "identity"])
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


@pytest.mark.parametrize("arch", ["topk", "abstopk"])
@pytest.mark.parametrize("k", [0, 21, None, 2.5])
def test_impossible_k_is_refused(arch, k):
    with pytest.raises(UsageError, match="needs k from 1"):
        dictionary(arch, 0, k=k)


def test_abstopk_keeps_signs():
    made = dictionary("abstopk", 0, latents=4, k=2)
    assert made.activate(torch.tensor([1.0, -3.0, 2.0, -0.5])).tolist() == [0.0, -3.0, 2.0, 0.0]


def test_unknown_architecture_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'topk'"):
        dictionary_class("topkk")
