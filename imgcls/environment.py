"""What a result was made with: versions, machine, device, seed, code, command."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from imgcls.backend import Device

__all__ = ["describe_environment", "installed_version"]

_PACKAGES = ("imgcls", "keras", "numpy", "pillow", "scikit-learn", "pandas", "scipy")
_BACKEND_PACKAGES = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib"), "torch": ("torch",)}


def describe_environment(
    device: Device, *, precision: str, precision_reason: str, seed: int, base: Path
) -> dict[str, Any]:
    """Return what ``environment.json`` holds.

    Args:
        precision_reason: why, where the spec left it open; else empty.
        base: the spec's folder, whose git commit is noted; null outside a repository.
    """
    packages = (*_PACKAGES, *_BACKEND_PACKAGES[device.backend])
    return {
        "versions": {"python": platform.python_version(), **{name: installed_version(name) for name in packages}},
        "platform": platform.platform(),
        "backend": device.backend,
        "device": {"kind": device.kind, "name": device.name, "threads": device.threads, "note": device.remark},
        "replicas": device.replicas,
        "workers": device.workers,
        "precision": precision,
        "precision_reason": precision_reason,
        "seed": seed,
        "deterministic": device.deterministic,
        "git_commit": _git(base, "rev-parse", "HEAD"),
        "git_changed": bool(_git(base, "status", "--porcelain", "--untracked-files=no")),
        "command": sys.argv,
        "working_folder": str(Path.cwd()),
    }


def installed_version(package: str) -> str | None:
    """Return a package's version, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says, or None where there is no git or no repository."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's git
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
