"""`wasmguard replay`: what has happened, decided once more by other policies."""
