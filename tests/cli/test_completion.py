"""The shell completes runs, templates and keys of a spec, and nobody waits for it."""

import os
import subprocess
import sys

import pytest
from run_folders import make_run

from imgcls.spec import load_spec
from imgcls.spec.schema import json_schema
from imgcls.starter.templates import TEMPLATES

HEAVY = {"keras", "numpy", "pandas", "pydantic", "scipy", "tensorflow"}
DEPTH = 3  # names in a dotted key, at most


def keys_of_the_schema():
    """Every dotted key of a spec and the words that it accepts; lists are left out, whose items have numbers."""
    schema = json_schema()
    found = {}

    def alternatives(value):
        if "$ref" in value:
            yield from alternatives(schema["$defs"][value["$ref"].rpartition("/")[2]])
            return
        inner = [each for key in ("anyOf", "oneOf") for each in value.get(key, ())]
        yield value
        for each in inner:
            yield from alternatives(each)

    def walk(properties, prefix):
        for key, value in properties.items():
            name = f"{prefix}{key}"
            options = list(alternatives(value))
            texts = [text for each in options for text in [*each.get("enum", ()), each.get("const")]]
            words = found.setdefault(name, dict.fromkeys(()))
            words.update(dict.fromkeys(text for text in texts if isinstance(text, str)))
            if any(each.get("type") == "boolean" for each in options):
                words.update({"true": None, "false": None})
            if name.count(".") + 1 < DEPTH and key not in ("reported", "extends"):
                for each in options:
                    walk(each.get("properties", {}), f"{name}.")

    walk({key: value for key, value in schema["properties"].items() if key != "extends"}, "")
    flags = {"yes", "no", "on", "off"}  # beside true and false they say nothing new
    return {key: " ".join(word for word in words if word not in flags) for key, words in sorted(found.items())}


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """Complete the last word of a command line as bash asks for it; give what is offered and what was imported."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        line = " ".join(["imgcls", *words])
        program = (
            "import atexit, sys; from imgcls_cli.app import main\n"
            "atexit.register(lambda: print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr))\n"
            "main([])"
        )
        environment = {"_IMGCLS_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split(), set(done.stderr.split())

    return run


@pytest.fixture
def two_runs(tmp_path):
    make_run(tmp_path / "runs", "one")
    make_run(tmp_path / "runs", "two")
    return sorted(folder.name for folder in (tmp_path / "runs").iterdir())


def test_the_keys_are_those_of_the_schema():
    from imgcls_cli.keys import KEYS

    assert keys_of_the_schema() == KEYS


def test_a_word_that_is_offered_for_a_key_is_accepted():
    from imgcls_cli.keys import KEYS

    plain = {"resize", "imbalance", "optimizer", "augmentation", "normalize", "backend", "device", "precision", "color"}
    for key in plain:
        for word in KEYS[key].split():
            if (key, word) != ("normalize", "backbone"):  # needs a backbone
                load_spec({"data": "digits", key: word})


@pytest.mark.parametrize("command", ["show", "evaluate", "compare", "report"])
def test_runs_are_offered_by_name_and_latest(complete, two_runs, command):
    offered, modules = complete(command, "")
    assert offered == ["latest", "two", "one"], "the newest first"
    assert not modules & HEAVY


def test_a_run_is_offered_by_folder_name_and_by_path(complete, two_runs):
    assert sorted(complete("show", "20")[0]) == two_runs
    assert sorted(complete("show", "runs/")[0]) == [f"runs/{name}" for name in two_runs]
    assert complete("show", "--runs-dir", "runs", "o")[0] == ["one"]


def test_a_second_run_of_a_comparison_is_offered(complete, two_runs):
    assert complete("compare", "one", "t")[0] == ["two"]


def test_where_there_are_no_runs_nothing_is_offered(complete):
    assert complete("show", "")[0] == []


def test_templates_are_offered(complete):
    offered, modules = complete("init", "")
    assert offered == sorted(TEMPLATES)
    assert complete("init", "q")[0] == ["quickstart"]
    assert not modules & HEAVY


def test_keys_of_a_spec_are_offered_level_by_level(complete):
    offered, modules = complete("train", "spec.yaml", "-s", "")
    assert {"lr=", "lr.", "epochs=", "data.", "optimizer."} <= set(offered)
    assert not any(name.startswith(("lr.i", "data.l")) for name in offered), "what is below a key comes with its point"
    assert {"data.limit.train=", "data.limit.test="} <= set(complete("train", "spec.yaml", "-s", "data.limit.")[0])
    assert not modules & HEAVY


def test_words_that_a_key_accepts_are_offered(complete):
    assert complete("train", "spec.yaml", "-s", "resize=")[0] == ["resize=crop", "resize=pad", "resize=stretch"]
