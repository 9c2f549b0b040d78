"""The version of this wasmguard."""

__version__ = "0.1.0"
