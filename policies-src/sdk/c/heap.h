// Memory that is handed out once and never taken back: every event gets a fresh instance, which is thrown away.
#pragma once
#include <stddef.h>

// `size` bytes that nobody else has, at an address that suits any type; null if there is no room.
void *take(size_t size);

// The same, but traps if there is no room: the host makes that a deny.
void *need(size_t size);
