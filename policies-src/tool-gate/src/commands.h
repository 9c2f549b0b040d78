// Command lines against the lists of their owner.
#pragma once
#include "reason.h"
#include "request.h"

// Whether a command line may not run, and why. `tool` is whose it is.
bool refuses_command(struct text tool, struct text command, struct texts deny, struct texts allow, struct reason *why);
