"""The probe: a suite on its own model passes, and one that does not belong there is told why.

The dictionaries are principal components of a site, each once for either sign: they explain that site well and other
sites badly, as trained dictionaries do.
"""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError
from saecli.core.folding import folded
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import ThinModel
from saecli.core.model import HookedModel
from saecli.core.probe import probe
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from zoo import gpt2

WIDTH, KEPT, VOCAB = 16, 6, 23
RESID = [Site(layer, "resid_pre") for layer in range(5)]


def random_model(**changes: Any) -> ThinModel:
    """Four layers that each change the residual stream much, in double precision, its norms with gains and biases."""
    module = GPT(GPTConfig(VOCAB, n_ctx=40, n_layer=4, n_head=2, d_model=WIDTH)).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            gain = ".ln_" in name and name.endswith("weight")
            parameter.copy_(1 + 0.5 * noise if gain else noise * 2 / WIDTH**0.5 if parameter.dim() > 1 else noise * 0.5)
    model = gpt2.make(module, "tiny")
    model.info = replace(model.info, **changes)
    return model


def text(model: HookedModel, batch: int = 30, length: int = 40, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, model.info.d_vocab, (batch, min(length, model.info.n_ctx)), generator=generator)


def components(reads: Site, writes: Site, x: Tensor, y: Tensor, kept: int = KEPT) -> Dictionary:
    """ReLU dictionary of the principal components of x, written as what they tell about y."""
    x, y = x.flatten(0, -2), y.flatten(0, -2)
    mean = x.mean(0)
    axes = torch.linalg.svd(x - mean, full_matrices=False).Vh[:kept]
    encoder = torch.cat([axes, -axes])
    coefficients = torch.linalg.lstsq((x - mean) @ axes.T, y - y.mean(0)).solution
    config = DictionaryConfig(
        "standard", x.shape[-1], 2 * kept, reads, writes, y.shape[-1], {"apply_b_dec_to_input": False}
    )
    made = make_dictionary(config).to(x.dtype)
    with torch.no_grad():
        made.W_enc_DF.copy_(encoder.T)
        made.b_enc_F.copy_(-encoder @ mean)
        made.W_dec_FD.copy_(torch.cat([coefficients, -coefficients]))
        made.b_dec_D.copy_(y.mean(0))
    return made.requires_grad_(False)


def activations(model: HookedModel, *sites: Site) -> dict[Site, Tensor]:
    return model.run(text(model, seed=5), read=sites).sites


def suite_of(*dictionaries: Dictionary, recorded: dict | None = None, **info) -> Suite:
    """A suite whose records are the same for every site."""
    sites = [one.config.reads for one in dictionaries]
    measured = dict.fromkeys(sites, recorded) if recorded else {}
    return Suite.of(replace(SuiteInfo("mine", "by-hand", measured=measured), **info), list(dictionaries))


def moved(dictionary: Dictionary, reads: Site, writes: Site | None = None) -> Dictionary:
    """The same dictionary as if it had been made for other sites."""
    dictionary.config = replace(dictionary.config, reads=reads, writes=writes or reads)
    return dictionary


def module_of(model: HookedModel) -> GPT:
    return cast(GPT, model.module)


@pytest.fixture(scope="module")
def model() -> ThinModel:
    return random_model()


def at(model: HookedModel, site: Site, writes: Site | None = None) -> Dictionary:
    writes = writes or site
    acts = activations(model, site, writes)
    return components(site, writes, acts[site], acts[writes])


def test_a_right_suite_passes_with_the_numbers_of_a_slow_count(model):
    dictionaries = [at(model, RESID[1]), at(model, Site(2, "mlp_in"), Site(2, "mlp_out"))]
    tokens = text(model)
    rows = probe(model, suite_of(*dictionaries), tokens)
    acts = model.run(tokens, read=[RESID[1], Site(2, "mlp_in"), Site(2, "mlp_out")]).sites
    for row, dictionary in zip(rows, dictionaries, strict=True):
        active, error, values = 0, 0.0, []
        for x, y in zip(
            acts[dictionary.config.reads].flatten(0, 1), acts[dictionary.config.writes].flatten(0, 1), strict=True
        ):
            active += int((dictionary.encode(x) != 0).sum())
            error += float((y - dictionary(x)).square().sum())
            values.append(y)
        mean = torch.stack(values).mean(0)
        spread = sum(float((y - mean).square().sum()) for y in values)
        assert (row.site, row.tokens, row.ok) == (dictionary.config.reads, 1200, True)
        assert row.l0 == pytest.approx(active / 1200, abs=1e-9)
        assert row.variance_explained == pytest.approx(1 - error / spread, abs=1e-9)
        assert "Nothing is recorded" in row.reason
        assert (row.recorded_l0, row.recorded_variance_explained) == (None, None)


def test_records_are_compared(model):
    made = at(model, RESID[1])
    (found,) = probe(model, suite_of(made), text(model))
    l0, explained = found.l0, found.variance_explained
    for record, ok, words in (
        ({"l0": l0, "variance_explained": explained}, True, ""),
        ({"l0": l0 * 1.2, "variance_explained": explained + 0.05}, True, ""),
        ({"l0": l0 * 2, "variance_explained": explained}, False, f"L0 is {l0:.1f}, recorded {2 * l0:.1f}"),
        ({"l0": l0}, True, ""),
        ({"variance_explained": explained + 0.2}, False, "variance explained is ."),
    ):
        (row,) = probe(model, suite_of(made, recorded=record), text(model))
        assert row.ok is ok
        assert words in row.reason
        assert (row.recorded_l0, row.recorded_variance_explained) == (
            record.get("l0"),
            record.get("variance_explained"),
        )
    (strict,) = probe(
        model, suite_of(made, recorded={"variance_explained": explained + 0.05}), text(model), tolerance=0.01
    )
    assert not strict.ok


def test_only_the_sites_asked_for(model):
    suite = suite_of(at(model, RESID[1]), at(model, RESID[3]))
    assert [row.site for row in probe(model, suite, text(model), sites=[RESID[3]])] == [RESID[3]]


@pytest.mark.parametrize("away", [-2, -1, 1, 2])
def test_a_suite_of_another_layer_is_recognised(model, away):
    made = moved(at(model, RESID[2]), RESID[2 - away])
    record = {"l0": 6.0, "variance_explained": 0.9}
    (row,) = probe(model, suite_of(made, recorded=record), text(model))
    assert not row.ok
    assert "Site 2.resid_pre explains ." in row.reason
    assert "did you mean it?" in row.reason
    assert row.reason.startswith(f"{2 - away}: variance explained is")


def test_a_layer_that_fits_much_better_is_named_even_within_the_tolerance(model):
    (right,) = probe(model, suite_of(at(model, RESID[2])), text(model))
    record = {"l0": right.l0, "variance_explained": right.variance_explained}
    wrong = moved(at(model, RESID[2]), RESID[3])
    (row,) = probe(model, suite_of(wrong, recorded=record), text(model), tolerance=2.0)
    assert not row.ok
    assert "Site 2.resid_pre explains ." in row.reason
    assert "L0" not in row.reason
    worse = {"variance_explained": right.variance_explained + 0.09}
    (row,) = probe(model, suite_of(at(model, RESID[2]), recorded=worse), text(model))
    assert row.ok, "less is explained than recorded, as on another text, and no other site fits better"


@pytest.mark.parametrize(
    ("true", "said", "words"),
    [
        (("1.mlp_in", "1.mlp_out"), ("2.mlp_in", "2.mlp_out"), "Site 1.mlp_in to 1.mlp_out explains"),
        (("1.resid_mid", "1.mlp_out"), ("1.mlp_in", "1.mlp_out"), "Site 1.resid_mid explains"),
        (("1.attn_in", "1.attn_in"), ("1.attn_out", "1.attn_out"), "Site 1.attn_in explains"),
    ],
)
def test_another_site_is_recognised(model, true, said, words):
    true, said = tuple(map(Site.parse, true)), tuple(map(Site.parse, said))
    (right,) = probe(model, suite_of(at(model, *true)), text(model))
    record = {"variance_explained": right.variance_explained}
    (row,) = probe(model, suite_of(moved(at(model, *true), *said), recorded=record), text(model), tolerance=0.02)
    assert not row.ok
    assert words in row.reason


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (lambda x: x * x.shape[-1] ** 0.5 / x.norm(dim=-1).mean(), "Scaled to norm sqrt(d) on average"),
        (lambda x: x * x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True), "With every token scaled"),
        (lambda x: (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True), "Layer-normalised"),
    ],
)
def test_a_missing_input_norm_is_recognised(model, scale, words):
    seen = scale(activations(model, RESID[2])[RESID[2]])
    made = components(RESID[2], RESID[2], seen, seen, kept=9)
    explained = 0.9
    (row,) = probe(model, suite_of(made, recorded={"variance_explained": explained}), text(model), tolerance=0.1)
    assert not row.ok
    assert words in row.reason


@pytest.mark.parametrize("kind", ["resid_pre", "mlp_in", "transcoder"])
def test_the_wrong_processing_is_recognised(kind):
    """A suite of the model with folded norms, said to be of the raw one."""
    raw = random_model()
    with torch.no_grad():  # a mean over the width that says something
        module_of(raw).transformer.wte.weight += (
            2 * torch.randn(VOCAB, 1, generator=torch.Generator().manual_seed(1)).double()
        )
    whole = folded(raw)
    site = Site(1, "mlp_in" if kind == "transcoder" else kind)
    made = at(whole, site, Site(1, "mlp_out") if kind == "transcoder" else None)
    tokens = text(raw)
    (right,) = probe(whole, suite_of(made, processing="folded"), tokens)
    record = {"l0": right.l0, "variance_explained": right.variance_explained}
    (row,) = probe(whole, suite_of(made, processing="folded", recorded=record), tokens)
    assert row.ok
    (row,) = probe(raw, suite_of(made, recorded=record), tokens, tolerance=0.02)
    assert not row.ok
    assert "it was made for folded weights" in row.reason


def test_without_records_nonsense_still_fails(model):
    made = at(model, RESID[1])
    made.W_dec_FD.data.neg_()
    (row,) = probe(model, suite_of(made), text(model))
    assert not row.ok
    assert "should be positive" in row.reason
    silent = at(model, RESID[1])
    silent.b_enc_F.data.fill_(-1e9)
    (row,) = probe(model, suite_of(silent, recorded={"variance_explained": 0.0}), text(model))
    assert "L0 is 0.0 of 12 features" in row.reason
    silent.b_enc_F.data.fill_(torch.nan)
    (row,) = probe(model, suite_of(silent), text(model))
    assert "not finite" in row.reason


def test_too_few_tokens_are_refused(model):
    with pytest.raises(InputError, match="999 tokens that count, expected at least 1,000"):
        probe(model, suite_of(at(model, RESID[1])), text(model)[:27, :37])
    with pytest.raises(InputError, match="30 tokens that count"):
        probe(model, suite_of(at(model, RESID[1]), context=1), text(model))


def test_positions_beyond_the_context_do_not_count(model):
    (row,) = probe(model, suite_of(at(model, RESID[1]), context=35), text(model))
    assert row.tokens == 30 * 35


def test_the_first_token_counts_as_the_suite_says():
    made = random_model(bos=0)
    tokens = text(made)
    tokens[:, 0] = 0
    module_of(made).transformer.wte.weight.data[0] *= 40  # as the first token of many models
    x = made.run(tokens, read=RESID[:1]).sites[RESID[0]]
    dictionary = components(RESID[0], RESID[0], x, x)
    (without,) = probe(made, suite_of(dictionary), tokens)
    (counted,) = probe(made, suite_of(dictionary, bos=0), tokens)
    assert (without.tokens, counted.tokens) == (1170, 1200)
    assert abs(without.variance_explained - counted.variance_explained) > 0.2
    assert counted.variance_explained > without.variance_explained
    record = {"variance_explained": counted.variance_explained}
    (row,) = probe(made, suite_of(dictionary, recorded=record), tokens)
    assert row.ok
    assert "first token of every sequence is counted" in row.reason
    assert row.tokens == 1200


def test_what_several_layers_write_is_summed(model):
    """A cross-layer transcoder's site is explained by all of it, not by the layer that begins there."""
    sites = [Site(layer, "mlp_in") for layer in range(4)]
    outs = [Site(layer, "mlp_out") for layer in range(4)]
    generator = torch.Generator().manual_seed(0)
    dictionaries = []
    for layer, site in enumerate(sites):
        options = {"writes": [str(out) for out in outs[layer:]], "activation": "relu"}
        made = make_dictionary(DictionaryConfig("cross_layer", WIDTH, 5, site, outs[layer], WIDTH, options)).double()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.2)
        dictionaries.append(made.requires_grad_(False))
    tokens = text(model)
    acts = model.run(tokens, read=[*sites, *outs]).sites
    rows = probe(model, suite_of(*dictionaries, recorded={"variance_explained": -9.0}), tokens)
    for j, row in enumerate(rows):
        y = acts[outs[j]].flatten(0, 1)
        parts = [dictionaries[i](acts[sites[i]])[..., j - i, :].flatten(0, 1) for i in range(j + 1)]
        share = 1 - (y - sum(parts)).square().sum() / (y - y.mean(0)).square().sum()
        assert row.variance_explained == pytest.approx(float(share), abs=1e-9)
