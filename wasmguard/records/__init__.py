"""Records: what was decided, in a database that shows when somebody changed it."""
