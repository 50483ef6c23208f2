"""Activations kept on disk: the same bits, no second pass of the model, never more room than allowed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from saecli.core.errors import UsageError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.site import Site
from saecli.data.games import OthelloSource
from saecli.train.activation_cache import RememberingModel
from saecli.train.sae import train_sae
from saecli.train.sae_config import TrainSaeConfig
from tests.train.test_sae import config, same_bits, tiny_model

SITES = [Site(0, "mlp_out"), Site(1, "resid_pre")]
PLENTY = 1 << 30


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def batches(count: int, seed: int = 0) -> list[torch.Tensor]:
    source = OthelloSource(3, seed)
    return [source.batch(step).tokens_BS for step in range(count)]


@torch.no_grad()
def read(model, tokens: torch.Tensor, sites: list[Site] = SITES) -> dict[Site, torch.Tensor]:
    return model.run(tokens, read=sites, stop_after=sites[-1]).sites


def same(one: dict[Site, torch.Tensor], other: dict[Site, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[site], other[site]) for site in one)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch):
    """A model that counts its passes: ``model()`` gives it, ``model.count`` is how many there were."""

    class Counted:
        count = 0

        def __call__(self, seed: int = 0):
            model = tiny_model(seed)
            run = model.run

            def counted(*args, **kwargs):
                self.count += 1
                return run(*args, **kwargs)

            model.run = counted  # type: ignore[method-assign]
            return model

    return Counted()


def test_a_second_run_has_the_bits_and_does_not_run_the_model(tmp_path, passes):
    plain = train_sae(config(), tiny_model(), tmp_path / "plain", threads=1)
    first = RememberingModel(passes(), tmp_path / "cache", PLENTY)
    assert same_bits(train_sae(config(), first, tmp_path / "first", threads=1), plain)
    done = passes.count
    assert done > 3
    again = RememberingModel(passes(), tmp_path / "cache", PLENTY)
    assert same_bits(train_sae(config(), again, tmp_path / "again", threads=1), plain)
    assert passes.count == done
    sweep = config(seed=0, lr=0.002, buffer=500)  # other dictionaries, another mixing: the same activations
    train_sae(sweep, again, tmp_path / "sweep", threads=1)
    assert passes.count <= done + 1


def test_only_what_is_missing_is_computed(tmp_path, passes):
    tokens = batches(2)
    kept = RememberingModel(passes(), tmp_path, PLENTY)
    expected = read(tiny_model(), tokens[0])
    assert same(read(kept, tokens[0], SITES[:1]), {SITES[0]: expected[SITES[0]]})
    assert same(read(kept, tokens[0]), expected)
    assert passes.count == 2
    assert same(read(kept, tokens[0]), expected)
    assert same(read(kept, tokens[0], SITES[1:]), {SITES[1]: expected[SITES[1]]})
    assert passes.count == 2
    assert same(read(kept, tokens[1]), read(tiny_model(), tokens[1]))
    assert passes.count == 3
    other = RememberingModel(passes(1), tmp_path, PLENTY)
    assert same(read(other, tokens[0]), read(tiny_model(1), tokens[0]))
    assert passes.count == 4


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "rubbish"])
def test_damaged_files_are_made_again(tmp_path, passes, damage):
    (tokens,) = batches(1)
    kept = RememberingModel(passes(), tmp_path, PLENTY)
    expected = read(kept, tokens)
    (file,) = tmp_path.glob(f"*/*{SITES[1]}*")
    data = file.read_bytes()
    bad = {"flip": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "cut": data[:-8], "empty": b"", "rubbish": b"x" * 50}
    file.write_bytes(bad[damage])
    assert same(read(kept, tokens), expected)
    assert passes.count == 2
    assert file.read_bytes() == data
    assert same(read(kept, tokens), expected)
    assert passes.count == 2


def test_the_budget_is_never_exceeded_and_old_files_of_other_models_go_first(tmp_path, passes):
    told = []
    (tokens,) = batches(1)
    one = RememberingModel(passes(), tmp_path / "probe", PLENTY)
    read(one, tokens, SITES[1:])
    each = size(tmp_path / "probe")
    budget = 4 * each + 10
    first = RememberingModel(passes(), tmp_path / "cache", budget, lambda line, *rest: told.append(line))
    for number, batch in enumerate(batches(6)):
        assert same(read(first, batch, SITES[1:]), read(tiny_model(), batch, SITES[1:]))
        assert size(tmp_path / "cache") == min(number + 1, 4) * each
    (line,) = told
    assert "holds what --cache-activations allows" in line
    for age, file in enumerate(sorted((tmp_path / "cache").glob("*/*"))):
        os.utime(file, (1000 + age, 1000 + age))
    oldest = sorted((tmp_path / "cache").glob("*/*"))[:2]
    other = RememberingModel(passes(1), tmp_path / "cache", budget)
    for batch in batches(2):
        read(other, batch, SITES[1:])
        assert size(tmp_path / "cache") <= budget
    assert not any(file.exists() for file in oldest)
    assert len(list((tmp_path / "cache").glob("*/*"))) == 4


def test_what_a_killed_process_left_is_removed_and_a_full_disk_is_said(tmp_path, passes, monkeypatch):
    told = []
    tokens = batches(2)
    kept = RememberingModel(passes(), tmp_path, PLENTY, lambda line, *rest: told.append(line))
    read(kept, tokens[0])
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (folder / "half.tmp").write_bytes(b"half")
    read(kept, tokens[1])
    assert not list(folder.glob("*.tmp"))

    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    more = batches(3, seed=1)
    assert all(same(read(kept, batch), read(tiny_model(), batch)) for batch in more)
    (line,) = told
    assert "No space left on device" in line


def test_edits_and_gradients_go_to_the_model(tmp_path, passes):
    kept = RememberingModel(passes(), tmp_path, PLENTY)
    (tokens,) = batches(1)
    plain = tiny_model()
    zero = {SITES[1]: torch.zeros_like}
    edited = kept.run(tokens, read=SITES, write=zero, stop_after=SITES[-1])
    assert torch.equal(edited.sites[SITES[1]], torch.zeros_like(edited.sites[SITES[1]]))
    assert kept.run(tokens).logits is not None
    assert torch.equal(kept.embed(tokens), plain.embed(tokens))
    assert fingerprint_module(kept.module) == fingerprint_module(plain.module)
    assert not list(tmp_path.glob("*/*"))


def test_the_flag(tmp_path, saecli, monkeypatch):
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    sizes = ("--n-layer", "1", "--n-head", "2", "--d-model", "16", "--steps", "1", "--held-out", "2")
    assert saecli("train", "lm", *sizes, "--out", "lm").code == 0
    small = ("--latents", "20", "--k", "3", "--tokens", "900", "--batch", "256", "--buffer", "400", "--sequences", "4")
    answers = []
    for name, more in (
        ("plain", ()),
        ("first", ("--cache-activations", "50M")),
        ("again", ("--cache-activations", "50M")),
    ):
        done = saecli("train", "sae", "lm/model", *small, *more, "--held-out", "0", "--out", name, "--json")
        assert done.code == 0, done.err
        answers.append(json.loads(done.out)["dictionaries"])
    assert answers[0] == answers[1] == answers[2]
    assert 0 < size(tmp_path / "cache" / "activations") < 50 << 20
    with pytest.raises(UsageError, match="--cache-activations x"):
        TrainSaeConfig(cache_activations="x")
