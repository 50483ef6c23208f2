"""Fidelity: a perfect dictionary keeps everything, the controls are what they say, intervals hold the value."""

import pytest
import torch

from saecli.core.controls import Baseline, random_directions
from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.fidelity import Sample, fit_baselines, measure_suites
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary

D, VOCAB = 6, 11
SITES = (Site(0, "resid_pre"), Site(1, "attn_out"), Site(2, "resid_pre"))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = thin_gpt(GPT(GPTConfig(VOCAB, 8, 2, 2, D)), "tiny")
    with torch.no_grad():
        for parameter in made.module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.4)
    return made


def samples(count: int, seed: int) -> list[Sample]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(VOCAB, (count, 9), generator=generator)
    following = tokens[:, 1:].clone()
    following[::2, 5:] = -1
    allowed = torch.rand(count, 8, VOCAB, generator=generator) < 0.4
    return [Sample(tokens[part, :8], following[part], allowed[part]) for part in (slice(0, 7), slice(7, count))]


def perfect(k: int) -> Suite:
    """x = ReLU(x) − ReLU(−x): exact when k is the width."""
    made = []
    for site in SITES:
        one = make_dictionary(DictionaryConfig("topk", D, 2 * D, site, site, D, {"k": k})).requires_grad_(False)
        one.W_enc_DF.copy_(torch.cat([torch.eye(D), -torch.eye(D)], dim=1))
        one.W_dec_FD.copy_(one.W_enc_DF.T)
        made.append(one)
    return Suite.of(SuiteInfo("perfect", "tiny"), made)


def test_a_rare_feature_is_not_a_dead_one(model):
    one, rare = samples(20, 1), samples(200, 3)
    few = measure_suites(model, {"": perfect(1)}, one, samples(30, 2))[""]
    many = measure_suites(model, {"": perfect(1)}, one, samples(30, 2), firing=rare)[""]
    assert sum(site.dead_share for site in many.sites) < sum(site.dead_share for site in few.sites)
    assert many.firing_tokens == few.tokens + sum(int((sample.next_BS >= 0).sum()) for sample in rare)
    assert [site.dictionary for site in many.sites] == [site.dictionary for site in few.sites]


@pytest.fixture(scope="module")
def measured(model):
    return measure_suites(model, {"all": perfect(D), "few": perfect(2)}, samples(20, 1), samples(30, 2))


def test_a_perfect_dictionary_keeps_everything(measured):
    for one in measured["all"].sites:
        assert one.l0.value == pytest.approx(D)
        for whole in (one.dictionary, one.pca):  # as many components as dimensions
            assert whole.variance_explained.value == pytest.approx(1, abs=1e-5)
            assert whole.recovered_mean.value == pytest.approx(1, abs=1e-3)
            assert whole.recovered_zero.value == pytest.approx(1, abs=1e-3)
            assert whole.allowed_kept.value == pytest.approx(1)


def test_a_poor_one_does_not_and_pca_is_the_best_linear_one(measured):
    for one in measured["few"].sites:
        assert one.components == 2
        assert one.dictionary.variance_explained.value < 0.95
        assert one.pca.variance_explained.value < 1
        assert one.dictionary.variance_explained.low < one.dictionary.variance_explained.value
        assert one.dictionary.variance_explained.value < one.dictionary.variance_explained.high


def test_ablations_recover_nothing_against_themselves(measured):
    for one in measured["few"].sites:
        assert one.mean.recovered_mean.value == 0
        assert one.zero.recovered_zero.value == 0
        assert abs(one.mean.variance_explained.value) < 0.1


def test_replacing_by_hand_gives_the_same_numbers(model, measured):
    suite, site = perfect(2), SITES[1]
    ce = count = right = error = 0.0
    kept = []
    for sample in samples(20, 1):
        here = sample.next_BS >= 0
        x = model.run(sample.tokens_BS, read=[site]).sites[site]
        logits = model.run(sample.tokens_BS, write={site: suite[site]}).logits
        logp = logits.log_softmax(-1)[here]
        ce -= float(logp.gather(1, sample.next_BS[here][:, None]).sum())
        right += float(sample.allowed_BSV[here].gather(1, logp.argmax(1, keepdim=True)).sum())
        error += float((suite[site](x) - x)[here].square().sum())
        count += int(here.sum())
        kept.append(x[here])
    spread = float((torch.cat(kept) - torch.cat(kept).mean(0)).square().sum())
    one = next(one for one in measured["few"].sites if one.site == site)
    assert one.dictionary.ce.value == pytest.approx(ce / count, rel=1e-5)
    assert one.dictionary.allowed.value == pytest.approx(right / count)
    assert one.dictionary.variance_explained.value == pytest.approx(1 - error / spread, rel=1e-4)
    assert measured["few"].tokens == count
    assert measured["few"].measured()[site]["ce_recovered_mean"] == round(one.dictionary.recovered_mean.value, 5)


def test_principal_components_are_those_of_the_covariance(model):
    site = SITES[2]
    baseline = fit_baselines(model, [site], samples(30, 2))[site]
    x = torch.cat([model.run(s.tokens_BS, read=[site]).sites[site][s.next_BS >= 0] for s in samples(30, 2)])
    torch.testing.assert_close(baseline.mean_D, x.mean(0), rtol=1e-4, atol=1e-5)
    left = (x - baseline.project(x, 3)).square().sum()
    singular = torch.linalg.svdvals(x - x.mean(0))
    torch.testing.assert_close(left, singular[3:].square().sum(), rtol=1e-3, atol=1e-4)


def test_negative_activations_count_and_a_skip_path_is_part_of_the_reconstruction(model):
    def suite(arch: str, **options) -> Suite:
        site = Site(1, "resid_pre")
        one = make_dictionary(DictionaryConfig(arch, D, D, site, site, D, options)).requires_grad_(False)
        one.W_enc_DF.copy_(torch.eye(D))
        one.W_dec_FD.copy_(torch.eye(D) * (not options.get("skip")))
        if one.W_skip_DO is not None:
            one.W_skip_DO.copy_(torch.eye(D))
        return Suite.of(SuiteInfo(arch, "tiny"), [one])

    made = {
        "signed": suite("abstopk", k=D),
        "identity": suite("identity"),
        "skip": suite("topk", k=2, skip=True),
    }
    found = measure_suites(model, made, samples(20, 1), samples(30, 2))
    for name in made:
        (site,) = found[name].sites
        assert site.dictionary.variance_explained.value == pytest.approx(1, abs=1e-5), name
        assert name == "skip" or site.dead_share == 0
    assert found["signed"].sites[0].l0.value == found["identity"].sites[0].l0.value == D
    only_negative = suite("abstopk", k=1)
    only_negative[Site(1, "resid_pre")].W_enc_DF.copy_(-torch.eye(D) * 1e-9)
    only_negative[Site(1, "resid_pre")].b_enc_F.fill_(-1)
    (site,) = measure_suites(model, {"": only_negative}, samples(20, 1), samples(30, 2))[""].sites
    assert site.l0.value == 1


@pytest.mark.parametrize(
    ("arch", "d", "options"),
    [("cross_layer", Site(0, "mlp_out"), {"writes": ["0.mlp_out", "1.mlp_out"]}), ("temporal", None, {"n_heads": 1})],
)
def test_what_does_not_replace_one_site_is_refused(model, arch, d, options):
    reads = Site(0, "mlp_in")
    if arch == "temporal":
        options = {**options, "bottleneck_factor": 2}
    one = make_dictionary(DictionaryConfig(arch, D, 2 * D, reads, d or reads, D, options))
    with pytest.raises(UsageError, match=f"{arch} dictionary at 0.mlp_in"):
        measure_suites(model, {"": Suite.of(SuiteInfo("", "tiny"), [one])}, samples(20, 1), samples(30, 2))


def constant(sites: tuple[Site, ...], values: dict[Site, torch.Tensor]) -> Suite:
    """Dictionaries that say the same whatever they read."""
    made = []
    for site in sites:
        one = make_dictionary(DictionaryConfig("topk", D, 2, site, site, D, {"k": 1})).requires_grad_(False)
        one.W_enc_DF.zero_()
        one.W_dec_FD.zero_()
        one.b_dec_D.copy_(values[site])
        made.append(one)
    return Suite.of(SuiteInfo("constant", "tiny"), made)


def test_dictionaries_that_say_nothing_are_the_ablations(model):
    fitting = samples(30, 2)
    means = {site: one.mean_D for site, one in fit_baselines(model, SITES, fitting).items()}
    made = {"zero": constant(SITES, {site: torch.zeros(D) for site in SITES}), "mean": constant(SITES, means)}
    found = measure_suites(model, made, samples(20, 1), fitting)
    for name in made:
        for one in found[name].sites:
            ablated = getattr(one, name)
            for field in ("ce", "kl", "variance_explained"):
                there, here = getattr(ablated, field), getattr(one.dictionary, field)
                assert (here.value, here.low) == pytest.approx((there.value, there.low), abs=1e-5)
            assert one.reconstruction.variance_explained_centred.value == pytest.approx(0, abs=1e-5)
            assert one.reconstruction.variance_explained_by_position.value == pytest.approx(0, abs=1e-5)
    for one in found["mean"].sites:
        assert one.dictionary.kl_recovered.value == pytest.approx(0, abs=1e-5)
        assert one.reconstruction.variance_explained_by_token.value == pytest.approx(0, abs=1e-5)
    for one in found["zero"].sites:
        assert one.reconstruction.norm_ratio.value == 0


def test_a_perfect_dictionary_changes_nothing_alone_or_together(measured):
    whole = measured["all"]
    for one in whole.sites:
        assert one.dictionary.ce_increase.value == pytest.approx(0, abs=1e-5)
        assert one.dictionary.kl.value == pytest.approx(0, abs=1e-6)
        for name, expected in vars(one.reconstruction).items():
            assert expected.value == pytest.approx(1, abs=1e-4), name
    assert [one.group for one in whole.compound] == ["resid_pre", "all"]
    assert whole.compound[1].sites == SITES
    for one in whole.compound:
        assert one.outcome.ce_increase.value == pytest.approx(0, abs=1e-5)
        assert one.excess.value == pytest.approx(0, abs=1e-5)


def test_every_definition_by_hand(model, measured):
    suite, site = perfect(2), SITES[1]
    x, y, here = [], [], []
    for sample in samples(20, 1):
        x.append(model.run(sample.tokens_BS, read=[site]).sites[site].double())
        y.append(suite[site](x[-1].float()).double())
        here.append(sample.next_BS >= 0)
    x_BSD, y_BSD, here_BS = torch.cat(x), torch.cat(y), torch.cat(here)
    mean_D = fit_baselines(model, [site], samples(30, 2))[site].mean_D.double()
    x_TD, y_TD = x_BSD[here_BS], y_BSD[here_BS]
    one = next(one for one in measured["few"].sites if one.site == site).reconstruction
    shares_T = (x_TD - y_TD).square().sum(-1) / (x_TD - mean_D).square().sum(-1)
    assert one.variance_explained_by_token.value == pytest.approx(1 - float(shares_T.mean()))
    centred = 1 - float((x_TD - y_TD).var(0).sum() / x_TD.var(0).sum())
    assert one.variance_explained_centred.value == pytest.approx(centred)
    above = sum(float((x_BSD - y_BSD)[here_BS[:, s], s].var(0).sum()) for s in range(8))
    below = sum(float(x_BSD[here_BS[:, s], s].var(0).sum()) for s in range(8))
    assert one.variance_explained_by_position.value == pytest.approx(1 - above / below)
    assert one.cosine.value == pytest.approx(float(torch.cosine_similarity(x_TD, y_TD, dim=-1).mean()))
    assert one.relative_bias.value == pytest.approx(float(y_TD.square().sum() / (x_TD * y_TD).sum()))
    assert one.norm_ratio.value == pytest.approx(float((y_TD.norm(dim=-1) / x_TD.norm(dim=-1)).mean()))


def test_sites_together_are_all_written_in_one_pass(model, measured):
    suite = perfect(2)
    ce, kl, count = 0.0, 0.0, 0
    for sample in samples(20, 1):
        here = sample.next_BS >= 0
        clean = model.run(sample.tokens_BS).logits.log_softmax(-1)[here]
        edits = {site: suite[site].reconstruct for site in SITES}
        logp = model.run(sample.tokens_BS, write=edits).logits.log_softmax(-1)[here]
        ce -= float(logp.gather(1, sample.next_BS[here][:, None]).sum())
        kl += float((clean.exp() * (clean - logp)).sum())
        count += int(here.sum())
    together = measured["few"].compound[1]
    assert together.outcome.ce.value == pytest.approx(ce / count, rel=1e-5)
    assert together.outcome.kl.value == pytest.approx(kl / count, rel=1e-4)
    single = sum(one.dictionary.ce_increase.value for one in measured["few"].sites)
    assert together.excess.value == pytest.approx(ce / count - measured["few"].ce.value - single, abs=1e-5)


def test_a_transcoder_is_given_what_the_sites_before_it_left(model):
    reads, writes, before = Site(1, "mlp_in"), Site(1, "mlp_out"), Site(0, "resid_post")
    coder = make_dictionary(DictionaryConfig("topk", D, 2 * D, reads, writes, D, {"k": 3})).requires_grad_(False)
    cut = make_dictionary(DictionaryConfig("topk", D, 2 * D, before, before, D, {"k": 1})).requires_grad_(False)
    torch.manual_seed(1)
    for parameter in (*cut.parameters(), *coder.parameters()):
        parameter.copy_(torch.randn_like(parameter))
    suite = Suite.of(SuiteInfo("two", "tiny"), [cut, coder])
    (sample,) = samples(7, 1)[:1]
    seen = {}

    def remember(x):
        seen["x"] = x
        return x

    edits = {before: cut.reconstruct, reads: remember, writes: lambda _: coder.reconstruct(seen["x"])}
    logits = model.run(sample.tokens_BS, write=edits).logits
    here = sample.next_BS >= 0
    ce = -logits.log_softmax(-1)[here].gather(1, sample.next_BS[here][:, None]).mean()
    *_, together = measure_suites(model, {"": suite}, [sample], samples(30, 2))[""].compound
    assert together.outcome.ce.value == pytest.approx(float(ce), rel=1e-5)


def test_differences_are_paired_and_intervals_hold_the_value(measured):
    few, whole = measured["few"].sites[0].dictionary, measured["all"].sites[0].dictionary
    difference = few.ce - whole.ce
    assert difference.value == pytest.approx(few.ce.value - whole.ce.value)
    assert difference.low <= difference.value <= difference.high
    assert difference.high - difference.low < few.ce.high - whole.ce.low
    assert (few.ce - few.ce).low == (few.ce - few.ce).high == 0
    assert len(few.ce.draws_R) == 1000


def test_random_directions_beat_the_mean_and_lose_to_principal_components(measured):
    one = measured["few"].sites[0]
    assert one.mean.variance_explained.value < one.random.variance_explained.value
    assert one.random.variance_explained.value < one.pca.variance_explained.value


def test_random_directions_are_added_in_proportion_and_scaled_to_fit_best():
    torch.manual_seed(3)
    x, mean_D = torch.randn(2, 5, D), torch.randn(D)
    directions = random_directions(20, D, 0)
    made = Baseline(mean_D, torch.eye(D)).random(x, directions, 3)
    for row, got in zip(x.reshape(-1, D) - mean_D, made.reshape(-1, D) - mean_D, strict=True):
        values, indices = (directions @ row).topk(3)
        near = values.clamp_min(0) @ directions[indices]
        torch.testing.assert_close(got, near * (row @ near) / (near @ near), rtol=1e-4, atol=1e-5)
    assert directions.norm(dim=-1).tolist() == pytest.approx([1.0] * 20)


def test_densities_are_shares_of_tokens(measured):
    for one in measured["few"].sites:
        assert one.density_F.sum() == pytest.approx(one.l0.value)
        assert one.dead_share == (one.density_F == 0).mean()


def test_two_dictionaries_that_write_one_site_are_refused(model):
    site = Site(1, "mlp_out")
    made = [
        make_dictionary(DictionaryConfig("topk", D, 4, reads, site, D, {"k": 1})) for reads in (Site(1, "mlp_in"), site)
    ]
    with pytest.raises(UsageError, match=r"two dictionaries that write 1\.mlp_out"):
        measure_suites(model, {"": Suite.of(SuiteInfo("", "tiny"), made)}, samples(20, 1), samples(30, 2))
