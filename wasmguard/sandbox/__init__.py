"""The cell: the only place that knows wasmtime."""
