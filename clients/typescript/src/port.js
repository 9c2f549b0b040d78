// Who listens on a port of this machine. Another user who took it while the daemon was away would be sent the token and
// every event, and would decide. Linux says who it is; where nobody says, nothing is refused.

import { readFileSync } from "node:fs";

const LISTENING = "0A"; // TCP_LISTEN, include/net/tcp_states.h
const HERE = new Set([
  ...["0100007F", "00000000", "00000000000000000000000001000000", "0".repeat(32)],
  "0000000000000000FFFF00000100007F",
]); // 127.0.0.1, any address, ::1, any address of IPv6, and 127.0.0.1 as IPv6 maps it: as the kernel writes them

/** Users, but for *user* and root, whose programs listen on *port*. */
export function strangers(port, user, tables = ["/proc/net/tcp", "/proc/net/tcp6"]) {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const owners = tables.flatMap((table) => rows(table).map((row) => listener(row, wanted)));
  return [...new Set(owners)].filter((owner) => owner !== null && owner !== 0 && owner !== user);
}

function rows(table) {
  try {
    return readFileSync(table, "latin1").split("\n").slice(1);
  } catch {
    return [];
  }
}

function listener(row, wanted) {
  const [, local, , state, , , , owner] = row.trim().split(/\s+/);
  const [address, port] = (local ?? "").split(":");
  return port === wanted && state === LISTENING && HERE.has(address) ? Number(owner) : null;
}
