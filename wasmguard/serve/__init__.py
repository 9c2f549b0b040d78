"""What runs beside an agent: the hook command and, later, its relatives."""
