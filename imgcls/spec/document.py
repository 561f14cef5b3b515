"""YAML as people mean it, with the place of every key and value.

``1e-3`` is a number, ``no`` and ``010`` are strings, a duplicate key is an error (YAML 1.2's core schema, where
PyYAML follows 1.1). Nothing but mappings, lists and scalars can come out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from imgcls.errors import SpecError
from imgcls.spec.fields import shown
from imgcls.spec.problems import Mark, Problem, spec_error

__all__ = ["SCALARS", "Document", "KeyPath", "parse_value", "read_document", "read_text"]

KeyPath = tuple[str | int, ...]

MAX_BYTES = 300_000  # PyYAML reads some 400 kB a second
# Keys and values, of which PyYAML reads 20,000 a second; a few anchors can ask for billions ("billion laughs").
MAX_NODES = 12_000
MAX_DEPTH = 40
MERGE = "tag:yaml.org,2002:merge"

SCALARS = {  # kind → pattern, and the characters it can begin with
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
}


@dataclass(frozen=True)
class Document:
    """A parsed spec: plain values, and where each of them stands.

    Attributes:
        value: dicts, lists, strings, numbers, booleans and None.
        keys: key path → place of the key.
        values: key path → place of the value.
    """

    source: str
    value: Any
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    values: dict[KeyPath, Mark] = field(default_factory=dict)


def read_document(path: Path, name: str | None = None) -> Document:
    """Read a YAML file; ``name`` is what messages call it, by default the path.

    Raises:
        SpecError: no such file, not text, not YAML, or a duplicate key; with line and column.
    """
    name = name or str(path)
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # one waits for a writer, one never ends
            raise SpecError(f"cannot read {name}: it is a pipe or a device, not a file")
        if status.st_size > MAX_BYTES:
            raise SpecError(f"{name} is larger than a spec can be ({MAX_BYTES // 1000} kB)")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        images = f"; imgcls init --data {name} proposes a spec for a folder of images" if os.path.isdir(path) else ""  # noqa: PTH112 - a name may be too long
        raise SpecError(f"cannot read {name}: {error.strerror}{images}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{name} is not UTF-8 text (byte {error.start})") from error
    except ValueError as error:  # a null character, which no file has in its name
        raise SpecError(f"cannot read {shown(name)[1:-1]}: {error}") from error
    return read_text(text, source=name)


def read_text(text: str, source: str = "spec") -> Document:
    """Parse YAML text; ``source`` is what messages call it."""
    document = Document(source, None)
    problems: list[Problem] = []
    try:
        node = _composed(text)
        value = None if node is None else _Builder(document, problems).build(node, ())
    except yaml.MarkedYAMLError as error:
        raise spec_error(source, [_syntax_problem(error)]) from error
    except yaml.YAMLError as error:  # a control character: no mark
        raise spec_error(source, [Problem("", " ".join(str(error).split()))]) from error
    if problems:
        raise spec_error(source, problems)
    return Document(source, value, document.keys, document.values)


def parse_value(text: str) -> Any:
    """Return the value that ``text`` has in YAML: ``1e-3`` → 0.001, ``[a, b]`` → a list."""
    return read_text(text, source=f"value {shown(text)}").value


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the resolvers of YAML 1.2 instead of 1.1, that stops where there is too much."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.count = 0
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.count += 1
        _refuse_too_much(self.count, self.depth, self.get_mark())
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _composed(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    except (ValueError, OverflowError) as error:  # what PyYAML lets through of int() and chr()
        what = "an escape, or the version of %YAML, is a number beyond what there is"
        raise yaml.MarkedYAMLError(context="while scanning", problem=what, problem_mark=loader.get_mark()) from error
    finally:
        loader.dispose()


def _refuse_too_much(count: int, depth: int, mark: yaml.Mark) -> None:
    """Raise where there are more values, or more of them inside each other, than a spec can have."""
    if count > MAX_NODES:
        raise yaml.MarkedYAMLError(problem="too many values", problem_mark=mark)
    if depth > MAX_DEPTH:
        raise yaml.MarkedYAMLError(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=mark)


for _name, (_pattern, _first) in SCALARS.items():
    for _character in _first.replace("\0", ""):
        _Loader.yaml_implicit_resolvers.setdefault(_character, []).append(
            (f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"))
        )
_Loader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile(r"^$")))
_Loader.yaml_implicit_resolvers.setdefault("<", []).append((MERGE, re.compile(r"^<<$")))


class _Builder:
    """Turns composed nodes into plain values and notes where each stood."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.document = document
        self.problems = problems
        self.count = 0
        self.open: list[yaml.Node] = []

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        if any(node is parent for parent in self.open):
            raise yaml.MarkedYAMLError(problem="an alias that contains itself", problem_mark=node.start_mark)
        self.document.values[path] = _mark(node)
        return self.value(node, path)

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """Return a node's value; an alias stands for all that it names, and that is counted again."""
        self.count += 1
        _refuse_too_much(self.count, len(self.open), node.start_mark)
        self.open.append(node)
        try:
            if isinstance(node, yaml.ScalarNode):
                return self.scalar(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self.mapping(node, path)
        finally:
            self.open.pop()

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for source in reversed([*self.merge_sources(node)]):  # what stands first wins, and what is written here
            merged.update(self.value(source, path))
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, path, "a key is a plain word, not a list or mapping")
                continue
            key = self.text(key_node, path)
            if key in result:
                self.problem(key_node, (*path, key), "the key stands twice")
                continue
            self.document.keys[(*path, key)] = _mark(key_node)
            result[key] = self.build(value_node, (*path, key))
        return {**merged, **result}

    def merge_sources(self, node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
        for given in (value for key, value in node.value if key.tag == MERGE):
            for source in given.value if isinstance(given, yaml.SequenceNode) else [given]:
                if any(source is parent for parent in self.open) or not isinstance(source, yaml.MappingNode):
                    raise yaml.MarkedYAMLError(problem="<< takes another mapping", problem_mark=given.start_mark)
                yield source

    def text(self, node: yaml.ScalarNode, path: KeyPath) -> str:
        text = str(node.value)
        try:
            text.encode("utf-8", "surrogateescape")  # those that stand for a byte are of file names
        except UnicodeEncodeError:
            self.problem(node, path, "half of a character (\\ud800 to \\udfff) is no text")
        return text

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:  # noqa: PLR0911 - one for each kind
        text = self.text(node, path)
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" | "float" as kind if not re.fullmatch(SCALARS[kind][0], text):  # its tag says so
                return self.problem(node, path, f"got {shown(text)}, which is no number, with the tag !!{kind}")
            case "int" if len(text) <= 100:
                return int(text)
            case "int":
                return self.problem(node, path, f"a number of {len(text)} digits")
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return self.problem(node, path, f"the tag {shown(node.tag)[1:-1]} is not accepted: plain values only")

    def problem(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(".".join(map(str, path)), message, _mark(node)))


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Mark(mark.line + 1, mark.column + 1) if mark else None
    text = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem("", f"not YAML: {text}" if error.context else text, place)
