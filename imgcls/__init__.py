"""imgcls: image-classification experiments from a YAML file."""
