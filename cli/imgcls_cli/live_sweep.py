"""A sweep as the terminal shows it: a line a trial, and on a terminal how many are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcls.settings import plain_text
from imgcls.wording import counted
from imgcls_cli.lines import duration, objective_text
from imgcls_cli.live import TerminalObserver, resume_command

if TYPE_CHECKING:
    from imgcls.runs import Run
    from imgcls.spec.sweep import SweepSpec
    from imgcls.sweep.study import Trial

__all__ = ["SweepTerminal"]


class SweepTerminal(TerminalObserver):
    """Writes how a sweep goes to a console."""

    sweep: SweepSpec
    folder: Run | None = None
    finished = 0

    def _interrupted(self, by: str) -> str:
        if self.folder is None:
            return super()._interrupted(by)
        folder, done = self.folder.folder, counted(self.finished, "finished trial")
        return f"interrupted ({by}): {folder} keeps {done}; {resume_command(self.folder)} goes on"

    def sweeping(self, folder: Run, sweep: SweepSpec, jobs: int, finished: int) -> None:
        self.folder, self.sweep, self.finished = folder, sweep, finished
        done = f", {finished:,} of them done" if finished else ""
        at_once = f", {jobs} at a time" if jobs > 1 else ""
        self.say(f"sweep     {counted(sweep.trial_count, 'trial')}{done}{at_once} ({sweep.method})")
        self.say(f"folder    {folder.folder}")
        self._advance("trials", finished, sweep.trial_count)

    def trial_lost(self, trial: Trial, why: str) -> None:
        self.say(f"lost      trial {trial.number + 1}: {why}; it begins anew")

    def trial_ended(self, trial: Trial, best: Trial | None, finished: int) -> None:
        self.finished = finished
        count = self.sweep.trial_count
        point = ", ".join(f"{name} {plain_text(value)}" for name, value in trial.point.items())
        self.say(f"{trial.number + 1:>{len(str(count))}}/{count}  {point}: {self._outcome(trial)}")
        self._advance("trials", finished, count, self._best(best))

    def finishing(self, best: Trial) -> None:
        self._clear()
        self.say(f"final     trial {best.number + 1} once more, on train and validation images")

    def _outcome(self, trial: Trial) -> str:
        if trial.state != "completed":
            message = trial.facts.get("message", "")
            return f"{trial.state}: {message}" if message else trial.state
        figures = ", ".join(
            f"{name} {objective_text(name, value)}"
            for name, value in zip(self.sweep.objective, trial.values, strict=True)
        )
        return f"{figures}  ({duration(trial.facts.get('seconds', 0.0))})"

    def _best(self, best: Trial | None) -> str:
        if best is None or len(self.sweep.objective) > 1:
            return ""
        return f"best {objective_text(self.sweep.objective[0], best.values[0])} (trial {best.number + 1})"
