"""Broken specs and sweeps of every kind: each is accepted, or refused with a message; none crashes or takes long.

    python benchmarks/fuzz_specs.py [--specs 10000] [--seed 0] [--processes 50] [--keep FOLDER]

Every spec begins as one of ``configs/`` or as one made of the JSON Schema. Then either its values, keys, types and
nesting are changed, or the text: bits, deletions, insertions, other encodings, and what YAML has for those who mean
harm, such as aliases that grow, tags that make objects and numbers of thousands of digits. Each is read by
``load_spec``, and by ``load_sweep`` where it is one or by chance. Those that took longest or said most, and some by
chance, are also given to ``imgcls validate`` as a process. Says how many were accepted and refused, and the slowest;
exit code 1 where one crashed, took over 2 seconds, has a message of over 20,000 characters or left a run folder.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import shutil
import string
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from imgcls import ImgclsError, load_spec
from imgcls.spec.document import read_text
from imgcls.spec.schema import json_schema, sweep_schema
from imgcls.spec.sweeping import load_sweep

CONFIGS = Path(__file__).parents[1] / "configs"
LONGEST_S = 2.0
LONGEST_MESSAGE = 20_000  # characters: fifty problems
EXIT_CODES = (0, 2, 3)
CHANGES = (1, 1, 1, 2, 4)  # in one spec

ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 10**18, 10**99, -(10**30), 0.5, 1.5, -0.0, 1e308, 5e-324, float("inf"),
    float("nan"), "", " ", "none", "auto", "all", "yes", "no", "010", "1:30", "1e-3", "../../x", "/dev/zero",
    "/dev/null",
    "~nobody/x", "~", "a\0b", "\x1b[2J", "[/cat]", "=1+1", "\u202e", "x" * 300, "x" * 5000, "naïve", "digits", "mnist",
    "2026-02-30", "{{7*7}}", "%n%s", [], [[]], [None], ["a", "a"], [1, 2, 3], [[1, 2], [3]], {}, {"": 1},
    {"a": {"b": {}}},
    {"name": ["sgd"]}, {"preset": 1}, {"backbone": "mobilenet"}, {"conv": {}}, {"conv": 3, "dense": 3},
    {"extends": "."},
    {"low": 0, "high": 1e308, "step": 1e-300}, {"low": 1, "high": 10**50}, {"values": [1, 1.0, True]},
]  # fmt: skip
SNIPPETS = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\t", b"\x85", b"\xe2\x80\xa8", b"\x1b[31m",
    b"\xed\xa0\x80",
    b"&a ", b"*a", b"*a: ", b"<<: *a", b"<<: [*a, *a]", b"!!python/object:os.system x", b"!!binary aGk=", b"!!set {a}",
    b"!!timestamp 2026-02-30", b"!!int 0x", b"!!float x", b"!!bool 3", b"!!null x", b"!!omap [a: 1]", b"!<tag:x> ",
    b"!%FF%FE", b"%YAML 9.9\n---\n", b"%YAML 1." + b"1" * 5000 + b"\n---\n", b"%TAG ! tag:x,2000:\n---\n", b"---\n",
    b"...\n", b"? ", b"- ", b": ", b"{", b"}", b"[", b"]", b",", b"|\n", b">9\n", b"'", b'"', b"\\",
    b'"\\UFFFFFFFF"',
    b'"\\ud800"', b'"\\x00"', b"#", b"@", b"`", b"~", b"9" * 5000, b"1e999999", b"-.inf", b".nan", b"0x1F", b"0o17",
    b"2026-02-30", b"12:34:56", b"1_000", b"=", b"extends: .\n", b"extends: /dev/zero\n", b"extends: spec.yaml\n",
    b"data: digits\n",
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What one spec came to: ``accepted``, the error's name, or ``CRASHED``."""

    text: bytes
    result: str
    message: str
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=50, help="of `imgcls validate`, one a spec")
    parser.add_argument("--keep", type=Path, help="a folder for the specs that did wrong")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "spec.yaml"
        for other in CONFIGS.rglob("*.yaml"):  # what they extend stands beside them; of one name any will do
            shutil.copy(other, folder)
        there = {path.name, *(each.name for each in folder.iterdir())}
        outcomes = []
        for text in texts(rng, options.specs):
            path.write_bytes(text)
            outcomes.append(read(path, text, is_sweep=b"parameters:" in text or rng.random() < 0.1))
        took = time.monotonic() - begun
        wrong = [each for each in outcomes if what_is_wrong(each)]
        report(outcomes, took)
        chosen = worst(outcomes, options.processes, rng)
        codes, told = validated(chosen, folder)
        left = {each.name for each in folder.iterdir()} - there
    print(
        f"imgcls validate, {len(chosen)} processes: {', '.join(f'{n} ended with {code}' for code, n in codes.items())}"
    )
    problems = [*map(what_is_wrong, wrong), *told, *(f"left behind: {each}" for each in left)]
    print("\n".join(problems[:20]) or "none crashed, took long, said too much or left a folder")
    for number, each in enumerate(wrong if options.keep else ()):
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / f"{number}.yaml").write_bytes(each.text)
    sys.exit(bool(problems))


def read(path: Path, text: bytes, *, is_sweep: bool) -> Outcome:
    load: Callable[[Path], object] = load_sweep if is_sweep else load_spec
    begun = time.perf_counter()
    try:
        load(path)
        result, message = "accepted", ""
    except ImgclsError as error:
        result, message = type(error).__name__, str(error)
    except Exception as error:  # noqa: BLE001 - that there is none is what is shown here
        result, message = "CRASHED", "".join(traceback.format_exception(error)[-2:])
    return Outcome(text, result, message, time.perf_counter() - begun)


def what_is_wrong(outcome: Outcome) -> str:
    """Return what an outcome should not have been, or an empty string."""
    if outcome.result == "CRASHED":
        return f"crashed: {outcome.message.strip()[-300:]} of {outcome.text[:80]!r}"
    if outcome.seconds > LONGEST_S:
        return f"took {outcome.seconds:.1f} s: {outcome.text[:80]!r}"
    if outcome.result != "accepted" and not 0 < len(outcome.message) <= LONGEST_MESSAGE:
        return f"a message of {len(outcome.message):,} characters: {outcome.text[:80]!r}"
    if any(not character.isprintable() and character != "\n" for character in outcome.message):
        return f"a message with control characters: {outcome.message[:200]!r}"
    return ""


def report(outcomes: list[Outcome], took: float) -> None:
    counts = Counter(each.result for each in outcomes)
    slowest = max(outcomes, key=lambda each: each.seconds)
    longest = max(len(each.message) for each in outcomes)
    print(f"{len(outcomes):,} specs in {took:.0f} s: {', '.join(f'{n:,} {what}' for what, n in counts.most_common())}")
    print(f"slowest {slowest.seconds:.2f} s ({len(slowest.text):,} bytes); longest message {longest:,} characters")


def worst(outcomes: list[Outcome], count: int, rng: random.Random) -> list[Outcome]:
    """Return those that took longest, those that said most, and some by chance; a third each."""
    third = -(-count // 3)
    by_time = sorted(outcomes, key=lambda each: -each.seconds)[:third]
    by_length = sorted(outcomes, key=lambda each: -len(each.message))[:third]
    return [*by_time, *by_length, *rng.sample(outcomes, min(len(outcomes), third))][:count]


def validated(chosen: list[Outcome], folder: Path) -> tuple[Counter[int], list[str]]:
    """Give specs to ``imgcls validate``; return how often it ended with which code, and what it did wrong."""
    codes: Counter[int] = Counter()
    problems = []
    path = folder / "spec.yaml"
    for each in chosen:
        path.write_bytes(each.text)
        command = [sys.executable, "-m", "imgcls_cli", "validate", "spec.yaml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        codes[done.returncode] += 1
        said = done.stdout + done.stderr
        if done.returncode not in EXIT_CODES or "Traceback" in said or "a bug in imgcls" in said:
            problems.append(f"imgcls validate ended with {done.returncode}: {said[-300:]} of {each.text[:80]!r}")
    return codes, problems


def texts(rng: random.Random, count: int) -> list[bytes]:
    """Return what is in the files: half are specs with wrong values, half are wrong texts."""
    whole = [path.read_bytes() for path in sorted(CONFIGS.rglob("*.yaml"))]
    values = [read_text(text.decode()).value for text in whole]
    schemas = [json_schema(), sweep_schema()]
    made = []
    for number in range(count):
        value = from_schema(rng, rng.choice(schemas)) if rng.random() < 0.3 else copy.deepcopy(rng.choice(values))
        if number % 2 == 0:
            for _ in range(rng.choice(CHANGES)):
                value = changed(rng, value)
            made.append(written(rng, value))
        else:
            text = rng.choice(whole) if rng.random() < 0.5 else written(rng, value)
            for _ in range(rng.choice(CHANGES)):
                text = rng.choice(TEXT_CHANGES)(rng, text)
            made.append(text)
    return made


def written(rng: random.Random, value: Any) -> bytes:
    """Return a value as YAML or as JSON, which is YAML too."""
    if rng.random() < 0.3:
        return json.dumps(value).encode()
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def from_schema(rng: random.Random, schema: dict[str, Any]) -> Any:  # noqa: C901 - one case for each kind
    """Return a value that a JSON Schema mostly accepts."""
    definitions = schema["$defs"]

    def value(node: dict[str, Any], depth: int) -> Any:  # noqa: C901, PLR0911 - one for each kind
        if "$ref" in node:
            return value(definitions[node["$ref"].rsplit("/", 1)[-1]], depth)
        if "const" in node or "enum" in node:
            return node.get("const", rng.choice(node.get("enum", [None])))
        for choice in ("anyOf", "oneOf"):
            if node.get(choice):
                return value(rng.choice(node[choice]), depth + 1)
        match node.get("type"):
            case "object" if depth < 8:
                keys = {key for key in node.get("properties", {}) if rng.random() < 0.4}
                chosen = sorted({*node.get("required", ()), *keys} & node.get("properties", {}).keys())
                made = {key: value(node["properties"][key], depth + 1) for key in chosen}
                if isinstance(extra := node.get("additionalProperties"), dict):
                    made |= {rng.choice(["lr", "batch", "a.b", "conv.x"]): value(extra, depth + 1)}
                return made
            case "array" if depth < 8:
                few = [value(node.get("items", {}), depth + 1) for _ in range(rng.randint(0, 3))]
                return [*(value(each, depth + 1) for each in node.get("prefixItems", ())), *few]
            case "integer":
                return rng.choice([0, 1, 2, 8, 100, -1])
            case "number":
                return rng.choice([0, 0.1, 0.5, 1, 3.5, -1])
            case "boolean":
                return rng.random() < 0.5
            case "string":
                return rng.choice(["digits", "x", "adam", "relu", "data/x", "val_accuracy"])
        return None

    return value(schema, 0)


def changed(rng: random.Random, value: Any) -> Any:  # noqa: C901, PLR0911 - one for each change
    """Return a value of mappings and lists with one thing in it changed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        match rng.randrange(8):
            case 0:
                return {each: item for each, item in value.items() if each != key}
            case 1:
                return {(misspelt(rng, each) if each == key else each): item for each, item in value.items()}
            case 2:
                return {**value, misspelt(rng, str(key)): copy.deepcopy(rng.choice(ODD_VALUES))}
            case 3:
                return {**value, key: {key: value[key]}}
        return {**value, key: changed(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        match rng.randrange(6):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return value * rng.choice([2, 2, 2, 50, 2000])
            case 2:
                return [*value, copy.deepcopy(rng.choice(ODD_VALUES))]
        return [*value[:place], changed(rng, value[place]), *value[place + 1 :]]
    match rng.randrange(5):
        case 0:
            return [value]
        case 1:
            return str(value)
        case 2 if isinstance(value, int | float):
            return value * rng.choice([-1, 0, 0.5, 1000, 10**20])
    return copy.deepcopy(rng.choice(ODD_VALUES))


def misspelt(rng: random.Random, key: str) -> str:
    place = rng.randrange(len(key) + 1)
    letter = rng.choice([*string.ascii_lowercase, ".", "", "\x1b[2J", "é", "0", "x" * 200])
    return key[:place] + letter + key[place + rng.randint(0, 1) :]


def flipped(rng: random.Random, text: bytes) -> bytes:
    data = bytearray(text)
    for _ in range(rng.choice([1, 1, 2, 8, 64]) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def shortened(rng: random.Random, text: bytes) -> bytes:
    first, last = sorted(rng.randint(0, len(text)) for _ in range(2))
    return text[:first] if rng.random() < 0.5 else text[:first] + text[last:]


def inserted(rng: random.Random, text: bytes) -> bytes:
    place = rng.randint(0, len(text))
    return text[:place] + rng.choice(SNIPPETS) + text[place:]


def spliced(rng: random.Random, text: bytes) -> bytes:
    first, last = sorted(rng.randint(0, len(text)) for _ in range(2))
    place = rng.randint(0, len(text))
    return text[:place] + text[first:last] * rng.choice([1, 1, 2, 20]) + text[place:]


def recoded(rng: random.Random, text: bytes) -> bytes:
    plain = text.decode("utf-8", "replace")
    match rng.randrange(4):
        case 0:
            return plain.encode(rng.choice(["utf-16", "utf-16-be", "utf-32", "utf-7", "utf-8-sig"]), "replace")
        case 1:
            return text.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n", b"\x85", b"\0"]))
        case 2:
            return text.replace(b"  ", rng.choice([b"\t", b" ", b"   ", b"\xc2\xa0"]))
    return plain.encode("latin-1", "replace") + bytes([rng.randrange(128, 256)])


def bombed(rng: random.Random, text: bytes) -> bytes:
    """Add what grows, nests or repeats beyond measure."""
    deep = rng.choice([30, 41, 500, 20_000, 150_000])
    wide = rng.choice([20, 2_000, 30_000])
    grown = rng.choice([b"[]", b"{}", b"x"])
    steps = [b"a0: &a0 " + grown] + [
        b"a%d: &a%d %s" % (n, n, (b"{<<: [%s]}" if grown == b"{}" else b"[%s]") % b", ".join([b"*a%d" % (n - 1)] * 9))
        for n in range(1, 12)
    ]
    bombs = [
        b"\n".join(steps),
        b"notes: " + b"[" * deep + b"]" * deep,
        b"notes: " + b"{a: " * deep,
        b"notes:\n" + b"- " * deep,
        b"notes:\n" + b"? " * deep,
        b"".join(b"key%d: 1\n" % n for n in range(wide)),
        b"epochs: 1\n" * wide,
        b"architecture: [" + b"cnv, " * wide + b"]",
        b"architecture: [" + b"conv: {filtrs: 1}, " * wide + b"]",
        b"data: {source: digits, classes: [" + b"".join(b"c%d, " % n for n in range(wide)) + b"]}",
        b"parameters: {batch: [" + b"".join(b"%d, " % n for n in range(1, wide)) + b"]}\nbase: {data: digits}",
        b"method: random\nbase: {data: digits}\nparameters:\n"
        + b"".join(b"  p%d: {keys: [x%d], low: 1, high: 9}\n" % (n, n) for n in range(min(wide, 4000))),
        b"notes: &n {<<: *n}",
        b"notes: &n [*n]",
        b"#" + b"x" * 20 * wide,
        b"notes: " + b"x " * 10 * wide,
        b'notes: "' + b"x\\n " * 5 * wide + b'"',
        b"notes: |\n" + b" x\n" * 5 * wide,
        b"\n" * 10 * wide,
        b"? " + b"k" * 10 * wide + b"\n: 1",
        b"notes: !" + b"t" * 10 * wide + b" x",
        b"notes: &" + b"a" * 10 * wide + b" x",
    ]
    chosen = rng.choice(bombs)
    return chosen if rng.random() < 0.3 else text + b"\n" + chosen


TEXT_CHANGES = (flipped, flipped, shortened, inserted, inserted, inserted, spliced, recoded, bombed)

if __name__ == "__main__":
    main()
