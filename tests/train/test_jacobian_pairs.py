"""Pairs with a penalty on the Jacobian between them: what is planned, what a step does, what training makes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from saecli.core.errors import InputError, UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.ranks import ONE, ranks_here
from saecli.core.sample import Sample
from saecli.core.site import Site
from saecli.formats.gpt_circuits_write import write
from saecli.formats.saelens import read_saelens
from saecli.formats.suite import read_suite, write_suite
from saecli.train.jacobian_held_out import measure_pairs
from saecli.train.jacobian_pair import pair_up
from saecli.train.sae import train_sae
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_memory import memory_need
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.step import StepOutput, Workspace
from saecli.train.trainer import DictionaryTrainer
from tests.processes import run_ranks
from tests.train.test_sae import config as sae_config
from tests.train.test_sae import same_bits
from tests.twins.jacobian import absolute_jacobian

CPU = torch.device("cpu")
LAYER = SaeTable(arch="jacobian", kind=("mlp_in", "mlp_out"), k=(3,), latents=(24,), jacobian_coefficient=("0.3,2",))
BLOCK = replace(LAYER, kind=("resid_mid", "resid_post"))


def tiny_model(norm: str = "layer"):
    torch.manual_seed(0)
    made = thin_gpt(GPT(GPTConfig(61, 59, 2, 2, 16, norm=norm)), "tiny", vocabulary="othello")  # type: ignore[arg-type]
    for parameter in made.module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def trained(table: SaeTable, folder: Path, limit: int = 10**9, norm: str = "layer", **changes):
    calls = iter(range(1, 10**9))
    asked = sae_config(sae=(table,), **changes)
    stop = lambda: next(calls) >= limit  # noqa: E731
    return train_sae(asked, tiny_model(norm), folder, threads=1, stop=stop, ranks=ranks_here())


# --- one step -----------------------------------------------------------------------------------------------------


class OnePair:
    """The pair of block 1 in units of training that are not the model's; its steps move nothing and clip nothing."""

    def __init__(self, table: SaeTable, norm: str = "layer") -> None:
        asked = TrainSaeConfig(sae=(replace(table, decoder_norm="free"),), grad_clip=0)
        model = tiny_model(norm)
        model.module.double()
        made = [DictionaryTrainer(plan, CPU, torch.float64) for plan in plan_dictionaries(asked, model.info)]
        self.pair = pair_up(made[2:], ONE)[0]
        self.pair.lay(model)
        torch.manual_seed(4)
        part, block = model.block(1), table.kind[0] == "resid_mid"
        self.through = (lambda x: x + part.mlp(part.ln2(x[None]))[0]) if block else lambda x: part.mlp(x[None])[0]
        self.x_BD = 2 * torch.randn(40, 16, dtype=torch.float64)
        self.y_BD = torch.stack([self.through(x_D) for x_D in self.x_BD])
        self.trainers = cast(DictionaryTrainer, self.pair.reads), cast(DictionaryTrainer, self.pair.writes)
        for trainer, vectors in zip(self.trainers, (self.x_BD, self.y_BD), strict=True):
            sample = vectors.clone()
            trainer.start(sample, sample)
            torch.nn.init.normal_(trainer.dictionary.b_enc_F, mean=-1.5, std=0.5)

    def step(self) -> tuple[StepOutput, StepOutput]:
        space, outs = Workspace(), []
        for trainer, vectors in zip(self.trainers, (self.x_BD, self.y_BD), strict=True):
            batch = vectors.clone()
            outs.append(trainer.step(batch, batch, 0.0, space))
        return outs[0], outs[1]

    @property
    def gradients(self) -> list[torch.Tensor]:
        made = [trainer.dictionary for trainer in self.trainers]
        return [cast(torch.Tensor, one.grad).clone() for both in made for one in both.parameters()]


def active(trainer: DictionaryTrainer, vectors: torch.Tensor) -> list[list[int]]:
    acts = trainer.dictionary.encode(vectors * trainer.units.scale_in)
    return [row.nonzero()[:, 0].tolist() for row in acts]


@pytest.mark.parametrize("at", ["clean", "reconstruction"])
@pytest.mark.parametrize(("table", "norm"), [(LAYER, "layer"), (BLOCK, "layer"), (BLOCK, "dynamic_tanh")])
def test_a_step_has_the_loss_and_the_gradients_of_the_formula(table, norm, at):
    """fp64 autograd through the model between the two, in its own units."""
    plain = OnePair(replace(table, jacobian_coefficient=("0",)), norm)
    asked = OnePair(replace(table, jacobian_at=at, jacobian_reduction="sum" if at == "clean" else "mean"), norm)
    (first, alone), (same, out) = plain.step(), asked.step()
    reads, writes = asked.trainers
    x_BD = asked.x_BD
    if at == "reconstruction":
        x_BD = reads.dictionary(x_BD * reads.units.scale_in).detach() / reads.units.scale_in
    W_dec, W_enc = reads.dictionary.W_dec_FD, writes.dictionary.W_enc_DF
    lists = active(reads, asked.x_BD), active(writes, asked.y_BD)
    assert min(map(len, lists[0])) < 3  # so that inactive ones are among the selected
    mean = absolute_jacobian(asked.through, x_BD, W_dec, W_enc, *lists) / (9 * 40)
    assert reads.units.scale_in != pytest.approx(writes.units.scale_in, rel=1e-3)
    weight = 2.0 * writes.units.scale_in / reads.units.scale_in * (40 if at == "clean" else 1)
    assert out.jacobian == pytest.approx(float(mean.detach()), rel=1e-9)
    assert same == replace(first, fired_F=same.fired_F, chosen=same.chosen)
    assert out.loss == pytest.approx(alone.loss + weight * float(mean.detach()), rel=1e-9)
    moved = torch.autograd.grad(weight * mean, [W_dec, W_enc])
    names = [name for trainer in asked.trainers for name, _ in trainer.dictionary.named_parameters()]
    for place, (name, one, other) in enumerate(zip(names, plain.gradients, asked.gradients, strict=True)):
        if place == 2:
            assert name == "W_dec_FD"
            one = one + moved[0]
        elif place == 4:
            assert name == "W_enc_DF"
            one = one + moved[1]
        else:
            assert torch.equal(one, other)
        assert torch.linalg.norm(one - other) < 1e-6 * one.norm()


def test_a_share_of_the_tokens_is_right_on_average():
    """Of the four ways to take one token in four, each as likely, the mean is the whole."""
    whole = OnePair(LAYER)
    numbers = whole.step()[1]
    share = OnePair(replace(LAYER, jacobian_tokens="1/4"))
    found: dict[float, list[torch.Tensor]] = {}
    counts: dict[float, int] = {}
    for _ in range(200):
        out = share.step()[1]
        assert out.jacobian is not None
        counts[out.jacobian] = counts.get(out.jacobian, 0) + 1
        found[out.jacobian] = share.gradients
    assert len(found) == 4
    assert min(counts.values()) > 25  # of 50 expected; four standard deviations
    assert sum(found) / 4 == pytest.approx(numbers.jacobian, rel=1e-12)
    for parts, expected in zip(zip(*found.values(), strict=True), whole.gradients, strict=True):
        torch.testing.assert_close(sum(parts) / 4, expected, rtol=1e-9, atol=1e-12)


# --- training -----------------------------------------------------------------------------------------------------

TABLES = {
    "layer": LAYER,
    "block": replace(BLOCK, jacobian_tokens="1/4"),
    "reconstruction": replace(LAYER, jacobian_at="reconstruction", jacobian_coefficient=("1",)),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_resumed_run_ends_in_the_same_bits(name, tmp_path):
    whole = trained(TABLES[name], tmp_path / "whole")
    for limit in (4, 10**9):
        resumed = trained(TABLES[name], tmp_path / "parts", limit)
    assert same_bits(whole, resumed)
    assert whole.records == resumed.records


def test_without_weight_pairs_are_topk_bit_for_bit_and_with_it_jacobians_are_small(tmp_path):
    free, alone, sparse = (
        trained(table, tmp_path / name)
        for name, table in {
            "free": replace(LAYER, jacobian_coefficient=("0",)),
            "alone": SaeTable(kind=LAYER.kind, k=(3,), latents=(24,)),
            "sparse": replace(LAYER, jacobian_coefficient=("5",)),
        }.items()
    )
    assert same_bits(free, alone)
    for one, without in zip(free.records, alone.records, strict=True):
        assert {name: value for name, value in one.items() if name != "jacobian"} == without
        assert ("jacobian" in one) == one["site"].endswith("mlp_out")
    small, usual = (
        sum(record["jacobian"] for record in result.records[-4:] if "jacobian" in record) for result in (sparse, free)
    )
    assert small < 0.7 * usual


def ranks_train(folder: str):
    ranks_here().join("cpu")
    found = {}
    for name, table in {"layer": LAYER, "block": BLOCK}.items():
        result = trained(table, Path(folder) / name, precision="fp64")
        weights = [value.numpy() for one in result.suites[""].values() for value in one.state_dict().values()]
        found[name] = weights, result.records
    return found


@pytest.mark.slow
def test_two_processes_train_the_pairs_that_one_trains(tmp_path):
    first, second = run_ranks(2, ranks_train, str(tmp_path / "both"))
    for name, (expected, records) in ranks_train(str(tmp_path / "alone")).items():
        for value, here, there in zip(expected, first[name][0], second[name][0], strict=True):
            assert np.array_equal(here, there)
            assert np.linalg.norm(here - value) < 1e-6 * max(1, np.linalg.norm(value)), name
        found, expected = (
            [record["jacobian"] for record in some if "jacobian" in record] for some in (first[name][1], records)
        )
        assert len(found) == len(records) / 2
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("kinds", "dropped", "variant"),
    [
        (("mlp_in", "mlp_out"), None, "jsae_layer"),
        (("resid_mid", "resid_post"), None, "jsae_block"),
        (("mlp_in", "mlp_out"), 1, "topk"),  # what is left are no pairs
    ],
)
def test_gpt_circuits_folders_say_that_pairs_are_jacobian(kinds, dropped, variant, tmp_path):
    plans = plan_dictionaries(TrainSaeConfig(sae=(replace(LAYER, kind=kinds),)), tiny_model().info)
    made = {plan.name: DictionaryTrainer(plan, CPU).dictionary for plan in plans}
    if dropped is not None:
        del made[plans[dropped].name]
    write(made, tmp_path)
    assert json.loads((tmp_path / "sae.json").read_text())["sae_variant"] == variant


# --- what is planned ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": ("mlp_in", "resid_post")}, "mlp_in and resid_post do not pair"),
        ({"kind": ("resid_pre",)}, "resid_pre does not pair"),
        ({"kind": ("mlp_in>mlp_out",)}, "mlp_in>mlp_out does not pair"),
        ({"jacobian_coefficient": ("1,2,3",)}, "has 3 numbers, and there are 2 layers: 0, 1"),
        ({"jacobian_coefficient": ("1,2",), "layers": "1"}, "has 2 numbers, and there are 1 layers: 1"),
        ({"jacobian_coefficient": ("1,x",)}, "'x' is no number from 0"),
        ({"jacobian_coefficient": ("-1",)}, "'-1' is no number from 0"),
        ({"jacobian_coefficient": ("nan",)}, "'nan' is no number from 0"),
        ({"jacobian_coefficient": ("1", "2", "1.0")}, "--jacobian-coefficient 1 is there twice"),
        ({"jacobian_coefficient": ("0.3", "1,2,3")}, "--jacobian-coefficient 1,2,3 has 3 numbers"),
        ({"jacobian_tokens": "2/3"}, "--jacobian-tokens 2/3: expected 1, or one in so many such as 1/8"),
        ({"jacobian_tokens": "0"}, "--jacobian-tokens 0"),
        ({"arch": "topk", "jacobian_coefficient": ("2",)}, "--jacobian-coefficient 2 is of --arch jacobian"),
        ({"arch": "topk", "jacobian_at": "reconstruction"}, "--jacobian-at reconstruction is of --arch jacobian"),
        ({"tied": True}, "--tied is for"),
        ({"widths": "20,30"}, "--widths 20,30 is of a staircase"),
    ],
)
def test_what_does_not_pair_is_named_before_training(changes, message):
    table = replace(LAYER, **({"jacobian_coefficient": ("1",)} | changes if "arch" in changes else changes))
    with pytest.raises(UsageError, match=message):
        plan_dictionaries(TrainSaeConfig(sae=(table,)), tiny_model().info)


def test_coefficients_are_of_layers_and_several_k_make_several_suites():
    plans = plan_dictionaries(TrainSaeConfig(sae=(replace(LAYER, k=(2, 3)),)), tiny_model().info)
    assert len(plans) == 8
    for plan in plans:
        assert plan.pairing is not None
        assert plan.pairing.coefficient == (0.3, 2.0)[plan.dictionary.reads.layer]
    assert len(pair_up([DictionaryTrainer(plan, CPU) for plan in plans], ONE)) == 4
    with pytest.raises(UsageError, match="--activations are of one"):
        plan_dictionaries(TrainSaeConfig(arch="jacobian", activations=("x.npy",)), tiny_model().info)


def test_every_coefficient_makes_a_suite_that_remembers_it_and_is_trained_as_alone(tmp_path):
    swept = replace(LAYER, jacobian_coefficient=("0", "0.3", "0.30,2"), latents=(16, 24))
    plans = plan_dictionaries(TrainSaeConfig(sae=(swept,)), tiny_model().info)
    names = ["f16-j0", "f16-j0.3", "f16-j0.3_2", "f24-j0", "f24-j0.3", "f24-j0.3_2"]
    assert sorted({plan.variant for plan in plans}) == names
    found = trained(swept, tmp_path / "all")
    assert list(found.suites) == names
    alone = trained(LAYER, tmp_path / "alone")
    for site, dictionary in alone.suites[""].items():
        for name, value in dictionary.state_dict().items():
            assert torch.equal(value, found.suites["f24-j0.3_2"][site].state_dict()[name])
    write_suite(found.suites["f24-j0.3_2"], tmp_path / "stored")
    stored = read_suite(tmp_path / "stored")
    for site, config in stored.configs.items():
        said = {"coefficient": (0.3, 2.0)[site.layer], "reduction": "mean", "at": "clean"}
        assert config.options["jacobian"] == stored[site].config.options["jacobian"] == said
    path = tmp_path / "stored" / "0.mlp_in" / "cfg.json"
    document = json.loads(path.read_text())
    document["metadata"]["saecli_options"]["jacobian"] = 0.3
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"jacobian = 0\.3, expected its coefficient and reduction"):
        read_saelens(path.parent)


@pytest.mark.parametrize("at", ["clean", "reconstruction"])
@pytest.mark.parametrize("table", [LAYER, BLOCK])
def test_held_out_jacobians_are_the_formulas(table, at, tmp_path):
    """fp64 autograd by token; positions that do not count are left out."""
    suite = trained(replace(table, jacobian_at=at), tmp_path).suites[""]
    model = tiny_model()
    tokens_BS = torch.randint(3, 61, (3, 20), generator=torch.Generator().manual_seed(5))
    next_BS = tokens_BS.roll(-1, 1).masked_fill(tokens_BS % 4 == 0, -1)
    found = measure_pairs(model, {"one": suite}, [Sample(tokens_BS, next_BS)])["one"]
    model.module.double()
    reads, writes = (Site(1, kind) for kind in table.kind)
    assert set(found) == {Site(0, writes.kind), writes}
    run = model.run(tokens_BS, read=(reads, writes))
    x_TD, y_TD = (run.sites[site][next_BS >= 0] for site in (reads, writes))
    first, second = (suite[site].double() for site in (reads, writes))
    lists = [
        [row.nonzero()[:, 0].tolist() for row in one.encode(rows)] for one, rows in ((first, x_TD), (second, y_TD))
    ]
    at_TD = x_TD if at == "clean" else first(x_TD)
    part, block = model.block(1), table is BLOCK
    through = (lambda x: x + part.mlp(part.ln2(x[None]))[0]) if block else (lambda x: part.mlp(x[None])[0])
    total = absolute_jacobian(through, at_TD.detach(), first.W_dec_FD, second.W_enc_DF, lists[0], lists[1])
    assert found[writes] == pytest.approx(float(total.detach()) / (9 * len(x_TD)), rel=1e-5)


def test_the_command_trains_pairs_and_says_how_large_their_jacobians_are(saecli, tmp_path):
    flags = ["--arch", "jacobian", "--layers", "1:3", "--latents", "64", "--k", "4", "--held-out", "4"]
    sizes = ["--tokens", "3000", "--batch", "500", "--buffer", "1500", "--seed", "3", "--jacobian-tokens", "1/2"]
    sweep = ["--jacobian-coefficient", "0", "--jacobian-coefficient", "0.5"]
    done = saecli("train", "sae", "othello-mini", *flags, *sizes, *sweep, "--out", "pairs", "--json")
    assert done.code == 0, done.err
    rows = [row for row in json.loads(done.out)["dictionaries"] if row["suite"] == "suite-j0.5"]
    assert [row["site"] for row in rows] == ["1.mlp_in", "1.mlp_out", "2.mlp_in", "2.mlp_out"]
    assert {row["arch"] for row in rows} == {"topk"}
    assert [row["jacobian"] is None for row in rows] == [True, False] * 2
    assert all(row["jacobian"] > 0 for row in rows[1::2])
    assert {row["jacobian_coefficient"] for row in rows} == {0.5}
    stored = read_suite(tmp_path / "pairs" / "suite-j0.5").info.measured
    assert [stored[Site.parse(row["site"])].get("jacobian") for row in rows] == [row["jacobian"] for row in rows]
    done = saecli("train", "sae", "othello-mini", *flags, *sizes, *sweep, "--out", "pairs")
    low, high = sorted(row["jacobian"] for row in rows[1::2])
    assert f", Jacobian {low:.3g} to {high:.3g}" in done.out.splitlines()[1]
    assert f"Jacobian {rows[1]['jacobian']:.3g}" in saecli("zoo", "show", "pairs/suite-j0.5").out
    done = saecli("train", "sae", "othello-mini", *flags, *sizes, "--jacobian-coefficient", "0,0.5", "--plan")
    assert "2.mlp_out: topk 64 latents, lr 0.016, a Jacobian pair: coefficient 0.5" in done.out.splitlines()
    done = saecli("convert", "pairs/suite-j0.5", "theirs", "--to", "gpt-circuits")
    assert done.code == 0, done.err
    theirs = json.loads((tmp_path / "theirs" / "sae.json").read_text())
    assert theirs["sae_variant"] == "jsae_layer"
    assert theirs["sae_keys"] == ["1_mlpin", "1_mlpout", "2_mlpin", "2_mlpout"]
    done = saecli("train", "sae", "othello-mini", *flags, *sizes, "--jacobian-coefficient", "1,2,3", "--plan")
    assert done.code == 2
    assert "has 3 numbers, and there are 2 layers: 1, 2" in done.err


def test_pairs_need_room_for_the_neurons_between_them():
    asked = TrainSaeConfig(sae=(replace(LAYER, jacobian_coefficient=("1",)),), batch=1000)
    pairs = plan_dictionaries(asked, tiny_model().info)
    alone = [replace(plan, pairing=None) for plan in pairs]
    more = memory_need(asked, pairs, 1).steps - memory_need(asked, alone, 1).steps
    assert more == 4 * (4 * 24 + 2 * 1000) * 64
