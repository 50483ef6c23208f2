"""Skip transcoders: the gradients of every step, what a linear path is worth, and that it is saved."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.dictionaries.gated import Gated
from saecli.train.recipes import RECIPES, TRAINED
from saecli.train.sae_config import TrainSaeConfig
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.settings import Settings
from saecli.train.step import StepInput, Workspace, without_skip
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from tests.train.test_recipes import NONE, check_gradients
from tests.train.test_sae import OUT, SITE, tiny_model
from tests.twins.matryoshka_step import matryoshka_loss


def loss_of(recipe: str, made: Dictionary, step: StepInput, y: torch.Tensor) -> torch.Tensor:
    """The plain formula without penalties; the skip path is part of what the dictionary writes."""
    assert made.W_skip_DO is not None
    skipped = step.x_BD @ made.W_skip_DO
    if recipe in ("matryoshka", "batchtopk"):
        return matryoshka_loss(made, StepInput(step.x_BD, y - skipped, NONE, step.settings))
    loss = (made(step.x_BD) - y).square().mean()
    if isinstance(made, Gated):  # what the gates alone reconstruct, with everything else of the output as it is
        gate = (step.x_BD @ made.W_enc_DF + made.b_enc_F).relu()
        guess = gate @ made.W_dec_FD.detach() + made.b_dec_D.detach() + skipped.detach()
        loss = loss + (guess - y).square().mean()
    return loss


@pytest.mark.parametrize("bias", [0.0, -4.5])  # about half of the features are active, or so few that lists are used
@pytest.mark.parametrize("recipe", TRAINED)
def test_every_step_has_the_gradients_of_its_formula_with_a_skip_path(recipe, bias):
    torch.manual_seed(3)
    options: dict[str, Any] = {"skip": True}
    options |= {"k": 5} if recipe == "topk" else {}
    options |= {"group_sizes": [40] if recipe == "batchtopk" else [3, 1, 16, 20]}
    made = make_dictionary(DictionaryConfig(RECIPES[recipe].arch, 12, 40, SITE, OUT, 10, options)).double()
    for name, parameter in made.named_parameters():
        torch.nn.init.normal_(parameter, std=0.5)
        if name == "threshold_F":
            parameter.requires_grad_(False).abs_()
    made.b_enc_F.data += bias
    x, y = torch.randn(600, 12, dtype=torch.float64), torch.randn(600, 10, dtype=torch.float64)
    settings = Settings(k=1 if bias else 5, sparsity_weight=0.0, l0_loss="l0", bandwidth=1e-9)
    if recipe == "topk":
        settings = Settings(k=5)
    target = without_skip(made, x, y, Workspace()).clone()
    step = StepInput(x, target, NONE, settings)
    check_gradients(recipe, made, step, loss_of(recipe, made, step, y))
    assert made.W_skip_DO is not None
    assert made.W_skip_DO.grad is not None


@pytest.mark.parametrize("recipe", TRAINED)
def test_where_part_of_the_output_is_linear_a_skip_path_helps(recipe):
    generator = torch.Generator().manual_seed(4)
    linear = torch.randn(16, 16, generator=generator)
    directions = torch.nn.functional.normalize(torch.randn(24, 16, generator=generator), dim=1)

    def rows(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = 5 * torch.randn(count, 16, generator=torch.Generator().manual_seed(seed)) + 20
        return x, x @ linear + 3 * ((x - 20) @ directions.T - 5).relu() @ directions

    def explained(skip: bool) -> float:
        options: dict[str, Any] = {"k": 4, "group_sizes": [16, 16]}
        options |= {"skip": True} if skip else {}
        shape = DictionaryConfig(RECIPES[recipe].arch, 16, 32, SITE, OUT, 16, options)
        norm = RECIPES[recipe].decoder_norm
        settings = Settings(lr=0.02, k=4, target_l0=4.0, bandwidth=0.03, sparsity_weight=1.0, decoder_norm=norm)
        made = DictionaryTrainer(TrainerConfig("", shape, recipe, 0, settings), torch.device("cpu"))
        space = Workspace()
        made.start(*rows(1000, 1))
        for number in range(100):
            x, y = rows(256, 10 + number)
            made.step(x, y, min(1.0, (100 - number) / 30), space, number / 100)
        x, y = rows(1000, 999)
        return 1 - float((made.finished()(x) - y).square().sum() / (y - y.mean(0)).square().sum())

    with_skip = explained(True)
    assert with_skip > 0.9
    assert 1 - with_skip < 0.6 * (1 - explained(False))


def test_a_run_with_skip_paths_reads_back(tmp_path, saecli):
    from saecli.core.gpt import GPT, GPTConfig
    from saecli.formats.hf_gpt2 import save_gpt
    from saecli.formats.suite import read_suite

    torch.manual_seed(0)
    save_gpt(GPT(GPTConfig(61, 59, 2, 2, 16)), tmp_path / "lm", vocabulary="othello")
    sites = ("--kind", "mlp_in>mlp_out", "--skip", "--k", "3", "--latents", "40", "--data", "othello")
    size = ("--tokens", "1500", "--batch", "256", "--buffer", "900", "--sequences", "4", "--held-out", "3")
    done = saecli("train", "sae", "lm", *sites, *size, "--threads", "1", "--out", "run", "--json")
    assert done.code == 0, done.err
    assert [row["site"] for row in json.loads(done.out)["dictionaries"]] == [f"{n}.mlp_in>{n}.mlp_out" for n in (0, 1)]
    suite = read_suite(tmp_path / "run" / "suite")
    made = suite[Site(1, "mlp_in")]
    assert made.config.options["skip"] is True
    assert made.W_skip_DO is not None
    assert float(made.W_skip_DO.abs().max()) > 0


def test_a_skip_path_is_a_transcoders():
    info = tiny_model().info
    with pytest.raises(UsageError, match="--skip is a path from the input of a transcoder to its output; topk at 0"):
        plan_dictionaries(TrainSaeConfig(skip=True, layers="0"), info)
    compiled = TrainSaeConfig(skip=True, kind=("mlp_in>mlp_out",), arch="standard", compile=True)
    with pytest.raises(UsageError, match="--compile has no formula with a skip path"):
        plan_dictionaries(compiled, info)
