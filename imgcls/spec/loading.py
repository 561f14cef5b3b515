"""From a YAML file and ``-s`` overrides to a checked spec; all problems at once."""

from __future__ import annotations

import itertools
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from imgcls.errors import SpecError
from imgcls.spec.document import Document, read_document
from imgcls.spec.explaining import Places, explain
from imgcls.spec.extending import Extended, extend, moved
from imgcls.spec.overrides import apply_overrides
from imgcls.spec.problems import spec_error
from imgcls.spec.spec import Spec
from imgcls.spec.writing import write_yaml
from imgcls.wording import display, shown

__all__ = ["NO_FILE", "LoadedSpec", "legal_name", "load_document", "load_spec", "moved_value", "plain"]

NO_FILE = "spec"  # what messages call a spec that is a mapping


@dataclass(frozen=True)
class LoadedSpec:
    """A checked spec and where it came from.

    Attributes:
        spec: every value in force; defaults that depend on the data are still None.
        text: the YAML as given; of a mapping, the mapping as YAML; with ``extends``, all of it merged.
        base: the folder that paths in the spec are relative to.
        source: the file, or ``spec`` where there is none.
        origins: dotted key → ``line:column``, ``FILE line:column`` in a file that the spec extends, or ``-s``; what is
            not there is a default.
        overrides: dotted key → value: what ``-s`` set.
        document: what it was read from, with all that it extends, without the overrides.
    """

    spec: Spec
    text: str
    base: Path
    source: str
    origins: Mapping[str, str]
    overrides: Mapping[str, Any]
    document: Document = field(repr=False)

    @property
    def name(self) -> str:
        """What a run of this spec is called: its name, else the file's as far as a name may have its characters."""
        return self.spec.name or (legal_name(Path(self.source).stem) if self.has_file else "run")

    @property
    def value(self) -> dict[str, Any]:
        """The spec as plain values, as given and with the overrides."""
        return apply_overrides(self.document.value, self.overrides)[0]

    def changed(self, overrides: Mapping[str, Any]) -> LoadedSpec:
        """Return the spec with more overrides; paths in them are relative to the spec's own folder.

        Raises:
            SpecError: with all problems.
        """
        given = {key: value for key, value in self.overrides.items() if key not in overrides} | dict(overrides)
        spec, places = _check(self.document, given)
        return replace(self, spec=spec, origins=places.origins(), overrides=given)

    @property
    def has_file(self) -> bool:
        """Whether it was read from a file."""
        return self.source != NO_FILE


def load_spec(source: Path | str | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> LoadedSpec:
    """Load and check a spec.

    Args:
        source: a YAML file, or the spec as a mapping (as in a notebook); NumPy's numbers and paths may be in it.
        overrides: dotted key → value, applied on top; paths in them are relative to the working folder.

    Raises:
        SpecError: with all problems, each with its place.
    """
    if isinstance(source, Mapping):
        return load_document(Document(NO_FILE, plain(source)), Path.cwd(), overrides)
    path = Path(source)
    return load_document(read_document(path), path.resolve().parent, overrides, path.resolve())


def load_document(
    document: Document, base: Path, overrides: Mapping[str, Any] | None = None, file: Path | None = None
) -> LoadedSpec:
    """Check a spec that is read already.

    Args:
        base: the folder that its paths are relative to.
        overrides: as of ``load_spec``.
        file: where it stands, if it is all that the file holds.

    Raises:
        SpecError: with all problems, each with its place.
    """
    text = file.read_text(encoding="utf-8-sig") if file else None
    extended = extend(document, base, (file,) if file else ())
    given = {key: moved_value(key, plain(value), Path.cwd(), base) for key, value in (overrides or {}).items()}
    spec, places = _check(extended.document, given)
    if extended.bases:
        text = _merged_text(extended, text or "")
    text = write_yaml(document.value) if text is None else text
    return LoadedSpec(spec, text, base, document.source, places.origins(), given, extended.document)


def _check(document: Document, overrides: Mapping[str, Any]) -> tuple[Spec, Places]:
    if not isinstance(document.value, dict):
        found = "is empty" if document.value is None else f"is a {_kind(document.value)}"
        raise SpecError(f"{document.source} {found}; a spec is a mapping of keys such as data, resolution, epochs")
    if {"base", "parameters"} <= document.value.keys():
        raise SpecError(f"{document.source} is a sweep, not a spec: imgcls sweep {shlex.quote(document.source)}")
    value, problems = apply_overrides(document.value, overrides)
    if problems:
        raise spec_error(document.source, problems)
    places = Places(document, value, overrides)
    try:
        spec = Spec.model_validate(value)
    except ValidationError as error:
        raise spec_error(document.source, explain(error, places)) from error
    return spec, places


def moved_value(key: str, value: Any, old: Path, new: Path) -> Any:
    """Return the value of a dotted key whose path, if it is one, was relative to ``old``, as relative to ``new``."""
    part, _, setting = key.partition(".")
    given = moved({part: {setting: value} if setting else value}, old, new)[part]
    return given[setting] if setting else given


def _merged_text(extended: Extended, text: str) -> str:
    """Return all that is in force as YAML that needs no other file, under the comment that ``text`` opens with."""
    opening = itertools.takewhile(lambda line: line.startswith("#"), text.split("\n"))
    files = " over ".join(shown(display(file)) for file in (extended.document.source, *extended.bases))
    comment = [*(line.rstrip("\r") for line in opening), f"# Merged from {files}"]
    return "\n".join([*comment, write_yaml(extended.document.value)])


def legal_name(stem: str) -> str:
    """Return a file's name as a run's: letters, digits and ``. _ + -``, anything else becomes ``-``."""
    kept = (
        character if character.isalpha() or character.isdecimal() or character in "._+-" else " "
        for character in unicodedata.normalize("NFC", stem)  # macOS hands out ö as o and its dots
    )
    return "-".join("".join(kept).split())[:80] or "run"


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "text" if isinstance(value, str) else "single value"


def plain(value: Any) -> Any:
    """Return a value as YAML would have given it: records, paths and NumPy's numbers become plain ones."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # a number or array of NumPy, which is not imported here
        return plain(value.tolist())
    return str(value) if isinstance(value, Path) else value
