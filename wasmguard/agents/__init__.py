"""The outward wing: each agent's own JSON, and nothing about wasm."""
