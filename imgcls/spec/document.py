"""YAML as people mean it, with the place of every key and value.

``1e-3`` is a number, ``no`` and ``010`` are strings, a duplicate key is an error (YAML 1.2's core schema, where
PyYAML follows 1.1). Nothing but mappings, lists and scalars can come out.
"""

from __future__ import annotations

import re
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

MAX_BYTES = 1_000_000
MAX_NODES = 20_000  # a few anchors can ask for billions of nodes ("billion laughs")
MAX_DEPTH = 40

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
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"{name} is larger than a spec can be ({MAX_BYTES // 1000} kB)")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        images = f"; imgcls init --data {name} proposes a spec for a folder of images" if path.is_dir() else ""
        raise SpecError(f"cannot read {name}: {error.strerror}{images}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{name} is not UTF-8 text (byte {error.start})") from error
    return read_text(text, source=name)


def read_text(text: str, source: str = "spec") -> Document:
    """Parse YAML text; ``source`` is what messages call it."""
    document = Document(source, None)
    problems: list[Problem] = []
    try:
        node = yaml.compose(text, _Loader)
        value = None if node is None else _Builder(document, problems).build(node, ())
    except yaml.MarkedYAMLError as error:
        raise spec_error(source, [_syntax_problem(error)]) from error
    except yaml.YAMLError as error:  # a control character: no mark
        raise spec_error(source, [Problem("", " ".join(str(error).split()))]) from error
    except RecursionError as error:
        raise spec_error(source, [Problem("", f"nested more than {MAX_DEPTH} deep")]) from error
    if problems:
        raise spec_error(source, problems)
    return Document(source, value, document.keys, document.values)


def parse_value(text: str) -> Any:
    """Return the value that ``text`` has in YAML: ``1e-3`` → 0.001, ``[a, b]`` → a list."""
    return read_text(text, source=f"value {shown(text)}").value


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the resolvers of YAML 1.2 instead of 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute


for _name, (_pattern, _first) in SCALARS.items():
    for _character in _first.replace("\0", ""):
        _Loader.yaml_implicit_resolvers.setdefault(_character, []).append(
            (f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"))
        )
_Loader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile(r"^$")))
_Loader.yaml_implicit_resolvers.setdefault("<", []).append(("tag:yaml.org,2002:merge", re.compile(r"^<<$")))


class _Builder:
    """Turns composed nodes into plain values and notes where each stood."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.document = document
        self.problems = problems
        self.count = 0
        self.open: list[yaml.Node] = []

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.count += 1
        if self.count > MAX_NODES or len(self.open) > MAX_DEPTH:
            what = f"nested more than {MAX_DEPTH} deep" if len(self.open) > MAX_DEPTH else "too many values"
            raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)
        if any(node is parent for parent in self.open):
            raise yaml.MarkedYAMLError(problem="an alias that contains itself", problem_mark=node.start_mark)
        self.document.values[path] = _mark(node)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        self.open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self.mapping(node, path)
        finally:
            self.open.pop()

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                for source in self.merge_sources(value_node):
                    merged = {**self.mapping(source, path), **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, path, "a key is a plain word, not a list or mapping")
                continue
            key = str(key_node.value)
            if key in result:
                self.problem(key_node, (*path, key), "the key stands twice")
                continue
            self.document.keys[(*path, key)] = _mark(key_node)
            result[key] = self.build(value_node, (*path, key))
        return {**merged, **result}

    def merge_sources(self, node: yaml.Node) -> Iterator[yaml.MappingNode]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if any(source is parent for parent in self.open) or not isinstance(source, yaml.MappingNode):
                raise yaml.MarkedYAMLError(problem="<< takes another mapping", problem_mark=node.start_mark)
            yield source

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:  # noqa: PLR0911 - one for each kind
        text = str(node.value)
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
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
