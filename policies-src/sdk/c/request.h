// The request, read from msgpack. What cannot be read ends in a trap, never in an answer.
#pragma once
#include "text.h"

// Where a value begins in a request that `checked` has been over; null stands for a value that is not there.
typedef const char *value;

struct field {
  struct text name;
  value *found;
};

// The one value that fills all the bytes. Traps on anything else: no value, bytes left over, a value that does not end.
value checked(const char *bytes, size_t size);

// Looks up the named fields of a map and steps over the rest; what is absent stays null. Traps if it is no map, if a
// key is no text, or if a named field comes twice. Null has no fields.
void fields_of(value map, const struct field *fields, size_t count);

// The same value, or null if it is nil: events say so where there is nothing.
value unless_nil(value found);

// Whether a value is there and is a text.
bool is_text(value found);

// A text; empty for null. Traps on any other type.
struct text text_of(value found);

// A boolean; false for null. Traps on any other type.
bool truth_of(value found);

struct texts {
  const struct text *items;
  size_t count;
};

// A list of texts; empty for null. Traps on any other type.
struct texts texts_of(value found);
