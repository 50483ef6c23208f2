"""Cross-layer transcoders and GroupMax: against formulas written out, with the decoder in memory and on the disk."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.model import ModelInfo
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.dictionaries.cross_layer import CrossLayer

D, F, LAYERS = 5, 5, 3  # as many latents as dimensions, so that a transposed weight would go unnoticed by its shape


def fill(made, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made.requires_grad_(False)


def cross_layer(layer=0, layers=LAYERS, seed=0, **options) -> CrossLayer:
    writes = [f"{target}.mlp_out" for target in range(layer, layers)]
    config = DictionaryConfig(
        "cross_layer", D, F, Site(layer, "mlp_in"), Site(layer, "mlp_out"), D, {"writes": writes, **options}
    )
    return fill(make_dictionary(config), seed + layer)


def by_hand(made: CrossLayer, x_TD, decoder_FLD):
    """Feature by feature, site by site."""
    pre_TF = torch.stack([x_TD @ made.W_enc_DF[:, f] + made.b_enc_F[f] for f in range(F)], dim=1)
    out = torch.zeros(len(x_TD), len(made.writes), D)
    for row in range(len(x_TD)):
        for f in range(F):
            floor = 0.0 if made.threshold_F is None else max(0.0, float(made.threshold_F[f]))
            if pre_TF[row, f] > floor:
                for site in range(len(made.writes)):
                    out[row, site] += pre_TF[row, f] * decoder_FLD[f, site]
        out[row, 0] += made.b_dec_D
        if made.W_skip_DO is not None:
            out[row, 0] += x_TD[row] @ made.W_skip_DO
    return out


@settings(deadline=None, max_examples=30)
@given(
    layer=st.integers(0, LAYERS - 1),
    seed=st.integers(0, 1 << 30),
    rows=st.integers(0, 6),
    activation=st.sampled_from(["relu", "jumprelu"]),
    skip=st.booleans(),
    on_disk=st.booleans(),
)
def test_it_is_the_formula(layer, seed, rows, activation, skip, on_disk):
    made = cross_layer(layer, seed=seed, activation=activation, **({"skip": True} if skip else {}))
    decoder_FLD = made.W_dec_FLD.detach().clone()
    if on_disk:
        made.leave_decoder_on_disk(decoder_FLD)
        assert "W_dec_FLD" not in dict(made.named_parameters())
    x = torch.randn(rows, D, generator=torch.Generator().manual_seed(seed + 1))
    expected = by_hand(made, x, decoder_FLD)
    torch.testing.assert_close(made(x), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(made.reconstruct(x), expected, atol=1e-5, rtol=1e-5)
    batched = made.reconstruct(x.view(rows, 1, D))
    assert batched.shape == (rows, 1, LAYERS - layer, D)
    assert list(made.contributions(x)) == [Site(target, "mlp_out") for target in range(layer, LAYERS)]
    features = torch.tensor([3, 0, 3])
    assert torch.equal(made.decoder_directions(x, features), decoder_FLD[features])
    assert torch.equal(made.state_dict()["W_dec_FLD"], decoder_FLD)
    torch.testing.assert_close(made.decoder_norms(), decoder_FLD.square().sum((1, 2)).sqrt())


def test_a_suite_sums_what_every_layer_writes():
    layers = [cross_layer(layer, skip=True) for layer in range(LAYERS)]
    suite = Suite.of(SuiteInfo("clt", "tiny"), layers)
    inputs = {Site(layer, "mlp_in"): torch.randn(4, D) for layer in range(LAYERS)}
    together = suite.reconstruct(inputs)
    assert sorted(together) == [Site(layer, "mlp_out") for layer in range(LAYERS)]
    for target in range(LAYERS):
        expected = layers[target].b_dec_D + inputs[Site(target, "mlp_in")] @ layers[target].W_skip_DO
        for source in range(target + 1):
            acts = layers[source].encode(inputs[Site(source, "mlp_in")])
            expected = expected + acts @ layers[source].W_dec_FLD[:, target - source]
        torch.testing.assert_close(together[Site(target, "mlp_out")], expected, atol=1e-5, rtol=1e-5)


def test_a_sum_without_an_input_is_refused():
    suite = Suite.of(SuiteInfo("clt", "tiny"), [cross_layer(layer) for layer in range(LAYERS)])
    with pytest.raises(UsageError, match=r"without the input at 1\.mlp_in, 2\.mlp_in"):
        suite.reconstruct({Site(0, "mlp_in"): torch.zeros(1, D)})


class _Model:
    def __init__(self, n_layers):
        self.info = ModelInfo("tiny", "gpt2", n_layers, D, 1, D, 4 * D, 8, 16)


def test_attach_checks_every_site_that_is_written():
    suite = Suite.of(SuiteInfo("clt", "tiny"), [cross_layer(0)])
    assert suite.attach(_Model(3)) is suite
    with pytest.raises(InputError, match=r"a dictionary at 2\.mlp_out, which tiny does not have"):
        suite.attach(_Model(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"writes": ["1.mlp_out", "0.mlp_out"]}, "in the order of depth"),
        ({"writes": ["0.mlp_out", "0.mlp_out"]}, "in the order of depth"),
        ({"writes": ["1.mlp_out"]}, r"writes 0\.mlp_out first"),
        ({"writes": ["0.mlp_out", "1.nowhere"]}, "names no site"),
        ({"activation": "topk"}, "relu or jumprelu"),
        ({"normalize": "layer_norm"}, "takes its input as it is"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        cross_layer(**changes)


def test_a_decoder_of_another_shape_is_refused():
    with pytest.raises(UsageError, match=r"of shape \(5, 2, 5\) was given, expected \(5, 3, 5\)"):
        cross_layer().leave_decoder_on_disk(torch.zeros(F, 2, D))


_MEMORY = """
import sys, torch
from safetensors import safe_open
from saecli.core.dictionary import DictionaryConfig
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary

def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) >> 10

F, L, D = 20000, 8, 128
writes = [f"{layer}.mlp_out" for layer in range(L)]
config = DictionaryConfig("cross_layer", D, F, Site(0, "mlp_in"), Site(0, "mlp_out"), D, {"writes": writes})
with torch.device("meta"):
    made = make_dictionary(config)
made.W_enc_DF, made.b_enc_F, made.b_dec_D = (
    torch.nn.Parameter(t) for t in (torch.randn(D, F), torch.full((F,), -40.0), torch.zeros(D))
)
made.requires_grad_(False)
before = anonymous()
with safe_open(sys.argv[1], "pt") as file:
    made.leave_decoder_on_disk(file.get_tensor("w"))
x = torch.randn(16, D)
out = made.reconstruct(x)
acts = made.encode(x)
assert (acts != 0).any() and out.isfinite().all()
print(anonymous() - before)
"""


def test_a_decoder_on_the_disk_is_not_held_in_memory(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"w": torch.ones(20000, 8, 128)}, path)
    size = path.stat().st_size >> 20
    done = subprocess.run([sys.executable, "-c", _MEMORY, str(path)], capture_output=True, text=True, check=True)
    assert size > 75
    assert int(done.stdout) < size // 2


# --- GroupMax ---------------------------------------------------------------------------------------------------------


def groupmax(k, latents=12, seed=0):
    site = Site(1, "resid_post")
    return fill(make_dictionary(DictionaryConfig("groupmax", D, latents, site, site, D, {"k": k})), seed)


@settings(deadline=None, max_examples=30)
@given(k=st.sampled_from([1, 2, 3, 4, 6, 12]), seed=st.integers(0, 1 << 30), rows=st.integers(0, 5))
def test_groupmax_keeps_the_largest_of_every_group(k, seed, rows):
    made = groupmax(k, seed=seed)
    x = torch.randn(rows, D, generator=torch.Generator().manual_seed(seed))
    pre = (x - made.b_dec_D) @ made.W_enc_DF + made.b_enc_F
    expected = torch.zeros(rows, 12)
    size = 12 // k
    for row in range(rows):
        for group in range(k):
            best = group * size + int(pre[row, group * size : (group + 1) * size].argmax())
            expected[row, best] = max(0.0, float(pre[row, best]))
    torch.testing.assert_close(made.encode(x), expected)
    sparse = made.encode_sparse(x)
    torch.testing.assert_close(torch.zeros(rows, 12).scatter(1, sparse.indices_TK, sparse.values_TK), expected)
    torch.testing.assert_close(made.reconstruct(x), expected @ made.W_dec_FD + made.b_dec_D)


def test_groupmax_takes_the_first_of_equal_ones():
    made = groupmax(2, latents=6)
    assert made.activate(torch.tensor([1.0, 1, 1, 0, 2, 2])).tolist() == [1, 0, 0, 0, 2, 0]
    assert made.activate(torch.tensor([2.0, 2, 1]), torch.tensor([4, 5, 1])).tolist() == [2, 0, 1]


@settings(deadline=None, max_examples=30)
@given(k=st.sampled_from([1, 3, 4]), seed=st.integers(0, 1 << 30), size=st.floats(0, 3))
def test_no_feature_of_a_group_wakes_outside_the_mask(k, seed, size):
    made = groupmax(k).double()
    generator = torch.Generator().manual_seed(seed)
    pre = torch.randn(6, 12, generator=generator, dtype=torch.float64)
    bound = size * torch.rand(6, 12, generator=generator, dtype=torch.float64)
    mask = made.may_be_active(pre, bound)
    for _ in range(10):
        change = pre + bound * (2 * torch.rand(6, 12, generator=generator, dtype=torch.float64) - 1).sign()
        assert not ((made.activate(change) > 0) & ~mask).any()
        for row in range(6):
            columns = mask[row].nonzero()[:, 0]
            torch.testing.assert_close(
                made.activate(change[row, columns], columns), made.activate(change[row])[columns]
            )


@pytest.mark.parametrize("k", [0, 5, None, 2.0, True])
def test_groups_that_do_not_divide_the_latents_are_refused(k):
    with pytest.raises(UsageError, match="needs k that divides them"):
        groupmax(k)
