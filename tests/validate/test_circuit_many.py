"""``saecli validate GRAPH --prompts FILE``: graphs of many prompts on their own prompts and on others."""

from __future__ import annotations

import json

import pytest

from tests.trace.conftest import tiny_text
from tests.trace.test_prompts import PAIRS, written

__all__ = ["tiny_text"]
QUICK = ("--threads", "1", "--device", "cpu", "--draws", "2")
OTHERS = [
    {"clean_prefix": "a cow sat", "clean_answer": "x", "patch_answer": "y"},
    {"clean_prefix": "the owl ran", "clean_answer": "y", "patch_answer": "x"},
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def traced(tiny_text, saecli, tmp_path):
    """A graph of pairs, in ``trace``, and its model's data."""
    (tmp_path / "data.txt").write_text("the cat sat on a mat and an ant ran by\n" * 400)

    def trace(*flags: str, cut: int | None = None) -> tuple[str, ...]:
        pairs = [{key: value for key, value in one.items() if key != "patch_prefix"} for one in PAIRS]
        for one in pairs:
            one["clean_prefix"] = one["clean_prefix"][:cut]
        path = written(tmp_path, pairs)
        call = ("--keep", "1", "--top-edges", "3", "--threads", "1", "--device", "cpu", "--out", "trace")
        done = saecli("trace", tiny_text, "--prompts", path, *call, *flags)
        assert done.code == 0, done.err
        return ("validate", "trace", *QUICK, "--data", "data.txt")

    return trace


def score(document: dict, errors: str) -> dict:
    return next(
        one for one in document["scores"] if (one["ablation"], one["errors"], one["sites"]) == ("zero", errors, "all")
    )


@pytest.mark.parametrize(
    "flags",
    [(), pytest.param(("--aggregate", "mean"), marks=pytest.mark.slow), ("--aggregate", "none")],
    ids=["sum", "mean", "none"],
)
def test_on_its_own_prompts_the_whole_graph_is_the_model(flags, traced, saecli, tmp_path) -> None:
    call = traced(*flags, cut=9 if "none" in flags else None)
    done = saecli(*call, "--prompts", "pairs.jsonl", "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["own"], document["prompts"], document["metric"]) == (True, 3, "logit-diff")
    assert document["prompts_file"] == "pairs.jsonl"
    row = score(document, "circuit")
    assert row["faithfulness"]["value"] == pytest.approx(1, abs=0.02)
    assert row["faithfulness"]["low"] is not None
    trace = json.loads((tmp_path / "trace/result.json").read_text())
    assert document["value"] == pytest.approx(trace["value"], rel=1e-4)
    assert "3 prompts of pairs.jsonl, its own" in saecli(*call, "--prompts", "pairs.jsonl", "--out", "run").out


def test_on_others_it_is_told_that_they_are_not_its_own(traced, saecli, tmp_path) -> None:
    call = traced()
    written(tmp_path, OTHERS, "others.jsonl")
    done = saecli(*call, "--prompts", "others.jsonl", "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["own"], document["prompts"]) == (False, 2)
    assert score(document, "kept")["all_features"] == pytest.approx(1, abs=1e-3)
    assert score(document, "kept")["random"]["low"] is not None
    text = saecli(*call, "--prompts", "others.jsonl", "--out", "run").out
    assert "2 prompts of others.jsonl" in text
    assert "its own" not in text
    one = saecli(*call, "--prompts", "others.jsonl", "--sequences", "2", "--json", "--out", "first")
    assert json.loads(one.out)["prompts"] == 2


def test_prompts_that_do_not_fit_are_refused(traced, saecli, tmp_path, tiny_text) -> None:
    call = traced("--aggregate", "none", cut=9)
    written(tmp_path, OTHERS, "others.jsonl")
    for flags, code, words in (
        ((), 3, "--prompts FILE.jsonl"),
        (("--prompts", "others.jsonl"), 3, "a prompt of 11 tokens"),
        (("--prompts", "data.txt"), 2, "no file of JSON lines"),
        (("--prompts", "nowhere.jsonl"), 3, "nowhere.jsonl"),
        (("--set", "1:3=0"), 3, "was traced on many prompts"),
    ):
        done = saecli(*call[:2], *QUICK, *(() if "--set" in flags else call[-2:]), *flags, "--out", "bad")
        assert (done.code, done.err.count("Error:")) == (code, 1), done.err
        assert words in done.err
    one = ("--prompt", "a cat sat", "--layers", "1", "--threads", "1", "--device", "cpu", "--out", "one")
    assert saecli("trace", tiny_text, *one).code == 0
    done = saecli("validate", "one", *QUICK, "--prompts", "others.jsonl", "--out", "bad")
    assert (done.code, "one prompt, which it holds" in done.err) == (2, True)
    done = saecli("validate", tiny_text, *QUICK, "--prompts", "others.jsonl", "--out", "bad")
    assert (done.code, "is of a circuit graph" in done.err) == (2, True)
