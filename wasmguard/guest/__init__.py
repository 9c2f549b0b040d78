"""The inward wing: what a policy is sent, what it may answer, and what counts. Nothing about agents or wasmtime."""
