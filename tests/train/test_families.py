"""Families beyond the plain ones: nested groups and rules for decoder norms; what they learn and are saved as."""

from __future__ import annotations

import functools
from typing import cast

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import UsageError
from saecli.dictionaries import make_dictionary
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.train.recipes import RECIPES, step_function
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.settings import Settings
from saecli.train.step import Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from tests.train.test_recipes import batch, check_gradients
from tests.train.test_sae import OUT, SITE, tiny_model
from tests.twins.matryoshka_step import matryoshka_loss

WIDTH, PLANTED, PER_ROW = 32, 24, 2


@functools.cache
def planted(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors that are sums of two of 24 directions, off centre, and the directions."""
    directions = torch.nn.functional.normalize(
        torch.randn(PLANTED, WIDTH, generator=torch.Generator().manual_seed(5)), dim=1
    )
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(count, PLANTED, generator=generator).argsort(1)[:, :PER_ROW]
    weights = 0.5 + torch.rand(count, PER_ROW, generator=generator)
    return 10 * (directions[chosen] * weights[..., None]).sum(1) + 3, directions


def learned(recipe: str, options: dict[str, object] | None = None, **changes: object) -> DictionaryTrainer:
    """A dictionary of 32 features after 300 steps on planted ones."""
    arch = RECIPES[recipe].arch
    shape = DictionaryConfig(arch, WIDTH, 32, SITE, SITE, WIDTH, {"k": PER_ROW} if arch == "topk" else options or {})
    values: dict[str, object] = {"lr": 0.01, "k": PER_ROW, "target_l0": PER_ROW, "bandwidth": 0.03, "aux_k": 8}
    values |= {"dead_after": 20_000, "decoder_norm": RECIPES[recipe].decoder_norm}
    settings = Settings(**{**values, **changes})  # type: ignore[arg-type]
    made = DictionaryTrainer(TrainerConfig("", shape, recipe, 0, settings), torch.device("cpu"))
    sample, _ = planted(2000, 1)
    made.start(sample, sample)
    space = Workspace()
    for number in range(300):
        x, _ = planted(256, 10 + number)
        x = x.clone()  # a step scales it in place
        made.step(x, x, min(1.0, (300 - number) / 90), space, number / 300)
    return made


def match(made: DictionaryTrainer) -> float:
    """Mean over the planted directions of the cosine to the decoder row that is nearest."""
    rows = torch.nn.functional.normalize(made.finished().W_dec_FD, dim=1)
    return float((planted(1, 0)[1] @ rows.T).amax(1).mean())


# --- matryoshka ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transcoder", [False, True])
@pytest.mark.parametrize("dead", [0, 7])
@pytest.mark.parametrize("sizes", [[40], [3, 1, 16, 20]])
def test_matryoshka_step_has_the_gradients_of_its_formula(transcoder, dead, sizes):
    torch.manual_seed(3)
    shape = DictionaryConfig("jumprelu", 12, 40, SITE, OUT if transcoder else SITE, 12, {"group_sizes": sizes})
    made = cast(JumpReLU, make_dictionary(shape).double())
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    made.threshold_F.requires_grad_(False).fill_(0.4)
    dead_N = torch.randperm(40)[:dead].sort().values
    step = batch(transcoder, dead_N=dead_N, k=5, aux_k=3, aux_coefficient=0.25)
    check_gradients("matryoshka", made, step, matryoshka_loss(made, step))


def test_one_group_is_batchtopk():
    step = batch(k=4)
    outs, gradients = [], []
    for recipe, options in (("batchtopk", {}), ("matryoshka", {"group_sizes": [40]})):
        torch.manual_seed(3)
        made = make_dictionary(DictionaryConfig("jumprelu", 12, 40, SITE, SITE, 12, options)).double()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        cast(JumpReLU, made).threshold_F.data.fill_(0.1)
        outs.append(step_function(recipe)(made, step))
        gradients.append([parameter.grad for parameter in made.parameters() if parameter.grad is not None])
    assert outs[0].loss == pytest.approx(outs[1].loss)
    assert torch.equal(outs[0].fired_F, outs[1].fired_F)
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_early_groups_reconstruct_more_by_themselves_than_without_nesting():
    def left(recipe: str, options: dict[str, object]) -> float:
        finished = learned(recipe, options).finished()
        x, _ = planted(2000, 999)
        acts = finished.encode(x)
        acts[:, 8:] = 0
        return float((finished.decode(acts) - x).square().sum() / (x - x.mean(0)).square().sum())

    nested = left("matryoshka", {"k": PER_ROW, "group_sizes": [8, 24]})
    assert nested < 0.9 * left("batchtopk", {})


def test_groups_are_shares_of_the_latents_and_the_last_takes_the_rest():
    info = tiny_model().info

    def sizes(latents: int, **values: object) -> list[int]:
        config = TrainSaeConfig(arch="matryoshka", layers="0", k=(2,), latents=(latents,), **values)  # type: ignore[arg-type]
        (plan,) = plan_dictionaries(config, info)
        return plan.dictionary.options["group_sizes"]

    assert sizes(1024) == [32, 64, 128, 256, 544]
    assert sizes(100) == [3, 6, 12, 25, 54]
    assert sizes(10, groups="0.333,0.333,0.334") == [3, 3, 4]
    for groups, words in (("a,b", "expected shares"), ("1/2,1/4", "sum to 1, not 0.75"), ("1/64,63/64", "group empty")):
        with pytest.raises(UsageError, match=words):
            sizes(32, groups=groups)


# --- what each recovers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("topk", {}),
        ("batchtopk", {}),
        ("matryoshka", {}),
        ("jumprelu", {}),
        ("jumprelu", {"l0_loss": "l0", "sparsity_weight": 0.3}),
        ("jumprelu", {"l0_loss": "tanh", "sparsity_weight": 0.3, "decoder_norm": "free"}),
        ("gated", {"sparsity_weight": 3.0}),
        ("gated", {"sparsity_weight": 3.0, "decoder_norm": "free"}),
        ("gated", {"sparsity_weight": 4.0, "sparsity_p": 0.2, "anneal_start": 0.1}),
        ("standard", {"sparsity_weight": 1.0}),
        ("standard", {"sparsity_weight": 1.0, "decoder_norm": "unit"}),
        ("standard", {"sparsity_weight": 0.5, "sparsity_p": 0.2, "anneal_start": 0.1}),
    ],
)
def test_planted_features_are_found(recipe, changes):
    options = {"k": PER_ROW, "group_sizes": [16, 16]} if recipe == "matryoshka" else None
    made = learned(recipe, options, **changes)
    assert match(made) > 0.9
    norms_F = made.finished().W_dec_FD.norm(dim=1)
    unit = changes.get("decoder_norm", RECIPES[recipe].decoder_norm) == "unit"
    assert bool(torch.allclose(norms_F, torch.ones(32))) == unit


def test_what_sets_the_sparsity_of_jumprelu_depends_on_its_penalty():
    def variants(**values: object) -> list[tuple[str, float, float]]:
        config = TrainSaeConfig(arch="jumprelu", layers="0", latents=(40,), **values)  # type: ignore[arg-type]
        plans = plan_dictionaries(config, tiny_model().info)
        return [(plan.variant, plan.settings.sparsity_weight, plan.settings.target_l0) for plan in plans]

    assert variants(target_l0=(4.0, 8.0)) == [("l0-4", 1.0, 4.0), ("l0-8", 1.0, 8.0)]
    swept = variants(l0_loss="tanh", sparsity_weight=(0.1, 0.3), target_l0=(8.0,))
    assert swept == [("w0.1", 0.1, 8.0), ("w0.3", 0.3, 8.0)]


def test_a_table_chooses_its_decoder_norm():
    tables = tuple(SaeTable(name=name, arch=name, latents=(40,), k=(4,)) for name in ("standard", "topk"))
    asked = (*tables, SaeTable(name="old", arch="standard", latents=(40,), decoder_norm="unit"))
    plans = plan_dictionaries(TrainSaeConfig(sae=asked), tiny_model().info)
    assert {(plan.variant, plan.settings.decoder_norm) for plan in plans} == {
        ("standard", "free"),
        ("topk", "unit"),
        ("old", "unit"),
    }
