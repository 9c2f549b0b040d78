//! The request as this policy needs it, read in one pass over the msgpack bytes, which it borrows from.
//!
//! 1. What is not a request ends in a trap: a value that does not end, a byte that starts none, bytes left over, a
//!    known key that comes twice, no event, a wrong type at a key that is read here.
//! 2. Anything else is stepped over, whatever it is: a text or binary of any size costs as much as an empty one. This
//!    is why rmp reads here, and not rmp-serde: that checks the UTF-8 of every text on its way, so that 300 kB of
//!    content would cost more fuel than everything else together.

use core::str;

use rmp::Marker;

use crate::malformed;

/// The fields of a tool's input that carry a path.
pub const PATH_FIELDS: [&str; 4] = ["file_path", "notebook_path", "path", "scriptPath"];

#[derive(Default)]
pub struct Request<'a> {
    pub event: Event<'a>,
    pub settings: Settings<'a>,
}

#[derive(Default)]
pub struct Event<'a> {
    pub name: Option<&'a [u8]>,
    pub tool: Option<&'a [u8]>,
    pub cwd: Option<&'a [u8]>,
    pub paths: [Option<&'a [u8]>; PATH_FIELDS.len()],
}

#[derive(Default)]
pub struct Settings<'a> {
    pub root: Option<&'a [u8]>,
    pub tools: Option<Texts<'a>>,
    pub exempt: Option<Texts<'a>>,
}

impl<'a> Request<'a> {
    pub fn read(bytes: &'a [u8]) -> Self {
        let mut reader = Reader(bytes);
        let (mut event, mut settings) = (None, None);
        for _ in 0..reader.map() {
            match reader.text() {
                b"event" => once(&mut event, Event::read(&mut reader)),
                b"settings" => once(&mut settings, Settings::read(&mut reader)),
                _ => reader.skip(),
            }
        }
        match event {
            Some(event) if reader.0.is_empty() => Request { event, settings: settings.unwrap_or_default() },
            _ => malformed(),
        }
    }
}

impl<'a> Event<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let (mut event, mut input) = (Event::default(), None);
        for _ in 0..reader.map() {
            match reader.text() {
                b"hook_event_name" => optional(&mut event.name, reader),
                b"tool_name" => optional(&mut event.tool, reader),
                b"cwd" => optional(&mut event.cwd, reader),
                b"tool_input" => once(&mut input, reader.value()),
                _ => reader.skip(),
            }
        }
        if event.name == Some(b"PreToolUse") {
            event.paths = input.map_or(event.paths, paths);
        }
        event
    }
}

/// The texts at `PATH_FIELDS` in a tool's input; nil means that there is no input.
fn paths(input: &[u8]) -> [Option<&[u8]>; PATH_FIELDS.len()] {
    let (mut reader, mut found) = (Reader(input), [None; PATH_FIELDS.len()]);
    if reader.nil() {
        return found;
    }
    for _ in 0..reader.map() {
        let key = reader.text();
        match PATH_FIELDS.iter().position(|field| field.as_bytes() == key) {
            Some(place) => once(&mut found[place], reader.value()),
            None => reader.skip(),
        }
    }
    found.map(|value| value.and_then(|bytes| Reader(bytes).text_if_any()))
}

impl<'a> Settings<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let mut settings = Settings::default();
        for _ in 0..reader.map() {
            match reader.text() {
                b"root" => once(&mut settings.root, reader.text()),
                b"tools" => once(&mut settings.tools, Texts::read(reader)),
                b"exempt" => once(&mut settings.exempt, Texts::read(reader)),
                _ => reader.skip(),
            }
        }
        settings
    }
}

/// A list of texts that stays in the request.
#[derive(Clone)]
pub struct Texts<'a> {
    left: u32,
    reader: Reader<'a>,
}

impl<'a> Texts<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
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
#[derive(Clone)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn map(&mut self) -> u32 {
        rmp::decode::read_map_len(&mut self.0).unwrap_or_else(|_| malformed())
    }

    fn array(&mut self) -> u32 {
        rmp::decode::read_array_len(&mut self.0).unwrap_or_else(|_| malformed())
    }

    fn text(&mut self) -> &'a [u8] {
        let size = rmp::decode::read_str_len(&mut self.0).unwrap_or_else(|_| malformed());
        self.take(size as usize)
    }

    fn text_if_any(&mut self) -> Option<&'a [u8]> {
        let size = rmp::decode::read_str_len(&mut self.0).ok()?;
        Some(self.take(size as usize))
    }

    fn nil(&mut self) -> bool {
        let nil = self.0.first() == Some(&Marker::Null.to_u8());
        self.0 = &self.0[nil as usize..];
        nil
    }

    fn value(&mut self) -> &'a [u8] {
        let before = self.0;
        self.skip();
        &before[..before.len() - self.0.len()]
    }

    /// Steps over one value with all that is in it. A loop and no recursion: depth costs nothing.
    fn skip(&mut self) {
        let mut left: u64 = 1; // 2^32 pairs in a map, and more after them, cannot wrap it
        while left > 0 {
            left += self.head() - 1;
        }
    }

    /// Steps over one value except what it contains, and counts that.
    fn head(&mut self) -> u64 {
        let marker = rmp::decode::read_marker(&mut self.0).unwrap_or_else(|_| malformed());
        let size = match marker {
            Marker::FixMap(pairs) => return 2 * pairs as u64,
            Marker::Map16 => return 2 * self.number(2),
            Marker::Map32 => return 2 * self.number(4),
            Marker::FixArray(items) => return items as u64,
            Marker::Array16 => return self.number(2),
            Marker::Array32 => return self.number(4),
            Marker::FixStr(size) => size as u64,
            Marker::Str8 | Marker::Bin8 => self.number(1),
            Marker::Str16 | Marker::Bin16 => self.number(2),
            Marker::Str32 | Marker::Bin32 => self.number(4),
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixExt1 => 2, // its data and one byte for its type
            Marker::FixExt2 => 3,
            Marker::FixExt4 => 5,
            Marker::FixExt8 => 9,
            Marker::FixExt16 => 17,
            Marker::Ext8 => self.number(1) + 1,
            Marker::Ext16 => self.number(2) + 1,
            Marker::Ext32 => self.number(4) + 1,
            Marker::Reserved => malformed(),
        };
        self.take(usize::try_from(size).unwrap_or_else(|_| malformed()));
        0
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

fn once<T>(place: &mut Option<T>, value: T) {
    if place.replace(value).is_some() {
        malformed()
    }
}

/// A text, or nil for none.
fn optional<'a>(place: &mut Option<&'a [u8]>, reader: &mut Reader<'a>) {
    if !reader.nil() {
        once(place, reader.text())
    }
}

/// The same bytes as text. Traps if they are not UTF-8, which the host never sends.
pub fn utf8(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_else(|_| malformed())
}
