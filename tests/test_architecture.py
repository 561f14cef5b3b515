"""Imports go down only, and the light parts stay light."""

import ast
from pathlib import Path

import pytest

import imgcls

ROOT = Path(__file__).parents[1]

# Each layer may import those above it in this list: the ground first.
LAYERS = [
    {"assistant", "checksums", "errors", "files", "findings", "importing", "randomness", "subprocesses", "wording"},
    {"spec", "settings"},
    {"backend", "checkpoints", "locking", "runs"},
    {"data", "augmentation", "models"},
    {"training"},
    {"evaluation"},
    {
        "catalog",
        "comparison",
        "deployment",
        "diagnosis",
        "environment",
        "evaluations",
        "observer",
        "pages",
        "pasted",
        "recording",
        "starter",
        "tracking",
    },
    {"experiment"},
    {"inference", "sweep"},
    {"reports", "serving"},
]
HEAVY = {"tensorflow", "keras", "sklearn", "matplotlib", "pandas", "scipy"}
FILES = sorted(path for path in (ROOT / "imgcls").rglob("*.py") if path != ROOT / "imgcls" / "__init__.py")


def part_of(name):
    return name.removeprefix("imgcls.").split(".")[0]


def imported(path, *, top_level_only=False):
    """Return the modules that a file imports, those for type checkers left out."""
    tree = ast.parse(path.read_text())
    skipped = {id(inner) for node in ast.walk(tree) if _is_type_checking(node) for inner in ast.walk(node)}
    if top_level_only:
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        skipped |= {id(inner) for node in ast.walk(tree) if isinstance(node, functions) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield node.module
            if node.module == "imgcls":
                yield from (f"imgcls.{alias.name}" for alias in node.names)


def _is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    own = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    height = {name: level for level, names in enumerate(LAYERS) for name in names}
    for module in imported(path):
        if module.startswith("imgcls.") and part_of(module) != own:
            assert height[part_of(module)] <= height[own], f"{own} imports {module}"


def test_parts_of_one_layer_do_not_import_each_other_in_circles():
    edges = {}
    for path in FILES:
        own = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        edges.setdefault(own, set()).update(
            part_of(module) for module in imported(path) if module.startswith("imgcls.") and part_of(module) != own
        )
    while edges:
        leaves = {name for name, below in edges.items() if not below & edges.keys()}
        assert leaves, f"a circle among {sorted(edges)}"
        edges = {name: below for name, below in edges.items() if name not in leaves}


@pytest.mark.parametrize("part", ["errors", "files", "findings", "randomness", "wording", "spec", "settings", "runs",
                                  "catalog", "comparison", "observer", "data", "backend"])  # fmt: skip
def test_light_parts_import_nothing_heavy(part):
    for path in FILES:
        if part_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) == part:
            assert not {module.split(".")[0] for module in imported(path, top_level_only=True)} & HEAVY, path


def test_the_ground_imports_the_standard_library_only():
    allowed = {"__future__", "imgcls", "numpy"}
    import sys

    for name in LAYERS[0] - {"randomness"}:
        found = {module.split(".")[0] for module in imported(ROOT / "imgcls" / f"{name}.py")}
        assert found <= allowed - {"numpy"} | set(sys.stdlib_module_names)


def test_the_public_names_are_sorted_and_all_there():
    assert imgcls.__all__ == sorted(imgcls.__all__)
    for name in imgcls.__all__:
        assert getattr(imgcls, name) is not None
    assert not hasattr(imgcls, "nothing")
