"""A run folder. Reading one needs no TensorFlow, pandas only for a table."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from imgcls.checksums import read_checksums, sha256_of, write_checksums
from imgcls.errors import DataError, RunError
from imgcls.files import remove_leftovers, write_json
from imgcls.runs import layout
from imgcls.runs.records import (
    ENVIRONMENT_KEYS,
    METRICS_KEYS,
    REPEATS_KEYS,
    SWEEP_KEYS,
    TIMINGS_KEYS,
    DamagedError,
    Types,
    is_there,
    load_yaml,
    read_rows,
    read_table,
    unreadable,
    wrong_environment,
    wrong_key,
    wrong_metrics,
    wrong_repeats,
    wrong_settings,
    wrong_sweep,
    wrong_timings,
)
from imgcls.runs.status import STATES, Status, foreign_host, is_abandoned, status_record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run"]


class Run:
    """A run folder.

    Attributes:
        is_kept: False of one that goes with the process: that of a worker whose chief writes the run.
    """

    def __init__(self, folder: Path | str, *, is_kept: bool = True) -> None:
        self.folder = Path(folder)
        self.is_kept = is_kept

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def name(self) -> str:
        """The folder's name: start time and the spec's name."""
        return self.folder.name.strip(".") or self.folder.resolve().name  # the folder may be given as . or ..

    def path(self, file: str) -> Path:
        """Return where a file of the run lies; the names are the constants of ``layout``.

        Raises:
            DamagedError: there is a link, a pipe or the like, which a run never makes: a stranger's would have files of
                the user read into a report, or written to.
        """
        path = self.folder / file
        with suppress(OSError):
            if not _is_plain(path.lstat().st_mode):
                raise DamagedError(f"{path} is refused: it is a link or no file; what is in a run folder lies there")
        return path

    def checked(self, file: str) -> Path:
        """Return where a file of the run lies, to be read: of a completed run it is what was written there.

        Raises:
            DataError: there is none (DamagedError: or its checksum is not that of ``SHA256SUMS``).
        """
        path = self.path(file)
        if not is_there(path):
            raise DataError(self._missing(file))
        if wanted := self._checksum(file):
            try:
                self._compare(file, sha256_of(path), wanted)
            except OSError as error:
                raise unreadable(path, error) from error
        return path

    @property
    def status(self) -> Status:
        """The state as the run left it; a run whose process is gone is ``interrupted``, whatever it last wrote."""
        if not is_there(self.path(layout.STATUS)):
            return Status("interrupted", "how it ended is not known" if self.has_begun else "stopped before it began")
        record = self._json(layout.STATUS)
        try:
            if is_abandoned(record):
                return Status("interrupted", "its process is gone")
        except (KeyError, TypeError, OverflowError) as error:
            raise DamagedError(f"{self.path(layout.STATUS)} is damaged: {error}") from error
        if record["state"] not in STATES:
            raise DamagedError(f"{self.path(layout.STATUS)} is damaged: {record['state']!r} is no state of a run")
        return Status(record["state"], str(record.get("message", "")))

    @property
    def has_begun(self) -> bool:
        """Whether all is written that a run starts from, so that it can be gone on with."""
        return is_there(self.path(layout.ENVIRONMENT))

    @property
    def foreign_host(self) -> str:
        """The machine that last wrote the state, where it is another one than this; else an empty string."""
        return foreign_host(self._json(layout.STATUS))

    def complete(self) -> None:
        """Write the checksums of what is there, and that the run is completed."""
        write_checksums(
            self.path(layout.CHECKSUMS), (path for file in layout.CHECKED if (path := self.path(file)).is_file())
        )
        self.set_status("completed")

    def set_status(self, state: str, message: str = "") -> None:
        """Write the state, and whose process it is."""
        if state != "completed":
            self._remove_checksums()  # of one that was killed in its last moment
        write_json(self.path(layout.STATUS), status_record(state, message))

    def forget_status(self) -> None:
        """Remove the state, which is not true any more, where another cannot be written."""
        with suppress(OSError):  # then it is true again when this process has ended
            self.path(layout.STATUS).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what killed processes left half written; no other may be writing here."""
        for folder in (self.folder, self.path(layout.CHECKPOINT)):
            remove_leftovers(folder)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds.

        Raises:
            DataError: the run has no result (DamagedError: or the file is damaged).
        """
        return self._json(layout.METRICS, METRICS_KEYS, wrong_metrics)

    @property
    def is_repeated(self) -> bool:
        """Whether it is a folder of repeats: each of them is a run, and it has no result of its own."""
        return is_there(self.path(layout.REPEATS_JSON))

    @cached_property
    def repeats(self) -> dict[str, Any]:
        """What ``repeats.json`` holds: a row a repeat, and mean, sd, min and max of their figures.

        Raises:
            DataError: it is no folder of repeats (DamagedError: or the file is damaged).
        """
        return self._json(layout.REPEATS_JSON, REPEATS_KEYS, wrong_repeats)

    @cached_property
    def sweep(self) -> dict[str, Any]:
        """What ``sweep.json`` holds: the best trials, what mattered, in words too.

        Raises:
            DataError: it is no sweep (DamagedError: or the file is damaged).
        """
        return self._json(layout.SWEEP_JSON, SWEEP_KEYS, wrong_sweep)

    @property
    def is_sweep(self) -> bool:
        """Whether it is the folder of a sweep: its trials are runs, and it has no result of its own."""
        return is_there(self.path(layout.SWEEP_RESOLVED))

    @property
    def members(self) -> tuple[Run, ...]:
        """The repeats, each a run, in their order; none of an ordinary run."""
        if not self.is_repeated:
            return ()
        return tuple(Run(self.path(row["folder"])) for row in self.repeats["runs"])

    @cached_property
    def timings(self) -> dict[str, Any]:
        """What ``timings.json`` holds: seconds of each phase, of each epoch, images a second."""
        return self._json(layout.TIMINGS, TIMINGS_KEYS, wrong_timings)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What ``environment.json`` holds: versions, device, precision, seed, git commit, command line."""
        return self._json(layout.ENVIRONMENT, ENVIRONMENT_KEYS, wrong_environment)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every value that was in force, as plain mappings."""
        path = self.checked(layout.RESOLVED)
        try:
            settings = dict(load_yaml(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, TypeError, ValueError) as error:
            raise unreadable(path, error) from error
        if wrong := wrong_settings(settings):
            raise DamagedError(f"{path} is damaged: {wrong}")
        return settings

    @cached_property
    def manifest(self) -> list[dict[str, str]]:
        """A row an image: path, label, split, sha256; with ``data.group`` also the number of its group.

        Raises:
            DataError: the run has none (DamagedError: or it is cut short).
        """
        rows = read_rows(path := self.checked(layout.MANIFEST))
        if rows and not rows[0].keys() >= set(layout.MANIFEST_COLUMNS):
            raise DamagedError(f"{path} is damaged: its columns are not {', '.join(layout.MANIFEST_COLUMNS)}")
        return rows

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: epoch, loss, accuracy, val_loss, val_accuracy, lr, seconds."""
        return read_table(self.checked(layout.HISTORY))

    @property
    def epochs_done(self) -> int:
        """How many epochs are finished: the rows of ``history.csv``."""
        return len(read_rows(self.checked(layout.HISTORY))) if is_there(self.path(layout.HISTORY)) else 0

    @property
    def predictions(self) -> pd.DataFrame:
        """A row an image of the evaluated split: path, true, predicted, confidence, a probability column a class."""
        return read_table(self.checked(layout.PREDICTIONS), text=("path", "true", "predicted"))

    @cached_property
    def answers(self) -> list[tuple[str, bool]]:
        """The path of each image of the evaluated split, and whether its class was predicted; as ``predictions``."""
        rows = read_rows(path := self.checked(layout.PREDICTIONS))
        if rows and not rows[0].keys() >= {"path", "true", "predicted"}:
            raise DamagedError(f"{path} is damaged: its columns are not path, true, predicted and more")
        return [(row["path"], row["true"] == row["predicted"]) for row in rows]

    def model(self) -> Any:
        """Load the Keras model whose weights were evaluated; it takes (n, height, width, channels), 0..255."""
        from imgcls.backend import load_model

        return load_model(self.checked(layout.MODEL))

    def _checksum(self, file: str) -> str:
        """Return the SHA-256 that a file should have; an empty string where that is not known."""
        if file not in layout.CHECKED:
            return ""
        path = self.path(layout.CHECKSUMS)
        try:
            checksums = read_checksums(path)
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from error
        if checksums is None:  # not completed, or by an earlier version
            return ""
        if file not in checksums:
            raise DamagedError(f"{path} is damaged: it has no {file}")
        return checksums[file]

    def _remove_checksums(self) -> None:
        path = self.path(layout.CHECKSUMS)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"cannot remove {path}: {error.strerror}") from error

    def _compare(self, file: str, found: str, wanted: str) -> None:
        if found != wanted:
            raise DamagedError(f"{self.path(file)} is damaged: its SHA-256 is not that in {layout.CHECKSUMS}")

    def _json(
        self, file: str, keys: Types | None = None, wrong_within: Callable[[Mapping[str, Any]], str] = lambda _: ""
    ) -> dict[str, Any]:
        path = self.path(file)
        try:
            data = path.read_bytes()
            if wanted := self._checksum(file):
                self._compare(file, hashlib.sha256(data).hexdigest(), wanted)
            value = json.loads(data.decode("utf-8"))
        except FileNotFoundError as error:
            raise DataError(self._missing(file)) from error
        except (OSError, ValueError, RecursionError) as error:
            raise unreadable(path, error) from error
        if wrong := wrong_key(value, keys or {}) or wrong_within(value):
            raise DamagedError(f"{path} is damaged: {wrong}")
        return dict(value)

    def _missing(self, file: str) -> str:
        if self.is_repeated:
            return f"{self.folder} has no {file}: it is a folder of repeats, each of them (members) has its own"
        state = "unfinished" if file == layout.STATUS else self.status.state
        if state == "completed":
            return f"{self.folder} has no {file}, though the run is marked completed"
        return f"{self.folder} has no {file}: the run is {state}"


def _is_plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
