"""``saecli connect --pair`` through the command line, on a tiny model with random autoencoders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from saecli.attribution.pair import feature_pair
from saecli.connect import files
from saecli.core.connections import Connections
from saecli.core.dictionary import DictionaryConfig
from saecli.core.fingerprint import fingerprint_module
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.data.sequences import open_sequences
from saecli.dictionaries import make_dictionary
from saecli.formats.connections import read_connections
from saecli.formats.hf_gpt2 import save_gpt
from saecli.formats.suite import write_suite
from tests.connect.suites import LATENTS, WIDTH, tiny_gpt
from tests.twins.pair_scores import slow_scores

SITES = ("0.resid_pre", "0.resid_mid", "1.resid_pre", "1.mlp_in", "1.mlp_out", "1.attn_out")
PAIR = ("--pair", "1.mlp_in:1.mlp_out")
FEW = ("--suite", "lm/suite", "--data", "othello", "--sequences", "3", "--device", "cpu", "--threads", "1")


def make(folder: Path) -> None:
    """An OthelloGPT with TopK autoencoders at some sites, of random weights."""
    model = tiny_gpt(vocab=61)
    save_gpt(model, folder, vocabulary="othello")
    generator, made = torch.Generator().manual_seed(1), []
    for name in SITES:
        site, options = Site.parse(name), {"k": 3} | ({"normalize": "layer_norm"} if "attn" in name else {})
        one = make_dictionary(DictionaryConfig("topk", WIDTH, LATENTS, site, site, WIDTH, options))
        for parameter in one.requires_grad_(False).parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        made.append(one)
    info = SuiteInfo("tiny", str(folder), fingerprint_module(model), context=59, vocabulary="othello")
    write_suite(Suite.of(info, made), folder / "suite")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "connect_figures", lambda *_: {})
    make(tmp_path / "lm")


def connect(saecli, *argv: str) -> dict:
    done = saecli("connect", "lm", *FEW, *argv, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.parametrize(
    ("pair", "flags", "score"),
    [
        ("1.mlp_in:1.mlp_out", (), "ig"),
        ("0.resid_mid:0.resid_post", ("--compat", "gpt-circuits"), "reference"),
        ("0.resid_pre:1.resid_pre", ("--score", "jacobian"), "jacobian"),
        ("1.mlp_in:1.mlp_out", ("--score", "ablation"), "ablation"),
    ],
)
def test_files_hold_the_scores_of_one_backward_per_target(here, saecli, pair, flags, score):
    from zoo.load import load_model, load_suite

    steps = ("--steps", "2") if score in ("ig", "reference") else ()
    document = connect(saecli, "--pair", pair, "--dtype", "float64", *flags, *steps)
    (one,) = document["chosen"]
    made = read_connections(Path(document["run_directory"]) / one["file"])
    assert (made.rule, made.limit, made.n_edges, made.score) == ("overall", 144, LATENTS**2, document["score"])
    assert made.details["sequences"] == 3
    assert made.details["positions"] == document["tokens"] == 3 * 59
    assert made.details.get("steps") == (2 if steps else None)
    up, down = (Site.parse(part) for part in pair.split(":"))
    found_UF = torch.zeros(LATENTS, LATENTS)
    for feature in range(LATENTS):
        row = made.row(down, up, feature)
        assert row.scores_E is not None
        found_UF[row.indices_E.long(), feature] = row.scores_E
    model, suite = load_model("lm"), load_suite("lm/suite", dtype=torch.float64)
    model.module.double()
    expected_UF = torch.zeros(LATENTS, LATENTS, dtype=torch.float64)
    for tokens_S in open_sequences("othello", 3).tokens_BS.long():
        clean_SD = model.run(tokens_S[None, :59], read=[up]).sites[up][0]
        counted_S = torch.ones(len(clean_SD), dtype=torch.bool)
        acts_SU = suite[up].encode(clean_SD)
        expected_UF += slow_scores(feature_pair(model, suite, (up, down)), score, acts_SU, clean_SD, counted_S, 2)
    expected_UF = expected_UF.sqrt() if score == "reference" else expected_UF / (3 * 59)
    torch.testing.assert_close(found_UF, expected_UF.float(), rtol=1e-5, atol=1e-9)


def sizes(connections: Connections) -> list[float]:
    (rows,) = connections.rows.values()
    assert rows.scores is not None
    return rows.scores.sort(descending=True).values.tolist()


def test_fewer_are_the_strongest_of_all(here, saecli):
    document = connect(saecli, *PAIR, "--keep", "10,40,all")
    few, more, everything = (
        read_connections(Path(document["run_directory"]) / one["file"]) for one in document["chosen"]
    )
    ordered = sizes(everything)
    for one, count in ((few, 10), (more, 40)):
        assert one.n_edges == count
        assert sizes(one) == ordered[:count]
    shares = [one["kept"] for one in document["chosen"]]
    assert 0 < shares[0] < shares[1] < shares[2] == pytest.approx(1)
    assert 0 < document["chosen"][0]["overlap"] <= document["chosen"][2]["overlap"] == 1


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("--pair", "1.mlp_in"), 2, "--pair expects two sites with a colon between them, got '1.mlp_in'"),
        (("--pair", "1.mlp_out:1.mlp_in"), 2, "no MLP, MLP block or block lies between these sites"),
        (("--pair", "0.mlp_in:1.mlp_out"), 2, "no MLP, MLP block or block lies between these sites"),
        (("--pair", "7.mlp_in:7.mlp_out"), 2, "has no site 7.mlp_in"),
        (("--pair", "0.mlp_in:0.mlp_out"), 3, "has no autoencoder at 0.mlp_in: it has 0.resid_pre"),
        ((*PAIR, "--score", "mean"), 2, "--score mean is not of a pair"),
        (("--score", "ig"), 2, "--score ig belongs to --pair"),
        (("--compat", "gpt-circuits"), 2, "--compat gpt-circuits belongs to --pair"),
        (("--steps", "3"), 2, "--steps belongs to --pair"),
        (("--keep", "all"), 2, "--keep all belongs to --pair"),
        ((*PAIR, "--compat", "scae"), 2, "With --pair, --compat is gpt-circuits"),
        ((*PAIR, "--compat", "gpt-circuits", "--score", "jacobian"), 2, "--compat is gpt-circuits and --score ig"),
        ((*PAIR, "--c", "10"), 2, "--c, --embed and --logits are not of a pair"),
        ((*PAIR, "--score", "ablation", "--steps", "3"), 2, "--steps belongs to --score ig"),
        ((*PAIR, "--keep", "0"), 2, "--keep expects numbers of connections above 0"),
    ],
)
def test_bad_flags(here, saecli, argv, code, said):
    done = saecli("connect", "lm", *FEW, *argv)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_a_plan_computes_nothing(here, saecli):
    done = saecli("connect", "lm", *FEW, *PAIR, "--keep", "7,all", "--plan")
    assert done.code == 0, done.err
    assert "12 features at 1.mlp_in and 12 at 1.mlp_out, 144 pairs; keeps 7, 144" in done.out
    assert "by mean |integrated gradient|, midpoint rule" in done.out
    assert not Path("saecli-runs").exists()


def test_what_comes_next_is_the_curve(here, saecli):
    done = saecli("connect", "lm", *FEW, *PAIR, "--keep", "7")
    assert done.code == 0, done.err
    assert "connections-e7.safetensors --counts 7" in done.err + done.out


def test_scores_that_are_not_finite_are_the_weights_fault(here, saecli, tmp_path):
    folder = tmp_path / "lm" / "suite"
    weights = folder / "1.mlp_in" / "sae_weights.safetensors"
    tensors = load_file(weights)
    tensors["W_dec"][:, 3] = torch.nan
    save_file(tensors, weights)
    (folder / "suite.json").unlink()  # whose sha256 would tell
    done = saecli("connect", "lm", *FEW, *PAIR, "--out", "bad")
    assert done.code == 3
    assert "Scores of features at 1.mlp_in are not finite. Look at the weights of both dictionaries." in done.err
    assert not (tmp_path / "bad").exists()
