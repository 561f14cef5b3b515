"""How long commands take that compute nothing, against importing what they are made of.

    python benchmarks/startup.py [RUN RUN]

With two runs, `imgcls compare` is timed too. The commands take turns; medians and ratios of whole processes are shown.
"""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROUNDS = 9


def seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    imgcls = str(Path(sys.executable).parent / "imgcls")
    commands = {
        "import typer, rich": [sys.executable, "-c", "import typer, rich"],
        "imgcls --help": [imgcls, "--help"],
    }
    if len(sys.argv) == 3:
        commands["imgcls compare"] = [imgcls, "compare", *sys.argv[1:]]
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(ROUNDS + 1):
        for name, command in commands.items():
            took = seconds(command)
            if round_ > 0:  # the first writes bytecode
                times[name].append(took)
    base = median(times["import typer, rich"])
    for name, taken in times.items():
        print(f"{name:20} {median(taken):6.3f} s  {median(taken) / base:4.1f} times")


if __name__ == "__main__":
    main()
