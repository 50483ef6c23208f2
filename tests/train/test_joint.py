"""Models and dictionaries trained in one loss: the loss is the formula, and nothing else changes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saecli.core.errors import UsageError
from saecli.core.gpt import GPT
from saecli.core.ranks import ONE, ranks_here
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.data.source import Batch
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.formats.suite import read_suite
from saecli.train import lm
from saecli.train.joint import JointDictionaries
from saecli.train.lm_config import TrainLMConfig
from saecli.train.lm_memory import memory_need
from tests.processes import run_ranks
from tests.train.test_lm_recipes import Source
from tests.twins.joint import joint_loss

TINY = TrainLMConfig(
    n_layer=2,
    n_head=2,
    d_model=8,
    steps=6,
    batch_size=5,
    warmup=2,
    log_every=2,
    eval_every=3,
    held_out=4,
    precision="fp64",
    checkpoint_seconds=1e9,
)
ARCHS: dict[str, dict[str, Any]] = {
    "topk": {"sae": "topk", "sae_k": 3},
    "standard": {"sae": "standard", "sae_sparsity_weight": "0.02,0.05,0.1"},
    "standard-tied": {"sae": "standard", "sae_sparsity_weight": "0.02", "sae_tied": True},
    "gated": {"sae": "gated", "sae_sparsity_weight": "0.1"},
    "gated-tied": {"sae": "gated", "sae_sparsity_weight": "0.1", "sae_tied": True},
    "jumprelu": {"sae": "jumprelu", "sae_sparsity_weight": "0.01,0.02,0.03"},
}
EVERY_ARCH = pytest.mark.parametrize("arch", ARCHS)


def config_of(arch: str, **changes: Any) -> TrainLMConfig:
    return dataclasses.replace(TINY, sae_latents=20, **ARCHS[arch], **changes)


def source() -> Source:
    return Source(vocab_size=11, n_ctx=6, rows=5, ces=(2.0, 1.0, 3.0))


def train(config: TrainLMConfig, folder: Path, **more: Any) -> lm.LMResult:
    return lm.train_lm(config, folder, source=source(), **more)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def in_training(config: TrainLMConfig) -> tuple[GPT, JointDictionaries]:
    """A model and dictionaries with large random weights, thresholds included."""
    torch.manual_seed(0)
    model = GPT(lm.model_shape(config, source())).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    joint = JointDictionaries(config, model)
    for made in joint.dictionaries.values():
        for name, parameter in made.named_parameters():
            if not (config.sae_tied and name == "W_enc_DF"):
                nn.init.normal_(parameter, std=0.4)
        if isinstance(made, JumpReLU):
            nn.init.uniform_(made.threshold_F, 0.05, 0.5)
    return model, joint


def some_batch() -> Batch:
    """Positions with nothing to predict are in it."""
    batch = source().batch(0)
    following = batch.next_BS.clone()
    following[1, 3:] = -1
    return Batch(batch.tokens_BS, following)


@EVERY_ARCH
def test_the_loss_and_its_gradients_are_those_of_the_formula(arch: str):
    config = config_of(arch, regularisation=1.7)
    model, joint = in_training(config)
    batch = some_batch()
    loss, _ = joint.accumulate_gradients(batch, ONE, lambda: False)
    names = dict(model.named_parameters())
    made = {
        f"{site}.{name}": parameter
        for site, one in joint.dictionaries.items()
        for name, parameter in one.named_parameters()
    }
    found = {name: parameter.grad for name, parameter in (names | made).items()}
    for parameter in (names | made).values():
        parameter.grad = None
    expected = joint_loss(model, joint.dictionaries, batch, 1.7, config.sparsity_weights(2))
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-12)
    for name, parameter in (names | made).items():
        wanted, got = parameter.grad, found[name]
        if wanted is None:
            assert got is None or not got.any()
            continue
        assert got is not None, name
        assert (got - wanted).abs().max() <= 1e-9 * wanted.abs().max() + 1e-15, name
    moved = {name for name, parameter in (names | made).items() if parameter.grad is not None and parameter.grad.any()}
    assert names.keys() <= moved
    assert {name for name in made if "W_" in name or "threshold" in name} <= moved


@EVERY_ARCH
def test_without_weight_the_model_goes_its_own_way_to_the_bit(arch: str, tmp_path: Path):
    """The dictionaries' gradients into the model are exact zeros, and x + 0 is x; clipping does not couple them."""
    zero = {} if arch == "topk" else {"sae_sparsity_weight": "0"}
    config = dataclasses.replace(config_of(arch), regularisation=0.0, precision="fp32", **zero)
    alone = train(dataclasses.replace(TINY, precision="fp32"), tmp_path / "alone")
    along = train(config, tmp_path / "along")
    assert torch.equal(weights(alone.model), weights(along.model))
    assert not torch.equal(
        weights(alone.model), weights(train(config_of(arch, precision="fp32"), tmp_path / "on").model)
    )


@EVERY_ARCH
def test_dictionaries_learn_to_reconstruct(arch: str, tmp_path: Path):
    train(config_of(arch, steps=30, log_every=10, eval_every=30, lr=1e-2), tmp_path)
    records = [json.loads(line) for line in (tmp_path / lm.METRICS).read_text().splitlines()]
    for site in ("0.resid_pre", "1.resid_pre", "2.resid_pre"):
        rows = [one for one in records if one.get("site") == site]
        assert [one["step"] for one in rows] == [10, 20, 30]
        assert rows[-1]["recon"] / rows[-1]["norm"] ** 2 < rows[0]["recon"] / rows[0]["norm"] ** 2
        assert all(0 <= one["l0"] <= (3 if arch == "topk" else 20) for one in rows)


@EVERY_ARCH
def test_a_stopped_run_continues_to_the_same_bits(arch: str, tmp_path: Path):
    config = config_of(arch, precision="fp32", keep="best")
    whole = train(config, tmp_path / "whole")
    for steps in (3, 2):  # within and at the end of a logging interval
        calls = iter(range(1, 100))
        assert not train(
            config, tmp_path / "parts", stop=lambda calls=calls, steps=steps: next(calls) == steps
        ).complete
    parts = lm.train_lm(config, tmp_path / "parts", source=Source(vocab_size=11, n_ctx=6, rows=5, ces=(1.0, 3.0)))
    assert (whole.kept, parts.kept) == (6, 6)
    assert torch.equal(weights(whole.model), weights(parts.model))
    for one, other in zip(whole.dictionaries, parts.dictionaries, strict=True):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    assert (tmp_path / "whole" / lm.METRICS).read_bytes() == (tmp_path / "parts" / lm.METRICS).read_bytes()


def test_dictionaries_have_a_learning_rate_of_their_own(tmp_path: Path):
    still, lively = (train(config_of("topk", sae_lr=rate), tmp_path / str(rate)).dictionaries for rate in (0.0, None))
    for site, (one, other) in enumerate(zip(still, lively, strict=True)):
        fresh = JointDictionaries(config_of("topk"), GPT(lm.model_shape(TINY, source()))).finished()[site]
        assert torch.equal(weights(one), weights(fresh))
        assert (weights(one) - weights(other)).abs().max() > 1e-3


def test_the_best_model_keeps_the_dictionaries_of_its_step(tmp_path: Path):
    config = config_of("topk", keep="best", steps=6, schedule="constant")
    first = lm.train_lm(config, tmp_path / "six", source=Source(11, 6, 5, ces=(1.0, 2.0)))
    assert first.kept == 3
    three = lm.train_lm(dataclasses.replace(config, steps=3), tmp_path / "three", source=Source(11, 6, 5, ces=(1.0,)))
    assert torch.equal(weights(first.model), weights(three.model))
    for one, other in zip(first.dictionaries, three.dictionaries, strict=True):
        assert torch.equal(weights(one), weights(other))
    last = train(dataclasses.replace(config, keep="last"), tmp_path / "last")
    assert not torch.equal(weights(first.dictionaries[0]), weights(last.dictionaries[0]))


def _train_there(config: TrainLMConfig, folder: Path) -> tuple[list[float], list[list[float]]]:
    torch.set_num_threads(1)
    ranks = ranks_here()
    ranks.join("cpu")
    result = train(config, folder, ranks=ranks)
    ranks.barrier()
    ranks.part_ways()
    return weights(result.model).tolist(), [weights(one).tolist() for one in result.dictionaries]


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path: Path):
    """Norms and errors are of the whole batch, in the width of the window too."""
    config = config_of("jumprelu")
    alone = train(config, tmp_path / "alone")
    together = run_ranks(2, _train_there, config, tmp_path / "all")
    assert together[0] == together[1]
    model, dictionaries = together[0]
    assert (weights(alone.model) - torch.tensor(model, dtype=torch.float64)).abs().max() < 1e-10
    for one, other in zip(alone.dictionaries, dictionaries, strict=True):
        assert (weights(one) - torch.tensor(other)).abs().max() < 1e-6
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / lm.METRICS).open() if '"train"' in line]
        for name in ("alone", "all")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-10)


FLAGS = ("--n-layer", "1", "--n-head", "1", "--d-model", "16", "--steps", "3", "--batch-size", "4", "--held-out", "4")


def test_the_suite_is_stored_measured_and_belongs_to_the_model(saecli: Any, tmp_path: Path):
    flags = (*FLAGS, "--sae", "gated", "--sae-latents", "24", "--sae-sparsity-weight", "0.1")
    kinds = ("--sae-kind", "resid_mid", "--sae-kind", "mlp_post", "--save-dtype", "float16")
    done = saecli("train", "lm", *flags, *kinds, "--out", "lm", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)["regularised"]
    assert [one["site"] for one in found["dictionaries"]] == ["0.resid_mid", "0.mlp_post"]
    suite = read_suite(tmp_path / "lm" / "suite")
    assert [(one.d_in, one.n_latents) for one in suite.configs.values()] == [(16, 24), (64, 24)]
    assert suite.info.model == "model"
    assert suite.info.measured[Site(0, "mlp_post")]["l0"] == pytest.approx(found["dictionaries"][1]["l0"], abs=1e-5)
    checked = saecli("validate", "lm/suite", "--model", "lm/model", "--sequences", "4", "--firing", "4", "--json")
    assert checked.code == 0, checked.err
    measured = json.loads(checked.out)
    assert measured["ce"]["value"] == pytest.approx(found["ce"], abs=1e-5)
    assert measured["compound"][0]["metrics"]["compound_ce_increase"]["value"] == pytest.approx(
        found["compound_ce_increase"], abs=1e-5
    )


def test_one_site_stands_for_all_together(saecli: Any):
    flags = ("--sae", "topk", "--sae-latents", "24", "--sae-k", "2", "--sae-kind", "mlp_out")
    done = saecli("train", "lm", *FLAGS, *flags, "--out", "lm", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)["regularised"]
    assert [one["ce_increase"] for one in found["dictionaries"]] == [found["compound_ce_increase"]]


def test_without_dictionaries_nothing_of_them_is_stored(saecli: Any, tmp_path: Path):
    done = saecli("train", "lm", *FLAGS, "--out", "lm", "--json")
    assert json.loads(done.out)["regularised"] is None
    assert not (tmp_path / "lm" / "suite").exists()
    assert "dictionary" not in (tmp_path / "lm" / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"sae_k": 3}, "--sae-k is of dictionaries"),
        ({"regularisation": 2.0}, "--regularisation is of dictionaries"),
        ({"sae_kind": ("mlp_out",)}, "--sae-kind is of dictionaries"),
        ({"sae": "topk", "sae_k": 21, "sae_latents": 20}, "--sae-k 21 is more than the 20 latents"),
        ({"sae": "standard"}, "needs --sae-sparsity-weight"),
        ({"sae": "standard", "sae_sparsity_weight": "1,2"}, "2 numbers for 3 sites, 0.resid_pre to 2.resid_pre"),
        ({"sae": "gated", "sae_sparsity_weight": "1,x"}, "expected numbers from 0"),
        ({"sae": "gated", "sae_sparsity_weight": "-1"}, "expected numbers from 0"),
        ({"sae": "topk", "sae_sparsity_weight": "1"}, "topk has --sae-k"),
        ({"sae": "jumprelu", "sae_sparsity_weight": "1", "sae_k": 3}, "--sae-k is for topk"),
        ({"sae": "topk", "sae_tied": True}, "--sae-tied is for --sae standard or gated"),
        ({"sae": "topk", "sae_kind": ("resid",)}, "the kinds of sites are resid_pre"),
        ({"sae": "topk", "sae_kind": ("resid_pre", "resid_post")}, "two dictionaries would read 0.resid_post"),
        ({"sae": "topk", "micro_batch": 2}, "a ratio over the whole step"),
        ({"sae": "batchtopk"}, "must be one of standard, gated, jumprelu, topk"),
        ({"sae": "topk", "regularisation": -1.0}, "at least 0"),
    ],
)
def test_what_does_not_go_together_is_named_beforehand(flags: dict[str, Any], words: str):
    with pytest.raises(UsageError, match=words):
        dataclasses.replace(TINY, **flags)


@EVERY_ARCH
def test_the_memory_that_is_counted_holds_what_waits_for_the_backward_pass(arch: str):
    config = dataclasses.replace(config_of(arch), sae_latents=512, n_ctx=64, batch_size=8)
    data, kept = Source(vocab_size=11, n_ctx=64, rows=8), {}
    model = GPT(shape := lm.model_shape(config, data)).double()
    joint = JointDictionaries(config, model)
    sites = {site: torch.randn(8, 64, 8, dtype=torch.float64) for site in joint.dictionaries}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: (kept.__setitem__(t.untyped_storage().data_ptr(), (t.untyped_storage().nbytes(), t)), t)[1],
        lambda t: t,
    ):
        joint.loss(sites, torch.ones(8, 64, dtype=torch.bool), torch.tensor(512), ONE)
    weights = {parameter.untyped_storage().data_ptr() for parameter in joint.parameters()}
    saved = sum(size for place, (size, _) in kept.items() if place not in weights)
    without = memory_need(dataclasses.replace(TINY, n_ctx=64, batch_size=8), shape)
    need = memory_need(config, shape)
    own = [one for made in joint.dictionaries.values() for one in made.parameters()]
    assert need.state - without.state >= 4 * 8 * sum(map(torch.numel, own))
    assert saved <= need.activations - without.activations <= saved + 5 * 512 * 512 * 8


def test_weights_are_the_published_ones_unless_told():
    assert config_of("topk").error_weight == 3
    assert config_of("gated").error_weight == 2
    assert config_of("gated", regularisation=0.5).error_weight == 0.5
    assert config_of("standard-tied").sparsity_weights(2) == (0.02, 0.02, 0.02)


def test_a_suite_of_finished_dictionaries_reads_what_was_trained(tmp_path: Path):
    """Tied encoders are stored as they are, and every dictionary reconstructs what the one in training did."""
    result = train(config_of("gated-tied"), tmp_path)
    suite = Suite.of(SuiteInfo("one", "tiny"), list(result.dictionaries))
    assert suite.sites == (Site(0, "resid_pre"), Site(1, "resid_pre"), Site(2, "resid_pre"))
    for made in suite.values():
        assert torch.equal(made.W_enc_DF, made.W_dec_FD.T)
        assert not any(parameter.requires_grad for parameter in made.parameters())
