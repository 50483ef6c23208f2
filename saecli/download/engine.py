"""``saecli download``: find out what is to be done, do it with several workers, note it in the lock."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from saecli.core import lock as locks
from saecli.core.cache import VARIABLE, Cache
from saecli.core.errors import InputError, Interrupted, SaecliError, Terminated
from saecli.core.lock import Lock, LockedFile
from saecli.core.progress import Progress
from saecli.core.redact import redact
from saecli.download.config import DownloadConfig
from saecli.download.patience import Patience
from saecli.download.result import DownloadResult, FileRow, NameRow
from saecli.download.want import DATA

if TYPE_CHECKING:
    from saecli.download.plan import Plan

PATIENCE = Patience()
LABEL = "downloading"
GENERATE = "generate:"


def run(config: DownloadConfig, progress: Progress) -> DownloadResult:
    """Lists, plans or downloads.

    Raises:
        UsageError: A name that is neither of the zoo nor a source.
        InputError: Nothing of what was asked for could be had.
        Interrupted: By Ctrl-C or SIGTERM; the next call continues.
    """
    cache = Cache.at(config.cache_dir)
    if config.lists:
        from zoo.listing import listed

        rows = tuple(listed(cache, config.search or ""))
        return DownloadResult(planned=False, lock=str(cache.lock), names=(), listed=rows)
    return Download(config, cache, progress).run()


class Download:
    """One call."""

    def __init__(self, config: DownloadConfig, cache: Cache, progress: Progress) -> None:
        from saecli.download.client import Client

        self.config, self.cache, self.progress = config, cache, progress
        self.lock = Path(config.lock) if config.lock else cache.lock
        self.news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.client = Client(PATIENCE, tell=lambda line: self.news.put(line))
        self.failures: dict[str, SaecliError] = {}
        self.generated: list[str] = []
        self.shipped: list[NameRow] = []

    def run(self) -> DownloadResult:
        """Plans everything, then fetches."""
        plans = self.plans()
        if not self.config.plan:
            done = self.fetch(plans)
            self.record(plans, done)
            self.tokenise(plans, done)
        else:
            done = {}
        good = [name for name in self.generated if name not in self.failures]
        rows = tuple(self.row(plan, done) for plan in plans if plan.want.name not in self.failures)
        rows += tuple(self.generated_row(name) for name in good) + tuple(self.shipped)
        if self.failures and not rows:
            self.fail()
        rows += tuple(
            NameRow(name=name, error=redact(error.message), hint=redact(error.hint))
            for name, error in self.failures.items()
        )
        if self.config.cache_dir and not self.config.plan:
            self.progress(f"Other commands look in {self.config.cache_dir} if {VARIABLE} says so.")
        return DownloadResult(planned=self.config.plan, lock=str(self.lock), names=rows, listed=None)

    def plans(self) -> list[Plan]:
        """Finds out what is to be done; names that cannot be had are noted as failures."""
        from saecli.download.plan import plan
        from saecli.download.want import wanted

        project = [Lock.read(self.lock)] if self.config.lock else []
        if self.config.lock and not self.config.names and not project[0].names:
            raise InputError(f"{self.lock} names nothing to fetch.", "Give NAMEs to put into it.")
        names = [name for name in self.config.names if not self.is_here(name)]
        if self.config.names and not names:
            return []
        wants = wanted(
            names,
            self.config.include,
            self.config.revision or "",
            [*project, Lock.read(self.cache.lock)],
            self.progress,
        )
        plans = []
        for want in wants:
            found = self.guarded(want.name, lambda want=want: plan(self.client, self.cache, want))
            if found is not None:
                plans.append(found)
        return plans

    def is_here(self, name: str) -> bool:
        """Whether nothing of a name is ever fetched: it ships with a program, or is made here; says so."""
        from zoo.index import ASSET, FILE, find_data, find_model, find_release
        from zoo.resolve import place_of

        data = find_data(name.removeprefix(DATA)) if name.startswith(DATA) else None
        found = data or find_model(name) or find_release(name)
        source = found[1].source if found else ""
        if data and source.startswith(GENERATE):
            self.generated.append(name)
            return True
        if source.startswith((ASSET, FILE)):
            where = "saecli" if source.startswith(ASSET) else "another package"
            self.progress(f"{name} ships with {where}: nothing to fetch.")
            self.shipped.append(NameRow(name=name, source=source, path=str(place_of(name) or "")))
            return True
        return False

    def guarded(self, name: str, step: Any) -> Any:
        """Calls a step of one name in this thread, heeding Ctrl-C."""
        try:
            return step()
        except SaecliError as error:
            self.failures[name] = error
            return None
        except KeyboardInterrupt as error:
            raise interrupted(error) from error

    def fetch(self, plans: Sequence[Plan]) -> dict[str, list[LockedFile]]:
        """Fetches all files; returns what is there by name."""
        from saecli.download.transfer import require_room

        tasks = [(plan, task) for plan in plans if not plan.settled for task in plan.tasks]
        needed = sum(task.missing or 0 for _, task in tasks)
        done: dict[str, list[LockedFile]] = defaultdict(list)
        for plan in plans:
            if plan.settled:
                done[plan.want.name] = list(plan.entry.files)
        if not tasks:
            return done
        require_room(self.cache.files, sum(t.missing or 0 for p, t in tasks if not p.entry.repo))
        require_room(self.cache.hub, needed)
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for item in tasks:
            waiting.put(item)
        workers = [
            threading.Thread(target=self.work, args=(waiting,), daemon=True)
            for _ in range(min(PATIENCE.workers, len(tasks)))
        ]
        try:
            for worker in workers:
                worker.start()
            self.watch(len(tasks), done, needed)
        except KeyboardInterrupt as error:
            raise interrupted(error) from error
        finally:
            self.client.stop.set()
            for worker in workers:
                worker.join(timeout=1.0)
        return done

    def work(self, waiting: queue.SimpleQueue[Any]) -> None:
        """One worker: brings files until there are no more."""
        from saecli.download.meaning import Refused

        while not self.client.stop.is_set():
            try:
                plan, task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                failure = self.failures.get(plan.want.name)
                if isinstance(failure, Refused):
                    raise failure
                report = (lambda count: None) if task.here else self.news.put
                self.news.put((plan.want.name, task.bring(report)))
            except SaecliError as error:
                self.failures.setdefault(plan.want.name, error)
                self.news.put((plan.want.name, None))
            except BaseException as error:  # raised by the thread that waits
                self.news.put((plan.want.name, error))

    def watch(self, count: int, done: dict[str, list[LockedFile]], total: int) -> None:
        """Waits for the workers and tells how far they are."""
        arrived, finished, told = 0, 0, -1
        while finished < count:
            try:
                news = self.news.get(timeout=PATIENCE.poll_s)
            except queue.Empty:
                news = 0
            if isinstance(news, int):
                arrived += news
            elif isinstance(news, str):
                self.progress(news)
            else:
                finished += 1
                name, what = news
                if isinstance(what, LockedFile):
                    done[name].append(what)
                elif what is not None:
                    raise what
            if total and arrived != told:
                told = arrived
                self.progress(LABEL, arrived / 1e6, total / 1e6, f"MB, {finished} of {count} files")

    def record(self, plans: Sequence[Plan], done: dict[str, list[LockedFile]]) -> None:
        """Notes what is complete, in the cache's lock and in the project's."""
        entries = {}
        for plan in plans:
            if plan.want.name in self.failures:
                continue
            files = sorted(done[plan.want.name], key=lambda file: file.path)
            entries[plan.want.name] = replace(plan.entry, files=tuple(files))
            plan.done()
        if not entries:
            return
        for path in dict.fromkeys((self.cache.lock, self.lock)):
            old = Lock.read(path).names
            if any(old.get(name) != entry for name, entry in entries.items()):
                locks.update(path, entries)

    def tokenise(self, plans: Sequence[Plan], done: dict[str, list[LockedFile]]) -> None:
        """Makes the token shards of data sets whose files are here, and of those that are generated."""
        from zoo.data import prepare
        from zoo.index import find_data

        files: dict[str, list[Path]] = {name: [] for name in self.generated}
        for plan in plans:
            name = plan.want.name
            if plan.want.kind == "data" and name not in self.failures:
                root = replace(plan.entry, files=tuple(done[name])).root(self.cache)
                files[name] = [root / file.path for file in done[name]]
        for name, paths in files.items():
            found = find_data(name.removeprefix(DATA))
            if found is not None:
                entry, folder = found[1], self.cache.shards_of(name.removeprefix(DATA))
                self.guarded(
                    name, lambda entry=entry, paths=paths, folder=folder: prepare(entry, paths, folder, self.progress)
                )

    def generated_row(self, name: str) -> NameRow:
        """What is told about a data set that is made here."""
        from zoo.index import find_data

        found = find_data(name.removeprefix(DATA))
        source, folder = found[1].source if found else "", self.cache.shards_of(name.removeprefix(DATA))
        return NameRow(name=name, source=source, path=str(folder))

    def row(self, plan: Plan, done: dict[str, list[LockedFile]]) -> NameRow:
        """What is told about a name."""
        files = {file.path: file for file in done.get(plan.want.name, plan.entry.files)}
        rows = []
        for task in sorted(plan.tasks, key=lambda task: task.path):
            file = files.get(task.path)
            size = task.bytes if file is None else file.bytes
            rows.append(
                FileRow(
                    path=task.path,
                    bytes=size,
                    here=task.here,
                    sha256=file.sha256 if file else None,
                    verified=file.verified if file else None,
                )
            )
        entry = replace(plan.entry, files=tuple(files.values()) or plan.entry.files)
        shards = plan.want.kind == "data" and not self.config.plan
        place = self.cache.shards_of(plan.want.name.removeprefix(DATA)) if shards else entry.place(self.cache)
        return NameRow(
            name=plan.want.name,
            source=plan.entry.source,
            revision=plan.entry.revision,
            path=str(place),
            bytes=sum(row.bytes or 0 for row in rows),
            fetched=sum(row.bytes or 0 for row in rows if not row.here),
            files=tuple(rows),
        )

    def fail(self) -> NoReturn:
        """Raises what it means that nothing could be had."""
        first = next(iter(self.failures.values()))
        if len(self.failures) == 1:
            raise first
        told = " ".join(f"{name}: {error.message}" for name, error in self.failures.items())
        raise InputError(
            f"None of {len(self.failures)} names could be {'planned' if self.config.plan else 'fetched'}. {told}",
            first.hint,
        )


def interrupted(error: KeyboardInterrupt) -> Interrupted:
    """What Ctrl-C and SIGTERM mean here."""
    return Interrupted(
        "Interrupted; what has arrived is kept.",
        "The same command continues from there.",
        exit_code=143 if isinstance(error, Terminated) else 130,
    )
