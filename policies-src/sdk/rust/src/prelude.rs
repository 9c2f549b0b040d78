//! All that a policy needs: `use wasmguard_guest::prelude::*`.

pub use serde::{Deserialize, Serialize};

pub use crate::export_policy as policy;
pub use crate::kit::{Answer, Request};
pub use crate::path;
