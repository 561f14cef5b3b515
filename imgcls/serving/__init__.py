"""A finished run's network as a web service."""

from imgcls.serving.running import require_packages, serve

__all__ = ["require_packages", "serve"]
