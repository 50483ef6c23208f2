"""How dictionaries begin: units, directions, biases, and dead latents that begin again."""

import pytest
import torch
from torch.nn.functional import normalize

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.train.resample import ENCODER_SHARE, resample
from saecli.train.sae import train_sae
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.schedule import Schedule
from saecli.train.settings import Settings
from saecli.train.start import active_subspace, geometric_median, mlp_neurons
from saecli.train.step import Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from saecli.train.units import Units, usual_rows
from tests.train.test_sae import OUT, SITE, config, features, same_bits, tiny_model


def trainer(recipe: str = "topk", reads: Site = SITE, writes: Site = SITE, **changes: object) -> DictionaryTrainer:
    arch = {"batchtopk": "jumprelu"}.get(recipe, recipe)
    shape = DictionaryConfig(arch, 8, 32, reads, writes, 8, {"k": 3} if arch == "topk" else {})
    values: dict[str, object] = {"lr": 0.01, "k": 3, "sparsity_weight": 0.3, "target_l0": 3.0, "dead_after": 10**9}
    values["decoder_norm"] = "free" if recipe == "standard" else "unit"
    settings = Settings(**{**values, **changes})  # type: ignore[arg-type]
    return DictionaryTrainer(TrainerConfig("", shape, recipe, 0, settings), torch.device("cpu"))


def white(rows: int = 4000, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))


# --- schedules ------------------------------------------------------------------------------------------------------


def test_the_penalty_rises_and_k_falls_as_by_hand():
    rising = Schedule(Settings(sparsity_weight=8.0, sparsity_warmup=0.5))
    assert [rising.at(done).sparsity_weight for done in (0, 0.125, 0.25, 0.5, 0.75)] == [0, 2, 4, 8, 8]
    falling = Schedule(Settings(k=32, k_anneal=0.25), first_k=128)
    assert [falling.at(done).k for done in (0, 0.0625, 0.125, 0.249, 0.25, 1.0)] == [128, 104, 80, 32, 32, 32]
    assert Schedule(Settings(k=32, sparsity_weight=8.0), first_k=128).at(0.0) == Settings(k=32, sparsity_weight=8.0)


@pytest.mark.parametrize("recipe", ["topk", "batchtopk"])
def test_a_step_has_the_k_of_its_schedule(recipe):
    made, x = trainer(recipe, k_anneal=0.5), white(600)
    made.start(x.clone(), x.clone())
    sample = white(600, seed=1)
    made.start(sample, sample)
    made.dictionary.b_enc_F.data += 20  # so that every pre-activation is positive
    found = []
    for done in (0.0, 0.25, 0.5):
        batch = x.clone()
        found.append(made.step(batch, batch, 0.0, Workspace(), done).l0)
    assert found == [8, pytest.approx(6, abs=0.5), 3]


def test_flags_are_refused_where_no_architecture_has_a_use_for_them():
    info = tiny_model().info
    for changes, told in (
        ({"arch": "standard", "k_anneal": 0.2}, "--k-anneal is for these architectures: topk, batchtopk"),
        ({"arch": "topk", "sparsity_warmup": 0.2}, "--sparsity-warmup is for these architectures: standard, gated"),
        ({"arch": "topk", "resample_every": 100}, "--resample-every is for these architectures: standard, gated"),
        ({"arch": "topk", "k": (16,), "k_anneal": 0.2}, "--k-anneal falls from 16 to --k, and 16 is not less"),
    ):
        with pytest.raises(UsageError, match=told):
            plan_dictionaries(TrainSaeConfig(**changes), info)
    both = (SaeTable(arch="topk", k=(3,)), SaeTable(arch="standard", name="s"))
    plans = plan_dictionaries(TrainSaeConfig(sae=both, k_anneal=0.3, resample_every=1000), info)
    assert {(plan.recipe, plan.settings.k_anneal, plan.settings.resample_every) for plan in plans} == {
        ("topk", 0.3, 0),
        ("standard", 0, 1000),
    }
    with pytest.raises(UsageError, match=r"--k-anneal 0\.8 reaches into the last part, --decay 0\.3"):
        TrainSaeConfig(k_anneal=0.8)


# --- units ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["standard", "topk", "gated", "jumprelu"])
@pytest.mark.parametrize("skip", [False, True])
def test_units_are_folded_into_every_weight(arch, skip):
    torch.manual_seed(4)
    options = {"skip": True, **({"k": 3} if arch == "topk" else {})}
    options = options if skip else {name: value for name, value in options.items() if name != "skip"}
    made = make_dictionary(DictionaryConfig(arch, 8, 20, SITE, OUT, 8, options)).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    if arch == "jumprelu":
        made.threshold_F.data.abs_()
    x, units = torch.randn(50, 8).double() * 3 + 40, Units(0.25, 0.01, torch.full((8,), 39.0).double())
    inside, y = x.clone(), torch.zeros_like(x)
    units.enter_(inside, y)
    expected = made(inside).detach() / 0.01
    units.leave(made)
    torch.testing.assert_close(made(x).detach(), expected)


def test_a_few_huge_vectors_change_neither_scale_nor_bias():
    x = features(4000)
    plain, wild, clean = trainer(), trainer(), x.clone()
    x[::100] *= 40  # one in a hundred, as the first position of a sequence
    assert int((~usual_rows(x)).sum()) == 40
    assert bool(usual_rows(clean).all())
    plain.start(clean, clean)
    wild.start(x, x)
    assert wild.units.scale_in == pytest.approx(plain.units.scale_in, rel=0.02)
    torch.testing.assert_close(wild.finished().b_dec_D, plain.finished().b_dec_D, rtol=0.02, atol=0.1)
    naive = 1 / float((x - x.mean(0)).square().mean().sqrt())
    assert naive < 0.3 * plain.units.scale_in


# --- biases and directions ------------------------------------------------------------------------------------------


def test_the_geometric_median_is_where_distances_sum_to_least():
    points = torch.tensor([[0.0, 0], [4, 0], [0, 3], [4, 3]])
    torch.testing.assert_close(geometric_median(points), torch.tensor([2.0, 1.5]))  # where the diagonals cross
    torch.testing.assert_close(
        geometric_median(torch.tensor([[0.0], [1], [100]])), torch.tensor([1.0]), atol=1e-2, rtol=0
    )
    # The mean is a point of the sample, with which the plain iteration divides by zero; the median is another.
    points = torch.tensor([[0.0, 0], [6, 0], [-2, 1], [-2, -1], [-2, 0]])
    found = geometric_median(points, steps=2000, tolerance=1e-12)
    assert torch.isfinite(found).all()
    cost = lambda point: float((points - point).norm(dim=1).sum())  # noqa: E731
    assert all(cost(found) <= cost(found + 0.01 * way) for way in normalize(torch.randn(50, 2), dim=1))
    assert torch.equal(geometric_median(torch.full((7, 3), 5.0)), torch.full((3,), 5.0))


@pytest.mark.parametrize(("how", "expected"), [("mean", 2.5), ("geometric-median", 0.0), ("zero", 0.0)])
def test_the_bias_begins_as_told(how, expected):
    x = torch.cat([white(3000), white(1000, seed=1) + 10])  # a quarter somewhere else
    made = trainer(b_dec_init=how)
    made.start(x, x)
    assert float(made.finished().b_dec_D.mean()) == pytest.approx(expected, abs=0.9 if how != "mean" else 0.1)
    assert (how == "zero") == bool((made.finished().b_dec_D == 0).all())


def test_features_begin_in_the_active_subspace_if_asked_to():
    plane = torch.linalg.qr(white(8)).Q[:, :3]
    x = white()[:, :3] @ plane.T + 1e-3 * white(seed=5)
    assert active_subspace(x).shape == (8, 3)
    for made, inside in ((trainer(init="active-subspace"), True), (trainer(), False)):
        made.start(x, x)
        W_dec_FD = made.dictionary.W_dec_FD.detach()
        torch.testing.assert_close(W_dec_FD.norm(dim=1), torch.ones(32))
        torch.testing.assert_close(made.dictionary.W_enc_DF.detach(), W_dec_FD.T)
        assert bool(((W_dec_FD @ plane).norm(dim=1) > 0.999).all()) == inside


def test_a_transcoder_begins_by_reading_what_predicts_its_output():
    map_DD = white(8, seed=2)
    x = white() @ white(8, seed=3) + 9
    y = x @ map_DD + 5
    made = trainer(writes=OUT)
    made.start(x, y)
    units, dictionary = made.units, made.dictionary
    x_in, y_in = x.clone(), y.clone()
    units.enter_(x_in, y_in)
    along_NF = (y_in - y_in.mean(0)) @ dictionary.W_dec_FD.detach().T
    assert float((dictionary.preactivations(x_in).detach() - along_NF).norm() / along_NF.norm()) < 0.05
    torch.testing.assert_close(dictionary.W_dec_FD.norm(dim=1), torch.ones(32))
    assert float(x_in.mean(0).norm()) < 1e-4


@pytest.mark.parametrize("latents", [24, 64, 80])
@pytest.mark.parametrize("recipe", ["standard", "gated"])
def test_a_transcoder_of_an_mlp_begins_as_its_neurons(recipe, latents):
    model = tiny_model()
    for parameter in model.module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    shape = DictionaryConfig(recipe, 16, latents, SITE, OUT, 16)
    made = DictionaryTrainer(TrainerConfig("", shape, recipe, 0, Settings(decoder_norm="free")), torch.device("cpu"))
    made.neurons = mlp_neurons(model, shape)
    weights = model.block(1).weights
    x = torch.randn(2000, 16, generator=torch.Generator().manual_seed(1)) * 2 + 1
    hidden = (x @ weights.W_in + weights.b_in).relu().detach()
    y = hidden @ weights.W_out.detach() + 3
    made.start(x, y)
    finished = made.finished()
    if latents == 64:  # all of them: with ReLU the dictionary is the MLP
        torch.testing.assert_close(finished(x), y, rtol=1e-3, atol=1e-2 * float(y.std()))
    count = min(latents, 64)
    expected = normalize(weights.W_out.detach(), dim=1)
    cosine = (normalize(finished.W_dec_FD[:count], dim=1) @ expected.T).max(1)
    assert bool((cosine.values > 0.999).all())
    assert len(cosine.indices.unique()) == count
    if latents == 24:
        strength = (hidden * weights.W_out.norm(dim=1)).square().mean(0)
        assert float(strength[cosine.indices].sum() / strength.sum()) > 0.9 * float(
            strength.topk(24).values.sum() / strength.sum()
        )


def test_mlp_is_refused_where_there_is_none(tmp_path):
    model = tiny_model()
    assert mlp_neurons(model, DictionaryConfig("topk", 16, 9, SITE, Site(1, "resid_post"), 16, {"k": 2})) is None
    with pytest.raises(UsageError, match=r"--init mlp: k3/0\.resid_pre is no transcoder from mlp_in to mlp_out"):
        train_sae(config(init="mlp"), model, tmp_path, threads=1)


# --- resampling -----------------------------------------------------------------------------------------------------


def with_dead(recipe: str, **changes: object) -> DictionaryTrainer:
    made, sample = trainer(recipe, **changes), features(2000)
    made.start(sample, sample)
    made.dictionary.b_enc_F.data[:12] = -50.0
    return made


@pytest.mark.parametrize("recipe", ["standard", "gated"])
def test_resampled_latents_fire_and_hardly_move_the_loss(recipe):
    losses: dict[int, list[float]] = {}
    for every in (0, 2048):
        made, losses[every] = with_dead(recipe, resample_every=every), []
        for number in range(24):
            x = features(256, seed=number + 1)
            out = made.step(x, x, 1.0, Workspace(), number / 24)
            losses[every].append(out.loss)
        acts = made.finished().encode(features(4000, seed=77))
        fires = (acts[:, :12] > 0).any(0)
        assert bool(fires.all()) if every else not bool(fires.any())
    assert losses[0][:8] == losses[2048][:8]  # until 2,048 vectors have passed
    assert losses[2048][8] < 1.25 * losses[0][8]  # with 12 of 32 latents new


def test_nothing_is_resampled_while_the_learning_rate_rises_or_falls():
    made = with_dead("standard", resample_every=512)
    for number in range(6):
        x = features(256, seed=number + 1)
        made.step(x, x, 0.99, Workspace(), number / 6)
    assert bool((made.dictionary.b_enc_F[:12] < -49).all())


def test_resampling_sets_what_it_says_and_forgets_the_moments():
    made = with_dead("standard")
    for number in range(3):
        x = features(256, seed=number + 1)
        made.step(x, x, 1.0, Workspace())
    x = features(256, seed=9)
    made.units.enter_(x, x)
    dictionary, dead_N = made.dictionary, torch.arange(12)
    alive = float(dictionary.W_enc_DF[:, 12:].norm(dim=0).mean())
    assert torch.equal(resample(dictionary, x, x, dead_N, 5, ONE), dead_N)
    made._update.forget(dead_N)
    W_enc_FD, W_dec_FD = dictionary.W_enc_DF.T[:12], dictionary.W_dec_FD[:12]
    torch.testing.assert_close(W_enc_FD, ENCODER_SHARE * alive * W_dec_FD)
    rows = normalize(x - dictionary.b_dec_D, dim=1)
    nearest = (W_dec_FD @ rows.T).max(1)
    assert bool((nearest.values > 0.9999).all())
    assert len(nearest.indices.unique()) == 12  # without replacement
    assert bool((dictionary.b_enc_F[:12] == 0).all())
    for parameter in made._update.adam.state.values():
        if len(parameter["exp_avg"]) == 32:
            assert bool((parameter["exp_avg"][:12] == 0).all() and (parameter["exp_avg_sq"][:12] == 0).all())
            assert bool((parameter["exp_avg"][12:] != 0).any())


class _Other(Ranks):
    """A process beside one that has the other rows."""

    size = 2

    def __init__(self, rows: list[torch.Tensor]) -> None:
        self.rows = rows

    def gather_rows(self, rows_NX: torch.Tensor) -> torch.Tensor:
        self.rows.append(rows_NX)
        return torch.cat(self.rows)


def test_it_does_not_matter_which_process_has_a_row():
    def resampled(first: torch.Tensor, second: torch.Tensor | None) -> Dictionary:
        made = with_dead("standard").dictionary.double()
        rows: list[torch.Tensor] = []
        if second is not None:
            resample(make_copy(made), second, second, torch.arange(12), 5, _Other(rows))
        resample(made, first, first, torch.arange(12), 5, _Other(rows))
        return made

    def make_copy(made: Dictionary) -> Dictionary:
        copy = make_dictionary(made.config).double()
        copy.load_state_dict(made.state_dict())
        return copy

    x = features(256, seed=9).double()
    whole, split = resampled(x, None), resampled(x[1::2], x[::2])
    for a, b in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


# --- in the same bits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_after", [3, 6])
@pytest.mark.parametrize("recipe", ["standard", "gated"])
def test_what_is_resampled_does_not_depend_on_an_interruption(recipe, stop_after):
    def steps(made: DictionaryTrainer, first: int, last: int) -> None:
        for number in range(first, last):
            x = features(256, seed=number + 1)
            made.step(x, x, 1.0, Workspace(), number / 12)

    asked = {"resample_every": 1024, "sparsity_warmup": 0.5}
    whole, part, plain = (with_dead(recipe, **asked), with_dead(recipe, **asked), with_dead(recipe))
    again = trainer(recipe, **asked)
    steps(whole, 0, 12)
    steps(plain, 0, 12)
    steps(part, 0, stop_after)
    again.load(part.state())
    steps(again, stop_after, 12)
    a, b, c = (one.finished().state_dict() for one in (whole, again, plain))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["b_enc_F"], c["b_enc_F"])


@pytest.mark.parametrize("stop_after", [3, 6])
def test_a_run_with_all_of_it_resumes_in_the_same_bits(tmp_path, stop_after):
    tables = (
        SaeTable(name="t", kind=("mlp_in>mlp_out", "attn_out"), k=(3,), latents=(24,)),
        SaeTable(name="b", arch="batchtopk", k=(3,), latents=(24,), layers="1"),
        SaeTable(name="j", arch="jumprelu", target_l0=(3.0,), latents=(24,), layers="1"),
        SaeTable(name="s", arch="standard", latents=(64,), sparsity_weight=(40.0,), layers="1"),
        SaeTable(name="g", arch="gated", latents=(64,), sparsity_weight=(40.0,), layers="1"),
    )
    asked = {"sae": tables, "k_anneal": 0.5, "sparsity_warmup": 0.3, "resample_every": 512}
    asked |= {"b_dec_init": "geometric-median", "decay": 0.1}
    whole = train_sae(config(**asked), tiny_model(), tmp_path / "whole", threads=1)
    calls = iter(range(100))
    stop = lambda: next(calls) + 1 >= stop_after  # noqa: E731
    assert train_sae(config(**asked), tiny_model(), tmp_path / "part", threads=1, stop=stop).steps == stop_after
    assert same_bits(whole, train_sae(config(**asked), tiny_model(), tmp_path / "part", threads=1))
