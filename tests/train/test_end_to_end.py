"""End-to-end training: gradients of the whole loss, known answers, whole sequences, and what it is for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import ThinModel, thin_gpt
from saecli.core.ranks import ranks_here
from saecli.core.site import Site
from saecli.data.games import OthelloSource
from saecli.data.source import Batch
from saecli.train.activation_cache import RememberingModel
from saecli.train.end_to_end import EndToEnd
from saecli.train.recipes import RECIPES
from saecli.train.sae import train_sae
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_loop import METRICS, SaeResult
from saecli.train.sae_memory import as_read, memory_need, model_need
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.sequences import SequenceBlock, SequencePart, SequenceStream
from saecli.train.settings import Settings
from saecli.train.step import Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from tests.processes import run_ranks
from tests.twins.end_to_end import end_to_end_loss

DROPPED = 20
CPU = torch.device("cpu")
WEIGHT = 0.7


def model(layers: int = 2, seed: int = 0) -> ThinModel:
    """Random, with random norms, and blocks that do something."""
    torch.manual_seed(seed)
    module = GPT(GPTConfig(61, 59, layers, 2, 8))
    for name, parameter in module.named_parameters():
        if "ln_" in name:
            nn.init.normal_(parameter, float(name.endswith("weight")), 0.3)
        else:
            nn.init.normal_(parameter, 0, 0.3)
    return thin_gpt(module, "tiny", vocabulary="othello")


class Cut(OthelloSource):
    """Othello games, their beginnings only."""

    def batch(self, step: int) -> Batch:
        whole = super().batch(step)
        return Batch(whole.tokens_BS[:, :9], whole.next_BS[:, :9])


def stream(made: ThinModel, sites: set[Site], batch: int = 20) -> SequenceStream:
    return SequenceStream(made, Cut(5, 3), sites, batch, (DROPPED,))


def trainer(recipe: str, reads: Site, writes: Site, width: int = 8, latents: int = 20, **changes: object):
    options: dict[str, object] = {"k": 4} if recipe in ("topk", "matryoshka") else {}
    if recipe == "matryoshka":
        options["group_sizes"] = [4, 6, 10]
    if reads != writes:
        options["skip"] = True
    shape = DictionaryConfig(RECIPES[recipe].arch, width, latents, reads, writes, width, options)
    settings = Settings(
        **{"lr": 0.0, "k": 4, "sparsity_weight": 0.3, "target_l0": 5.0, "decoder_norm": "free", "grad_clip": 0.0,
           "aux_k": 3, "aux_coefficient": 0.1, "bandwidth": 0.3, "dead_after": 1, **changes}
    )  # type: ignore[arg-type]  # fmt: skip
    return DictionaryTrainer(TrainerConfig("", shape, recipe, 3, settings), CPU, torch.float64)


# --- the loss -----------------------------------------------------------------------------------------------------


def reads_and_adds(recipe: str, one: DictionaryTrainer, x: Tensor, y: Tensor, dead_N: Tensor) -> tuple[Tensor, Tensor]:
    """The formulas: prefixes of the reconstruction [G, N, D] without a skip, and what is added to the loss."""
    made, settings = one.dictionary, one.config.settings
    size, weights = x.numel(), dict(made.named_parameters())
    pre = (x - made.b_dec_D if made.subtracts_b_dec else x) @ made.W_enc_DF + made.b_enc_F
    zero = pre.new_zeros(())
    if recipe == "standard":
        acts = pre.relu()
        return (acts @ made.W_dec_FD + made.b_dec_D)[None], 0.3 * (acts * made.W_dec_FD.norm(dim=1)).sum() / size
    if recipe == "gated":
        acts = (pre > 0) * (weights["r_mag_F"].exp() * (pre - made.b_enc_F) + weights["b_mag_F"]).relu()
        penalty = 0.3 * (pre.relu() * made.W_dec_FD.detach().norm(dim=1)).sum() / size
        guess = (pre.relu() @ made.W_dec_FD.detach() + made.b_dec_D.detach() - y).square().sum() / size
        return (acts @ made.W_dec_FD + made.b_dec_D)[None], penalty + guess
    if recipe == "jumprelu":
        theta, window = weights["threshold_F"], settings.bandwidth * 8**0.5
        near = ((pre - theta).abs() < window / 2).detach() / window
        step = (pre > theta).double() - near * (theta - theta.detach())
        acts = pre * (pre > theta).detach() - (theta * near).detach() * (theta - theta.detach())
        lift = 0.1 * (theta[dead_N] - pre[:, dead_N]).relu().mean()
        return (acts @ made.W_dec_FD + made.b_dec_D)[None], 0.3 * (step.sum() / len(x) / 5 - 1) ** 2 + lift
    if recipe == "topk":
        values, indices = pre.topk(4, dim=-1)
        acts = torch.zeros_like(pre).scatter(-1, indices, values.relu())
    else:
        acts = pre * (pre >= pre.relu().flatten().topk(4 * len(x)).values[-1]) * (pre > 0)
    ends = [4, 10, 20] if recipe == "matryoshka" else [20]
    read = torch.stack([acts[:, :end] @ made.W_dec_FD[:end] + made.b_dec_D for end in ends])
    error = (y - read[-1]).detach()
    dead = pre[:, dead_N]
    values, indices = dead.topk(min(3, len(dead_N)), dim=-1)
    guess = torch.zeros_like(dead).scatter(-1, indices, values.relu()) @ made.W_dec_FD[dead_N]
    aux = (error - guess).square().sum() / error.square().sum() + (-dead).relu().mean()
    return read, 0.1 * aux if len(dead_N) else zero


PLACES = {
    "stream": ("0.resid_pre", "0.resid_pre"),
    "after attention": ("0.resid_mid", "0.resid_mid"),
    "end of a block": ("0.resid_post", "0.resid_post"),
    "final": ("2.resid_pre", "2.resid_pre"),
    "transcoder": ("0.mlp_in", "0.mlp_out"),
}


@pytest.mark.parametrize(
    ("recipe", "place"),
    [("topk", place) for place in PLACES]
    + [(recipe, "stream") for recipe in ("standard", "gated", "batchtopk", "matryoshka", "jumprelu")]
    + [("gated", "transcoder"), ("matryoshka", "transcoder")],
)
def test_the_gradient_is_that_of_the_formula(recipe: str, place: str):
    made = model()
    made.module.double()
    reads, writes = map(Site.parse, PLACES[place])
    others = [Site(0, "resid_pre"), Site(1, "mlp_out"), Site(1, "resid_mid"), Site(2, "resid_pre")]
    one = trainer(recipe, reads, writes)
    beside = [trainer("topk", site, site) for site in others if site != writes]
    sites = {reads, writes, Site(writes.canonical.layer, "resid_pre"), *others}
    block = cast(SequenceBlock, stream(made, sites).filling(0).block())
    for every in (one, *beside):
        shape = every.config.dictionary
        x = block.vectors_ND[shape.reads]
        every.start(x, x if shape.reads == shape.writes else block.vectors_ND[shape.writes])
    torch.manual_seed(1)
    for name, parameter in one.dictionary.named_parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, dtype=torch.float64)
        if name == "threshold_F":
            parameter.data.abs_()
    dead_N = (
        torch.tensor([1, 6, 7, 12, 19]) if recipe not in ("standard", "gated") else torch.empty(0, dtype=torch.long)
    )
    one.since_fired_F[dead_N] = 1

    (part, *_) = block.parts(20)
    part, out = cast(SequencePart, part), None
    for begin in (one.step, lambda x, y, *_: one.units.enter_(x, y)):
        x = block.vectors_ND[reads][part.rows_N]
        y = x if reads == writes else block.vectors_ND[writes][part.rows_N]
        asked = EndToEnd(made, [one, *beside], WEIGHT).of(block, part, one)
        out = begin(x, y, 0.0, Workspace(), 0.0, part.total, asked) or out
    found = {name: one.grad.clone() for name, one in one.dictionary.named_parameters() if one.grad is not None}
    one.dictionary.zero_grad()
    with torch.enable_grad():
        skip = one.dictionary.W_skip_DO
        left = y if skip is None else y - x @ skip.detach()
        read_GND, added = reads_and_adds(recipe, one, x, left, dead_N)
        batch = Cut(5, 3).batch(0)
        learned = (batch.next_BS >= 0) & (batch.tokens_BS != DROPPED)
        later = {
            other.config.dictionary.writes: other.units.scale_out**2
            for other in beside
            if writes < other.config.dictionary.writes < Site(2, "resid_pre")
        }
        chosen = part.sequences_B
        terms = []
        for read_ND in read_GND:
            written = (read_ND if skip is None else read_ND + x @ skip) / one.units.scale_out
            terms.append(
                end_to_end_loss(made, batch.tokens_BS[chosen], learned[chosen], writes, written, later, WEIGHT)
            )
        loss, kl, downstream = (torch.stack(one).mean() for one in zip(*terms, strict=True))
        (loss + added).backward()
    assert out is not None
    assert out.loss == pytest.approx(float((loss + added).detach()), rel=1e-9)
    assert out.consequences == pytest.approx([kl.item(), downstream.item(), added.item()], rel=1e-9)
    assert out.mse == pytest.approx((read_GND[-1] - left).square().mean().item(), rel=1e-9)
    assert (downstream.item() > 0) == bool(later)
    assert len(terms) == (3 if recipe == "matryoshka" else 1)
    expected = {name: one.grad for name, one in one.dictionary.named_parameters() if one.grad is not None}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert float(gradient.norm()) > 0, name
        assert float((found[name] - gradient).norm() / gradient.norm()) < 1e-6, name


def test_small_gradients_are_right_in_single_precision():
    found = {}
    for precision in (torch.float32, torch.float64):
        made = model()
        made.module.to(precision)
        site = Site(0, "resid_pre")
        shape = trainer("topk", site, site).config
        one = DictionaryTrainer(shape, CPU, precision)
        block = cast(SequenceBlock, stream(made, {site}, batch=400).filling(0).block())
        one.start(block.vectors_ND[site], block.vectors_ND[site])
        one.dictionary.W_dec_FD.data.copy_(torch.eye(20, 8))  # exact but for what few features leave
        one.dictionary.W_enc_DF.data.copy_(torch.eye(8, 20))
        (part,) = block.parts(400)
        x = block.vectors_ND[site][part.rows_N]
        one.step(x, x, 0.0, Workspace(), 0.0, part.total, EndToEnd(made, [one], WEIGHT).of(block, part, one))
        found[precision] = cast(Tensor, one.dictionary.W_dec_FD.grad).double()
    error = found[torch.float32] - found[torch.float64]
    assert float(error.norm() / found[torch.float64].norm()) < 1e-4


def exact(one: DictionaryTrainer) -> None:
    """Make a standard dictionary the identity: f = (ReLU(x), ReLU(−x))."""
    eye, made = torch.eye(8, dtype=torch.float64), one.dictionary
    made.W_dec_FD.data.zero_()[:16] = torch.cat([eye, -eye])
    made.W_enc_DF.data.zero_()[:, :16] = torch.cat([eye, -eye], 1)
    made.b_enc_F.data.zero_()


def test_what_changes_nothing_costs_nothing():
    made = model()
    made.module.double()
    sites = [Site(0, "resid_pre"), Site(1, "resid_pre")]
    members = [trainer("standard", site, site, sparsity_weight=0.0) for site in sites]
    block = cast(SequenceBlock, stream(made, set(sites)).filling(0).block())
    for one in members:
        sample = block.vectors_ND[one.config.dictionary.reads]
        one.start(sample, sample)
        exact(one)
    (part, *_) = block.parts(20)
    for one in members:
        x = block.vectors_ND[one.config.dictionary.reads][part.rows_N]
        out = one.step(x, x, 0.0, Workspace(), 0.0, part.total, EndToEnd(made, members, 1.0).of(block, part, one))
        assert [out.loss, out.mse, *out.consequences] == pytest.approx([0] * 5, abs=1e-12)
        assert float(cast(Tensor, one.dictionary.W_dec_FD.grad).norm()) < 1e-7


def test_what_later_sites_miss_is_a_share_of_their_variance():
    """Blocks that add nothing hand on what was changed: s² |δ|² / d at every later site but the final one."""
    made = model(layers=4)
    for name, parameter in made.module.double().named_parameters():
        if ".h." in name and "c_proj" in name:
            parameter.data.zero_()
    sites = [Site(layer, "resid_pre") for layer in (0, 1, 3, 4)]
    members = [trainer("topk", site, site) for site in sites]
    other = trainer("topk", sites[1], sites[1])
    other.config = replace(other.config, variant="another suite")
    block = cast(SequenceBlock, stream(made, set(sites)).filling(0).block())
    for one in (*members, other):
        sample = block.vectors_ND[one.config.dictionary.reads]
        one.start(sample, sample)
    members[2].units = replace(members[2].units, scale_out=3 * members[2].units.scale_out)
    members[2].spread = 9.0  # of units that are another site's
    (part, *_) = block.parts(20)
    delta = torch.linspace(-1, 2, 8, dtype=torch.float64)
    for place, one in enumerate(members):
        x = block.vectors_ND[sites[place]][part.rows_N]
        found = EndToEnd(made, [*members, other], 1.0).of(block, part, one)(x + delta)
        share = members[0].units.scale_out ** 2 * float(delta.square().sum()) / 8
        assert found.downstream == pytest.approx(share if place < 2 else 0.0, rel=1e-9)
        assert found.loss == pytest.approx(found.kl + found.downstream)
        assert found.kl > 0
    alone = EndToEnd(made, [*members, other], 1.0).of(block, part, other)
    assert alone(block.vectors_ND[sites[1]][part.rows_N] + delta).downstream == 0


# --- the data -----------------------------------------------------------------------------------------------------


def test_a_step_has_whole_sequences_in_order():
    made, site = model(), Site(1, "resid_pre")
    sequences = stream(made, {site}, batch=15)
    for number in (0, 1):
        block, batch = cast(SequenceBlock, sequences.filling(number).block()), Cut(5, 3).batch(number)
        with torch.no_grad():
            clean = made.run(batch.tokens_BS, read=[site, Site(2, "resid_pre")])
        learned = (batch.next_BS >= 0) & (batch.tokens_BS != DROPPED)
        parts = [cast(SequencePart, part) for part in block.parts(15)]
        assert len(parts) == 3
        assert torch.cat([part.sequences_B for part in parts]).sort().values.tolist() == [0, 1, 2, 3, 4]
        for part in parts:
            here = learned[part.sequences_B]
            assert part.total == len(part.rows_N) == int(here.sum())
            assert torch.equal(block.vectors_ND[site][part.rows_N], clean.sites[site][part.sequences_B][here])
            assert torch.equal(part.within_N, here.flatten().nonzero()[:, 0])
            assert torch.equal(block.of(site, part), clean.sites[site][part.sequences_B])
        assert torch.equal(block.whole(site, ranks_here()), clean.sites[site][learned])


# --- runs ---------------------------------------------------------------------------------------------------------


def config(**changes: object) -> TrainSaeConfig:
    values: dict[str, object] = {
        "sae": (SaeTable(k=(3,), latents=(24,)),),
        "loss": "end-to-end",
        "data": "othello",
        "tokens": 3000,
        "batch": 120,
        "sequences": 4,
        "lr": 0.01,
        "log_every": 3,
        "dead_after": 700,
    }
    return TrainSaeConfig(**{**values, **changes})  # type: ignore[arg-type]


def bits(result: SaeResult) -> dict[str, np.ndarray]:
    return {
        f"{variant}/{site}/{name}": value.numpy()
        for variant, suite in result.suites.items()
        for site in suite
        for name, value in suite[site].state_dict().items()
    }


TABLES = {
    "topk": SaeTable(k=(3,), latents=(24,)),
    "tied": SaeTable(arch="standard", latents=(24,), sparsity_weight=(0.01,), tied=True),
    "gated": SaeTable(arch="gated", latents=(24,), sparsity_weight=(0.01,), tied=True),
    "batchtopk": SaeTable(arch="batchtopk", k=(3,), latents=(24,)),
    "matryoshka": SaeTable(arch="matryoshka", k=(3,), latents=(64,), layers="0"),
    "jumprelu": SaeTable(arch="jumprelu", target_l0=(3.0,), latents=(24,)),
    "staircase": SaeTable(arch="staircase", k=(3,), widths="2x,3x,4x"),
}


@pytest.mark.parametrize("name", TABLES)
def test_training_makes_the_model_predict_the_same_again(name: str, tmp_path: Path):
    result = train_sae(config(sae=(TABLES[name],)), model(), tmp_path, threads=1)
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert lines == result.records
    for site in result.suites[""]:
        mine = [line for line in lines if line["site"] == str(site)]
        assert mine[-1]["kl"] < 0.9 * mine[0]["kl"], site
        for line in mine:
            assert line["loss"] == pytest.approx(line["kl"] + line["downstream"] + line["added"])


def test_it_keeps_predictions_better_than_reconstruction_does(tmp_path: Path):
    last = {}
    for loss in ("end-to-end", "reconstruction"):
        made = model()
        result = train_sae(config(loss=loss, tokens=4000), made, tmp_path / loss, threads=1)
        members = [result.suites[""][site] for site in result.suites[""]]
        batch = Cut(40, 9, held_out=1).batch(0)
        clean = cast(Tensor, made.run(batch.tokens_BS).logits).log_softmax(-1)
        kls = []
        for one in members:
            run = made.run(batch.tokens_BS, write={one.config.writes: one.reconstruct})
            kls.append(float((clean.exp() * (clean - cast(Tensor, run.logits).log_softmax(-1))).sum(-1).mean()))
        last[loss] = kls
    assert sum(last["end-to-end"]) < 0.8 * sum(last["reconstruction"])


@pytest.mark.parametrize("stop_after", [1, 5, 14])
def test_a_resumed_run_ends_in_the_same_bits(stop_after: int, tmp_path: Path):
    made, calls = model(), iter(range(100))
    whole = train_sae(config(), made, tmp_path / "whole", threads=1)
    part = train_sae(config(), made, tmp_path / "part", threads=1, stop=lambda: next(calls) + 1 >= stop_after)
    assert not part.complete
    again = train_sae(config(resume=True), made, tmp_path / "part", threads=1)
    assert all(np.array_equal(value, bits(again)[name]) for name, value in bits(whole).items())
    assert again.records == whole.records


def test_a_checkpoint_of_another_loss_is_refused(tmp_path: Path):
    made = model()
    train_sae(config(), made, tmp_path, threads=1, stop=lambda: True)
    for changes, message in (({"loss": "reconstruction"}, "loss = 'end-to-end'"), ({"downstream_weight": 0.5}, "1.0")):
        with pytest.raises(InputError, match=f"made with .*{message}"):
            train_sae(config(**changes), made, tmp_path, threads=1)


def test_activations_that_were_kept_give_the_same_bits(tmp_path: Path):
    made = model()
    whole = train_sae(config(), made, tmp_path / "whole", threads=1)
    for number in range(2):
        (tmp_path / "cache").mkdir(exist_ok=True)
        remembering = RememberingModel(made, tmp_path / "cache", 1 << 30)
        found = train_sae(config(), remembering, tmp_path / str(number), threads=1)
        assert all(np.array_equal(value, bits(found)[name]) for name, value in bits(whole).items())


def trained_alike(folder: str, recipe: str) -> tuple[dict[str, np.ndarray], list[dict[str, object]]]:
    asked = config(sae=(replace(TABLES[recipe], layers="1"),), precision="fp64", tokens=1500, dead_after=150)
    result = train_sae(asked, model(), Path(folder) / recipe, threads=1, ranks=ranks_here())
    return bits(result), result.records


def one_of_several(folder: str) -> list[tuple[dict[str, np.ndarray], list[dict[str, object]]]]:
    ranks_here().join("cpu")
    return [trained_alike(folder, recipe) for recipe in ("topk", "batchtopk")]


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path: Path):
    first, second = run_ranks(2, one_of_several, str(tmp_path / "both"))
    for recipe, (found, records), (others, _) in zip(("topk", "batchtopk"), first, second, strict=True):
        expected, lines = trained_alike(str(tmp_path / "alone"), recipe)
        for name, value in expected.items():
            assert np.array_equal(found[name], others[name])
            assert np.linalg.norm(found[name] - value) < 1e-9 * max(1, np.linalg.norm(value)), (recipe, name)
        for record, line in zip(records, lines, strict=True):
            assert [record["kl"], record["downstream"]] == pytest.approx([line["kl"], line["downstream"]], rel=1e-8)


def test_memory_is_counted_of_whole_sequences():
    asked, info = config(sae=(SaeTable(k=(3,), latents=(24,)),), buffer=10**6), model().info
    plans = plan_dictionaries(asked, info)
    assert memory_need(as_read(asked, 59), plans, 1).blocks == 4 * 2 * (4 * 59) * 3 * 8
    assert as_read(replace(asked, loss="reconstruction"), 59).buffer == 10**6
    rows = model_need(asked, info, 0, 59) - model_need(replace(asked, loss="reconstruction"), info, 0, 59)
    assert rows > 4 * 120 * (2 * 61 + 2 * 32 * 2)  # predictions, and the neurons of two blocks


# --- what cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sae": (SaeTable(arch="jacobian", kind=("mlp_in", "mlp_out")),)}, "--arch jacobian trains pairs"),
        ({"sae": (SaeTable(arch="identity"),)}, "is for what is trained, and --arch identity is not"),
        ({"sae": (SaeTable(arch="random", k=(3,)),)}, "is for what is trained, and --arch random is not"),
        ({"precision": "bf16"}, "has small gradients, which --precision bf16 would lose"),
        ({"compile": True, "sae": (SaeTable(arch="standard"),)}, "has no formula for --compile"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(UsageError, match="--loss end-to-end .*" + message):
        plan_dictionaries(config(**changes), model().info)


def test_flags_that_do_not_fit_are_refused(saecli: Callable[..., object], tmp_path: Path):
    np.save(tmp_path / "x.npy", np.zeros((9, 4), np.float32))
    for flags, message in {
        ("--activations", str(tmp_path / "x.npy"), "--loss", "end-to-end"): "runs a model on what dictionaries write",
        ("othello-mini", "--downstream-weight", "2"): "--downstream-weight is of --loss end-to-end",
    }.items():
        outcome = saecli("train", "sae", *flags)
        assert outcome.code == 2, outcome.err  # type: ignore[attr-defined]
        assert message in outcome.err  # type: ignore[attr-defined]
