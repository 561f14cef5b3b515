"""The YAML spec: reading, checking, defaults. Imports neither TensorFlow nor anything that computes."""

from imgcls.spec.loading import LoadedSpec, load_spec
from imgcls.spec.overrides import parse_overrides
from imgcls.spec.spec import Spec
from imgcls.spec.writing import spec_yaml

__all__ = ["LoadedSpec", "Spec", "load_spec", "parse_overrides", "spec_yaml"]
