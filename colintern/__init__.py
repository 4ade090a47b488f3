"""ColIntern trains ColPali-style visual document retrievers on Ray."""

__version__ = "0.1.0"
