"""Groups of dictionaries: folders at any depth, members that fail, resuming, several processes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from saecli.cli.app import run
from saecli.core.errors import UsageError
from saecli.f1 import files
from saecli.f1.group import Member, Unread, open_group
from tests.f1.suites import D, save_model, save_suite
from tests.processes import run_ranks

FEW = ("--games", "12", "--device", "cpu", "--threads", "1", "--property", "valid-moves", "--no-fidelity")


def save_trainer(folder: Path, lm: str, seed: int = 0, *, nan: bool = False) -> None:
    """A dictionary as dictionary_learning stores it."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    state = {
        "bias": torch.zeros(D),
        "encoder.weight": torch.randn(16, D),
        "encoder.bias": torch.zeros(16),
        "decoder.weight": torch.nn.functional.normalize(torch.randn(D, 16), dim=0),
    }
    if nan:
        state["encoder.weight"][0, :3] = float("nan")
    torch.save(state, folder / "ae.pt")
    trainer = {"trainer_class": "StandardTrainer", "dict_class": "AutoEncoder", "activation_dim": D, "dict_size": 16}
    config = {"trainer": {**trainer, "layer": 0, "lm_name": lm}, "buffer": {"d_submodule": D, "ctx_len": 59}}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("saecli.f1.files.write_figures", no_figures)
    save_model(tmp_path / "lm", "othello")
    return tmp_path


def no_figures(*_: object) -> list[str]:
    """Drawing takes most of the time, and is tested elsewhere."""
    return []


def opened(*names: str, layers: str | None = None, kinds: tuple[str, ...] = ()) -> list[Member | Unread]:
    return open_group(names, layers, kinds, torch.device("cpu"), torch.float32)


def test_folders_are_searched_in_order_and_utils_is_skipped(folder):
    for place in ("group/b/trainer1", "group/a/deep/er/trainer0", "group/a/deep/er/trainer1", "group/utils/trainer9"):
        save_trainer(folder / place, "lm")
    suite = save_suite(folder / "group" / "c", folder / "lm")
    found = opened("group")
    assert [(one.suite, one.site) for one in found if isinstance(one, Member)] == [
        ("group/a/deep/er/trainer0", "0"),
        ("group/a/deep/er/trainer1", "0"),
        ("group/b/trainer1", "0"),
        ("group/c", "1"),
    ]
    first = found[0]
    assert isinstance(first, Member)
    assert (first.model, first.metadata["trainer_class"]) == ("lm", "StandardTrainer")
    assert [one.path for one in found if isinstance(one, Member)][2:] == ["group/b/trainer1", "group/c/1.resid_pre"]
    (dictionary,) = first.open().values()
    assert dictionary.n_latents == 16
    assert suite.usual_sites == suite.sites[1:2]
    assert [one.site for one in opened("group/c", layers=":") if isinstance(one, Member)] == ["0", "1", "2"]
    assert [one.suite for one in opened("group", kinds=("resid_post",)) if isinstance(one, Member)][:1] == [
        "group/a/deep/er/trainer0"
    ]
    published = "Baidicoot/Othello-GPT-Transformer-Lens"  # whose weights are folded, and its dictionaries' too
    save_trainer(folder / "theirs", published)
    (theirs,) = opened("theirs")
    assert isinstance(theirs, Member)
    assert (theirs.model, theirs.processing, first.processing) == (published, "folded", "raw")
    with pytest.raises(UsageError, match="selects no residual site"):
        opened("group/c", layers="5")


def test_members_that_fail_are_told_and_the_rest_goes_on(folder, saecli):
    save_model(folder / "other", "othello", seed=9)
    save_model(folder / "chess", "chess")
    save_suite(folder / "group" / "a-good", folder / "lm")
    save_trainer(folder / "group" / "b-nan", "lm", nan=True)
    save_suite(folder / "group" / "c-dead", folder / "lm", ("1.resid_pre",), dead=True)
    save_suite(folder / "group" / "d-chess", folder / "chess", ("1.resid_pre",), vocabulary="chess")
    save_suite(folder / "group" / "e-temporal", folder / "lm", ("1.resid_pre",), arch="temporal")
    save_suite(folder / "group" / "f-gone", folder / "lm", ("1.resid_pre",))
    header = json.loads((folder / "group" / "f-gone" / "suite.json").read_text())
    (folder / "group" / "f-gone" / "suite.json").write_text(json.dumps({**header, "model": "nowhere"}))
    save_suite(folder / "group" / "g-other", folder / "other", ("1.resid_pre",))
    header = json.loads((folder / "group" / "g-other" / "suite.json").read_text())
    (folder / "group" / "g-other" / "suite.json").write_text(json.dumps({**header, "model": str(folder / "lm")}))
    save_suite(folder / "group" / "h-cut", folder / "lm", ("1.resid_pre",))
    (folder / "group" / "h-cut" / "suite.json").write_text('{"schema": "saecli.suite/1"')
    save_trainer(folder / "group" / "i-torn", "lm")
    (folder / "group" / "i-torn" / "ae.pt").write_bytes(b"PK torn")
    save_trainer(folder / "group" / "j-good", "lm")
    for _ in range(2):  # a stored failure fails again
        done = saecli("f1", "group", *FEW, "--json", "--out", "run")
        assert done.code == 5, done.err
        document = json.loads(done.out)
        assert [one["suite"] for one in document["dictionaries"]] == ["group/a-good", "group/j-good"]
        said = {one["suite"][6:]: one["reason"] for one in document["failures"]}
        assert list(said) == ["b-nan", "c-dead", "d-chess", "e-temporal", "f-gone", "g-other", "h-cut", "i-torn"]
        for name, words in (
            ("b-nan", "Its W_enc_DF has 3 values that are no finite numbers."),
            ("c-dead", "None of the 32 features is active"),
            ("d-chess", "plays chess, and the others play othello."),
            ("e-temporal", "reads whole sequences"),
            ("f-gone", "nowhere"),
            ("g-other", "the weights of"),
            ("h-cut", "h-cut/suite.json"),
            ("i-torn", "i-torn/ae.pt"),
        ):
            assert words in said[name], said[name]
        assert "group/b-nan 0 failed, and 7 more: " in done.err
    scores = (folder / "run" / "scores.csv").read_text()
    assert "group/a-good,1," in scores
    assert "nan" not in scores


def test_what_never_holds_fails_only_where_it_was_asked_for(folder, saecli):
    save_model(folder / "chess-lm", "chess", layers=1)
    save_suite(folder / "chess", folder / "chess-lm", ("1.resid_pre",), vocabulary="chess")
    call = ("f1", "chess", "--games", "3", "--threads", "1", "--no-fidelity", "--json", "--positions", "1")
    done = saecli(*call, "--property", "en-passant", "--property", "piece-no-blank")
    assert done.code == 5, done.err
    (failure,) = json.loads(done.out)["failures"]
    assert failure["reason"] == "en-passant never holds in the labelling games."
    done = saecli(*call, "--property", "piece-no-blank", "--property", "pseudo-legal-move")
    assert done.code == 0, done.err


def test_an_interrupted_group_continues_to_the_same_bytes(folder, saecli, monkeypatch):
    for name in ("a", "b", "c"):
        save_suite(folder / "group" / name, folder / "lm", ("1.resid_pre",), seed=ord(name))
    call = ("f1", "group", *FEW, "--cache-codes", "0")
    assert saecli(*call, "--out", "whole").code == 0

    from saecli.f1 import run_group

    real, seen = run_group.scores_of, []

    def stops(*given: object) -> object:
        seen.append(given)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(run_group, "scores_of", stops)
    done = saecli(*call, "--out", "parts")
    assert done.code == 130
    assert "continues from there" in done.err
    assert not (folder / "parts" / "scores.csv").exists()
    seen.clear()
    done = saecli(*call, "--out", "parts", "--resume")
    assert (done.code, len(seen)) == (0, 1), done.err
    for path in (folder / "whole").iterdir():
        if path.name != "manifest.json":
            assert (folder / "parts" / path.name).read_bytes() == path.read_bytes(), path.name


def one_of_several(folder: str) -> int:
    files.write_figures = no_figures
    os.chdir(folder)
    os.environ["SAECLI_CACHE"] = f"{folder}/cache"
    return run(["f1", "group", *FEW, "--out", "two", "--quiet"])


@pytest.mark.slow
def test_two_processes_write_what_one_writes(folder, saecli):
    for name in ("a", "b", "c"):
        save_suite(folder / "group" / name, folder / "lm", ("1.resid_pre",), seed=ord(name))
    save_trainer(folder / "group" / "d", "lm", nan=True)
    assert saecli("f1", "group", *FEW, "--out", "one", "--cache-codes", "0").code == 5
    assert run_ranks(2, one_of_several, str(folder)) == [5, 5]
    for path in (folder / "one").iterdir():
        if path.name != "manifest.json":
            assert (folder / "two" / path.name).read_bytes() == path.read_bytes(), path.name
