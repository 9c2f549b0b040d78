//! Whether a path is one of a list, or below one of it.
//!
//! 1. `/etc` is that folder; `~/.ssh` is that folder in anybody's home; `.git/hooks`, without either, is such a folder
//!    wherever it is.
//! 2. In a component `*` is any part of it and `?` one character; `**` alone is any number of components.
//! 3. A path of a command line may have `*` and `?` as well, which stand for names that the shell finds: it fits where
//!    one of these names could. As in a shell, they find no name that begins with a dot unless they say so.

use alloc::vec::Vec;

use wasmguard_guest::glob;

use crate::paths::{components, HOLDERS};

/// How a path lies to a pattern.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Apart,
    /// The path is a folder above what the pattern names.
    Above,
    Covered,
}

/// A list of patterns.
#[derive(Default)]
pub struct List<'a> {
    top: Sublist<'a>,
    home: Sublist<'a>,
    anywhere: Sublist<'a>,
}

/// Patterns that begin at the same place.
#[derive(Default)]
struct Sublist<'a> {
    patterns: Vec<(&'a [u8], &'a [u8])>, // what is compared, and the whole
    marks: u64,                          // of their first components
}

impl<'a> List<'a> {
    pub fn add(&mut self, pattern: &'a [u8]) {
        match pattern {
            [] => {} // an empty entry speaks about nothing
            [b'/', ..] => self.top.add(pattern, pattern),
            [b'~'] | [b'~', b'/', ..] => self.home.add(&pattern[1..], pattern),
            _ => self.anywhere.add(pattern, pattern),
        }
    }
}

impl<'a> Sublist<'a> {
    fn add(&mut self, compared: &'a [u8], whole: &'a [u8]) {
        self.marks |= mark(compared.strip_prefix(b"/").unwrap_or(compared));
        if self.patterns.capacity() == 0 {
            self.patterns.reserve(16); // to grow is dear here: nothing is given back
        }
        self.patterns.push((compared, whole));
    }
}

/// A bit that components have in common when they may fit, by their first two characters: most paths begin in no folder
/// of a list. All bits where it cannot be told.
fn mark(component: &[u8]) -> u64 {
    let letter = |place: usize| component.get(place).filter(|byte| **byte != b'/').map_or(0, u8::to_ascii_lowercase);
    match (letter(0), letter(1)) {
        (0 | b'*' | b'?', _) | (_, b'*' | b'?') => u64::MAX,
        (one, two) => 1 << ((one as usize * 5 + two as usize * 7) & 63),
    }
}

/// A normal path, and how to compare it.
#[derive(Clone)]
pub struct Path<'a> {
    components: Vec<(&'a [u8], u64)>, // each with its mark
    home: Option<usize>,              // where what is below a home folder begins
    wild: bool,
    ignore_case: bool,
}

impl<'a> Path<'a> {
    /// If it is `wild`, the shell fills its `*` and `?` in.
    pub fn new(normal: &'a [u8], wild: bool, ignore_case: bool) -> Self {
        let mut parts = Vec::with_capacity(12);
        parts.extend(components(normal).map(|component| (component, mark(component))));
        Path { home: home_of(&parts), components: parts, wild, ignore_case }
    }

    /// The same path, in which `*` and `?` are themselves.
    pub fn exact(self) -> Self {
        Path { wild: false, ..self }
    }

    /// How the path lies to the pattern that fits it best, and that pattern.
    pub fn closest<'p>(&self, list: &List<'p>) -> (Fit, &'p [u8]) {
        let mut closest = self.among(&list.top, &self.components);
        match self.home {
            Some(home) => closest = best(closest, self.among(&list.home, &self.components[home..])),
            None if self.is_above_homes() => {
                closest = best(
                    closest,
                    list.home.patterns.first().map_or((Fit::Apart, b""), |(_, whole)| (Fit::Above, *whole)),
                );
            }
            None => {}
        }
        for first in 0..if list.anywhere.patterns.is_empty() { 0 } else { self.components.len() } {
            let found = self.among(&list.anywhere, &self.components[first..]);
            if found.0 == Fit::Covered {
                return best(closest, found);
            }
        }
        closest
    }

    fn is_above_homes(&self) -> bool {
        match self.components[..] {
            [] => true,
            [(top, _)] => HOLDERS.contains(&top),
            _ => false,
        }
    }

    /// The best of the patterns that begin where the components do.
    fn among<'p>(&self, list: &Sublist<'p>, path: &[(&[u8], u64)]) -> (Fit, &'p [u8]) {
        let mut closest = (Fit::Apart, &b""[..]);
        let first = path.first().map_or(u64::MAX, |(_, mark)| if self.wild { u64::MAX } else { *mark });
        if list.marks & first == 0 {
            return closest;
        }
        for (pattern, whole) in &list.patterns {
            closest = best(closest, (self.along(components(pattern), path), whole));
        }
        closest
    }

    fn along<'p>(&self, mut pattern: impl Iterator<Item = &'p [u8]> + Clone, mut path: &[(&[u8], u64)]) -> Fit {
        let mut again = None; // behind the last `**`: the pattern, and where that was tried last
        loop {
            let Some(wanted) = pattern.next() else { return Fit::Covered };
            if wanted == b"**" {
                again = Some((pattern.clone(), path));
                continue;
            }
            let Some(((given, _), rest)) = path.split_first() else { return Fit::Above };
            path = rest;
            if self.is(wanted, given) {
                continue;
            }
            let Some((behind, from)) = &mut again else { return Fit::Apart };
            *from = &from[1..];
            (pattern, path) = (behind.clone(), *from);
        }
    }

    fn is(&self, wanted: &[u8], given: &[u8]) -> bool {
        let (wanted_wild, given_wild) = (is_wild(wanted), self.wild && is_wild(given));
        match (wanted_wild, given_wild) {
            (false, false) if self.ignore_case => wanted.eq_ignore_ascii_case(given),
            (false, false) => wanted == given,
            (true, false) => self.fits(wanted, given),
            (_, true) if matches!(given[0], b'*' | b'?') && wanted[0] == b'.' => false,
            (false, true) => self.fits(given, wanted),
            (true, true) => true,
        }
    }

    fn fits(&self, pattern: &[u8], name: &[u8]) -> bool {
        match self.ignore_case {
            true => glob::fits(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase()),
            false => glob::fits(pattern, name),
        }
    }
}

/// Where what is below a home folder begins, if the path is one or below one.
fn home_of(path: &[(&[u8], u64)]) -> Option<usize> {
    let name = |place: usize| path.get(place).map_or(&b""[..], |(component, _)| component);
    match (name(0), name(1)) {
        (b"root", _) => Some(1),
        (b"var", b"root") => Some(2), // macOS
        (top, user) if HOLDERS.contains(&top) && !user.is_empty() => Some(2),
        _ => None,
    }
}

fn best<'p>(one: (Fit, &'p [u8]), other: (Fit, &'p [u8])) -> (Fit, &'p [u8]) {
    if other.0 > one.0 {
        other
    } else {
        one
    }
}

fn is_wild(component: &[u8]) -> bool {
    component.iter().any(|byte| matches!(byte, b'*' | b'?'))
}
