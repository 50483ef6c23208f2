"""Untrained controls: what they are, that they take no step, and that their suites have numbers like any other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.site import Site
from saecli.formats.suite import read_suite
from saecli.train.controls import Control
from saecli.train.sae import train_sae
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.settings import Settings
from saecli.train.trainer import TrainerConfig
from tests.train.test_sae import SITE, config, features, same_bits, tiny_model

CONTROLS = (
    SaeTable(name="id", arch="identity", layers="0:2"),
    SaeTable(name="random", arch="random", layers="0:2", k=(3, 5), latents=(40,)),
)


def control(arch: str, width: int, latents: int, k: int = 4) -> Control:
    made = "topk" if arch == "random" else arch
    shape = DictionaryConfig(made, width, latents, SITE, SITE, width, {"k": k} if arch == "random" else {})
    return Control(TrainerConfig("", shape, arch, 0, Settings(k=k)), torch.device("cpu"), torch.float64)


def test_identity_reconstructs_exactly_with_every_dimension_a_feature():
    x = features(500).double() - 1
    made = control("identity", x.shape[1], x.shape[1])
    numbers = made.start(x)
    finished = made.finished()
    assert torch.equal(finished.encode(x.float()), x.float())
    assert torch.equal(finished(x.float()), x.float())
    assert numbers == {"loss": 0, "variance_explained": 1, "l0": x.shape[1], "dead_share": 0}


def test_random_directions_have_the_best_scale_and_its_numbers_are_those_of_its_output():
    x = torch.randn(2000, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3 + 7
    made = control("random", 12, 60)
    numbers = made.start(x)
    dictionary = made.dictionary
    torch.testing.assert_close(dictionary.W_dec_FD.norm(dim=1), torch.ones(60, dtype=torch.float64))
    along = dictionary.W_enc_DF.norm(dim=0)
    torch.testing.assert_close(dictionary.W_enc_DF, dictionary.W_dec_FD.T * along)
    torch.testing.assert_close(dictionary.b_dec_D, x.mean(0))

    @torch.no_grad()
    def left(factor: float) -> float:
        written = dictionary(x) - dictionary.b_dec_D
        return float((factor * written - (x - dictionary.b_dec_D)).square().mean())

    assert left(1.0) < min(left(0.99), left(1.01))
    assert numbers["loss"] == pytest.approx(left(1.0))
    assert numbers["variance_explained"] == pytest.approx(1 - left(1.0) / float((x - x.mean(0)).square().mean()))
    assert 0 < numbers["variance_explained"] < 1
    acts = dictionary.encode(x) != 0
    assert numbers["l0"] == pytest.approx(float(acts.sum(1).double().mean())) == 4
    assert numbers["dead_share"] == pytest.approx(float((~acts.any(0)).double().mean()))
    assert not torch.equal(dictionary.W_dec_FD, control("random", 12, 61).dictionary.W_dec_FD[:60])


def test_a_run_of_controls_takes_no_step(tmp_path):
    model = tiny_model()
    result = train_sae(config(sae=CONTROLS), model, tmp_path, threads=1)
    assert (result.steps, result.tokens, result.complete) == (0, 0, True)
    assert list(result.suites) == ["id", "random-k3", "random-k5"]
    assert [(one["step"], one["suite"], one["site"]) for one in result.records] == [
        (0, suite, site) for site in ("0.resid_pre", "1.resid_pre") for suite in ("id", "random-k3", "random-k5")
    ]
    assert {round(one["l0"]) for one in result.records if one["suite"] == "random-k5"} == {5}
    assert same_bits(result, train_sae(config(sae=CONTROLS), model, tmp_path / "again", threads=1))


def test_beside_controls_the_others_train_as_without_them_and_resume(tmp_path):
    model, table = tiny_model(), SaeTable(name="own", k=(3,), latents=(40,))
    alone = train_sae(config(sae=(table,)), model, tmp_path / "alone", threads=1)
    mixed = train_sae(config(sae=(*CONTROLS, table)), model, tmp_path / "mixed", threads=1)
    assert mixed.steps == alone.steps > 0
    (alone_suite,) = alone.suites.values()
    for site in alone_suite:
        for weight, value in alone_suite[site].state_dict().items():
            assert torch.equal(mixed.suites["own-k3"][site].state_dict()[weight], value)
    calls = iter(range(100))
    part = config(sae=(*CONTROLS, table))
    assert not train_sae(part, model, tmp_path / "part", threads=1, stop=lambda: next(calls) == 2).complete
    assert same_bits(train_sae(part, model, tmp_path / "part", threads=1), mixed)


def test_their_suites_read_back_with_numbers(tmp_path: Path, saecli):
    x = features(3000) - 12  # of either sign
    np.save(tmp_path / "a.npy", x.numpy())
    ask = ("train", "sae", "--activations", "a.npy", "--site", "3.mlp_out", "--threads", "1", "--json")
    for held_out in ("100", "0"):
        out = f"identity{held_out}"
        done = saecli(*ask, "--arch", "identity", "--out", out, "--held-out", held_out)
        assert done.code == 0, done.err
        (row,) = json.loads(done.out)["dictionaries"]
        assert (row["arch"], row["latents"], row["l0"], row["variance_explained"]) == ("identity", 8, 8, 1)
        suite = read_suite(tmp_path / out / "suite")
        assert torch.equal(suite[Site(3, "mlp_out")](x), x)
    done = saecli(*ask, "--arch", "random", "--k", "3", "--latents", "64", "--out", "random")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)["dictionaries"]
    assert (row["arch"], row["latents"]) == ("topk", 64)
    assert row["l0"] == pytest.approx(3, abs=0.01)
    suite = read_suite(tmp_path / "random" / "suite")
    assert suite.info.measured[Site(3, "mlp_out")]["l0"] == row["l0"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"arch": "identity", "kind": ("mlp_in>mlp_out",)}, "identity is a control for autoencoders"),
        ({"arch": "random", "kind": ("mlp_in>mlp_out",)}, "random is a control for autoencoders"),
        ({"arch": "random", "k_anneal": 0.1}, "--k-anneal is for these architectures: topk, batchtopk, matryoshka"),
        ({"arch": "random", "k": (40,), "latents": (16,)}, "--k 40 is more than the 16 latents"),
        ({"arch": "identity", "latents": (8, 16)}, "--latents has 2 values, and --arch identity does not depend"),
        ({"arch": "standard", "k": (8, 16)}, "--k has 2 values, and --arch standard does not depend"),
        ({"arch": "topk", "sparsity_weight": (1.0, 2.0)}, "--sparsity-weight has 2 values, and --arch topk does"),
        (
            {"arch": "jumprelu", "l0_loss": "tanh", "target_l0": (8.0, 16.0)},
            "--target-l0 has 2 values, and --arch jumprelu with --l0-loss tanh does not",
        ),
    ],
)
def test_what_fits_no_dictionary_is_refused(values, words):
    with pytest.raises(UsageError, match=words):
        plan_dictionaries(TrainSaeConfig(**{"layers": "0", **values}), tiny_model().info)
