"""Metrics on their way to Weights & Biases: the real library, offline."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from saecli.core.errors import UsageError
from saecli.core.run import Run
from saecli.learning.tracking import tracked
from saecli.train.lm_config import TrainLMConfig


def opened(folder: Path) -> tuple[Run, TrainLMConfig]:
    config = TrainLMConfig(out=str(folder), wandb="circuits")
    return Run.open(config), config


def test_without_a_project_nothing_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    run, config = opened(tmp_path / "run")
    with tracked(None, run, config) as mirror:
        assert mirror is None
    with pytest.raises(UsageError, match="needs the package wandb"), tracked("circuits", run, config):
        pass


@pytest.mark.slow
def test_records_are_sent_under_their_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run, config = opened(tmp_path / "run")
    with tracked(config.wandb, run, config) as mirror:
        assert mirror is not None
        for step in (1, 2):
            mirror({"step": step, "suite": "k8", "site": "3.resid_pre", "l0": 8.25 * step, "l0_per_chunk": [step, 7.5]})
    (written,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    content = written.read_bytes()
    assert b"k8/3.resid_pre/l0" in content
    assert b"k8/3.resid_pre/l0_per_chunk/1" in content
    assert b"16.5" in content
    assert run.fingerprint in written.name
