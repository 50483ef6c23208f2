"""The threshold of TopK: learned as its formula says, in the units of the model, and good for a JumpReLU."""

from __future__ import annotations

import json

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import UsageError
from saecli.dictionaries import make_dictionary
from saecli.dictionaries.jumprelu import from_topk
from saecli.train.settings import Settings
from saecli.train.sparse_step import topk_step
from saecli.train.step import StepInput, Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from tests.train.test_families import learned, planted
from tests.train.test_sae import NONE, SITE


@pytest.mark.parametrize("lower", [0.0, 3.0, 100.0])  # every row has k positive ones, some have fewer, none has any
def test_a_step_finds_the_smallest_active_value_of_the_vectors(lower):
    torch.manual_seed(0)
    made = make_dictionary(DictionaryConfig("topk", 12, 40, SITE, SITE, 12, {"k": 4})).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    made.b_enc_F.data -= lower
    x = torch.randn(300, 12, dtype=torch.float64)
    acts = made.encode(x).detach()
    least = [float(row[row > 0].min()) for row in acts if bool((row > 0).any())]
    out = topk_step(made, StepInput(x, x, NONE, Settings(k=4)))
    if lower == 100:
        assert out.least is None
    else:
        assert out.least == pytest.approx(sum(least) / len(least))


def rows(count: int, seed: int) -> torch.Tensor:
    """Sums of 8 of 64 directions on average, in noise, off centre."""
    directions = torch.nn.functional.normalize(torch.randn(64, 32, generator=torch.Generator().manual_seed(5)), dim=1)
    generator = torch.Generator().manual_seed(seed)
    weights = (torch.rand(count, 64, generator=generator) < 1 / 8) * torch.rand(count, 64, generator=generator)
    return 10 * (weights @ directions + 0.05 * torch.randn(count, 32, generator=generator)) + 3


def test_as_jumprelu_nearly_as_many_features_are_active_on_held_out_data_on_average():
    shape = DictionaryConfig("topk", 32, 64, SITE, SITE, 32, {"k": 8})
    settings = Settings(lr=0.01, k=8, aux_k=8, dead_after=20_000)
    made, space = DictionaryTrainer(TrainerConfig("", shape, "topk", 0, settings), torch.device("cpu")), Workspace()
    sample = rows(2000, 1)
    made.start(sample, sample)
    for number in range(300):
        x = rows(256, 10 + number)
        made.step(x, x, min(1.0, (300 - number) / 90), space, number / 300)
    finished = made.finished()
    assert made.threshold is not None
    assert finished.config.options["threshold"] == pytest.approx(made.threshold / made.units.scale_in)
    x = rows(4000, 999)
    as_jumprelu = from_topk(finished)
    l0 = float((as_jumprelu.encode(x) != 0).sum(1).float().mean())
    assert l0 == pytest.approx(8, rel=0.15)
    assert as_jumprelu.config.options == {}
    both = (as_jumprelu.encode(x) != 0) & (finished.encode(x) != 0)
    torch.testing.assert_close(as_jumprelu.encode(x)[both], finished.encode(x)[both])


def test_the_threshold_goes_on_from_a_state():
    made, again = learned("topk"), learned("topk", lr=0.02)
    again.load(made.state())
    assert again.threshold == made.threshold
    assert again.finished().config == made.finished().config


def test_what_has_no_threshold_does_not_become_jumprelu():
    bare = make_dictionary(DictionaryConfig("topk", 8, 16, SITE, SITE, 8, {"k": 4}))
    with pytest.raises(UsageError, match=r"TopK dictionary at 1\.mlp_in has no threshold"):
        from_topk(bare)
    with pytest.raises(UsageError, match=r"that at 1\.mlp_in is standard"):
        from_topk(make_dictionary(DictionaryConfig("standard", 8, 16, SITE, SITE, 8)))


def test_a_trained_suite_converts(tmp_path, saecli):
    import numpy as np

    from saecli.formats.registry import open_dictionaries

    np.save(tmp_path / "a.npy", planted(6000, 1)[0].numpy())
    ask = ("train", "sae", "--activations", "a.npy", "--latents", "32", "--tokens", "8000", "--batch", "256")
    done = saecli(*ask, "--k", "2", "--lr", "0.01", "--threads", "1", "--out", "run", "--json")
    assert done.code == 0, done.err
    done = saecli("convert", "run/suite", "made", "--to", "saelens", "--as", "jumprelu", "--json")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)["dictionaries"]
    assert (row["architecture"], row["becomes"]) == ("topk", "jumprelu")
    (before,), (after,) = (open_dictionaries(tmp_path / one).items for one in ("run/suite", "made"))
    threshold = before.config.options["threshold"]
    assert torch.equal(after.load(torch.float32).state_dict()["threshold_F"], torch.full((32,), threshold))
    again = saecli("convert", "made", "more", "--to", "saelens", "--as", "jumprelu")
    assert again.code == 2
    assert "is jumprelu" in again.err
    assert not (tmp_path / "more").exists()
    wrong = saecli("convert", "text.txt", "shards", "--to", "shards", "--as", "jumprelu")
    assert wrong.code == 2
    assert "--as jumprelu is for dictionaries" in wrong.err
