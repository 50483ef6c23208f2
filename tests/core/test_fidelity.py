"""Fidelity: a perfect dictionary keeps everything, the controls are what they say, intervals hold the value."""

from dataclasses import replace

import pytest
import torch

from saecli.core.controls import Baseline, random_directions
from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.fidelity import Sample, fit_baselines, measure_suites
from saecli.core.fidelity_memory import sequences_together
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.sample import regrouped
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
    for name in made:  # nothing gets past the last residual site, so together is as that one alone
        together, last = found[name].compound[0], found[name].sites[-1]
        assert (together.group, together.sites[-1]) == ("resid_pre", last.site)
        assert together.outcome.ce.value == pytest.approx(last.dictionary.ce.value, abs=1e-6)
        assert abs(together.outcome.ce_increase.value) > 0.01


def test_a_perfect_dictionary_changes_nothing_alone_or_together(measured):
    whole = measured["all"]
    for one in whole.sites:
        assert one.dictionary.ce_increase.value == pytest.approx(0, abs=1e-5)
        assert one.dictionary.kl.value == pytest.approx(0, abs=1e-6)
        exact = {**vars(one.reconstruction), "mse": None, "norm_in": None, "norm_out": None}
        for name, found in vars(one.reconstruction).items():
            if exact[name] is not None:
                assert found.value == pytest.approx(1, abs=1e-4), name
        assert one.reconstruction.mse.value == pytest.approx(0, abs=1e-10)
        assert one.reconstruction.norm_out.value == pytest.approx(one.reconstruction.norm_in.value)
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
    assert one.norm_in.value == pytest.approx(float(x_TD.norm(dim=-1).mean()))
    assert one.norm_out.value == pytest.approx(float(y_TD.norm(dim=-1).mean()))
    assert one.mse.value == pytest.approx(float((x_TD - y_TD).square().sum(-1).mean()))
    acts_TF = suite[site].encode(x_TD.float())
    found = next(one for one in measured["few"].sites if one.site == site)
    assert found.l1.value == pytest.approx(float(acts_TF.abs().sum(-1).mean()), rel=1e-6)
    assert found.active_F == pytest.approx((acts_TF != 0).double().mean(0).numpy())
    assert found.active_F.sum() == pytest.approx(found.l0.value)
    active_BSF = (suite[site].encode(x_BSD.float()) != 0) & here_BS[..., None]
    spread_F = active_BSF.sum((0, 1)).double() / active_BSF.any(1).sum(0)
    torch.testing.assert_close(torch.from_numpy(found.per_sequence_F), spread_F, equal_nan=True)
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


def relu_suite(threshold: float) -> Suite:
    """As many active features as happen to be above a threshold."""
    made = []
    for site in SITES:
        one = make_dictionary(DictionaryConfig("standard", D, 2 * D, site, site, D)).requires_grad_(False)
        one.W_enc_DF.copy_(torch.cat([torch.eye(D), -torch.eye(D)], dim=1))
        one.W_dec_FD.copy_(one.W_enc_DF.T)
        one.b_enc_F.fill_(-threshold)
        made.append(one)
    return Suite.of(SuiteInfo("relu", "tiny"), made)


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_the_batch_size_changes_no_number(model, rows):
    made = {"few": perfect(2), "relu": relu_suite(0.3)}
    whole = measure_suites(model, made, samples(20, 1), samples(30, 2), firing=samples(9, 4))
    parts = measure_suites(model, made, samples(20, 1), samples(30, 2), firing=samples(9, 4), rows=rows)
    for name in made:
        one, other = whole[name].to_json(), parts[name].to_json()
        assert_close(one, other)
        for a, b in zip(whole[name].sites, parts[name].sites, strict=True):
            assert a.components == b.components
            assert (a.density_F == b.density_F).all()


def assert_close(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        for a, b in zip(one, other, strict=True):
            assert_close(a, b)
    else:
        assert one == (pytest.approx(other, rel=1e-4, abs=1e-5) if isinstance(one, float) else other)


def test_tokens_that_were_not_learned_do_not_count_and_are_left_alone(model):
    bos = 3
    held_out = samples(20, 1)
    for sample in held_out:
        sample.tokens_BS[:, 0] = bos
        sample.tokens_BS[:, 1:][sample.tokens_BS[:, 1:] == bos] = 4

    def suite(scale: float) -> Suite:
        """Wrong by a constant vector where the activation is that of BOS at the first position, and nowhere else."""
        made = [AtBos(perfect(2)[site], firsts[site], scale) for site in SITES]
        return Suite.of(replace(SuiteInfo("bos", "tiny"), left_out=(bos,)), made)

    firsts = {site: model.run(held_out[0].tokens_BS[:1], read=[site]).sites[site][0, 0] for site in SITES}
    right, wrong = (
        measure_suites(model, {"": suite(scale)}, held_out, samples(30, 2), firing=samples(5, 4))[""]
        for scale in (0.0, 100.0)
    )
    assert right == wrong
    assert right.tokens == sum(int((sample.next_BS[:, 1:] >= 0).sum()) for sample in held_out)
    counted = suite(100.0)
    counted = Suite.of(replace(counted.info, left_out=()), list(counted.values()))
    assert measure_suites(model, {"": counted}, held_out, samples(30, 2))[""].compound[0].outcome.kl.value > 0.1


class AtBos(torch.nn.Module):
    """A dictionary whose reconstruction is off near one vector."""

    def __init__(self, dictionary, first_D, scale):
        super().__init__()
        self.inner, self.first_D, self.scale = dictionary, first_D, scale

    def __getattr__(self, name):
        if name in ("config", "n_latents", "encode_sparse"):
            return getattr(self.inner, name)
        return super().__getattr__(name)

    def reconstruct_from(self, acts, x):
        there_T1 = ((x - self.first_D).norm(dim=-1, keepdim=True) < 1e-5).to(x.dtype)
        return self.inner.reconstruct_from(acts, x) + self.scale * there_T1

    def reconstruct(self, x):
        flat = x.reshape(-1, x.shape[-1])
        return self.reconstruct_from(self.encode_sparse(flat), flat).view_as(x)


@pytest.mark.parametrize("weights", ["W_enc_DF", "W_dec_FD", "b_dec_D"])
def test_damaged_weights_are_named(model, weights):
    suite = perfect(2)
    getattr(suite[SITES[1]], weights)[0] = float("nan")
    with pytest.raises(InputError, match=r"dictionary of ill at 1\.attn_out gives values that are not finite"):
        measure_suites(model, {"ill": suite}, samples(20, 1), samples(30, 2))


def test_memory_bounds_the_batch_and_too_little_is_refused(model):
    made = {"": perfect(2)}
    assert sequences_together(model, made, 8, 20) == 128
    assert sequences_together(model, made, 8, 20, rows=3) == 3
    assert 1 <= sequences_together(model, made, 8, 20, max_bytes=(1 << 29) + 120_000) < 128
    with pytest.raises(UsageError, match=r"--max-memory allows 0\.10 GB"):
        measure_suites(model, made, samples(20, 1), samples(30, 2), max_bytes=10**8)


def test_sequences_are_regrouped_in_order():
    given = [Sample(torch.full((count, 4), count), torch.full((count, 4), count)) for count in (3, 5, 1)]
    other = Sample(torch.zeros(2, 6), torch.zeros(2, 6), torch.ones(2, 6, 3) > 0)
    made = list(regrouped([*given, other], 4))
    assert [one.tokens_BS.shape for one in made] == [(4, 4), (4, 4), (1, 4), (2, 6)]
    assert torch.equal(torch.cat([one.tokens_BS for one in made[:3]]), torch.cat([one.tokens_BS for one in given]))
    assert made[0].allowed_BSV is None
    assert made[3].allowed_BSV.shape == (2, 6, 3)
    assert list(regrouped([], 4)) == []
