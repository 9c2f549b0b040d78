//! Msgpack values as the bytes they are, without a copy.
//!
//! 1. A value is cut off the bytes in front of it by walking through it: what does not end, starts with a byte that
//!    starts none, is an ext type or a map with a key that is no text, or is nested deeper than `DEPTH`, traps.
//! 2. Texts are stepped over whatever their size, and are UTF-8 only where they are read. This is why rmp-serde does
//!    not walk here: it checks every text on its way.

use rmp::Marker;

use crate::malformed;

/// Levels of a request: the host sends events of at most 64, within two maps of its own.
const DEPTH: u32 = 100;

/// The bytes of exactly one value, which were walked through.
#[derive(Clone, Copy)]
pub struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    fn marker(self) -> Marker {
        Marker::from_u8(self.0[0])
    }

    pub fn is_nil(self) -> bool {
        self.marker() == Marker::Null
    }

    pub fn is_map(self) -> bool {
        matches!(self.marker(), Marker::FixMap(_) | Marker::Map16 | Marker::Map32)
    }

    pub fn is_list(self) -> bool {
        matches!(self.marker(), Marker::FixArray(_) | Marker::Array16 | Marker::Array32)
    }

    /// The text, if it is one.
    pub fn text(self) -> Option<&'a [u8]> {
        Cursor(self.0).text()
    }

    /// The binary, if it is one.
    pub fn binary(self) -> Option<&'a [u8]> {
        let mut cursor = Cursor(self.0);
        let size = match cursor.marker() {
            Marker::Bin8 => cursor.number(1),
            Marker::Bin16 => cursor.number(2),
            Marker::Bin32 => cursor.number(4),
            _ => return None,
        };
        Some(cursor.take(size))
    }

    /// Keys and values. Traps if it is no map.
    pub fn pairs(self) -> Pairs<'a> {
        Pairs::of(self.0)
    }

    /// What is in a list. Traps if it is none.
    pub fn items(self) -> Items<'a> {
        let mut cursor = Cursor(self.0);
        Items { left: cursor.list(), cursor }
    }

    /// The unsigned number that fits a byte, if it is one.
    pub fn small(self) -> Option<u8> {
        match (self.marker(), self.0) {
            (Marker::FixPos(number), _) | (Marker::U8, &[_, number]) => Some(number),
            _ => None,
        }
    }

    /// The value at `name`. Traps if it is no map or has that key twice.
    pub fn at(self, name: &str) -> Option<Raw<'a>> {
        let mut found = None;
        for (_, value) in self.pairs().filter(|(key, _)| *key == name.as_bytes()) {
            crate::request::once(&mut found, value);
        }
        found
    }
}

/// The pairs of a map that were not read yet.
pub struct Pairs<'a> {
    left: u32,
    cursor: Cursor<'a>,
}

impl<'a> Pairs<'a> {
    /// The pairs of the map that `bytes` begins with.
    pub fn of(bytes: &'a [u8]) -> Self {
        let mut cursor = Cursor(bytes);
        Pairs { left: cursor.map(), cursor }
    }

    pub fn next_key(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        Some(self.cursor.key())
    }

    /// The value behind the key that was read last.
    pub fn next_value(&mut self) -> Raw<'a> {
        self.cursor.value()
    }

    /// The bytes behind the pairs that were read.
    pub fn rest(&self) -> &'a [u8] {
        self.cursor.0
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.next_key()?;
        Some((key, self.next_value()))
    }
}

/// The items of a list that were not read yet.
pub struct Items<'a> {
    left: u32,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(self.cursor.value())
    }
}

/// The bytes that were not read yet. What reads takes them off, and traps if they do not begin with it.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn map(&mut self) -> u32 {
        match self.marker() {
            Marker::FixMap(pairs) => pairs as u32,
            Marker::Map16 => self.number(2),
            Marker::Map32 => self.number(4),
            _ => malformed(),
        }
    }

    fn list(&mut self) -> u32 {
        match self.marker() {
            Marker::FixArray(items) => items as u32,
            Marker::Array16 => self.number(2),
            Marker::Array32 => self.number(4),
            _ => malformed(),
        }
    }

    /// A text, if one stands here; if not, how much was read is undefined.
    fn text(&mut self) -> Option<&'a [u8]> {
        let size = match self.marker() {
            Marker::FixStr(size) => size as u32,
            Marker::Str8 => self.number(1),
            Marker::Str16 => self.number(2),
            Marker::Str32 => self.number(4),
            _ => return None,
        };
        Some(self.take(size))
    }

    fn key(&mut self) -> &'a [u8] {
        self.text().unwrap_or_else(|| malformed())
    }

    fn value(&mut self) -> Raw<'a> {
        let before = self.0;
        self.walk(DEPTH);
        Raw(&before[..before.len() - self.0.len()])
    }

    /// Steps over one value with all that is in it. Recursion, as `depth` bounds it.
    fn walk(&mut self, depth: u32) {
        if depth == 0 {
            malformed()
        }
        let size = match self.marker() {
            Marker::FixMap(pairs) => return self.walk_pairs(pairs as u32, depth),
            Marker::Map16 => return self.walk_sized(2, depth, Self::walk_pairs),
            Marker::Map32 => return self.walk_sized(4, depth, Self::walk_pairs),
            Marker::FixArray(items) => return self.walk_items(items as u32, depth),
            Marker::Array16 => return self.walk_sized(2, depth, Self::walk_items),
            Marker::Array32 => return self.walk_sized(4, depth, Self::walk_items),
            Marker::FixStr(size) => size as u32,
            Marker::Str8 | Marker::Bin8 => self.number(1),
            Marker::Str16 | Marker::Bin16 => self.number(2),
            Marker::Str32 | Marker::Bin32 => self.number(4),
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            _ => malformed(), // an ext type, or the byte that is none
        };
        self.take(size);
    }

    fn walk_sized(&mut self, width: u32, depth: u32, walk: fn(&mut Self, u32, u32)) {
        let count = self.number(width);
        walk(self, count, depth)
    }

    fn walk_pairs(&mut self, pairs: u32, depth: u32) {
        for _ in 0..pairs {
            self.key();
            self.walk(depth - 1);
        }
    }

    fn walk_items(&mut self, items: u32, depth: u32) {
        (0..items).for_each(|_| self.walk(depth - 1));
    }

    fn marker(&mut self) -> Marker {
        Marker::from_u8(self.take(1)[0])
    }

    /// A big-endian count of `width` bytes.
    fn number(&mut self, width: u32) -> u32 {
        self.take(width).iter().fold(0, |sum, byte| sum << 8 | *byte as u32)
    }

    fn take(&mut self, size: u32) -> &'a [u8] {
        let Some((taken, rest)) = self.0.split_at_checked(size as usize) else { malformed() };
        self.0 = rest;
        taken
    }
}
