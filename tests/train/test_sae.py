"""Training dictionaries: right gradients, the same bits after an interruption, and what training is for."""

import json
import math
import signal
from pathlib import Path

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import Failure, InputError, UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.interrupt import deferred_interrupt
from saecli.core.site import Site
from saecli.data.games import OthelloSource
from saecli.dictionaries import make_dictionary
from saecli.learning.rate import learning_rate
from saecli.train.activations import ActivationStream
from saecli.train.dense_step import standard_step
from saecli.train.sae import train_sae
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_loop import CHECKPOINT, METRICS
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.settings import Settings
from saecli.train.sparse_step import topk_step
from saecli.train.step import StepInput, Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from tests.twins.topk_step import topk_step as plain_topk_step

SITE, OUT = Site(1, "mlp_in"), Site(1, "mlp_out")
NONE = torch.empty(0, dtype=torch.long)


def tiny_model(seed: int = 0):
    torch.manual_seed(seed)
    return thin_gpt(GPT(GPTConfig(61, 59, 2, 2, 16)), "tiny", vocabulary="othello")


def config(**changes: object) -> TrainSaeConfig:
    values: dict[str, object] = {
        "sae": (SaeTable(k=(3, 5), latents=(40,)), SaeTable(kind=("mlp_out",), k=(3, 5), latents=(24,), lr=0.01)),
        "data": "othello",
        "tokens": 2400,
        "batch": 256,
        "buffer": 900,
        "sequences": 4,
        "lr": 0.01,
        "log_every": 3,
        "dead_after": 700,
    }
    return TrainSaeConfig(**{**values, **changes})  # type: ignore[arg-type]


def bits(result) -> dict[str, torch.Tensor]:
    return {
        f"{variant}/{site}/{name}": value
        for variant, suite in result.suites.items()
        for site in suite
        for name, value in suite[site].state_dict().items()
    }


def same_bits(a, b) -> bool:
    a, b = bits(a), bits(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- the step -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("k", "few_fire"), [(4, False), (30, True), (64, True)])
@pytest.mark.parametrize("dead", [0, 3, 20])
@pytest.mark.parametrize("transcoder", [False, True])
def test_sparse_step_has_the_gradients_of_autograd(dtype, k, few_fire, dead, transcoder):
    torch.manual_seed(k + dead)
    made = make_dictionary(DictionaryConfig("topk", 12, 64, SITE, OUT if transcoder else SITE, 12, {"k": k})).to(dtype)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    if few_fire:  # fewer than k positive pre-activations in many rows
        made.b_enc_F.data -= 2
    x = torch.randn(700, 12, dtype=dtype)
    y = torch.randn(700, 12, dtype=dtype) if transcoder else x
    step = StepInput(x, y, torch.randperm(64)[:dead].sort().values, Settings(k=k, aux_k=5, aux_coefficient=1 / 8))
    expected, fired_F = plain_topk_step(made, step)
    gradients = {name: parameter.grad.clone() for name, parameter in made.named_parameters()}
    out = topk_step(made, step)
    assert out.loss == pytest.approx(float(expected), rel=1e-5)
    assert torch.equal(out.fired_F, fired_F)
    for name, parameter in made.named_parameters():
        error = (parameter.grad - gradients[name]).norm() / gradients[name].norm()
        assert error < (1e-5 if dtype == torch.float32 else 1e-12), name
    acts = made.encode(x) > 0
    assert out.l0 == pytest.approx(float(acts.sum(-1).double().mean()))


def test_standard_step_is_the_formula():
    torch.manual_seed(0)
    made = make_dictionary(DictionaryConfig("standard", 5, 9, SITE, SITE, 5)).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(20, 5, dtype=torch.float64)
    out = standard_step(made, StepInput(x, x, NONE, Settings(sparsity_weight=0.3)))
    acts = ((x - made.b_dec_D) @ made.W_enc_DF + made.b_enc_F).relu()
    error = (acts @ made.W_dec_FD + made.b_dec_D - x).square().sum(1)
    loss = (error + 0.3 * acts @ made.W_dec_FD.norm(dim=1)).mean() / 5
    (expected,) = torch.autograd.grad(loss, made.W_enc_DF)
    assert out.loss == pytest.approx(float(loss.detach()))
    assert out.mse == pytest.approx(float(error.detach().mean() / 5))
    torch.testing.assert_close(made.W_enc_DF.grad, expected)


def trainer(arch: str = "topk", latents: int = 32, **changes: object) -> DictionaryTrainer:
    shape = DictionaryConfig(arch, 8, latents, SITE, SITE, 8, {"k": 3} if arch == "topk" else {})
    settings = Settings(
        **{
            "lr": 0.01,
            "k": 3,
            "sparsity_weight": 0.1,
            "aux_k": 4,
            "dead_after": 10**9,
            "decoder_norm": "free" if arch == "standard" else "unit",
            **changes,
        }
    )  # type: ignore[arg-type]
    return DictionaryTrainer(TrainerConfig("", shape, arch, 0, settings), torch.device("cpu"))


def features(count: int, width: int = 8, seed: int = 0) -> torch.Tensor:
    """Vectors that are sparse sums of a few directions, off centre and large."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(16, width, generator=torch.Generator().manual_seed(99))
    directions /= directions.norm(dim=1, keepdim=True)
    weights = torch.rand(count, 16, generator=generator) * (torch.rand(count, 16, generator=generator) < 0.1)
    return 30 * weights @ directions + 7


@pytest.mark.parametrize("arch", ["topk", "standard"])
def test_training_finds_sparse_structure_and_undoes_the_scale(arch):
    made, space = trainer(arch, lr=0.02), Workspace()
    sample = features(2000)
    made.start(sample, sample)
    losses = []
    for step in range(150):
        x = features(512, seed=step + 1)
        losses.append(made.step(x, x, 1.0, space).mse)
    finished = made.finished()
    x = features(1000, seed=7)
    share = float((finished(x) - x).square().sum() / (x - x.mean(0)).square().sum())
    assert share < 0.3 < 0.5 * losses[0]
    assert share == pytest.approx(losses[-1], rel=0.5)
    if arch == "topk":
        torch.testing.assert_close(finished.W_dec_FD.norm(dim=1), torch.ones(32))
    assert finished.W_enc_DF.is_contiguous()


def test_start_removes_the_mean():
    made = trainer()
    x = features(2000)
    made.start(x, x)
    torch.testing.assert_close(made.finished().b_dec_D, x.mean(0), rtol=1e-4, atol=1e-4)
    assert float((x * made.units.scale_in).var(0, unbiased=False).mean()) == pytest.approx(1, rel=1e-4)


def test_fused_optimiser_on_the_transposed_encoder_is_plain_adam():
    made, plain = trainer(grad_clip=0.0), trainer(grad_clip=0.0)
    plain._update.adam = torch.optim.Adam(plain._update.adam.param_groups[0]["params"], lr=0.01, fused=False)
    x = features(300)
    for one in (made, plain):
        one.start(x, x)
        for _ in range(5):
            batch = x.clone()
            one.step(batch, batch, 1.0, Workspace())
    for a, b in zip(made.dictionary.parameters(), plain.dictionary.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_auxiliary_loss_revives_the_dead():
    def dead_share(coefficient: float) -> float:
        made, space = trainer(dead_after=2000, aux_coefficient=coefficient), Workspace()
        sample = features(2000)
        made.start(sample, sample)
        made.dictionary.b_enc_F.data[:20] = -3.0  # most latents cannot compete
        for step in range(120):
            x = features(256, seed=step)
            made.step(x, x, 1.0, space)
        return made.dead_share

    assert dead_share(0.0) > 0.3
    assert dead_share(1 / 32) < 0.15


# --- the loop -------------------------------------------------------------------------------------------------------


def test_one_pass_trains_suites_at_many_sites(tmp_path):
    result = train_sae(config(), tiny_model(), tmp_path, threads=1)
    assert result.complete
    assert sorted(result.suites) == ["k3", "k5"]
    suite = result.suites["k5"]
    assert " ".join(map(suite.label, suite.sites)) == "0 0.mlp_out 1 1.mlp_out 2"
    assert suite[Site(1, "mlp_out")].config.n_latents == 24
    assert suite[Site(2, "resid_pre")].config.options["k"] == 5
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert lines == result.records
    assert lines[-1]["tokens"] == result.tokens >= 2400
    explained = [line["variance_explained"] for line in lines if (line["suite"], line["site"]) == ("k5", "2.resid_pre")]
    assert explained[-1] > explained[0] + 0.1
    suite.attach(tiny_model())
    with pytest.raises(InputError, match="the weights of tiny are others"):
        suite.attach(tiny_model(1))


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path, stop_after):
    model = tiny_model()
    whole = train_sae(config(), model, tmp_path / "whole", threads=2)
    calls = iter(range(100))
    part = train_sae(config(), model, tmp_path / "part", threads=2, stop=lambda: next(calls) + 1 >= stop_after)
    assert not part.complete
    assert part.steps == stop_after
    again = train_sae(config(resume=True), model, tmp_path / "part", threads=1)  # goes on with the recorded threads
    assert same_bits(whole, again)
    assert again.records == whole.records
    assert (tmp_path / "part" / METRICS).read_bytes() == (tmp_path / "whole" / METRICS).read_bytes()


def test_a_dictionary_does_not_depend_on_those_beside_it(tmp_path):
    model = tiny_model()
    many = train_sae(config(), model, tmp_path / "many", threads=2)
    one = train_sae(config(sae=(SaeTable(k=(5,), latents=(40,), layers="1"),)), model, tmp_path / "one", threads=1)
    site = Site(1, "resid_pre")
    assert torch.equal(one.suites[""][site].W_enc_DF, many.suites["k5"][site].W_enc_DF)


def test_an_interrupt_ends_the_step_and_saves(tmp_path):
    calls, model = iter(range(100)), tiny_model()
    with deferred_interrupt() as stop:

        def press() -> bool:
            if next(calls) == 2:
                signal.raise_signal(signal.SIGINT)
            return stop()

        assert not train_sae(config(), model, tmp_path / "part", threads=1, stop=press).complete
        with pytest.raises(KeyboardInterrupt):
            stop.deliver()
    again = train_sae(config(checkpoint_seconds=0.0), model, tmp_path / "part", threads=1)
    assert same_bits(again, train_sae(config(), model, tmp_path / "whole", threads=1))


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    model = tiny_model()
    with pytest.raises(InputError, match="no checkpoint to resume"):
        train_sae(config(resume=True), model, tmp_path, threads=1)
    train_sae(config(), model, tmp_path, threads=1, stop=lambda: True)
    with pytest.raises(InputError, match="made with tokens = 2400, not 9000"):
        train_sae(config(tokens=9000), model, tmp_path, threads=1)
    with pytest.raises(InputError, match="made with another model"):
        train_sae(config(), tiny_model(1), tmp_path, threads=1)
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        train_sae(config(), model, tmp_path, threads=1)
    assert train_sae(config(overwrite=True), model, tmp_path, threads=1).complete


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(Failure, match=r"The loss of k3/0.* at step \d+"):
        train_sae(config(lr=1e38, grad_clip=0.0), tiny_model(), tmp_path, threads=1)


def test_data_of_another_vocabulary_are_refused(tmp_path):
    chess = thin_gpt(GPT(GPTConfig(61, 59, 1, 2, 8)), "chess", vocabulary="chess")
    with pytest.raises(InputError, match="reads the vocabulary 'chess', and the data are 'othello'"):
        train_sae(config(data="othello"), chess, tmp_path, threads=1)


# --- what is trained ----------------------------------------------------------------------------------------------


def test_a_plan_names_every_dictionary():
    info = tiny_model().info
    plans = plan_dictionaries(TrainSaeConfig(kind=("resid_pre", "attn_out"), k=(4,), latents=(16,)), info)
    assert [plan.name for plan in plans] == ["0.resid_pre", "0.attn_out", "1.resid_pre", "1.attn_out", "2.resid_pre"]
    plans = plan_dictionaries(TrainSaeConfig(kind=("mlp_in>mlp_post",), layers="1", k=(4,), latents=(16,)), info)
    (shape,) = [plan.dictionary for plan in plans]
    assert plans[0].name == "1.mlp_in>1.mlp_post"
    assert (shape.reads, shape.writes, shape.d_in, shape.d_out) == (SITE, Site(1, "mlp_post"), 16, 64)
    with pytest.raises(UsageError, match=r"--kind mlp_out>mlp_in: mlp_in comes before mlp_out"):
        plan_dictionaries(TrainSaeConfig(kind=("mlp_out>mlp_in",)), info)
    with pytest.raises(UsageError, match=r"There is no site kind 'mlp'"):
        plan_dictionaries(TrainSaeConfig(kind=("mlp_in>mlp",)), info)
    with pytest.raises(UsageError, match=r"Two dictionaries of one suite write 0\.mlp_out"):
        plan_dictionaries(TrainSaeConfig(kind=("mlp_in>mlp_out", "mlp_out")), info)
    with pytest.raises(UsageError, match="--k 40 is more than the 16 latents"):
        plan_dictionaries(TrainSaeConfig(k=(40,), latents=(16,)), info)
    with pytest.raises(UsageError, match=r"--layers 7: selects no resid_pre site: tiny has 0\.\.2; try --layers 0:3"):
        plan_dictionaries(TrainSaeConfig(layers="7:"), info)
    with pytest.raises(UsageError, match=r"Two .* tables train a dictionary at 0.resid_pre"):
        plan_dictionaries(TrainSaeConfig(sae=(SaeTable(), SaeTable(layers="0"))), info)
    tables = (
        SaeTable(latents=(16, 24), k=(4, 8)),
        SaeTable(name="l1", arch="standard", sparsity_weight=(0.5,), latents=(16,)),
    )
    plans = plan_dictionaries(TrainSaeConfig(sae=tables, layers="0"), info)
    shapes = {plan.variant: (plan.dictionary.n_latents, plan.dictionary.options) for plan in plans}
    assert shapes["f24-k8"] == (24, {"k": 8})
    assert len(shapes) == 5
    assert {plan.settings.sparsity_weight for plan in plans if plan.variant == "l1-f16"} == {0.5}


def test_the_learning_rate_rises_and_falls_to_zero():
    values = [learning_rate(tokens, 100, 0.1, 0.2) for tokens in range(0, 101, 5)]
    assert values[0] == pytest.approx(0.1)
    assert values[2:17] == pytest.approx([1.0] * 15)
    assert values[-1] == 0
    assert learning_rate(0, 100, 0.0, 0.0) == 1


def test_blocks_hold_every_real_position_once_and_depend_on_their_number_alone():
    model, source = tiny_model(), OthelloSource(4, 5)
    sites = [Site(1, "resid_pre"), Site(1, "mlp_out")]
    stream = ActivationStream(model, source, sites, 900, 0)
    first = stream.filling(3).block()
    expected = []
    for step in range(3 * stream.batches, 4 * stream.batches):
        batch = source.batch(step)
        with torch.no_grad():
            values = model.run(batch.tokens_BS, read=sites).sites[sites[1]]
        expected.append(values[batch.next_BS >= 0])
    assert torch.equal(first.vectors_ND[sites[1]], torch.cat(expected))
    parts = [part.rows_N for part in first.parts(200)]
    assert [len(rows) for rows in parts] == [part.total for part in first.parts(200)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(len(first.order_N)))
    again = ActivationStream(model, source, sites, 900, 0).filling(3).block()
    assert torch.equal(again.order_N, first.order_N)
    assert not torch.equal(stream.filling(4).block().order_N[:50], first.order_N[:50])
    assert math.isclose(sum(map(len, parts)), len(first.order_N))


def test_files_of_the_command(tmp_path: Path, monkeypatch):
    from saecli.core.run import Run
    from saecli.formats.hf_gpt2 import save_gpt
    from saecli.formats.suite import read_suite
    from saecli.train.sae_run import plan, run

    monkeypatch.chdir(tmp_path)
    save_gpt(GPT(GPTConfig(61, 59, 2, 2, 16)), tmp_path / "lm", vocabulary="othello")
    asked = config(model="lm", held_out=3, threads=1, save_dtype="float16")
    assert any("k3/1.mlp_out: topk 24 latents" in line for line in plan(asked))
    opened = Run.open(asked)
    opened.finish(run(asked, opened, lambda *_, **__: None))
    assert len(opened.stored["dictionaries"]) == 10
    suite = read_suite(opened.path("suite-k5"))
    assert suite.info.name == "lm-k5"
    assert suite.info.measured[Site(0, "mlp_out")]["l0"] <= 5
    assert opened.stored["dictionaries"][0]["allowed_kept"] is not None
