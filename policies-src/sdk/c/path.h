// Absolute paths, worked on as text: there is no file system here, so links are not followed.
#pragma once
#include "text.h"

// A path that is being put together: empty, or `/` and a component, any number of times; no component is empty, `.` or
// `..`. `at` has room for all that is appended and a `/`.
struct path {
  char *at;
  size_t size;
};

// Appends the components of a text; `..` takes one away, but there is nothing above the top.
void append(struct path *path, struct text components);

// What follows the last slash.
struct text name_of(const struct path *path);
