"""What every test shares: one torch thread, the command line in this process, and no silent skips in CI."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported by any test
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("SAECLI_DEBUG", None)


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def saecli(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Runs a command line in this process, in a temporary folder: `saecli("trace", "--layers", "6:9").code`.

    Each call starts with an empty capture. `table=` replaces the command table.
    """
    from saecli.cli.app import run

    monkeypatch.chdir(tmp_path)

    def call(*argv: str, table: object = None) -> Outcome:
        capfd.readouterr()
        code = run([str(one) for one in argv], table)  # type: ignore[arg-type]
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("SAECLI_CI") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not accept: {report.longrepr}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    outcome = yield
    _fail_if_skipped(outcome.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    outcome = yield
    _fail_if_skipped(outcome.get_result())
