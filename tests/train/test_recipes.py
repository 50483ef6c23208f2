"""Every recipe: the gradients of its formula, what it learns, and what it is saved as."""

import subprocess
import sys
from typing import cast

import pytest
import torch

from saecli.core.config import resolve
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.site import Site
from saecli.dictionaries import ARCHITECTURES, make_dictionary
from saecli.dictionaries.gated import Gated
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.train.anneal import PAnneal
from saecli.train.recipes import RECIPES, TRAINED, step_function
from saecli.train.sae_config import TrainSaeConfig
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.settings import Settings
from saecli.train.step import StepInput, Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from tests.train.test_sae import NONE, OUT, SITE, features, tiny_model


def random_dictionary(arch: str, transcoder: bool = False) -> Dictionary:
    torch.manual_seed(3)
    made = make_dictionary(DictionaryConfig(arch, 12, 40, SITE, OUT if transcoder else SITE, 12)).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def batch(transcoder: bool = False, **values: object) -> StepInput:
    x = torch.randn(600, 12, dtype=torch.float64)
    y = torch.randn_like(x) if transcoder else x
    dead_N, p, next_p = values.pop("dead_N", NONE), values.pop("p", 1.0), values.pop("next_p", None)
    return StepInput(x, y, dead_N, Settings(**values), p, next_p)  # type: ignore[arg-type]


def check_gradients(recipe: str, made: Dictionary, step: StepInput, loss: torch.Tensor) -> None:
    named = {name: value for name, value in made.named_parameters() if value.requires_grad}
    expected = dict(zip(named, torch.autograd.grad(loss, list(named.values()), allow_unused=True), strict=True))
    out = step_function(recipe)(made, step)
    assert out.loss == pytest.approx(float(loss.detach()), rel=1e-9)
    for name, gradient in expected.items():
        if gradient is None:
            assert named[name].grad is None, name
        else:
            assert (cast(torch.Tensor, named[name].grad) - gradient).norm() < 1e-6 * gradient.norm(), name


def centre(made: Dictionary, x: torch.Tensor) -> torch.Tensor:
    return x - made.b_dec_D if made.subtracts_b_dec else x


# --- jumprelu -----------------------------------------------------------------------------------------------------


class _Step(torch.autograd.Function):
    """H(π − θ) with the straight-through gradient of θ; times ``scale`` = θ or 1, nothing for π."""

    @staticmethod
    def forward(ctx, pre, theta, window):
        ctx.save_for_backward(pre, theta)
        ctx.window = window
        return (pre > theta).to(pre.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        pre, theta = ctx.saved_tensors
        inside = (((pre - theta) / ctx.window).abs() < 0.5).to(pre.dtype)
        return torch.zeros_like(pre), -(inside * grad / ctx.window).sum(0), None


@pytest.mark.parametrize("transcoder", [False, True])
@pytest.mark.parametrize("dead", [0, 7])
@pytest.mark.parametrize("l0_loss", ["target", "l0", "tanh"])
def test_jumprelu_step_has_the_gradients_of_its_formula(transcoder, dead, l0_loss):
    made = cast(JumpReLU, random_dictionary("jumprelu", transcoder))
    made.threshold_F.data.uniform_(0.2, 1.0)
    dead_N = torch.randperm(40)[:dead].sort().values
    weights: dict[str, object] = {"sparsity_weight": 0.7, "aux_coefficient": 0.25, "tanh_scale": 2.0}
    step = batch(transcoder, dead_N=dead_N, target_l0=5.0, bandwidth=0.1, l0_loss=l0_loss, **weights)
    window = 0.1 * 12**0.5
    pre = centre(made, step.x_BD) @ made.W_enc_DF + made.b_enc_F
    active = cast(torch.Tensor, _Step.apply(pre, made.threshold_F, window))
    # π H has the gradient π K / ε where the formula says θ K / ε, so the jump is weighted by θ and the rest by π.
    acts = made.threshold_F.detach() * active + (pre - made.threshold_F.detach()) * active.detach()
    mse = (acts @ made.W_dec_FD + made.b_dec_D - step.y_BD).square().mean()
    penalty = {
        "target": (active.sum(1).mean() / 5 - 1) ** 2,
        "l0": active.sum(1).mean() / 12,
        "tanh": (2 * acts * made.W_dec_FD.norm(dim=1)).tanh().sum(1).mean() / 12,
    }[l0_loss]
    loss = mse + 0.7 * penalty
    if dead:
        loss = loss + 0.25 * (made.threshold_F - pre)[:, dead_N].relu().mean()
    check_gradients("jumprelu", made, step, loss)


# --- batchtopk ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transcoder", [False, True])
@pytest.mark.parametrize("dead", [0, 7])
@pytest.mark.parametrize("before", [0.0, 0.4, 50.0])  # the threshold so far: no help, a help, far too high
def test_batchtopk_step_has_the_gradients_of_its_formula(transcoder, dead, before):
    made = cast(JumpReLU, random_dictionary("jumprelu", transcoder))
    made.threshold_F.requires_grad_(False).fill_(before)
    dead_N = torch.randperm(40)[:dead].sort().values
    step = batch(transcoder, dead_N=dead_N, k=5, aux_k=3, aux_coefficient=0.25)
    pre = centre(made, step.x_BD) @ made.W_enc_DF + made.b_enc_F
    values, places = pre.relu().view(-1).topk(5 * 600)
    acts = torch.zeros_like(pre).view(-1).scatter(0, places, values).view_as(pre)
    decoded = acts @ made.W_dec_FD + made.b_dec_D
    loss = (decoded - step.y_BD).square().mean()
    if dead:
        error = (step.y_BD - decoded).detach()
        lows = pre[:, dead_N]
        values_, columns = lows.topk(3, dim=-1)
        aux = torch.zeros_like(lows).scatter(-1, columns, values_.relu()) @ made.W_dec_FD[dead_N]
        loss = loss + 0.25 * ((error - aux).square().sum() / error.square().sum() + (-lows).relu().mean())
    check_gradients("batchtopk", made, step, loss)
    expected = torch.full_like(made.threshold_F, before + 0.01 * (float(values.detach().min()) - before))
    torch.testing.assert_close(made.threshold_F, expected)


def test_batchtopk_keeps_what_is_positive_where_that_is_less_and_no_more_than_k_of_equals():
    made = random_dictionary("jumprelu")
    step = batch(k=39)
    positive = ((step.x_BD - made.b_dec_D) @ made.W_enc_DF + made.b_enc_F > 0).sum(1).double().mean()
    assert step_function("batchtopk")(made, step).l0 == pytest.approx(float(positive))
    for parameter in made.parameters():
        parameter.data.zero_()
    made.b_enc_F.data.fill_(1.0)
    assert step_function("batchtopk")(made, batch(k=4)).l0 == 4


# --- gated and standard -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0.0, -4.5])  # about half of the features are active, or so few that lists are used
@pytest.mark.parametrize("transcoder", [False, True])
@pytest.mark.parametrize("p", [1.0, 0.6])
def test_gated_step_has_the_gradients_of_its_formula(transcoder, p, bias):
    made = cast(Gated, random_dictionary("gated", transcoder))
    made.b_enc_F.data += bias
    step = batch(transcoder, sparsity_weight=0.3, p=p, next_p=0.5)
    plain = centre(made, step.x_BD) @ made.W_enc_DF
    gate = plain + made.b_enc_F
    acts = (gate > 0).double() * (made.r_mag_F.exp() * plain + made.b_mag_F).relu()
    guess = gate.relu() @ made.W_dec_FD.detach() + made.b_dec_D.detach()
    errors = (acts @ made.W_dec_FD + made.b_dec_D - step.y_BD).square() + (guess - step.y_BD).square()
    open_ = (gate.relu() * made.W_dec_FD.detach().norm(dim=1))[gate > 0]
    penalty = open_.pow(p).sum() / 600 / 12
    check_gradients("gated", made, step, errors.sum(1).mean() / 12 + 0.3 * penalty)
    after = float(open_.detach().sqrt().sum()) / 600 / 12
    assert step_function("gated")(made, step).penalties == pytest.approx((float(penalty.detach()), after))


@pytest.mark.parametrize("bias", [0.0, -4.5])
@pytest.mark.parametrize("p", [1.0, 0.6])
def test_standard_step_has_the_gradients_of_its_formula(p, bias):
    made = random_dictionary("standard")
    made.b_enc_F.data += bias
    step = batch(sparsity_weight=0.3, p=p, next_p=0.5)
    acts = (centre(made, step.x_BD) @ made.W_enc_DF + made.b_enc_F).relu()
    weighted = acts * made.W_dec_FD.norm(dim=1)
    rows = [weighted[row][weighted[row] > 0] for row in range(len(weighted))]
    penalty = torch.stack([row.pow(p).sum() for row in rows]).mean() / 12
    loss = (acts @ made.W_dec_FD + made.b_dec_D - step.y_BD).square().mean() + 0.3 * penalty
    check_gradients("standard", made, step, loss)
    after = float(torch.stack([row.detach().sqrt().sum() for row in rows]).mean()) / 12
    assert step_function("standard")(made, step).penalties == pytest.approx((float(penalty.detach()), after))


def test_annealing_goes_through_the_steps_of_the_reference_by_hand():
    made = PAnneal(start=0.1, last=0.1)  # changes at 0.1, 0.2, ... 1.0 and p = 1.0, 0.9, ... 0.1
    made.advance(0.09)
    assert (made.p, made.next_p, made.alpha) == (1.0, None, 1.0)
    made.advance(0.1)
    assert (made.p, made.next_p, made.alpha) == pytest.approx((1.0, 0.9, 1.0))
    for number in range(12):  # the first two are forgotten
        made.record(1000.0 if number < 2 else 6.0, 4.0)
    made.advance(0.2001)
    assert (made.p, made.next_p, made.alpha) == pytest.approx((0.9, 0.8, 1.5))
    made.record(1.0, 2.0)
    again = PAnneal(start=0.1, last=0.1)
    again.load(made.state())
    for one in (made, again):
        one.advance(0.31)
        assert (one.p, one.next_p, one.alpha) == pytest.approx((0.8, 0.7, 0.75))
        one.advance(1.0)
        assert (one.p, one.next_p) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize("recipe", ["standard", "gated"])
def test_annealing_leaves_fewer_features_active_at_the_same_weight(recipe):
    def l0(sparsity_p: float) -> float:
        made = trainer(recipe, sparsity_p=sparsity_p, anneal_start=0.1, sparsity_weight=0.5)
        sample = features(2000)
        made.start(sample, sample)
        train(made, 0, 200)
        return float((made.finished().encode(features(2000, seed=9)) > 0).sum(-1).float().mean())

    assert l0(0.2) < 0.8 * l0(1.0)


# --- what is asked for --------------------------------------------------------------------------------------------


def test_only_what_can_be_trained_is_offered_and_no_torch_is_needed_to_say_so():
    code = (
        "import sys; from saecli.cli.complete import names; from saecli.train.sae_config import TrainSaeConfig;"
        "from saecli.train.recipes import ARCHS; assert list(names('archs')) == list(ARCHS);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(UsageError, match="must be one of standard, topk"):
        resolve(TrainSaeConfig, {"arch": "cross_layer"})
    for recipe in RECIPES.values():
        assert recipe.arch in ARCHITECTURES


def test_a_plan_says_how_each_is_trained_and_what_it_becomes():
    info = tiny_model().info
    asked = TrainSaeConfig(arch="batchtopk", k=(4, 6), layers="1", latents=(16,))
    plans = plan_dictionaries(asked, info)
    assert [(plan.name, plan.recipe, plan.dictionary.arch, plan.settings.k) for plan in plans] == [
        ("k4/1.resid_pre", "batchtopk", "jumprelu", 4),
        ("k6/1.resid_pre", "batchtopk", "jumprelu", 6),
    ]
    assert plans[0].dictionary.options == {}
    (plan,) = plan_dictionaries(TrainSaeConfig(arch="jumprelu", target_l0=(7.5,), layers="1", latents=(16,)), info)
    assert (plan.recipe, plan.settings.target_l0, plan.settings.bandwidth) == ("jumprelu", 7.5, 0.01)
    with pytest.raises(UsageError, match="--target-l0 20 is more than the 16 latents"):
        plan_dictionaries(TrainSaeConfig(arch="jumprelu", target_l0=(20,), latents=(16,)), info)
    (plan,) = plan_dictionaries(TrainSaeConfig(arch="standard", sparsity_p=0.2, layers="1"), info)
    assert (plan.settings.sparsity_p, plan.settings.anneal_start) == (0.2, 0.3)
    with pytest.raises(UsageError, match=r"--sparsity-p 0\.2: --arch topk has no penalty to anneal"):
        plan_dictionaries(TrainSaeConfig(arch="topk", sparsity_p=0.2), info)


# --- training -----------------------------------------------------------------------------------------------------


def trainer(recipe: str, writes: Site = SITE, **changes: object) -> DictionaryTrainer:
    arch = RECIPES[recipe].arch
    options = {"topk": {"k": 3}, "matryoshka": {"group_sizes": [8, 24]}}.get(recipe, {})
    shape = DictionaryConfig(arch, 8, 32, SITE, writes, 8, options)
    values: dict[str, object] = {
        "lr": 0.02,
        "sparsity_weight": 0.1,
        "aux_k": 4,
        "dead_after": 20_000,
        "bandwidth": 0.03,
    }
    values |= {"k": 3, "target_l0": 3.0, "decoder_norm": RECIPES[recipe].decoder_norm}
    settings = Settings(**{**values, **changes})  # type: ignore[arg-type]
    return DictionaryTrainer(TrainerConfig("", shape, recipe, 0, settings), torch.device("cpu"))


def train(made: DictionaryTrainer, first: int, last: int) -> list[float]:
    space, losses = Workspace(), []
    for number in range(first, last):
        x = features(512, seed=number + 1)
        losses.append(made.step(x, x, min(1.0, (200 - number) / 60), space, number / 200).mse)
    return losses


@pytest.mark.parametrize("recipe", sorted(set(TRAINED) - {"topk"}))
def test_training_reaches_what_it_should_and_is_stored_in_the_units_of_the_model(recipe):
    made = trainer(recipe, sparsity_weight=0.6)
    sample = features(2000)
    made.start(sample, sample)
    train(made, 0, 200)
    finished, x = made.finished(), features(4000, seed=777)
    assert finished.config.arch == RECIPES[recipe].arch
    share = float((finished(x) - x).square().sum() / (x - x.mean(0)).square().sum())
    l0 = float((finished.encode(x) > 0).sum(-1).float().mean())
    assert share < 0.25, share
    assert 1 < l0 < 6, l0
    if made.config.recipe in ("jumprelu", "batchtopk", "matryoshka"):
        assert l0 == pytest.approx(3, rel=0.2)
    # The scale is folded into every weight that has one: what the trained units give, the model's units give.
    scaled = made.dictionary((x * made.units.scale_in).clone()).detach() / made.units.scale_out
    torch.testing.assert_close(finished(x), scaled, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("recipe", "sparsity_p"),
    [*((name, 1.0) for name in TRAINED), ("standard", 0.2), ("gated", 0.2)],
)
def test_a_trainer_goes_on_from_its_state_in_the_same_bits(recipe, sparsity_p):
    whole, part, again = (trainer(recipe, dead_after=600, sparsity_p=sparsity_p, anneal_start=0.01) for _ in range(3))
    sample = features(500)
    whole.start(sample, sample)
    part.start(sample, sample)
    train(whole, 0, 12)
    train(part, 0, 5)
    again.load(part.state())
    train(again, 5, 12)
    a, b = whole.finished().state_dict(), again.finished().state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
