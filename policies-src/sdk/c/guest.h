// What a policy in C stands on: guest ABI 1, no imports, no C library. `request.h` is msgpack in, `reason.h` the one
// line that says why, `text.h` and `scan.h` are texts, `heap.h` memory. A request that cannot be read is answered by a
// trap, never by a verdict: the host makes that a deny.
#pragma once
#include "reason.h"
#include "request.h"

enum effect { PASS, ASK, DENY };

#define FIELDS 4

struct change {
  struct text field, value;
};

// What the policy says. It begins as a pass that says nothing.
struct answer {
  enum effect effect;
  struct reason reason;
  bool tells; // whether the model reads the reason as well when nothing is stopped
  struct change rewrite[FIELDS]; // fields of the tool's input, and the text that stands there from now on
  size_t rewrites;
};

// The policy: judges an event by the settings, which may be null.
void judge(value event, value settings, struct answer *answer);
