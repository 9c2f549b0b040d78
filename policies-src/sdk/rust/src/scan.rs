//! Looks for bytes, sixteen at a time: a text of a megabyte must not cost its length in instructions.

/// A set of bytes: the ASCII character 0xHL is in it if bit H of row L is set. Of bytes beyond ASCII it has all or
/// none.
#[derive(Clone, Copy)]
pub struct Set {
    rows: [u8; 16],
    high: bool,
}

impl Set {
    pub const ALL: Set = Set { rows: [0xff; 16], high: true };

    pub const fn of(bytes: &[u8]) -> Self {
        let mut set = Set { rows: [0; 16], high: false };
        let mut at = 0;
        while at < bytes.len() {
            set.put(bytes[at]);
            at += 1;
        }
        set
    }

    pub const fn put(&mut self, byte: u8) {
        if byte < 0x80 {
            self.rows[(byte & 15) as usize] |= 1 << (byte >> 4);
        } else {
            self.high = true;
        }
    }

    #[inline]
    pub const fn has(&self, byte: u8) -> bool {
        match byte < 0x80 {
            true => self.rows[(byte & 15) as usize] >> (byte >> 4) & 1 == 1,
            false => self.high,
        }
    }

    /// Bit n is set if byte n of the block is in the set.
    #[cfg(target_arch = "wasm32")]
    #[inline(always)]
    fn among(&self, block: &[u8; 16]) -> u32 {
        use core::arch::wasm32::*;
        let columns = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
        // Both are 16 bytes that lie in the memory, wherever they begin.
        let (bytes, rows) = unsafe { (v128_load(block.as_ptr().cast()), v128_load(self.rows.as_ptr().cast())) };
        let row = i8x16_swizzle(rows, v128_and(bytes, i8x16_splat(15)));
        let column = i8x16_swizzle(columns, u8x16_shr(bytes, 4));
        let found = i8x16_bitmask(i8x16_ne(v128_and(row, column), i8x16_splat(0))) as u32;
        found | self.high as u32 * i8x16_bitmask(bytes) as u32
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn among(&self, block: &[u8; 16]) -> u32 {
        self.among_few(block)
    }

    fn among_few(&self, bytes: &[u8]) -> u32 {
        bytes.iter().enumerate().fold(0, |found, (place, byte)| found | (self.has(*byte) as u32) << place)
    }
}

/// The places in a text where a byte of a set stands, in their order.
pub struct Places<'a> {
    text: &'a [u8],
    set: &'a Set,
    block: usize, // where the block at hand begins
    found: u32,   // what is left of it
}

impl<'a> Places<'a> {
    pub fn new(text: &'a [u8], set: &'a Set) -> Self {
        let mut places = Places { text, set, block: 0, found: 0 };
        places.look_from(0);
        places
    }

    /// Goes on at `place`.
    pub fn skip_to(&mut self, place: usize) {
        match place < self.block + 16 {
            true => self.found &= u32::MAX << (place - self.block.min(place)),
            false => self.look_from(place),
        }
    }

    /// Finds the next block with something in it, or ends.
    fn look_from(&mut self, place: usize) {
        let mut rest = self.text.get(place..).unwrap_or_default();
        self.found = 0;
        while let Some((block, more)) = rest.split_first_chunk() {
            self.found = self.set.among(block);
            if self.found != 0 {
                break;
            }
            rest = more;
        }
        self.block = self.text.len() - rest.len();
        if self.found == 0 {
            self.found = self.set.among_few(rest);
        }
    }
}

impl Iterator for Places<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.found == 0 {
            self.look_from(self.block + 16);
        }
        let place = self.block + self.found.trailing_zeros() as usize;
        (self.found != 0).then(|| {
            self.found &= self.found - 1;
            place
        })
    }
}
