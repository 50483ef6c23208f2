"""Several processes train what one trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

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
    "jumprelu": SaeTable(arch="jumprelu", target_l0=(3.0,)),
    "gated": SaeTable(arch="gated", sparsity_weight=(0.3,)),
    "standard": SaeTable(arch="standard", sparsity_weight=(0.3,), sparsity_p=0.5),
}


def config(recipe: str, **changes: object) -> TrainSaeConfig:
    from dataclasses import replace

    tables = tuple(
        replace(RECIPES[recipe], name=kind.partition(">")[0], kind=(kind,), layers="1", latents=(32,))
        for kind in ("resid_pre", "mlp_in>mlp_out")
    )
    base = {"sae": tables, "tokens": 2400, "batch": 160, "buffer": 800, "sequences": 5, "lr": 0.01, "dead_after": 300}
    return TrainSaeConfig(**{**base, "precision": "fp64", "log_every": 3, **changes})  # type: ignore[arg-type]


def trained(folder: Path, recipe: str, limit: int = 10**9, **changes: object) -> SaeResult:
    """One process's part of a run of as many processes as there are, stopped after some steps."""
    ranks = ranks_here()
    ranks.join("cpu")
    model, calls = tiny_model(), iter(range(1, 10**9))
    model.module.double()
    asked = config(recipe, **changes)
    return train_sae(asked, model, folder, threads=1, stop=lambda: next(calls) >= limit, ranks=ranks)


def numbers(result: SaeResult) -> dict[str, torch.Tensor]:
    return {
        f"{variant}/{site}/{name}": value
        for variant, suite in result.suites.items()
        for site, dictionary in suite.items()
        for name, value in dictionary.state_dict().items()
    }


def one_of_several(folder: str, recipe: str, limit: int = 10**9) -> tuple[dict[str, torch.Tensor], list[dict]]:
    result = trained(Path(folder), recipe, limit)
    return numbers(result), result.records


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_two_processes_train_what_one_trains(tmp_path: Path, recipe: str):
    alone = trained(tmp_path / "alone", recipe)
    (first, records), (second, _) = run_ranks(2, one_of_several, str(tmp_path / "both"), recipe)
    expected = numbers(alone)
    assert first.keys() == second.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(first[name], second[name])
        assert float((first[name] - value).norm() / value.norm().clamp_min(1)) < 1e-10, name
    assert any(record["dead_share"] > 0 for record in records)  # so the treatment of dead latents was in it
    for record, other in zip(records, alone.records, strict=True):
        assert record == pytest.approx(other, rel=1e-9)


def test_several_processes_resume_to_the_same_bits(tmp_path: Path):
    whole, _ = run_ranks(3, one_of_several, str(tmp_path / "whole"), "batchtopk")[0]
    run_ranks(3, one_of_several, str(tmp_path / "parts"), "batchtopk", 4)
    resumed, _ = run_ranks(3, one_of_several, str(tmp_path / "parts"), "batchtopk")[0]
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    run_ranks(3, one_of_several, str(tmp_path / "left"), "batchtopk", 4)
    with pytest.raises(InputError, match="made by 3 processes, not one process"):
        trained(tmp_path / "left", "batchtopk")


def on_vectors(folder: str, file: str) -> dict[str, torch.Tensor]:
    ranks = ranks_here()
    ranks.join("cpu")
    asked = TrainSaeConfig(
        activations=(file,), k=(3,), latents=(32,), tokens=4000, batch=500, precision="fp64", lr=0.01, held_out=0
    )
    files = VectorFiles([Path(file)], hold_out=False)
    return numbers(train_on_vectors(asked, files, Path(folder), threads=1, ranks=ranks))


def test_vectors_of_ones_own_are_shared_too(tmp_path: Path):
    import numpy as np

    np.save(tmp_path / "vectors.npy", features(3001).numpy())
    alone = on_vectors(str(tmp_path / "alone"), str(tmp_path / "vectors.npy"))
    for found in run_ranks(2, on_vectors, str(tmp_path / "both"), str(tmp_path / "vectors.npy")):
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6)


def too_many(folder: str) -> str:
    with pytest.raises(UsageError, match="3 processes share 2 sequences") as caught:
        trained(Path(folder), "topk", sequences=2)
    return caught.value.message


def test_each_process_needs_a_sequence(tmp_path: Path):
    assert len(set(run_ranks(3, too_many, str(tmp_path)))) == 1
