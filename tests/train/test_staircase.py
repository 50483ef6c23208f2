"""Staircases and tied dictionaries: what is shared is one tensor, and its gradient the sum of all."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.ranks import ranks_here
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.train.sae import train_sae
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_memory import memory_need
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.settings import Settings
from saecli.train.sharing import Shared, chains
from saecli.train.sparse_step import topk_step
from saecli.train.step import StepInput
from saecli.train.trainer import DictionaryTrainer
from tests.processes import run_ranks
from tests.train.test_sae import config as sae_config
from tests.train.test_sae import same_bits, tiny_model
from tests.twins.staircase import joint_gradients

CPU = torch.device("cpu")
STAIRCASE = SaeTable(arch="staircase", k=(3,), latents=(20,))
BLOCKS = SaeTable(arch="staircase", k=(3,), kind=("resid_mid", "resid_post"), stairs="blocks", widths="2x,4x")


def trainers(table: SaeTable, dtype: torch.dtype = torch.float64, info=None) -> list[DictionaryTrainer]:
    plans = plan_dictionaries(TrainSaeConfig(sae=(table,)), info or tiny_model().info)
    return [DictionaryTrainer(plan, CPU, dtype) for plan in plans]


def trained(table: SaeTable, folder: Path, limit: int = 10**9, **changes):
    calls, model = iter(range(1, 10**9)), tiny_model()
    asked = sae_config(sae=(table,), **changes)
    return train_sae(asked, model, folder, threads=1, stop=lambda: next(calls) >= limit, ranks=ranks_here())


# --- gradients ----------------------------------------------------------------------------------------------------


def sums(sharing: str, only: int | None = None):
    """Gradients that the dictionaries of a staircase leave in what they share, and what the twin needs for its own."""
    made = trainers(replace(STAIRCASE, sharing=sharing))
    (chain,) = chains(made)
    shared = Shared([made[number] for number in chain])
    torch.manual_seed(5)
    for trainer in made:
        for bias in (trainer.dictionary.b_enc_F, trainer.dictionary.b_dec_D):
            torch.nn.init.normal_(bias, std=0.3)
    batches = [torch.randn(50, 16, dtype=torch.float64) for _ in made]
    for place, number in enumerate(chain):
        given = StepInput(batches[number], batches[number], torch.empty(0, dtype=torch.long), Settings(k=3))
        topk_step(made[number].dictionary, given)
        if only is not None and number != only:
            for parameter in made[number].dictionary.parameters():
                parameter.grad = torch.zeros_like(parameter)
        shared.add(place)
    return made, shared.sums, batches


def twin(made, batches, own_from=None):
    widest = made[-1].dictionary
    biases = [(one.dictionary.b_enc_F.detach(), one.dictionary.b_dec_D.detach()) for one in made]
    return joint_gradients(widest.W_enc_DF, widest.W_dec_FD, biases, batches, 3, own_from)


@pytest.mark.parametrize(("sharing", "own_from"), [("weights", None), ("detached", [0, 20, 40])])
def test_the_gradients_of_all_dictionaries_add_up_in_what_they_share(sharing, own_from):
    made, found, batches = sums(sharing)
    encoder, decoder = twin(made, batches, own_from)
    assert torch.linalg.norm(found["W_enc_DF"].T - encoder) < 1e-12 * encoder.norm()
    assert torch.linalg.norm(found["W_dec_FD"] - decoder) < 1e-12 * decoder.norm()
    parts = [sums(sharing, only)[1] for only in range(3)]
    for name, total in found.items():
        torch.testing.assert_close(sum(part[name] for part in parts), total, rtol=1e-12, atol=1e-15)
        assert (parts[0][name][20:] == 0).all()  # exactly
        assert (parts[0][name][:20] != 0).any()
        if sharing == "detached":
            assert (parts[1][name][:20] == 0).all()
            assert (parts[2][name][:40] == 0).all()
            assert (parts[2][name][40:] != 0).any()


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (SaeTable(arch="staircase-jumprelu", target_l0=(3.0,), latents=(20,)), "threshold_F"),
        (replace(STAIRCASE, sharing="b-dec"), "b_dec_D"),
    ],
    ids=["threshold", "b-dec"],
)
def test_thresholds_and_a_shared_b_dec_add_up_too(table, name):
    made = trainers(table)
    (chain,) = chains(made)
    shared = Shared([made[number] for number in chain])
    expected = torch.zeros_like(shared.sums[name])
    for place, number in enumerate(chain):
        x_BD = torch.randn(60, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(number))
        one, given = made[number], StepInput(x_BD, x_BD, torch.empty(0, dtype=torch.long), made[number].config.settings)
        one._step(one.dictionary, replace(given, settings=replace(given.settings, bandwidth=0.3)))
        gradient = one.dictionary.get_parameter(name).grad
        assert gradient is not None
        assert gradient.any()
        expected[: len(gradient)] += gradient
        shared.add(place)
    torch.testing.assert_close(shared.sums[name], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("arch", ["standard", "gated"])
def test_a_tied_dictionary_has_the_gradient_of_one_matrix(arch):
    """The sum of what encoder and decoder would have each, by the chain rule."""
    free, tied = (
        trainers(SaeTable(arch=arch, latents=(12,), layers="1", tied=tied, decoder_norm="free"))[0]
        for tied in (False, True)
    )
    x_BD = torch.randn(40, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    given = StepInput(x_BD, x_BD, torch.empty(0, dtype=torch.long), tied.config.settings)
    tied._step(tied.dictionary, given)
    free.dictionary.load_state_dict(tied.dictionary.state_dict())
    free._step(free.dictionary, given)
    decoder, encoder = free.dictionary.W_dec_FD.grad, free.dictionary.W_enc_DF.grad
    assert decoder is not None
    assert encoder is not None
    expected = decoder + encoder.T
    before = tied.dictionary.W_dec_FD.detach().clone()
    tied._update.apply(1e-3, 0.0, False)
    torch.testing.assert_close(tied.dictionary.W_dec_FD.grad, expected, rtol=1e-12, atol=0)
    assert torch.equal(tied.dictionary.W_enc_DF, tied.dictionary.W_dec_FD.T)
    assert not torch.equal(tied.dictionary.W_dec_FD, before)
    if arch == "gated":
        assert not tied.dictionary.get_parameter("r_mag_F").any()


def test_exactly_k_by_index_and_zeros_are_not_active():
    made = make_dictionary(DictionaryConfig("topk", 4, 4, Site(0, "resid_pre"), Site(0, "resid_pre"), 4, {"k": 2}))
    for pre, active in ([1.0, 0.0, 0.0, 0.0], 1), ([2.0, 2.0, 2.0, 1.0], 2):
        assert int((made.activate(torch.tensor([pre])) > 0).sum()) == active


# --- what is planned ----------------------------------------------------------------------------------------------


def parameters(made: list[DictionaryTrainer]) -> int:
    """Numbers in memory."""
    found: dict[int, int] = {}
    for trainer in made:
        for parameter in trainer.dictionary.parameters():
            place = parameter.untyped_storage().data_ptr()
            found[place] = max(found.get(place, 0), parameter.numel())
    return sum(found.values())


@pytest.mark.parametrize(
    ("table", "count"),
    [
        (SaeTable(k=(10,), latents=(512,)), 330_560),
        (SaeTable(arch="staircase", k=(10,), widths="8x,16x,24x,32x,40x"), 335_680),
        (SaeTable(arch="staircase", k=(10,), latents=(512,)), 335_680),
        (SaeTable(arch="staircase", k=(10,), widths="8x,16x,24x,32x,40x", sharing="detached"), 335_680),
        (SaeTable(arch="staircase", k=(10,), widths="40x,40x,40x,40x,40x"), 340_800),
        (SaeTable(arch="staircase", k=(10,), widths="512,1024,1536,2048,2560", sharing="none"), 991_040),
        (SaeTable(k=(10,), latents=(2560,)), 1_651_520),
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
def test_parameter_counts(table, count):
    info = replace(tiny_model().info, n_layers=4, d_model=64)
    made = trainers(table, torch.float32, info)
    chains(made)
    assert parameters(made) == count
    need = memory_need(TrainSaeConfig(), [one.config for one in made], 1).dictionaries / 16
    assert need == pytest.approx(count, rel=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": "40,20,60"}, "--widths 40,20,60 shrinks from 40 to 20"),
        ({"widths": "20,20,40", "sharing": "detached"}, "stays from 20 to 20, and each trains what is new in it"),
        ({"widths": "2x,4x"}, "has 2 widths, and there are 3 sites: 0.resid_pre, 1.resid_pre, 2.resid_pre"),
        ({"widths": "2x,4x,y"}, "'y' is neither a number nor a multiple such as 8x"),
        ({"widths": "0,4,8"}, "'0' is neither"),
        ({"widths": "2,4,8"}, "--k 3 is more than the 2 latents"),
        ({"latents": (20, 30), "widths": "20,30,40"}, "--latents has 2 values, and --arch staircase with --widths"),
        ({"kind": ("mlp_in>mlp_out",)}, r"0\.mlp_in>0\.mlp_out is none"),
        ({"kind": ("resid_pre", "mlp_out"), "stairs": "blocks"}, r"block 2 has 2\.resid_pre alone"),
        ({"stairs": "blocks"}, r"block 0 has 0\.resid_pre alone"),
        ({"arch": "topk", "widths": "1,2"}, "--widths 1,2 is of a staircase, not of --arch topk"),
        ({"arch": "topk", "sharing": "none"}, "--sharing none is of a staircase"),
        ({"skip": True}, "--skip is a path"),
        ({"tied": True}, "--tied is for autoencoders of --arch standard or gated, not for --arch staircase"),
        ({"sparsity_p": 0.5}, "--arch staircase has no penalty to anneal"),
        ({"k": (3, 2, 3)}, "--k 3 is there twice"),
        ({"arch": "standard", "kind": ("mlp_in>mlp_out",), "tied": True}, r"not for 0\.mlp_in>0\.mlp_out"),
    ],
)
def test_what_no_staircase_can_be_is_named_before_training(changes, message):
    with pytest.raises(UsageError, match=message):
        trainers(replace(STAIRCASE, **changes))


def test_flags_that_fit_no_staircase():
    info = tiny_model().info
    with pytest.raises(UsageError, match="--init active-subspace is where"):
        plan_dictionaries(TrainSaeConfig(arch="staircase", init="active-subspace"), info)
    with pytest.raises(UsageError, match="--activations are of one"):
        plan_dictionaries(TrainSaeConfig(arch="staircase", activations=("x.npy",)), info)


def test_what_is_shared_has_the_learning_rate_of_the_narrowest_and_suites_share_nothing():
    plans = [one.config for one in trainers(replace(STAIRCASE, k=(2, 3)))]
    assert {plan.settings.lr for plan in plans} == {1e-3 * (2**14 / 20) ** 0.5}
    made = [DictionaryTrainer(plan, CPU) for plan in plans]
    assert sorted(map(len, chains(made))) == [3, 3]
    assert parameters(made) == 2 * (2 * 60 * 16 + 20 + 40 + 60 + 3 * 16)
    assert len(chains(trainers(BLOCKS))) == 2


# --- training -----------------------------------------------------------------------------------------------------

TABLES = {
    "weights": STAIRCASE,
    "detached": replace(STAIRCASE, sharing="detached"),
    "b-dec": replace(STAIRCASE, sharing="b-dec"),
    "jumprelu": replace(STAIRCASE, arch="staircase-jumprelu", target_l0=(3.0,), widths="20,40,40"),
    "blocks": BLOCKS,
    "tied": SaeTable(arch="gated", latents=(40,), tied=True, sparsity_weight=(0.3,)),
}


@pytest.mark.parametrize("name", TABLES)
def test_trained_dictionaries_share_and_a_resumed_run_ends_in_the_same_bits(name, tmp_path):
    whole = trained(TABLES[name], tmp_path / "whole")
    for limit in (4, 10**9):
        resumed = trained(TABLES[name], tmp_path / "parts", limit)
    assert same_bits(whole, resumed)
    made = list(whole.suites[""].values())
    if name == "tied":
        assert all(torch.equal(one.W_enc_DF, one.W_dec_FD.T) for one in made)
        return
    pairs = [made[:2], made[2:]] if name == "blocks" else [made]
    for group in pairs:
        for one in group:
            count, widest = one.n_latents, group[-1]
            assert torch.equal(one.W_dec_FD, widest.W_dec_FD[:count])
            assert torch.equal(one.W_enc_DF, widest.W_enc_DF[:, :count])
            if name == "jumprelu":
                assert torch.equal(one.get_parameter("threshold_F"), widest.get_parameter("threshold_F")[:count])
            if name == "b-dec":
                assert torch.equal(one.b_dec_D, widest.b_dec_D)
        assert not torch.equal(group[0].b_enc_F, group[-1].b_enc_F[: group[0].n_latents])
    for record in whole.records:
        assert sum(record["l0_per_chunk"]) == pytest.approx(record["l0"])
        assert record["variance_explained"] < 1
    if name == "weights":
        assert [len(record["l0_per_chunk"]) for record in whole.records[-3:]] == [1, 2, 3]
    assert whole.records[-1]["variance_explained"] > whole.records[len(made) - 1]["variance_explained"]


def ranks_train(folder: str):
    ranks_here().join("cpu")
    found = {}
    for name in ("weights", "jumprelu", "tied"):
        result = trained(TABLES[name], Path(folder) / name, precision="fp64")
        weights = [value.numpy() for one in result.suites[""].values() for value in one.state_dict().values()]
        found[name] = weights, result.records
    return found


@pytest.mark.slow
def test_two_processes_train_the_staircase_that_one_trains(tmp_path):
    first, second = run_ranks(2, ranks_train, str(tmp_path / "both"))
    for name, (expected, records) in ranks_train(str(tmp_path / "alone")).items():
        for value, here, there in zip(expected, first[name][0], second[name][0], strict=True):
            assert np.array_equal(here, there)
            assert np.linalg.norm(here - value) < 1e-6 * max(1, np.linalg.norm(value)), name
        for record, other in zip(first[name][1], records, strict=True):
            assert record.get("l0_per_chunk", []) == pytest.approx(other.get("l0_per_chunk", []), rel=1e-9)


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_stores_a_staircase_that_gpt_circuits_can_have(saecli, tmp_path):
    flags = ["--arch", "staircase", "--widths", "20,40,60", "--layers", "0:3", "--k", "3", "--held-out", "4"]
    sizes = ["--tokens", "3000", "--batch", "500", "--buffer", "1500", "--seed", "3"]
    done = saecli("train", "sae", "othello-mini", *flags, *sizes, "--out", "stairs", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)["dictionaries"]
    assert [row["latents"] for row in rows] == [20, 40, 60]
    for row in rows:
        assert sum(row["l0_per_chunk"]) == pytest.approx(row["l0"], abs=1e-3)
    assert [len(row["l0_per_chunk"]) for row in rows] == [1, 2, 3]
    done = saecli("convert", "stairs/suite", "theirs", "--to", "gpt-circuits")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "theirs").glob("*.safetensors")) == [
        *(f"sae.{number}.safetensors" for number in range(3)),
        "sae.shared.0.safetensors",
    ]
