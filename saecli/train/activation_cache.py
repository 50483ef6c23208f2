"""Activations that a model gave once, on disk within a budget: a second run on the same data does not run the model.

A file holds one site's activations of one batch of token sequences, in the number type the model gave them, under the
digest of those tokens; its folder stands for the model as it is (weights, processing, device, number of threads,
version of torch). So the bits are those that the model gave, whichever data, sites or seed asked for them.

The budget is of the whole cache. Room is made by dropping the oldest files of other models; where there is none,
nothing more is kept. What is damaged or cut off is found by its length and sha256, and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from saecli.core.exclusive import exclusive
from saecli.core.fingerprint import fingerprint_module
from saecli.core.model import Aux, Block, Edit, HookedModel, ModelRun
from saecli.core.progress import Progress, silent
from saecli.core.site import Site

_NAME: Final = "acts"
_DIGEST: Final = "sha256"


class RememberingModel(HookedModel):
    """A model whose activations are looked up before they are computed.

    Args:
        model: The model.
        folder: Of the cache.
        budget: Bytes that all files in it have at most.
        progress: Told once that the budget or the disk is full.
    """

    def __init__(self, model: HookedModel, folder: Path, budget: int, progress: Progress = silent) -> None:
        self.info, self.module = model.info, model.module
        self._model, self._root, self._budget, self._progress = model, folder, budget, progress
        first = next(model.module.parameters())
        facts = [fingerprint_module(model.module), model.info.processing, str(first.dtype), first.device.type]
        facts += [torch.__version__, str(torch.get_num_threads())]
        self._folder = folder / hashlib.sha256("\0".join(facts).encode()).hexdigest()[:32]
        self._full = False

    def run(
        self,
        tokens: Tensor,
        *,
        read: Collection[Site] = (),
        write: Mapping[Site, Edit] | None = None,
        aux: Collection[tuple[int, Aux]] = (),
        stop_after: Site | None = None,
        attention_mask: Tensor | None = None,
    ) -> ModelRun:
        """Of a pass that only reads sites and stops, those not in the cache are computed and kept."""
        if write or aux or stop_after is None or attention_mask is not None or torch.is_grad_enabled():
            return self._model.run(
                tokens, read=read, write=write, aux=aux, stop_after=stop_after, attention_mask=attention_mask
            )
        key = hashlib.sha256(repr(tuple(tokens.shape)).encode() + tokens.cpu().contiguous().numpy().tobytes())
        paths = {site: self._folder / f"{key.hexdigest()[:32]}.{site.canonical}.safetensors" for site in read}
        shape = tuple(tokens.shape)
        found = {site: _load(path, (*shape, self.info.width(site))) for site, path in paths.items()}
        there = {site: acts.to(tokens.device) for site, acts in found.items() if acts is not None}
        if len(there) == len(paths):
            return ModelRun(None, there)
        run = self._model.run(tokens, read=read, stop_after=stop_after)
        for site, path in paths.items():
            if site not in there and not self._full:
                self._keep(path, run.sites[site])
        return run

    def run_from(
        self,
        site: Site,
        resid: Tensor,
        *,
        read: Collection[Site] = (),
        write: Mapping[Site, Edit] | None = None,
        stop_after: Site | None = None,
    ) -> ModelRun:
        """As the model does."""
        return self._model.run_from(site, resid, read=read, write=write, stop_after=stop_after)

    def block(self, layer: int) -> Block:
        """As the model's."""
        return self._model.block(layer)

    def embed(self, tokens: Tensor) -> Tensor:
        """As the model does."""
        return self._model.embed(tokens)

    def unembed(self, resid: Tensor) -> Tensor:
        """As the model does."""
        return self._model.unembed(resid)

    def final_norm(self, resid: Tensor) -> Tensor:
        """As the model's."""
        return self._model.final_norm(resid)

    def head(self, normed: Tensor) -> Tensor:
        """As the model's."""
        return self._model.head(normed)

    def _keep(self, path: Path, acts: Tensor) -> None:
        acts = acts.detach().cpu().contiguous()
        data = save({_NAME: acts}, {_DIGEST: _digest(acts)})
        try:
            with exclusive(self._root / ".lock"):
                self._full = not self._room(len(data))
                if not self._full:
                    path.parent.mkdir(exist_ok=True)
                    temporary = path.with_suffix(".tmp")  # one writer at a time
                    temporary.write_bytes(data)
                    os.replace(temporary, path)
                    return
            held = f"The cache of activations holds what --cache-activations allows, {self._budget:,} bytes"
        except OSError as error:
            self._full, held = True, f"{path.parent} cannot be written ({error.strerror})"
            with contextlib.suppress(OSError):
                path.with_suffix(".tmp").unlink(missing_ok=True)
        self._progress(f"{held}: what is not in it is computed and not kept.")

    def _room(self, needed: int) -> bool:
        """Makes room for so many bytes, if that can be; the lock is held."""
        mine, others, total = 0, [], 0
        for folder in self._root.iterdir():
            for file in folder.iterdir() if folder.is_dir() else ():
                stat = file.stat()
                if file.suffix == ".tmp":  # of a process that was stopped
                    file.unlink()
                    continue
                total += stat.st_size
                mine += stat.st_size if folder == self._folder else 0
                if folder != self._folder:
                    others.append((stat.st_mtime_ns, str(file), stat.st_size))
        if mine + needed > self._budget:
            return False
        for _, file, size in sorted(others):
            if total + needed <= self._budget:
                break
            Path(file).unlink()
            total -= size
        return True


def _load(path: Path, shape: tuple[int, ...]) -> Tensor | None:
    """What a file holds; None if it is not there or not what was written."""
    try:
        with safe_open(path, framework="pt") as file:
            acts = file.get_tensor(_NAME)
            digest = (file.metadata() or {}).get(_DIGEST)
    except (OSError, SafetensorError):
        return None
    return acts if tuple(acts.shape) == shape and _digest(acts) == digest else None


def _digest(acts: Tensor) -> str:
    return hashlib.sha256(acts.reshape(-1).view(torch.uint8).numpy().data).hexdigest()
