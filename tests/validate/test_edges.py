"""``saecli validate --edges``: against one target at a time and a whole forward pass per number of edges."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from saecli.attribution.pair import feature_pair
from saecli.connect import files
from saecli.core.site import Site
from saecli.formats.connections import read_connections
from saecli.validate.edge_measure import mean_over_log
from saecli.validate.edges_read import ranks_of
from tests.connect.suites import LATENTS
from tests.connect.test_cli_pair import FEW, make
from tests.twins.kept_edges import slow_targets

DATA = ("--data", "othello", "--sequences", "3", "--firing", "0")
MEASURED = (*DATA, "--device", "cpu", "--threads", "1", "--draws", "2")
COUNTS = (0, 1, 3, 20, 60, 144)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "connect_figures", lambda *_: {})
    make(tmp_path / "lm")


def connected(saecli, pair: str, *argv: str) -> str:
    done = saecli("connect", "lm", *FEW, "--pair", pair, "--score", "jacobian", *argv, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    return str(Path(document["run_directory"]) / document["chosen"][0]["file"])


@pytest.mark.parametrize("pair", ["1.mlp_in:1.mlp_out", "0.resid_mid:0.resid_post", "0.resid_pre:1.resid_pre"])
def test_numbers_are_those_of_a_pass_per_number(here, saecli, pair):
    from saecli.data.samples import open_samples
    from zoo.load import load_model, load_suite

    path = connected(saecli, pair)
    counts = ",".join(map(str, COUNTS[1:-1]))
    done = saecli("validate", "lm/suite", "--edges", path, "--counts", counts, *MEASURED, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == "saecli.validate-edges/1"
    (curve,) = document["curves"]
    assert [one["edges"] for one in curve["points"]] == list(COUNTS)
    model, suite, connections = load_model("lm"), load_suite("lm/suite"), read_connections(Path(path))
    up, down = (Site.parse(part).canonical for part in pair.split(":"))
    ranks_UF, found = ranks_of(connections, (up, down), 0), feature_pair(model, suite, (up, down))
    sums = {count: torch.zeros(3, dtype=torch.float64) for count in COUNTS}
    tokens, own_ce, own_kl = 0, 0.0, 0.0
    for sample in open_samples("othello", 3).held_out:
        for tokens_S, next_S in zip(sample.tokens_BS, sample.next_BS, strict=True):
            run = model.run(tokens_S[None], read=[up, down])
            clean_SD, counted_S = run.sites[up][0], torch.ones(len(tokens_S), dtype=torch.bool)

            def patched(change, tokens_S=tokens_S):
                logits_1SV = model.run(tokens_S[None], write={down: change}).logits
                assert logits_1SV is not None
                return logits_1SV[0]

            logits = {}
            for count in COUNTS:
                acts_SU = suite[up].encode(clean_SD)
                made_SF = slow_targets(found, ranks_UF, count, acts_SU, clean_SD, counted_S)
                made_1SD = suite[down].decode(made_SF)[None]
                logits[count] = patched(lambda _, x=made_1SD: x)
            said = patched(suite[down].forward)
            whole_SV = patched(lambda x: x)
            here_S = next_S >= 0

            def distance(first_SV, second_SV, here_S=here_S):
                logs = (first_SV.log_softmax(-1), second_SV.log_softmax(-1))
                return kl_div(logs[1], logs[0], reduction="none", log_target=True).sum(-1)[here_S].sum()

            for count in COUNTS:
                ce = cross_entropy(logits[count], next_S, ignore_index=-1, reduction="sum")
                kls = distance(whole_SV, logits[count]), distance(logits[COUNTS[-1]], logits[count])
                sums[count] += torch.tensor([ce, *kls], dtype=torch.float64)
            own_ce += float(cross_entropy(said, next_S, ignore_index=-1, reduction="sum"))
            own_kl += float(distance(whole_SV, said))
            tokens += int(here_S.sum())
    assert document["tokens"] == tokens
    assert curve["ce_dictionary"]["value"] == pytest.approx(own_ce / tokens, rel=1e-4)
    assert curve["kl_dictionary"]["value"] == pytest.approx(own_kl / tokens, rel=1e-4)
    for one in curve["points"]:
        ce, kl, circuit = (sums[one["edges"]] / tokens).tolist()
        assert one["ce"]["value"] == pytest.approx(ce, rel=1e-4)
        assert one["kl"]["value"] == pytest.approx(kl, rel=1e-4)
        assert one["kl_circuit"]["value"] == pytest.approx(circuit, rel=1e-4, abs=1e-6)
        assert one["kl"]["low"] <= one["kl"]["value"] <= one["kl"]["high"]
        assert one["random_kl"]["low"] <= one["random_kl"]["value"] <= one["random_kl"]["high"]
        none, whole = curve["ce_none"]["value"], document["ce_model"]["value"]
        assert one["ce_recovered"]["value"] == pytest.approx((none - one["ce"]["value"]) / (none - whole))
    last = curve["points"][-1]
    assert (last["kl_circuit"]["value"], last["random_kl_circuit"]["value"]) == (0, pytest.approx(0, abs=1e-6))
    assert last["random_kl"]["value"] == pytest.approx(last["kl"]["value"], rel=1e-5)
    first = curve["points"][0]
    assert (first["ce"], first["ce_recovered"]["value"]) == (curve["ce_none"], 0)
    assert [first["random_kl"][end] for end in ("value", "low", "high")] == [first["kl"]["value"]] * 3
    values = [np.array(one["kl"]["value"]) for one in curve["points"][1:]]
    assert curve["area"]["value"] == pytest.approx(float(mean_over_log(COUNTS[1:], values)))
    random = [np.array(one["random_kl"]["value"]) for one in curve["points"][1:]]
    assert curve["random_area"]["value"] == pytest.approx(float(mean_over_log(COUNTS[1:], random)))
    rows = list(csv.DictReader((Path(document["run_directory"]) / "edges.csv").open(encoding="utf-8")))
    assert [float(row["kl"]) for row in rows] == pytest.approx([one["kl"]["value"] for one in curve["points"]])
    assert "<svg" in (Path(document["run_directory"]) / "edges.svg").read_text(encoding="utf-8")


def test_the_area_is_over_the_logarithm():
    assert mean_over_log([1, 10, 1000], [np.array(3.0), np.array(1.0), np.array(0.0)]) == pytest.approx((2 + 1) / 3)
    assert mean_over_log([7], [np.array(0.5)]) == 0.5


def test_ranks_follow_the_scores_and_chance_among_equals(here, saecli):
    connections = read_connections(Path(connected(saecli, "1.mlp_in:1.mlp_out", "--keep", "40")))
    pair = (Site(1, "mlp_in"), Site(1, "mlp_out"))
    ranks_UF, other_UF = ranks_of(connections, pair, 0), ranks_of(connections, pair, 1)
    assert ranks_UF.flatten().sort().values.tolist() == list(range(LATENTS**2))
    rows = connections.rows[pair[1], pair[0]]
    assert rows.scores is not None
    row_E = torch.arange(LATENTS).repeat_interleave(rows.indptr.diff())
    order_E = ranks_UF[rows.indices.long(), row_E].argsort()
    assert (rows.scores[order_E].diff() <= 0).all()
    assert ranks_UF[rows.indices.long(), row_E].max() == 39
    assert (ranks_UF != other_UF).sum() > 50


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("--edges", "FEW"), 3, "was cut to 40 edges, and 144 are to be kept"),
        (("--edges", "FEW", "--counts", "10,41"), 3, "was cut to 40 edges, and 41 are to be kept"),
        (("--edges", "FEW", "--counts", "0"), 2, "--counts expects numbers above 0, got '0'"),
        (("--counts", "3"), 2, "--counts belongs to --edges"),
        (("--edges", "FEW", "--connections", "FEW"), 2, "--edges and --connections are two questions"),
        (("--edges", "FEW", "--layers", "0:1"), 2, "take suites as wholes"),
        (("--edges", "lm/suite/suite.json"), 3, "suite.json"),
    ],
)
def test_what_does_not_fit_is_refused(here, saecli, argv, code, said):
    path = connected(saecli, "1.mlp_in:1.mlp_out", "--keep", "40") if "FEW" in argv else ""
    done = saecli("validate", "lm/suite", *(path if one == "FEW" else one for one in argv), *MEASURED)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_a_plan_says_the_numbers(here, saecli):
    path = connected(saecli, "1.mlp_in:1.mlp_out")
    done = saecli("validate", "lm/suite", "--edges", path, *MEASURED, "--plan")
    assert done.code == 0, done.err
    assert "1.mlp_in:1.mlp_out: keeps 0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 144 edges" in done.out
