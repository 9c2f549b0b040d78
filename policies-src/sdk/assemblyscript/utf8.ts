// UTF-8 to strings, and nothing else to strings: what is no UTF-8 traps. The language's own decoder takes anything.

/** The text in `size` bytes at `start`. */
export function decoded(start: usize, size: i32): string {
  if (size == 0) return "";
  const made = changetype<string>(__new((<usize>size) << 1, idof<string>())); // at most: each byte is one unit
  const units = decode(start, start + size, changetype<usize>(made));
  return units == size ? made : made.substring(0, units);
}

/** Writes the UTF-16 of the bytes up to `end`, and returns how many units these are. */
function decode(start: usize, end: usize, into: usize): i32 {
  let at = start;
  let to = into;
  while (at < end) {
    if (at + 4 <= end && (load<u32>(at) & 0x80808080) == 0) { // four of ASCII at once: most texts are nothing else
      store<u64>(to, widened(load<u32>(at)));
      at += 4;
      to += 8;
      continue;
    }
    const first = <u32>load<u8>(at++);
    if (first < 0x80) {
      store<u16>(to, <u16>first);
      to += 2;
      continue;
    }
    const more = following(first);
    if (at + more > end) unreachable();
    let point = first & (0x3f >> more);
    for (let i = 0; i < more; i++) {
      const next = <u32>load<u8>(at++);
      if ((next & 0xc0) != 0x80) unreachable();
      point = (point << 6) | (next & 0x3f);
    }
    to = put(to, point, more);
  }
  return <i32>((to - into) >> 1);
}

/** How many bytes follow the first one of a character. */
@inline
function following(first: u32): i32 {
  if (first < 0xc2 || first > 0xf4) unreachable();
  return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

/** Writes a character that came in `more` + 1 bytes, which must be as few as it takes. Returns what is behind it. */
function put(to: usize, point: u32, more: i32): usize {
  if (more == 2 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) unreachable();
  if (more < 3) {
    store<u16>(to, <u16>point);
    return to + 2;
  }
  if (point < 0x10000 || point > 0x10ffff) unreachable();
  store<u16>(to, <u16>(0xd7c0 + (point >> 10)));
  store<u16>(to, <u16>(0xdc00 | (point & 0x3ff)), 2);
  return to + 4;
}

/** Four bytes as four units. */
@inline
function widened(four: u32): u64 {
  const pairs = (<u64>four | (<u64>four << 16)) & 0x0000ffff0000ffff;
  return (pairs | (pairs << 8)) & 0x00ff00ff00ff00ff;
}
