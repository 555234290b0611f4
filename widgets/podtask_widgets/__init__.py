"""The pod template's form; its parts come with later versions."""

__version__ = "0.1.0"
