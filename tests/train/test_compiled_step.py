"""Steps by torch.compile against those with backward passes of their own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from saecli.train.compiled_step import FORMULAS, compiled_step
from saecli.train.recipes import COMPILED, step_function
from tests.train.test_recipes import batch, random_dictionary
from tests.train.test_sae import features


def differences(recipe: str, transcoder: bool, p: float, next_p: float | None) -> dict[str, float]:
    """Relative differences of loss, statistics and gradients."""
    made = random_dictionary(recipe, transcoder)
    step = batch(transcoder, p=p, next_p=next_p, sparsity_weight=0.3)
    expected = step_function(recipe)(made, step)
    gradients = {name: parameter.grad.clone() for name, parameter in made.named_parameters()}
    out = compiled_step(recipe)(made, step)
    assert torch.equal(out.fired_F, expected.fired_F)
    assert out.l0 == pytest.approx(expected.l0)
    assert (out.penalties or ()) == pytest.approx(expected.penalties or ())
    assert (out.mse, out.aux) == pytest.approx((expected.mse, expected.aux))
    found = {
        name: float((p.grad - gradients[name]).norm() / gradients[name].norm()) for name, p in made.named_parameters()
    }
    return found | {"loss": abs(out.loss / expected.loss - 1)}


@pytest.mark.parametrize("transcoder", [False, True])
@pytest.mark.parametrize(("p", "next_p"), [(1.0, None), (1.0, 0.9), (0.7, 0.6)])
@pytest.mark.parametrize("recipe", sorted(COMPILED))
def test_formulas_have_the_gradients_of_the_steps(recipe, p, next_p, transcoder):
    with torch.compiler.set_stance("force_eager"):
        assert max(differences(recipe, transcoder, p, next_p).values()) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("recipe", sorted(COMPILED))
def test_compiled_formulas_are_the_formulas(recipe):
    assert max(differences(recipe, False, 1.0, None).values()) < 1e-5
    torch._dynamo.reset()


def test_the_flag_is_for_steps_that_have_a_formula(tmp_path: Path, saecli):
    assert set(COMPILED) == set(FORMULAS)
    np.save(tmp_path / "a.npy", features(100).numpy())
    done = saecli("train", "sae", "--activations", "a.npy", "--latents", "32", "--k", "4", "--compile", "--plan")
    assert (done.code, "--compile is for --arch standard or gated, not topk" in done.err) == (2, True), done.err
    done = saecli("train", "sae", "--activations", "a.npy", "--latents", "32", "--arch", "gated", "--compile", "--plan")
    assert done.code == 0, done.err
