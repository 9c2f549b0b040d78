//! A request, read in one pass over the msgpack bytes, which everything that is read borrows from.
//!
//! 1. What is not a request ends in a trap: a value that does not end, a byte that starts none, an ext type, bytes left
//!    over, another ABI than 1, a known key that comes twice or is missing, a wrong type at a key that is read.
//! 2. Anything else is stepped over, whatever it is: a text or binary of any size costs as much as an empty one. This
//!    is why rmp reads here, and not rmp-serde: that checks the UTF-8 of every text on its way, so that 300 kB of
//!    content would cost more fuel than everything else together.

use alloc::vec::Vec;

use rmp::Marker;

use crate::malformed;

/// The fields of a tool's input that carry a path.
pub const PATH_FIELDS: [&str; 4] = ["file_path", "notebook_path", "path", "scriptPath"];

/// Reads a request. `settings` is called where the settings begin and reads them all.
pub fn read<'a, S>(bytes: &'a [u8], settings: impl Fn(&mut Reader<'a>) -> S) -> (Event<'a>, S) {
    let mut reader = Reader::new(bytes);
    let (mut abi, mut event, mut set, mut state) = (None, None, None, None);
    for _ in 0..reader.map() {
        match reader.text() {
            b"event" => once(&mut event, Event::read(&mut reader)),
            b"settings" => once(&mut set, settings(&mut reader)),
            b"abi" => once(&mut abi, reader.value()),
            b"state" => once(&mut state, reader.value()),
            _ => reader.skip(),
        }
    }
    match (abi, event, set, state) {
        // 1 is a byte of its own in msgpack; a state is nil or bin
        (Some([1]), Some(event), Some(set), Some([0xc0 | 0xc4..=0xc6, ..])) if reader.is_at_end() => (event, set),
        _ => malformed(),
    }
}

/// The fields of an event that policies read; absent where it has none or says nil.
#[derive(Default)]
pub struct Event<'a> {
    pub name: Option<&'a [u8]>,
    pub tool: Option<&'a [u8]>,
    pub cwd: Option<&'a [u8]>,
    /// `tool_input`, `tool_response`, `prompt` and `error`, each as the bytes of one value of any type.
    pub input: Option<&'a [u8]>,
    pub output: Option<&'a [u8]>,
    pub prompt: Option<&'a [u8]>,
    pub error: Option<&'a [u8]>,
}

impl<'a> Event<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let mut event = Event::default();
        for _ in 0..reader.map() {
            match reader.text() {
                b"hook_event_name" => optional(&mut event.name, reader, Reader::text),
                b"tool_name" => optional(&mut event.tool, reader, Reader::text),
                b"cwd" => optional(&mut event.cwd, reader, Reader::text),
                b"tool_input" => optional(&mut event.input, reader, Reader::value),
                b"tool_response" => optional(&mut event.output, reader, Reader::value),
                b"prompt" => optional(&mut event.prompt, reader, Reader::value),
                b"error" => optional(&mut event.error, reader, Reader::value),
                _ => reader.skip(),
            }
        }
        event
    }
}

/// The texts at `names` in a map, which may be absent; a value of another type is no text. Traps if it is no map.
pub fn texts_at<'a, const N: usize>(map: Option<&'a [u8]>, names: &[&str; N]) -> [Option<&'a [u8]>; N] {
    let mut found = [None; N];
    let Some(map) = map else { return found };
    let mut reader = Reader::new(map);
    for _ in 0..reader.map() {
        let key = reader.text();
        match names.iter().position(|name| name.as_bytes() == key) {
            Some(place) => once(&mut found[place], reader.value()),
            None => reader.skip(),
        }
    }
    found.map(|value| value.and_then(|bytes| Reader::new(bytes).text_if_any()))
}

/// Sets what was not set before.
pub fn once<T>(place: &mut Option<T>, value: T) {
    if place.replace(value).is_some() {
        malformed()
    }
}

/// Reads a value, or nil for none.
fn optional<'a, T>(place: &mut Option<T>, reader: &mut Reader<'a>, read: impl Fn(&mut Reader<'a>) -> T) {
    if !reader.nil() {
        once(place, read(reader))
    }
}

/// A list of texts that stays in the request.
#[derive(Clone)]
pub struct Texts<'a> {
    left: u32,
    reader: Reader<'a>,
}

impl<'a> Texts<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Self {
        let left = reader.array();
        let texts = Texts { left, reader: reader.clone() };
        (0..left).for_each(|_| {
            reader.text();
        });
        texts
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        Some(self.reader.text())
    }
}

/// The bytes that were not read yet. Every method traps if they do not begin with what it reads.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of pairs of a map, which follow.
    pub fn map(&mut self) -> u32 {
        rmp::decode::read_map_len(&mut self.0).unwrap_or_else(|_| malformed())
    }

    /// The number of items of a list, which follow.
    pub fn array(&mut self) -> u32 {
        rmp::decode::read_array_len(&mut self.0).unwrap_or_else(|_| malformed())
    }

    pub fn text(&mut self) -> &'a [u8] {
        let size = rmp::decode::read_str_len(&mut self.0).unwrap_or_else(|_| malformed());
        self.take(size as usize)
    }

    /// A text, or None where something else stands; then how much was read is undefined.
    pub fn text_if_any(&mut self) -> Option<&'a [u8]> {
        let size = rmp::decode::read_str_len(&mut self.0).ok()?;
        Some(self.take(size as usize))
    }

    pub fn truth(&mut self) -> bool {
        rmp::decode::read_bool(&mut self.0).unwrap_or_else(|_| malformed())
    }

    /// Whether nil stands here, which is then read.
    pub fn nil(&mut self) -> bool {
        let nil = self.0.first() == Some(&Marker::Null.to_u8());
        self.0 = &self.0[nil as usize..];
        nil
    }

    /// Whether a map stands here.
    pub fn is_map(&self) -> bool {
        matches!(self.0.first(), Some(0x80..=0x8f | 0xde | 0xdf))
    }

    /// The bytes of one value with all that is in it.
    pub fn value(&mut self) -> &'a [u8] {
        let before = self.0;
        self.skip();
        &before[..before.len() - self.0.len()]
    }

    /// Steps over one value with all that is in it. A loop and no recursion: depth costs nothing.
    pub fn skip(&mut self) {
        let mut left: u64 = 1; // 2^32 pairs in a map, and more after them, cannot wrap it
        while left > 0 {
            left = left - 1 + self.head().inside();
        }
    }

    /// Steps over one value except what it contains.
    pub(crate) fn head(&mut self) -> Head<'a> {
        let marker = rmp::decode::read_marker(&mut self.0).unwrap_or_else(|_| malformed());
        let size = match marker {
            Marker::FixMap(pairs) => return Head::Map(pairs as u64),
            Marker::Map16 => return Head::Map(self.number(2)),
            Marker::Map32 => return Head::Map(self.number(4)),
            Marker::FixArray(items) => return Head::List(items as u64),
            Marker::Array16 => return Head::List(self.number(2)),
            Marker::Array32 => return Head::List(self.number(4)),
            Marker::FixStr(size) => return self.text_of(size as u64),
            Marker::Str8 => return self.sized_text(1),
            Marker::Str16 => return self.sized_text(2),
            Marker::Str32 => return self.sized_text(4),
            Marker::Bin8 => self.number(1),
            Marker::Bin16 => self.number(2),
            Marker::Bin32 => self.number(4),
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            _ => malformed(), // an ext type, which no host writes, or no value at all
        };
        self.take(usize::try_from(size).unwrap_or_else(|_| malformed()));
        Head::Other
    }

    fn sized_text(&mut self, width: usize) -> Head<'a> {
        let size = self.number(width);
        self.text_of(size)
    }

    fn text_of(&mut self, size: u64) -> Head<'a> {
        Head::Text(self.take(usize::try_from(size).unwrap_or_else(|_| malformed())))
    }

    /// A big-endian count of `width` bytes.
    fn number(&mut self, width: usize) -> u64 {
        self.take(width).iter().fold(0, |sum, byte| sum << 8 | *byte as u64)
    }

    fn take(&mut self, size: usize) -> &'a [u8] {
        if size > self.0.len() {
            malformed()
        }
        let (taken, rest) = self.0.split_at(size);
        self.0 = rest;
        taken
    }
}

/// What a value begins with.
pub(crate) enum Head<'a> {
    Map(u64),
    List(u64),
    Text(&'a [u8]),
    Other,
}

impl Head<'_> {
    /// The number of values directly inside.
    fn inside(&self) -> u64 {
        match self {
            Head::Map(pairs) => 2 * pairs,
            Head::List(items) => *items,
            _ => 0,
        }
    }
}

/// Everything in one value, in its order: heads of maps and lists, keys and values.
pub struct Walk<'a> {
    reader: Reader<'a>,
    open: Vec<Open>,
}

/// One step of a walk. The `raw` bytes of all steps, one behind the other, are the value.
pub struct Step<'a> {
    pub raw: &'a [u8],
    pub text: Option<&'a [u8]>,
    pub is_key: bool,
}

struct Open {
    left: u64,
    is_map: bool,
}

impl<'a> Walk<'a> {
    pub fn new(value: &'a [u8]) -> Self {
        Walk { reader: Reader::new(value), open: Vec::from([Open { left: 1, is_map: false }]) }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        while self.open.last()?.left == 0 {
            self.open.pop();
        }
        let innermost = self.open.last_mut()?;
        let is_key = innermost.is_map && innermost.left % 2 == 0;
        innermost.left -= 1;
        let before = self.reader.0;
        let head = self.reader.head();
        let inside = head.inside();
        if inside > 0 {
            self.open.push(Open { left: inside, is_map: matches!(head, Head::Map(_)) });
        }
        let raw = &before[..before.len() - self.reader.0.len()];
        Some(Step { raw, text: if let Head::Text(text) = head { Some(text) } else { None }, is_key })
    }
}
