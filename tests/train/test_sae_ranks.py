"""Several processes train what one trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saecli.core.errors import InputError, UsageError
from saecli.core.ranks import ranks_here
from saecli.train.sae import train_on_vectors, train_sae
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_loop import SaeResult
from saecli.train.vectors import VectorFiles
from tests.processes import run_ranks
from tests.train.test_sae import features, tiny_model

RECIPES = {
    "topk": SaeTable(k=(3,)),
    "batchtopk": SaeTable(arch="batchtopk", k=(3,)),
    "matryoshka": SaeTable(arch="matryoshka", k=(3,)),
    "jumprelu": SaeTable(arch="jumprelu", target_l0=(3.0,)),
    "gated": SaeTable(arch="gated", sparsity_weight=(0.3,)),
    "standard": SaeTable(arch="standard", sparsity_weight=(0.3,), sparsity_p=0.5),
}


def config(recipe: str, **changes: object) -> TrainSaeConfig:
    tables = tuple(
        replace(RECIPES[recipe], name=kind.partition(">")[0], kind=(kind,), layers="1", latents=(96,))
        for kind in ("resid_pre", "mlp_in>mlp_out")
    )
    base = {"sae": tables, "tokens": 2400, "batch": 160, "buffer": 800, "sequences": 5, "lr": 0.01, "dead_after": 150}
    return TrainSaeConfig(**{**base, "precision": "fp64", "log_every": 3, **changes})  # type: ignore[arg-type]


def trained(folder: Path, recipe: str, limit: int = 10**9, **changes: object) -> SaeResult:
    """One process's part of a run of as many processes as there are, stopped after some steps."""
    ranks = ranks_here()
    model, calls = tiny_model(), iter(range(1, 10**9))
    asked = config(recipe, **changes)
    return train_sae(asked, model, folder, threads=1, stop=lambda: next(calls) >= limit, ranks=ranks)


def numbers(result: SaeResult) -> dict[str, np.ndarray]:
    """Weights as arrays: tensors would not outlive the process that made them."""
    return {
        f"{variant}/{site}/{name}": value.numpy()
        for variant, suite in result.suites.items()
        for site, dictionary in suite.items()
        for name, value in dictionary.state_dict().items()
    }


def one_of_several(folder: str) -> dict[str, tuple[dict[str, np.ndarray], list[dict]]]:
    ranks_here().join("cpu")
    found = {}
    for recipe in RECIPES:
        result = trained(Path(folder) / recipe, recipe)
        found[recipe] = numbers(result), result.records
    return found


def test_two_processes_train_what_one_trains(tmp_path: Path):
    first, second = run_ranks(2, one_of_several, str(tmp_path / "both"))
    for recipe in RECIPES:
        alone = trained(tmp_path / "alone" / recipe, recipe)
        expected, (found, records) = numbers(alone), first[recipe]
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert np.array_equal(found[name], second[recipe][0][name])
            assert np.linalg.norm(found[name] - value) < 1e-10 * max(1, np.linalg.norm(value)), (recipe, name)
        if "topk" in recipe:  # the treatment of dead latents was in it
            assert any(record["dead_share"] > 0 for record in records)
        for record, other in zip(records, alone.records, strict=True):
            told = {name: value for name, value in other.items() if not isinstance(value, str)}
            assert {name: record[name] for name in told} == pytest.approx(told, rel=1e-9)


def stopped_and_resumed(folder: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    ranks_here().join("cpu")
    whole = trained(Path(folder) / "whole", "batchtopk")
    for limit in (4, 10**9):
        resumed = trained(Path(folder) / "parts", "batchtopk", limit)
    trained(Path(folder) / "left", "batchtopk", 4)
    return numbers(whole), numbers(resumed)


@pytest.mark.slow
def test_several_processes_resume_to_the_same_bits(tmp_path: Path):
    for whole, resumed in run_ranks(3, stopped_and_resumed, str(tmp_path)):
        assert all(np.array_equal(value, resumed[name]) for name, value in whole.items())
    with pytest.raises(InputError, match="made by 3 processes, not 1"):
        trained(tmp_path / "left", "batchtopk")


def on_vectors(folder: str, file: str) -> dict[str, np.ndarray]:
    ranks = ranks_here()
    ranks.join("cpu")
    asked = TrainSaeConfig(
        activations=(file,), k=(3,), latents=(32,), tokens=4000, batch=500, precision="fp64", lr=0.01, held_out=0
    )
    files = VectorFiles([Path(file)], hold_out=False)
    return numbers(train_on_vectors(asked, files, Path(folder), threads=1, ranks=ranks))


@pytest.mark.slow
def test_vectors_of_ones_own_are_shared_too(tmp_path: Path):
    np.save(tmp_path / "vectors.npy", features(3001).numpy())
    alone = on_vectors(str(tmp_path / "alone"), str(tmp_path / "vectors.npy"))
    for found in run_ranks(2, on_vectors, str(tmp_path / "both"), str(tmp_path / "vectors.npy")):
        for name, value in alone.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9)


def too_many(folder: str) -> str:
    ranks_here().join("cpu")
    with pytest.raises(UsageError, match="3 processes share 2 sequences") as caught:
        trained(Path(folder), "topk", sequences=2)
    return caught.value.message


def test_each_process_needs_a_sequence(tmp_path: Path):
    assert len(set(run_ranks(3, too_many, str(tmp_path)))) == 1
