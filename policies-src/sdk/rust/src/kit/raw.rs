//! Msgpack values as the bytes they are, without a copy.
//!
//! 1. A value is cut off the bytes in front of it by walking through it: what does not end, starts with a byte that
//!    starts none, is an ext type or a map with a key that is no text, or is nested deeper than `DEPTH`, traps.
//! 2. What a value begins with is read by `request::Reader`, as for the policies that stand on that alone. Those step
//!    over a value in a loop; here its keys are looked at too, by a recursion that `DEPTH` bounds.
//! 3. Texts are stepped over whatever their size, and are UTF-8 only where they are read. This is why rmp-serde does
//!    not walk here: it checks every text on its way.

use rmp::Marker;

use crate::malformed;
use crate::request::{Head, Reader};

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
        Reader::new(self.0).text_if_any()
    }

    /// The binary, if it is one.
    pub fn binary(self) -> Option<&'a [u8]> {
        let mut rest = self.0;
        rmp::decode::read_bin_len(&mut rest).ok().map(|_| rest)
    }

    /// Keys and values. Traps if it is no map.
    pub fn pairs(self) -> Pairs<'a> {
        Pairs::of(self.0)
    }

    /// What is in a list. Traps if it is none.
    pub fn items(self) -> Items<'a> {
        let mut reader = Reader::new(self.0);
        Items { left: reader.array(), reader }
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
    reader: Reader<'a>,
}

impl<'a> Pairs<'a> {
    /// The pairs of the map that `bytes` begins with.
    pub fn of(bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes);
        Pairs { left: reader.map(), reader }
    }

    pub fn next_key(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        Some(self.reader.text())
    }

    /// The value behind the key that was read last.
    pub fn next_value(&mut self) -> Raw<'a> {
        value(&mut self.reader)
    }

    /// The bytes behind the pairs that were read.
    pub fn rest(&self) -> &'a [u8] {
        self.reader.0
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
    reader: Reader<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(value(&mut self.reader))
    }
}

/// The value that comes next.
fn value<'a>(reader: &mut Reader<'a>) -> Raw<'a> {
    let before = reader.0;
    walk(reader, DEPTH);
    Raw(&before[..before.len() - reader.0.len()])
}

/// Steps over one value with all that is in it.
fn walk(reader: &mut Reader, depth: u32) {
    if depth == 0 {
        malformed()
    }
    match reader.head() {
        Head::Map(pairs) => (0..pairs).for_each(|_| {
            reader.text();
            walk(reader, depth - 1)
        }),
        Head::List(items) => (0..items).for_each(|_| walk(reader, depth - 1)),
        _ => {}
    }
}
