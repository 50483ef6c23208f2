"""A run: an output directory with a manifest, files that are whole or absent, and working state to continue from.

Life of a run directory:

    new         made, manifest says `running`, working state in .work/
    complete    result.json and the other files are under their names, .work/ is gone, manifest says `complete`
    failed      kept only if .work/ holds something to continue from; otherwise nothing is left behind

A kill leaves `running` and .work/; the next call of the same command and configuration continues (if the engine left a
checkpoint in `run.work`) or starts over. Times, paths and the machine are in the manifest only.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from saecli.core import atomic, manifest
from saecli.core.config import CommandConfig, config_fields, fingerprint
from saecli.core.errors import InputError
from saecli.core.inputs import RUNS, Input, hash_file
from saecli.core.ranks import ONE, Ranks
from saecli.core.redact import redact
from saecli.core.result import Result, to_json
from saecli.core.threads import default_threads

ROOT = Path(RUNS)
WORK = ".work"
_OWN_WORK = {"lock", "tmp", "written", "previous"}

State = Literal["new", "unfinished", "complete", "other", "foreign"]


def run_directory(config: CommandConfig, digest: str) -> Path:
    """Returns where a run of this configuration goes: `--out`, or saecli-runs/COMMAND-FINGERPRINT."""
    out = getattr(config, "out", None)
    return Path(out) if out else ROOT / f"{config.command.replace(' ', '-')}-{digest}"


def directory_state(directory: Path, digest: str) -> State:
    """Tells what a directory holds, seen from the run with this fingerprint.

    `foreign` is a file, or a folder with something in it and no manifest of this program.

    Raises:
        InputError: It cannot be read, or a newer version wrote it.
    """
    if not os.path.lexists(directory):
        return "new"
    if not directory.is_dir():
        return "foreign"
    try:
        names = {path.name for path in directory.iterdir()}
    except OSError as error:
        raise InputError(f"Cannot read {directory}: {error.strerror}.") from error
    document = manifest.read_manifest(directory)
    if document is None:
        ours = names == {WORK} and {p.name for p in (directory / WORK).iterdir()} <= _OWN_WORK
        return "new" if not names or ours else "foreign"
    if document.get("fingerprint") != digest:
        return "other"
    return "complete" if document.get("status") == "complete" else "unfinished"


class Run:
    """The output directory of one call (see the module's text). Make it with `Run.open`.

    Attributes:
        directory: The output directory.
        fingerprint: 8 hex digits that name the computation.
        complete: True if the same run was already complete; `stored` then holds its result document.
        resuming: True if an unfinished run is being continued from what lies in `work`.
        seed: The seed of everything random.
        threads: The CPU threads to use; when continuing, the recorded count.
        manifest: The manifest document.
        ranks: The processes that compute this run; only the first one opens and writes it, the others follow.
    """

    def __init__(self, config: CommandConfig, directory: Path, digest: str) -> None:
        self.config = config
        self.directory = directory
        self.fingerprint = digest
        self.complete = False
        self.resuming = False
        self.seed = int(getattr(config, "seed", 0))
        self.threads = int(getattr(config, "threads", 0)) or default_threads()
        self.manifest: dict[str, Any] = {}
        self.ranks: Ranks = ONE
        self._fresh = False
        self._made: list[Path] = []
        self._lock: int | None = None
        self._started = time.monotonic()
        self._inputs: dict[str, Input] = {}

    @classmethod
    def open(
        cls,
        config: CommandConfig,
        *,
        inputs: Mapping[str, Input] | None = None,
        sources: Mapping[str, str] | None = None,
        argv: Sequence[str] = (),
        ranks: Ranks = ONE,
    ) -> Run:
        """Opens the output directory of a configuration.

        Args:
            config: The command's configuration; its out, overwrite, resume, seed and threads count if present.
            inputs: The inputs known before the engine starts, by configuration field.
            sources: Where each value came from, for the manifest.
            argv: The command line, for the manifest.
            ranks: The processes that compute the run, of which this one is the first; the others are told.

        Raises:
            InputError: The directory is foreign, holds another run, is in use, or cannot be written.
        """
        inputs = dict(inputs or {})
        digest = fingerprint(config, {name: one.sha256 for name, one in inputs.items()})
        run = cls(config, run_directory(config, digest), digest)
        run._inputs = inputs
        run.ranks = ranks
        run._open(dict(sources or {}), list(argv))
        facts = {"directory": str(run.directory.absolute()), "fingerprint": digest, "threads": run.threads}
        ranks.say("run", {**facts, "complete": run.complete, "resuming": run.resuming})
        return run

    @classmethod
    def follow(cls, config: CommandConfig, ranks: Ranks) -> Run:
        """The run that the first process opens, for another one, which writes nothing to it.

        Raises:
            SaecliError: The first process could not open it.
        """
        told = ranks.hear("run")
        run = cls(config, Path(told["directory"]), told["fingerprint"])
        run.ranks = ranks
        run.threads, run.complete, run.resuming = told["threads"], told["complete"], told["resuming"]
        return run

    # -- opening ------------------------------------------------------------------------------------------------------

    def _open(self, sources: dict[str, str], argv: list[str]) -> None:
        directory, overwrite = self.directory, bool(getattr(self.config, "overwrite", False))
        resume = bool(getattr(self.config, "resume", False))
        state = directory_state(directory, self.fingerprint)
        if state == "foreign":
            raise InputError(
                f"{directory} is not empty and was not made by saecli, so it is left alone.", "Choose another --out."
            )
        if state == "complete" and not overwrite:
            self.complete = True
            self.manifest = manifest.require_complete(directory)
            self._point_here()
            return
        if state == "other" and not overwrite:
            raise InputError(
                f"{directory} holds another run{self._differences()}.", "Choose another --out, or add --overwrite."
            )
        self.resuming = state == "unfinished" and not overwrite and self._resumable()
        if resume and not self.resuming:
            raise InputError(f"There is nothing to continue in {directory}.", "Leave out --resume to start.")
        try:
            self._make(directory, state)
            self._take_lock()
            if directory_state(directory, self.fingerprint) != state:  # another process finished meanwhile
                self._made = []
                self._release()
                return self._open(sources, argv)
            old = manifest.read_manifest(directory)
            if self.resuming and old is not None:
                self.threads = int(old.get("threads") or self.threads)
                self.manifest = {**old, "status": "running", "resumed": int(old.get("resumed", 0)) + 1}
                self.manifest.pop("error", None)
            else:
                self._set_aside(old, self._new_manifest(sources, argv))
            self._save_manifest()
        except OSError as error:
            self._abandon()
            raise InputError(f"Cannot write to {directory}: {error.strerror}.", "Choose another --out.") from error
        except BaseException:
            self._abandon()
            raise

    def _differences(self) -> str:
        old = manifest.read_manifest(self.directory) or {}
        if old.get("command") != self.config.command:
            return f", of `saecli {old.get('command')}`"
        then = old.get("config", {})
        parts = [
            f"{item.name} {then.get(item.name)!r} there, {now!r} here"
            for item in config_fields(type(self.config))
            if item.option.fingerprint and then.get(item.name) != (now := redact(self.config.values()[item.name]))
        ]
        return f" ({'; '.join(parts[:3])})" if parts else " (of other input or another version)"

    def _make(self, directory: Path, state: State) -> None:
        self._made = [path for path in (directory, *directory.parents) if not path.exists()]
        if state == "unfinished" and not self.resuming:
            self._made = [directory]  # ours from before, with nothing in it to keep
        (directory / WORK).mkdir(parents=True, exist_ok=True)

    def _take_lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # no advisory locks on this system
            return
        handle = os.open(self.directory / WORK / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            self._made = []
            raise InputError(
                f"Another saecli is writing to {self.directory}.", "Wait for it, or choose another --out."
            ) from error
        self._lock = handle

    def _resumable(self) -> bool:
        """True if the engine left a checkpoint in .work/ (`checkpoint` in its name) and the command can continue."""
        if not hasattr(self.config, "resume"):
            return False
        try:
            return any("checkpoint" in p.name and not p.name.startswith(".") for p in self.work.iterdir())
        except OSError:
            return False

    def _set_aside(self, old: Mapping[str, Any] | None, new: dict[str, Any]) -> None:
        """Moves the files of an earlier run into .work/previous, from where a failure brings them back.

        The manifest says `running` before the first file moves, so that a kill never leaves a complete run without its
        files; until the last has moved it names them, so that the next call finds those a kill left in place.
        """
        previous = self.work / "previous"
        shutil.rmtree(previous, ignore_errors=True)
        files = (old or {}).get("files", {})
        names = [manifest.safe_name(name) for name in dict.fromkeys([*files, *self._journal()])]
        if old is not None and old.get("status") == "complete":
            (self.work / "written").unlink(missing_ok=True)
            previous.mkdir()
            shutil.copyfile(self.directory / manifest.NAME, previous / manifest.NAME)
        self._fresh = True
        self.manifest = new
        if old is not None:
            self.manifest = {**new, "files": files}
            self._save_manifest()
            self.manifest = new
        for name in names:
            self._move(self.directory / name, previous / name)
        for path in list(self.work.iterdir()):
            if path.name not in ("lock", "previous"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _move(self, source: Path, target: Path) -> None:
        if not source.is_file() or source.is_symlink() or not self._inside(source.parent):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        folder = source.parent
        while folder != self.directory and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _inside(self, folder: Path) -> bool:
        return folder.resolve().is_relative_to(self.directory.resolve())

    def _new_manifest(self, sources: Mapping[str, str], argv: Sequence[str]) -> dict[str, Any]:
        return {
            "schema": manifest.SCHEMA,
            "command": self.config.command,
            "fingerprint": self.fingerprint,
            "status": "running",
            "config": redact(self.config.values()),
            "sources": dict(sources),
            "argv": redact(list(argv)),
            "seed": self.seed,
            "threads": self.threads,
            "processes": self.ranks.size,
            "inputs": {name: redact(one.to_json()) for name, one in self._inputs.items()},
            "versions": {"python": platform.python_version(), **manifest.versions()},
            "platform": platform.platform(),
            "started": _now(),
        }

    # -- writing ------------------------------------------------------------------------------------------------------

    @property
    def work(self) -> Path:
        """The folder for working state (checkpoints), gone when the run is complete."""
        return self.directory / WORK

    def path(self, name: str) -> Path:
        """Returns the path of a file of this run (`suite/suite.json`), for reading. Write with the `write…` methods."""
        return self.directory / manifest.safe_name(name)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Gives a temporary path; what is written there appears as `name` when the block ends without an error."""
        if not self.ranks.first:
            raise RuntimeError("only the first process writes")
        path = self.path(name)
        if path.relative_to(self.directory).parts[0] in (WORK, manifest.NAME):
            raise ValueError(f"{name!r} is a name the run keeps for itself")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self._inside(path.parent):
            raise InputError(f"{path.parent} leads out of {self.directory}, so nothing is written there.")
        with (self.work / "written").open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(name) + "\n")
        with atomic.writing(path, aside=self.work / "tmp") as temporary:
            yield temporary

    def write_bytes(self, name: str, data: bytes) -> Path:
        """Writes a whole file of this run; returns its path."""
        with self.writing(name) as temporary:
            temporary.write_bytes(data)
        return self.path(name)

    def write_text(self, name: str, text: str) -> Path:
        """Writes a whole UTF-8 file of this run, newlines as given; returns its path."""
        return self.write_bytes(name, text.encode())

    def write_json(self, name: str, document: Any) -> Path:
        """Writes a JSON file of this run (no NaN, keys in the given order); returns its path."""
        return self.write_text(name, json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n")

    def record(self, **facts: Any) -> None:
        """Records facts about this run in the manifest (resolved sites, fingerprints, timings)."""
        self.manifest.setdefault("facts", {}).update(redact(facts))
        self._save_manifest()

    # -- ending -------------------------------------------------------------------------------------------------------

    @property
    def stored(self) -> dict[str, Any]:
        """The result document of a complete run.

        Raises:
            InputError: It was removed or damaged.
        """
        try:
            return json.loads((self.directory / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"The result in {self.directory} is missing or damaged.", "Add --overwrite to compute it again."
            ) from error

    def finish(self, result: Result) -> None:
        """Stores the result and marks the run complete."""
        self.write_json("result.json", to_json(result))
        files = {}
        for name in dict.fromkeys(self._journal()):
            path = self.path(name)
            if path.is_file():
                files[name] = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
        if (failure := result.failure()) is not None:
            told = {"code": failure.code, "message": redact(failure.message), "hint": redact(failure.hint)}
            self.manifest["failure"] = told
        self.manifest.update(
            status="complete",
            finished=_now(),
            seconds=round(time.monotonic() - self._started, 3),
            files=dict(sorted(files.items())),
            summary=redact(result.summary_lines()),
            next=redact(result.next_command().replace("{run}", str(self.directory))),
        )
        self._save_manifest()
        self.complete = True
        self._point_here()
        self._release()
        shutil.rmtree(self.work, ignore_errors=True)

    def fail(self, code: str, message: str) -> bool:
        """Ends the run without a result.

        Returns:
            True if there is something to continue from; the directory is then kept with status `failed`. Otherwise what
            this run wrote is gone, and what it was to overwrite is back.
        """
        if self.complete:
            return False
        if self._resumable():
            self.manifest.update(status="failed", error={"code": code, "message": redact(message)})
            with contextlib.suppress(OSError):
                self._save_manifest()
            self._release()
            return True
        self._abandon()
        return False

    def _abandon(self) -> None:
        """Removes what this call made and brings back what it set aside."""
        if self._lock is None and not self._made:
            return
        with contextlib.suppress(OSError):
            if self._fresh:
                for name in self._journal():
                    self.path(name).unlink(missing_ok=True)
                    self._prune_empty(self.path(name).parent)
                if not self._bring_back():
                    (self.directory / manifest.NAME).unlink(missing_ok=True)
        self._release()
        if self._fresh or self._made:
            shutil.rmtree(self.work, ignore_errors=True)
        for path in self._made:
            with contextlib.suppress(OSError):
                path.rmdir()

    def _bring_back(self) -> bool:
        """Puts the complete run that was set aside back in its place; False if there was none."""
        previous = self.work / "previous"
        if not (previous / manifest.NAME).is_file():
            return False
        # the manifest comes last: only then is the earlier run complete again
        for path in sorted(previous.rglob("*"), key=lambda p: (p == previous / manifest.NAME, p)):
            if path.is_file():
                target = self.directory / path.relative_to(previous)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
        return True

    def _prune_empty(self, folder: Path) -> None:
        while folder != self.directory and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _journal(self) -> list[str]:
        try:
            lines = (self.work / "written").read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
        names = []
        for line in lines:
            with contextlib.suppress(ValueError):  # the last line of a killed run may be cut
                names.append(json.loads(line))
        return [name for name in names if isinstance(name, str)]

    def _save_manifest(self) -> None:
        text = json.dumps(self.manifest, indent=1, ensure_ascii=False) + "\n"
        atomic.write_text(self.directory / manifest.NAME, text, aside=self.work / "tmp")

    def _point_here(self) -> None:
        """Points saecli-runs/latest-COMMAND to this run, if it lies there."""
        if not getattr(self.config, "is_latest", True):
            return
        pointer = self.directory.parent / manifest.latest_name(self.config.command)
        temporary = pointer.with_name(f".{pointer.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # a file system without links loses the convenience only
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(self.directory.name)
            os.replace(temporary, pointer)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
