"""Where Neuronpedia shows the dictionaries of a suite."""

from __future__ import annotations

from saecli.core.site import Site
from zoo.index import find_model, find_release
from zoo.load import locate_dictionaries


def neuronpedia_names(name_or_path: str) -> dict[Site, str]:
    """Site read → ``gpt2-small/8-res_post_128k-oai``; without the sites that it does not show.

    What the zoo knows of a release wins over ``neuronpedia_id`` of the files.

    Args:
        name_or_path: As of :func:`zoo.load.load_suite`.
    """
    from saecli.formats import registry
    from saecli.formats.suite import is_suite

    path, hints = locate_dictionaries(name_or_path)
    if is_suite(path):
        return {}
    model = find_model(name_or_path)
    release = find_release(name_or_path if model is None else model[1].suite)
    pattern = release[1].labels if release else ""
    names: dict[Site, str] = {}
    for item in registry.open_dictionaries(path, hints).items:
        site = item.config.reads
        if name := name_of(site, pattern, str(item.metadata.get("neuronpedia_id") or "")):
            names[site] = name
    return names


def name_of(site: Site, pattern: str, own: str) -> str:
    """The name of a dictionary; empty where there is none.

    Args:
        site: What it reads.
        pattern: What the zoo knows of its release, with ``{layer}``; of several that one pattern is for, none is known.
        own: What its files say.
    """
    name = pattern.format(layer=site.layer) if pattern and "*" not in pattern else own
    return name if name.count("/") == 1 and all(name.split("/")) else ""
