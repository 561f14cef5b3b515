"""What is installed: the command, the two packages, and nothing called ``cli``."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_has_the_two_packages_and_the_command(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        commands = archive.read(entry_points).decode()
    packages = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"imgcls", "imgcls_cli"}
    assert "imgcls/py.typed" in names
    assert "imgcls = imgcls_cli.app:command" in commands


def test_the_installed_command_runs_and_no_module_is_called_cli(tmp_path):
    command = Path(sys.executable).parent / "imgcls"
    shown = subprocess.run([command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("imgcls ")
    as_module = [sys.executable, "-m", "imgcls", "--version"]
    module = subprocess.run(as_module, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert module.stdout == shown.stdout
    looked = subprocess.run(
        [sys.executable, "-c", "import cli"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "No module named 'cli'" in looked.stderr
