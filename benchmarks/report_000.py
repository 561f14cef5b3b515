"""Report 000's network at 64x64, batch 128, trained by imgcls and by what its users would write by hand.

    python benchmarks/report_000.py DATA_FOLDER [--rounds 3] [--only NAME ...] [--epochs 5] [--torch-python PATH]

DATA_FOLDER has a folder of photos for each class; 15 % are held out, measured after each epoch and at the end. Each
way is a process of its own, without and with augmentation; the ways take turns. `--torch-python` names the Python that
has PyTorch, if another one. An epoch is its training alone: median of those after the first, then over the rounds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from processes import Outcome, refuse_unequal, run_imgcls, run_script, told

SPEC = """
data: {{source: folder, path: {folder}, validation: 0.15, test: none}}
resolution: 64
architecture: [conv: 32, max_pool: 2, conv: 64, max_pool: 2, flatten, dense: 128]
optimizer: adam
lr: 1e-3
batch: 128
epochs: {epochs}
augmentation: {augmentation}
"""
AUGMENTATION = "{rotation: 20, width_shift: 0.1, height_shift: 0.1, zoom: 0.2, horizontal_flip: true}"
KERAS = {
    "keras_generator": ("keras_generator.py",),
    "keras_directory": ("keras_directory.py",),
    "keras_directory_cache": ("keras_directory.py", "--cache"),
}
TORCH = {"torch_plain": ("torch_plain.py",), "torch_tuned": ("torch_tuned.py",)}
IMGCLS, UNPREPARED = "imgcls", "imgcls, nothing prepared"

Ways = dict[str, Callable[[], Outcome]]


def has_torch(python: str) -> bool:
    found = subprocess.run([python, "-c", "import torch, numpy, PIL"], check=False, capture_output=True)
    return found.returncode == 0


def written_spec(folder: Path, data: Path, epochs: int, *, augment: bool) -> Path:
    """Write the spec with or without augmentation."""
    path = folder / ("augmented.yaml" if augment else "plain.yaml")
    text = SPEC.format(folder=json.dumps(str(data)), epochs=epochs, augmentation=AUGMENTATION if augment else "none")
    path.write_text(text, encoding="utf-8")
    return path


def by_hand(script: tuple[str, ...], python: str, asked: argparse.Namespace, *, augment: bool) -> Outcome:
    changes = ["--augment"] if augment else []
    arguments = [*script[1:], str(asked.folder.absolute()), "--epochs", str(asked.epochs), *changes]
    return run_script(python, script[0], *arguments)


def all_ways(asked: argparse.Namespace, folder: Path, *, augment: bool) -> Ways:
    """Return what trains each way once, by name, imgcls first."""
    spec = written_spec(folder, asked.folder.absolute(), asked.epochs, augment=augment)
    ways: Ways = {IMGCLS: lambda: run_imgcls(spec, folder)}
    for name, script in KERAS.items():
        ways[name] = lambda script=script: by_hand(script, sys.executable, asked, augment=augment)
    for name, script in TORCH.items():
        ways[name] = lambda script=script: by_hand(script, asked.torch_python, asked, augment=augment)
    return ways


def chosen(asked: argparse.Namespace) -> list[str]:
    """Return the ways to run, imgcls always among them, those with PyTorch where it is installed."""
    names = [IMGCLS, *(name for name in (*KERAS, *TORCH) if not asked.only or name in asked.only)]
    if set(names) & set(TORCH) and not has_torch(asked.torch_python):
        advice = "PyTorch is not there and left out: pip install torch pillow numpy, or name a Python by --torch-python"
        print(advice, file=sys.stderr)
        return [name for name in names if name not in TORCH]
    return names


def show(outcomes: dict[str, list[Outcome]]) -> None:
    """Print the table: medians over the rounds, and how many times as long as imgcls each took."""
    medians = {
        name: (
            median(each.later_epoch_seconds for each in found),
            median(each.process_seconds for each in found),
            median(each.accuracy for each in found),
        )
        for name, found in outcomes.items()
    }
    base_epoch, base_process, _ = medians[IMGCLS]
    print(f"{'':26}{'s an epoch':>11}{'times imgcls':>14}{'s in all':>10}{'times imgcls':>14}{'accuracy':>10}")
    for name, (epoch, process, accuracy) in medians.items():
        times = f"{epoch:11.2f}{epoch / base_epoch:14.2f}{process:10.1f}{process / base_process:14.2f}"
        print(f"{name:26}{times}{accuracy:10.3f}")


def compared(asked: argparse.Namespace, names: list[str], *, augment: bool) -> dict[str, list[Outcome]]:
    """Run all ways in turn; what imgcls takes with nothing prepared is measured once, before them."""
    with tempfile.TemporaryDirectory() as folder:
        ways = all_ways(asked, Path(folder), augment=augment)
        outcomes = {UNPREPARED: [told(UNPREPARED, ways[IMGCLS]())]}
        for _ in range(asked.rounds):
            for name in names:
                outcomes.setdefault(name, []).append(told(name, ways[name]()))
    refuse_unequal([each for found in outcomes.values() for each in found])
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*KERAS, *TORCH], default=[], metavar="NAME")
    parser.add_argument("--torch-python", default=sys.executable)
    asked = parser.parse_args()
    names = chosen(asked)
    for augment in (False, True):
        print("with augmentation" if augment else "without augmentation", file=sys.stderr)
        outcomes = compared(asked, names, augment=augment)
        print(f"\n{'With' if augment else 'Without'} augmentation, {asked.epochs} epochs, {asked.rounds} rounds")
        show(outcomes)


if __name__ == "__main__":
    main()
