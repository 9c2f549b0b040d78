"""Self-protection: what no tool may do to the guard and to the agent's settings, whatever the policies say."""
