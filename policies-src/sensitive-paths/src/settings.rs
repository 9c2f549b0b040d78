//! What the owner sets. The defaults are those of the manifest.

use wasmguard_guest::request::{once, Reader};

use crate::patterns::List;

#[rustfmt::skip]
const DENY: &[&str] = &[
    "~/.ssh", "~/.gnupg", "~/.aws", "~/.azure", "~/.config/gcloud", "~/.kube", "~/.docker/config.json", "~/.netrc",
    "~/.git-credentials", "~/.pypirc", ".git/hooks", "/boot", "/etc/shadow", "/etc/sudoers", "/etc/sudoers.d",
];
#[rustfmt::skip]
const ASK: &[&str] = &[
    "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/var/spool/cron", "/private/etc", "/System", "/Library",
    "~/.bashrc", "~/.bash_profile", "~/.bash_login", "~/.bash_logout", "~/.profile", "~/.zshrc", "~/.zshenv",
    "~/.zprofile", "~/.zlogin", "~/.config/fish", "~/.config/autostart", "~/.config/systemd", "~/.gitconfig",
    "~/.npmrc", "~/Library/LaunchAgents", ".git/config", ".envrc",
];
#[rustfmt::skip]
const DENY_READS: &[&str] = &[
    "~/.ssh/id_*", "~/.gnupg", "~/.aws/credentials", "~/.azure", "~/.config/gcloud", "~/.docker/config.json",
    "~/.netrc", "~/.git-credentials", "~/.pypirc", "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d",
];
const ASK_READS: &[&str] = &["~/.ssh", "~/.aws", "~/.kube", "~/.npmrc"];
const EXEMPT: &[&str] = &["~/.ssh/id_*.pub", "~/.ssh/known_hosts"];

pub struct Settings<'a> {
    pub deny: List<'a>,
    pub ask: List<'a>,
    pub deny_reads: List<'a>,
    pub ask_reads: List<'a>,
    pub exempt: List<'a>,
    pub ignore_case: bool,
}

/// What the owner says; absent where nothing.
#[derive(Default)]
pub struct Said<'a> {
    lists: [Option<List<'a>>; 5],
    ignore_case: Option<bool>,
}

impl<'a> Said<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Self {
        let mut said = Said::default();
        for _ in 0..reader.map() {
            match reader.text() {
                b"deny" => once(&mut said.lists[0], list(reader)),
                b"ask" => once(&mut said.lists[1], list(reader)),
                b"deny_reads" => once(&mut said.lists[2], list(reader)),
                b"ask_reads" => once(&mut said.lists[3], list(reader)),
                b"exempt" => once(&mut said.lists[4], list(reader)),
                b"ignore_case" => once(&mut said.ignore_case, reader.truth()),
                _ => reader.skip(),
            }
        }
        said
    }

    /// With the defaults for the rest.
    pub fn settled(self) -> Settings<'a> {
        let [deny, ask, deny_reads, ask_reads, exempt] = self.lists;
        Settings {
            deny: deny.unwrap_or_else(|| default(DENY)),
            ask: ask.unwrap_or_else(|| default(ASK)),
            deny_reads: deny_reads.unwrap_or_else(|| default(DENY_READS)),
            ask_reads: ask_reads.unwrap_or_else(|| default(ASK_READS)),
            exempt: exempt.unwrap_or_else(|| default(EXEMPT)),
            ignore_case: self.ignore_case.unwrap_or(false),
        }
    }
}

fn list<'a>(reader: &mut Reader<'a>) -> List<'a> {
    let mut list = List::default();
    for _ in 0..reader.array() {
        list.add(reader.text());
    }
    list
}

fn default<'a>(patterns: &'static [&'static str]) -> List<'a> {
    let mut list = List::default();
    patterns.iter().for_each(|pattern| list.add(pattern.as_bytes()));
    list
}
