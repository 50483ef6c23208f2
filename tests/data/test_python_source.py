"""The standard library's source: the same text everywhere, whole packages held out, no tests."""

import sys

import pytest

from saecli.core.errors import InputError
from saecli.data.python_source import HELD_OUT, PACKAGES, digest, modules


def test_the_running_python_has_enough_of_it():
    found = modules()
    sizes = {split: sum(len(m.text) for m in found if m.split == split) for split in ("train", "val", "test")}
    assert sizes["train"] > 4_000_000
    assert 0.02 < sizes["val"] / sizes["train"] < 0.15
    assert 0.02 < sizes["test"] / sizes["train"] < 0.15
    assert {m.name.split("/")[0].removesuffix(".py") for m in found if m.split != "train"} == set(HELD_OUT)
    assert not any({"test", "tests"} & set(m.name.split("/")) for m in found)
    assert set(PACKAGES) <= {*sys.stdlib_module_names, "_py_abc"}


def test_packages_are_read_in_a_fixed_order_and_another_text_has_another_digest(tmp_path):
    (tmp_path / "json" / "tests").mkdir(parents=True)
    (tmp_path / "abc.py").write_text("x = 1\n")
    (tmp_path / "json" / "b.py").write_text("b = 'ü'\n", encoding="utf-8")
    (tmp_path / "json" / "a.py").write_text("a = 1\n")
    (tmp_path / "json" / "tests" / "c.py").write_text("no\n")
    (tmp_path / "unknown.py").write_text("no\n")
    found = modules(tmp_path)
    assert [(m.name, m.split) for m in found] == [("abc.py", "train"), ("json/a.py", "val"), ("json/b.py", "val")]
    before = digest(found)
    (tmp_path / "abc.py").write_text("x = 2\n")
    assert digest(modules(tmp_path)) != before


def test_a_python_without_source_is_named(tmp_path):
    with pytest.raises(InputError, match="no source files"):
        modules(tmp_path)
