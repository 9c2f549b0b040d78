"""`wasmguard bench`: what a policy costs, in numbers that mean the same tomorrow."""
