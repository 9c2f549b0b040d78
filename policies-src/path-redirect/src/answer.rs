//! A verdict as the msgpack map that the host reads.

use alloc::vec::Vec;

use rmp::encode::{write_map_len, write_str, ByteBuf};

use crate::malformed;
use crate::redirect::Verdict;
use crate::request::{utf8, PATH_FIELDS};

pub fn encode(verdict: &Verdict) -> Vec<u8> {
    let mut map = Map(ByteBuf::with_capacity(256)); // most answers; a longer one makes it grow
    match verdict {
        Verdict::Pass => map.begin(1).text("effect", "pass"),
        Verdict::Deny { reason } => map.begin(2).text("effect", "deny").text("reason", reason),
        Verdict::Move { reason, paths } => {
            map.begin(3).text("effect", "pass").text("reason", reason).key("rewrite");
            map.begin(paths.iter().flatten().count());
            for (field, path) in PATH_FIELDS.iter().zip(paths) {
                path.iter().for_each(|path| {
                    map.text(field, utf8(path));
                });
            }
            &mut map
        }
    };
    map.0.into_vec()
}

struct Map(ByteBuf);

impl Map {
    fn begin(&mut self, pairs: usize) -> &mut Self {
        write_map_len(&mut self.0, pairs as u32).unwrap_or_else(|_| malformed());
        self
    }

    fn key(&mut self, name: &str) -> &mut Self {
        write_str(&mut self.0, name).unwrap_or_else(|_| malformed());
        self
    }

    fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.key(name).key(value)
    }
}
