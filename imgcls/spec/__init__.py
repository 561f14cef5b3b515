"""The YAML spec: reading, checking, defaults. Imports neither TensorFlow nor anything that computes."""

from imgcls.spec.loading import LoadedSpec, load_spec, parse_overrides, spec_yaml
from imgcls.spec.spec import Spec

__all__ = ["LoadedSpec", "Spec", "load_spec", "parse_overrides", "spec_yaml"]
