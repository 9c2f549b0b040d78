"""Recorded events, decided again: in processes of their own, by the policies that did it or by others."""
