"""A spec to start from: templates, or one that is proposed for the data that is there."""

__all__: list[str] = []
