"""The hostile suite: policies that attack, and what must become of each."""
