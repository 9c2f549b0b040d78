// Patterns for paths: `?` is one character and `*` any number of them, but no `/`; `**` is anything, and `/**/` is
// anything between two `/`, or a single `/`. Every other character is itself.
#pragma once
#include "text.h"

// Whether all of `path` fits `pattern`.
bool fits(struct text pattern, struct text path);
