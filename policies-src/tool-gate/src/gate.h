// What the policy says about an event.
#pragma once
#include "reason.h"
#include "request.h"

enum effect { PASS, ASK, DENY };

// Judges an event by the settings. There is a reason for everything but a pass.
enum effect judge(value event, value settings, struct reason *reason);
