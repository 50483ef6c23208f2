"""Every recipe that ships is sound: keys, sites, references, data; the laptop sizes run, here smaller still."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from saecli.cli.steps import command_known
from saecli.core.model import ModelInfo
from saecli.core.resources import template_names, template_path
from saecli.core.site import Site
from saecli.core.template import Template, references
from saecli.run.steps import Task, tasks_of
from saecli.train.sae_config import TrainSaeConfig
from saecli.train.sae_plan import plan_dictionaries
from zoo.index import find_data, find_model

NAMES = template_names()
LAPTOP = [name for name in NAMES if name.endswith("-laptop")]
EMBEDDED = [name for name in NAMES if "-mini" in name]
FULL = [name for name in NAMES if name not in (*LAPTOP, *EMBEDDED)]

SHAPES = {  # layers, width, heads, width of the MLP, positions
    "othello-mini": (8, 128, 4, 512, 59),
    "python-mini": (4, 128, 4, 512, 256),
    "othellogpt": (8, 512, 8, 2048, 59),
    "chessgpt": (8, 512, 8, 2048, 1023),
    "tinystories-33m": (4, 768, 16, 3072, 2048),
    "pythia-70m": (6, 512, 8, 2048, 2048),
    "gpt2": (12, 768, 12, 3072, 1024),
}
"""Of the published models that templates name."""


def tasks(name: str) -> dict[str, Task]:
    template = Template.read(template_path(name), f"template {name}")
    return {task.step.name: task for task in tasks_of(template, command_known)}


def values(task: Task):
    return task.resolved().config


def shape_of(model: str, steps: dict[str, Task]) -> ModelInfo:
    """The shape of the model that a step names, published or made by an earlier step."""
    if made := references(model):
        config = values(steps[made[0]])
        layers, width, heads, inner = config.n_layer, config.d_model, config.n_head, 4 * config.d_model
        return ModelInfo(model, "", layers, width, heads, width // heads, inner, config.n_ctx or 1024, 128)
    layers, width, heads, inner, n_ctx = SHAPES[model]
    return ModelInfo(model, "", layers, width, heads, width // heads, inner, n_ctx, 50257)


@pytest.mark.parametrize("name", NAMES)
def test_every_key_value_and_reference_of_a_template_is_known(name):
    assert tasks(name)
    template = Template.read(template_path(name), name)
    assert template.title
    assert all(len(line) <= 120 for line in template_path(name).read_text().splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_dictionaries_are_at_sites_that_the_model_has(name):
    steps = tasks(name)
    for task in steps.values():
        config = values(task)
        if isinstance(config, TrainSaeConfig):
            info = shape_of(config.model, steps)
            plans = plan_dictionaries(config, info)
            assert plans
            assert config.context <= info.n_ctx
            assert all(plan.dictionary.n_latents >= info.d_model for plan in plans)


@pytest.mark.parametrize("name", NAMES)
def test_steps_read_the_same_model_and_data(name):
    steps = tasks(name)
    fetched = {one for task in steps.values() if task.step.command == "download" for one in values(task).names}
    for task in steps.values():
        if task.step.command == "validate":
            config = values(task)
            trained = values(steps[references(config.suite[0])[0]])
            assert (config.model, config.data or "") == (trained.model, trained.data)
    for task in steps.values():
        if task.step.command == "download":
            continue
        config = values(task)
        data = config.data or ""
        if data.startswith("data:"):
            assert data in fetched
            assert find_data(data.removeprefix("data:")) is not None
        model = getattr(config, "model", "")
        if model and not references(model) and model not in ("othello-mini", "python-mini"):
            assert model in fetched
            assert find_model(model) is not None
    assert fetched <= {
        text
        for task in steps.values()
        for text in (getattr(values(task), "data", ""), getattr(values(task), "model", ""))
    }


@pytest.mark.parametrize("name", FULL)
def test_every_recipe_has_a_laptop_size_with_the_same_dictionaries(name):
    laptop = f"{name}-laptop" if f"{name}-laptop" in LAPTOP else f"{name.split('-')[0]}-laptop"
    assert kinds(name) == kinds(laptop)


def kinds(name: str) -> set[tuple[str, ...]]:
    """Architecture, annealed or not, site read and written."""
    return {
        (table.arch, str(table.sparsity_p < 1), kind)
        for task in tasks(name).values()
        if isinstance(config := values(task), TrainSaeConfig)
        for table in config.tables
        for kind in table.kind
    }


@pytest.mark.parametrize("name", [*LAPTOP, *EMBEDDED])
def test_laptop_sizes_need_no_network(name):
    for task in tasks(name).values():
        if task.step.command == "download":
            for one in values(task).names:
                found = find_data(one.removeprefix("data:"))
                assert found is not None
                assert found[1].source.startswith("generate:"), one


def test_published_numbers_are_in_the_recipes():
    lm = values(tasks("gpt-circuits-64x4")["train-lm"])
    assert (lm.n_layer, lm.n_head, lm.d_model, lm.n_ctx) == (4, 4, 64, 128)
    assert (lm.batch_size, lm.steps, lm.lr, lm.min_lr, lm.warmup, lm.weight_decay) == (
        128,
        10_000,
        1e-3,
        1e-5,
        1000,
        0.1,
    )
    sae = values(tasks("gpt-circuits-64x4")["train-sae"])
    assert (sae.k, sae.latents, sae.tokens, sae.batch) == ((10,), (8 * 64,), 7500 * 128 * 128, 128 * 128)
    for name, width, base, share in (
        ("scae-tinystories-33m", 3072, 2e-4, 0.2),
        ("scae-pythia-70m", 2048, 1e-3, 0.3),
        ("scae-gpt2", 12_288, 2e-4, 0.2),
    ):
        sae = values(tasks(name)["train-sae"])
        assert sae.latents == (width,)
        assert sae.lr == pytest.approx(base / math.sqrt(width / 2**14), rel=0.02)
        assert (sae.decay, sae.warmup, sae.processing) == (share, 0.0, "folded")
    for game in ("othello", "chess"):
        sweep = [values(task) for task in tasks(f"boards-{game}").values() if task.step.command == "train sae"]
        info = shape_of(sweep[0].model, {})
        for config in sweep:
            plans = plan_dictionaries(config, info)
            assert len(plans) == (80 if config.tables[0].arch == "topk" else 40)
            assert {plan.dictionary.n_latents for plan in plans} == {8 * 512, 16 * 512}
            assert {plan.dictionary.reads for plan in plans} == {Site(5, "resid_post")}
            assert (config.tokens, config.batch, config.seed) == (300_000_000, 8192, 42)


# -- run, at sizes of seconds -----------------------------------------------------------------------------------------

TINY = {
    "train lm": {"steps": 2, "batch_size": 4, "d_model": 32, "held_out": 4, "eval_every": 2},
    "train sae": {
        "tokens": 1500,
        "batch": 256,
        "buffer": 512,
        "sequences": 8,
        "held_out": 0,
        "latents": [64],
        "k": [4],
    },
    "connect": {"sequences": 2, "steps": 1},
    "validate": {"sequences": 4, "firing": 4},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A cache that all templates share, so that generated data sets are made once."""
    return tmp_path_factory.mktemp("cache")


def smaller(name: str) -> list[str]:
    """`--set` of all that decides how long a template takes."""
    settings = []
    for task in tasks(name).values():
        for key, value in TINY.get(task.step.command, {}).items():
            settings += ["--set", f"{task.step.name}.{key}={value}"]
    return settings


QUICK = ("boards-othello-laptop", "gpt-circuits-64x4-laptop")
"""Every kind of the sweep, and a chain of all commands; the others run with ``-m slow``."""


@pytest.mark.parametrize("name", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in LAPTOP])
def test_laptop_sizes_run(saecli, monkeypatch, cache, name):
    monkeypatch.setenv("SAECLI_CACHE", str(cache))
    outcome = saecli("run", name, "--json", *smaller(name))
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    for step in document["steps"]:
        if step["command"] == "train sae":
            assert all(math.isfinite(row["variance_explained"]) for row in step["result"]["dictionaries"])
    again = saecli("run", name, "--json", *smaller(name))
    assert json.loads(again.out)["reused"]
