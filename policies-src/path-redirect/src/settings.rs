//! What the owner sets; absent where the owner says nothing.

use wasmguard_guest::request::{once, Reader, Texts};

#[derive(Default)]
pub struct Settings<'a> {
    pub root: Option<&'a [u8]>,
    pub tools: Option<Texts<'a>>,
    pub exempt: Option<Texts<'a>>,
}

impl<'a> Settings<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Self {
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
