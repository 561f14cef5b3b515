"""A command must not wait for what it does not need."""

import subprocess
import sys
from pathlib import Path

import pytest
from run_folders import make_run

HEAVY = {"keras", "sklearn", "tensorflow"}
QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"

PROGRAM = """
import sys
from imgcls_cli.app import main
code = main(sys.argv[1:])
print("\\n" + " ".join(sorted(name for name in sys.modules if "." not in name)))
sys.exit(code)
"""


def modules_of(*arguments):
    """The top-level modules that a command has imported when it ends."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture
def two_runs(tmp_path):
    make_run(tmp_path / "runs", "one")
    make_run(tmp_path / "runs", "two")


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", "one"],
        ["compare", "one", "two"],
        ["validate", str(QUICKSTART)],
        ["schema"],
        ["init", "quickstart", "--out", "{folder}/quickstart.yaml"],
        ["backbones"],
        ["doctor"],
        ["cache"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["predict", "--help"],
        ["serve", "--help"],
        ["export", "--help"],
        ["model", "--help"],
    ],
    ids=" ".join,
)
def test_reading_commands_load_no_tensorflow(arguments, tmp_path):
    assert not modules_of(*(each.format(folder=tmp_path) for each in arguments)) & HEAVY


def test_help_loads_next_to_nothing():
    assert not modules_of("--help") & (HEAVY | {"matplotlib", "numpy", "pandas", "pydantic", "scipy", "yaml"})


@pytest.mark.usefixtures("two_runs")
def test_list_needs_no_numpy():
    assert not modules_of("list") & {"matplotlib", "numpy", "pandas", "scipy"}


@pytest.mark.usefixtures("two_runs")
def test_compare_needs_statistics_alone():
    assert not modules_of("compare", "one", "two") & (HEAVY | {"matplotlib", "pandas"})
